"""What the API server refuses reaches a person as a sentence; its bodies are as servers write them.

The bodies with Status objects were read from API servers 1.20 and newer.
"""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import urllib3

from bot.engines.kube import CLAIMS, CONFIG_MAPS, EXPERIMENTS, JOBS, PODS, PYTORCHJOBS, TRAINJOBS
from bot.engines.kube_errors import ApiError, Call, unreachable
from bot.engines.kube_refusals import read
from bot.errors import EngineError

SERVER = "https://10.0.0.1:6443"
LIST = Call("GET", EXPERIMENTS.path("ml"), SERVER)
CREATE = Call("POST", EXPERIMENTS.path("ml"), SERVER)
GET = Call("GET", EXPERIMENTS.path("ml", "tune-1"), SERVER)


def status(code: int, message: str, reason: str = "", **details: Any) -> bytes:
    body: dict[str, Any] = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    }  # fmt: skip
    return json.dumps({**body, "details": details} if details else body).encode()


def said(call: Call, code: int, message: str, reason: str = "", **details: Any) -> ApiError:
    return read(code, status(code, message, reason, **details), call)


def test_a_webhooks_own_sentence_reaches_the_person() -> None:
    sentence = "spec.maxTrialCount: Invalid value: 0: must be greater than 0"
    error = said(
        CREATE, 400, f'admission webhook "validator.experiment.katib.kubeflow.org" denied the '
        f"request: {sentence}", "BadRequest",
    )  # fmt: skip
    assert error.message == f"{sentence}."
    assert error.denied_by_webhook
    assert error.is_permanent


def test_a_webhook_that_gives_no_reason_is_named() -> None:
    error = said(CREATE, 403, 'admission webhook "policy.example" denied the request '
                 "without explanation", "Forbidden")  # fmt: skip
    assert "`policy.example`" in error.message
    assert error.is_permanent


def test_a_namespace_without_the_injection_label_gets_the_command_that_sets_it() -> None:
    label = "katib.kubeflow.org/metrics-collector-injection"
    error = said(
        CREATE, 400, 'admission webhook "validator.experiment.katib.kubeflow.org" denied the '
        'request: Cannot create the Experiment "tune-1" in namespace "ml": the namespace lacks '
        f'label "{label}: enabled"', "BadRequest",
    )  # fmt: skip
    assert "lacks label" in error.message
    assert f"kubectl label namespace ml {label}=enabled" in error.hint


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (  # 1.20
            'Post "https://katib-controller.kubeflow.svc:443/validate-experiment?timeout=10s": '
            "dial tcp 10.1.2.3:443: connect: connection refused",
            "dial tcp 10.1.2.3:443: connect: connection refused",
        ),
        (  # newer
            "failed to call webhook: Post "
            '"https://katib-controller.kubeflow.svc:443/validate-experiment?timeout=10s": '
            'no endpoints available for service "katib-controller"',
            'no endpoints available for service "katib-controller"',
        ),
    ],
)
def test_a_webhook_that_is_down_is_said_to_be_down(why: str, told: str) -> None:
    error = said(
        CREATE, 500, "Internal error occurred: failed calling webhook "
        f'"validator.experiment.katib.kubeflow.org": {why}', "InternalError",
    )  # fmt: skip
    assert "Katib's admission webhook" in error.message
    assert f": {told}." in error.message
    assert "kubectl get pods -n kubeflow" in error.hint
    assert not error.is_permanent
    assert not error.denied_by_webhook


def test_what_an_account_may_not_is_named_with_verb_resource_namespace_and_account() -> None:
    account = "system:serviceaccount:bots:katib-tune"
    error = said(
        LIST, 403, f'experiments.kubeflow.org is forbidden: User "{account}" cannot list resource '
        '"experiments" in API group "kubeflow.org" in the namespace "ml"', "Forbidden",
        group="kubeflow.org", kind="experiments",
    )  # fmt: skip
    assert error.message == (
        f"The account `{account}` may not list `experiments.kubeflow.org` in the namespace `ml`."
    )
    assert f"kubectl auth can-i list experiments.kubeflow.org -n ml --as={account}" in error.hint
    assert not error.is_permanent


def test_a_subresource_and_the_whole_cluster_are_named_too() -> None:
    log = said(
        Call("GET", PODS.path("ml", "x", "log")), 403, 'pods "x" is forbidden: User "jane" cannot '
        'get resource "pods/log" in API group "" in the namespace "ml": RBAC: not found',
        "Forbidden",
    )  # fmt: skip
    assert log.message == "The account `jane` may not get `pods/log` in the namespace `ml`."
    assert "can-i get pods --subresource=log -n ml" in log.hint
    everywhere = said(
        LIST, 403, 'storageclasses.storage.k8s.io is forbidden: User "jane" cannot list resource '
        '"storageclasses" in API group "storage.k8s.io" at the cluster scope', "Forbidden",
    )  # fmt: skip
    assert "`storageclasses.storage.k8s.io` in the whole cluster" in everywhere.message


def test_without_credentials_the_hint_is_to_log_in() -> None:
    error = said(
        LIST, 403, 'experiments.kubeflow.org is forbidden: User "system:anonymous" cannot list '
        'resource "experiments" in API group "kubeflow.org" in the namespace "ml"', "Forbidden",
    )  # fmt: skip
    assert "No credentials were sent" in error.hint


def test_a_quota_that_is_used_up_says_what_of_how_much() -> None:
    error = said(
        Call("POST", JOBS.path("ml")), 403, 'jobs.batch "tune-1-fetch" is forbidden: exceeded '
        "quota: team, requested: requests.cpu=4,requests.nvidia.com/gpu=2, used: requests.cpu=8,"
        "requests.nvidia.com/gpu=7, limited: requests.cpu=10,requests.nvidia.com/gpu=8",
        "Forbidden", name="tune-1-fetch", kind="jobs",
    )  # fmt: skip
    assert "`team` of the namespace `ml` has no room for `jobs/tune-1-fetch`" in error.message
    assert "2 of requests.nvidia.com/gpu asked for, 7 of 8 used" in error.message
    assert "4 of requests.cpu asked for, 8 of 10 used" in error.message
    assert not error.is_permanent, "room may come"


def test_a_quota_that_wants_limits_stated_says_which() -> None:
    error = said(
        Call("POST", PODS.path("ml")), 403, 'pods "x" is forbidden: failed quota: team: must '
        "specify limits.cpu,limits.memory", "Forbidden", name="x", kind="pods",
    )  # fmt: skip
    assert "takes only what states limits.cpu,limits.memory" in error.message


def test_a_rule_of_the_cluster_is_told_in_its_own_words_and_is_permanent() -> None:
    error = said(
        Call("POST", CLAIMS.path("ml")), 403, 'persistentvolumeclaims "tune-1" is forbidden: '
        "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi", "Forbidden",
        name="tune-1", kind="persistentvolumeclaims",
    )  # fmt: skip
    assert error.message.endswith(
        ": maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi."
    )
    assert error.is_permanent


def test_a_namespace_too_young_to_have_its_service_account_is_no_rule_of_the_cluster() -> None:
    error = said(
        Call("POST", PODS.path("ml")), 403, 'pods "x" is forbidden: error looking up service '
        'account ml/default: serviceaccount "default" not found', "Forbidden", name="x",
    )  # fmt: skip
    assert not error.is_permanent


def test_a_namespace_that_is_being_deleted_is_said_to_be() -> None:
    error = said(
        CREATE, 403, 'experiments.kubeflow.org "tune-1" is forbidden: unable to create new content '
        "in namespace ml because it is being terminated", "Forbidden", name="tune-1",
        causes=[{"reason": "NamespaceTerminating", "message": "namespace ml is being terminated",
                 "field": "metadata.namespace"}],
    )  # fmt: skip
    assert error.message == "The namespace `ml` is being deleted."


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (EXPERIMENTS.path("ml"), "Katib is not installed"),
        (PYTORCHJOBS.path("ml"), "The training operator is not installed"),
        (TRAINJOBS.path("ml"), "The Kubeflow Trainer is not installed"),
        (EXPERIMENTS.path("ml", "tune-1"), "Katib is not installed"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b"404 page not found\n",  # 1.20
        status(404, "the server could not find the requested resource", "NotFound", group="g"),
    ],
    ids=["text", "status"],
)
def test_an_operator_that_is_not_installed_is_named(path: str, owner: str, body: bytes) -> None:
    error = read(404, body, Call("GET", path, SERVER))
    assert error.message.startswith(owner)
    assert error.is_unserved
    assert not error.is_missing, "nothing is known of its objects"


def test_an_address_that_is_no_api_server_is_told_with_what_was_asked() -> None:
    error = read(404, b"<html>nginx</html>", Call("GET", CONFIG_MAPS.path("ml"), SERVER))
    assert "has no `/api/v1/namespaces/ml/configmaps`" in error.message


def test_a_missing_object_is_named_with_its_namespace() -> None:
    error = said(GET, 404, 'experiments.kubeflow.org "tune-1" not found', "NotFound",
                 name="tune-1", kind="experiments", group="kubeflow.org")  # fmt: skip
    assert error.message == "There is no `experiments/tune-1` in the namespace `ml`."
    assert error.is_missing


def test_a_missing_namespace_gets_the_command_that_creates_it() -> None:
    error = said(CREATE, 404, 'namespaces "ml" not found', "NotFound", name="ml", kind="namespaces")
    assert error.message == "There is no namespace `ml`."
    assert "kubectl create namespace ml" in error.hint


def test_a_name_that_is_taken_is_an_error_of_the_field_name() -> None:
    error = said(CREATE, 409, 'experiments.kubeflow.org "tune-1" already exists', "AlreadyExists",
                 name="tune-1", kind="experiments")  # fmt: skip
    assert error.message == "There is `experiments/tune-1` in the namespace `ml` already."
    assert (error.is_taken, error.is_conflict, error.field) == (True, False, "name")


def test_a_name_whose_object_is_still_going_is_not_said_to_be_there() -> None:
    error = said(
        CREATE, 409, 'object is being deleted: experiments.kubeflow.org "tune-1" already exists',
        "AlreadyExists", name="tune-1", kind="experiments",
    )  # fmt: skip
    assert "still being deleted" in error.message
    assert error.is_taken


def test_a_conflict_is_no_taken_name() -> None:
    error = said(
        Call("PUT", CONFIG_MAPS.path("ml", "a")), 409, 'Operation cannot be fulfilled on '
        'configmaps "a": the object has been modified', "Conflict", name="a", kind="configmaps",
    )  # fmt: skip
    assert (error.is_taken, error.is_conflict, error.is_permanent) == (False, True, False)


@pytest.mark.parametrize("code", [400, 422])
def test_an_object_that_is_invalid_is_told_what_is_wrong_with_it(code: int) -> None:
    error = said(
        CREATE, code, 'Experiment.kubeflow.org "X_" is invalid: metadata.name: Invalid value: '
        '"X_": a lowercase RFC 1123 subdomain must consist of', "Invalid", name="X_",
    )  # fmt: skip
    assert ": metadata.name: Invalid value:" in error.message
    assert "is invalid: " not in error.message
    assert error.is_permanent


def test_credentials_that_are_not_accepted_name_the_api_server() -> None:
    error = said(LIST, 401, "Unauthorized", "Unauthorized")
    assert SERVER in error.message
    assert "401" in error.message
    assert not error.is_permanent


@pytest.mark.parametrize(("details", "seconds"), [({"retryAfterSeconds": 7}, 7.0), ({}, 5.0)])
def test_a_busy_api_server_says_when_to_come_again(details: Any, seconds: float) -> None:
    error = said(LIST, 429, "Too many requests", "TooManyRequests", **details)
    assert error.retry_after_s == seconds
    assert "429" in error.message


def test_a_server_error_is_told_as_it_was_said_and_is_tried_again() -> None:
    error = said(CREATE, 500, "etcdserver: request timed out")
    assert error.message == (
        f"The API server at {SERVER} could not create `experiments`: "
        "etcdserver: request timed out (500)."
    )
    assert not error.is_permanent


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[]", b'"x"', b'{"message": 3}', b"{"])
@pytest.mark.parametrize("code", [302, 400, 401, 403, 404, 409, 410, 413, 418, 422, 429, 500, 503])
def test_an_answer_that_is_no_status_object_is_still_a_sentence(code: int, body: bytes) -> None:
    error = read(code, body, GET)
    assert error.status == code
    assert error.message


def test_an_expired_version_is_told_from_a_missing_object() -> None:
    error = said(LIST, 410, "The provided continue parameter is too old", "Expired")
    assert (error.is_expired, error.is_missing) == (True, False)


@pytest.mark.parametrize(
    ("call", "verb", "resource", "namespace"),
    [
        (LIST, "list", "experiments", "ml"),
        (Call("GET", EXPERIMENTS.path("ml"), is_watch=True), "watch", "experiments", "ml"),
        (GET, "get", "experiments", "ml"),
        (Call("GET", PODS.path("ml", "x", "log")), "get", "pods/log", "ml"),
        (Call("PATCH", JOBS.path("ml", "x")), "patch", "jobs", "ml"),
        (Call("PUT", JOBS.path("ml", "x", "status")), "update", "jobs/status", "ml"),
        (Call("DELETE", JOBS.path("ml", "x")), "delete", "jobs", "ml"),
        (Call("GET", "/api/v1/namespaces/ml"), "get", "namespaces", ""),
        (Call("GET", "/api/v1/namespaces"), "list", "namespaces", ""),
        (Call("GET", PODS.path()), "list", "pods", ""),
    ],
)
def test_a_call_is_named_as_a_role_names_it(
    call: Call, verb: str, resource: str, namespace: str
) -> None:
    assert (call.verb, call.resource, call.namespace) == (verb, resource, namespace)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            urllib3.exceptions.SSLError(
                ssl.SSLCertVerificationError(1, "[SSL: X] certificate has expired (_ssl.c:1)")
            ),
            "cannot be trusted, TLS fails: certificate has expired.",
        ),
        (
            urllib3.exceptions.SSLError(
                ssl.SSLError(1, "[SSL: X] tlsv13 alert certificate required (_ssl.c:1)")
            ),
            "refuses our certificate: tlsv13 alert certificate required.",
        ),
        (
            urllib3.exceptions.ProxyError("Unable to connect to proxy", OSError(111, "Refused")),
            "does not let us through: refused.",
        ),
        (
            urllib3.exceptions.ProtocolError("Connection aborted.", OSError(104, "Reset by peer")),
            "cannot be reached: reset by peer.",
        ),
    ],
)
def test_why_no_answer_came_is_said_without_pythons_decoration(
    error: Exception, words: str
) -> None:
    told = unreachable(SERVER, error)
    assert words in told.message
    assert SERVER in told.message
    assert told.hint


def test_a_name_cannot_lead_elsewhere() -> None:
    assert EXPERIMENTS.path("ml", "../../secrets") == (
        "/apis/kubeflow.org/v1beta1/namespaces/ml/experiments/..%2F..%2Fsecrets"
    )
    with pytest.raises(EngineError, match="is no name"):
        EXPERIMENTS.path("ml", "..")

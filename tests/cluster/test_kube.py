"""The bot's client for the API server, against a real one."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import yaml

from bot.engines.kube import (
    CLAIMS,
    CONFIG_MAPS,
    EXPERIMENTS,
    NAMESPACES,
    PODS,
    QUOTAS,
    TRAINJOBS,
    Kube,
    Resource,
)
from bot.engines.kube_errors import ApiError, Unreachable
from bot.engines.kube_session import Patience
from bot.errors import EngineError
from tests.cluster.account import SERVICE_ACCOUNTS
from tests.cluster.https import make_certificate
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

RBAC = "rbac.authorization.k8s.io/v1"
ROLES = Resource(RBAC, "Role", "roles")
BINDINGS = Resource(RBAC, "RoleBinding", "rolebindings")

Write = Callable[..., str]


@pytest.fixture
def kube(kubeconfig: str) -> Kube:
    return Kube(kubeconfig=kubeconfig)


@pytest.fixture
def write(kubeconfig: str, tmp_path: Path) -> Write:
    """Writes the administrator's kubeconfig with another user, cluster or namespace."""
    original = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))

    def written(user: dict[str, Any] | None = None, namespace: str = "", **cluster: Any) -> str:
        config = json.loads(json.dumps(original))
        if user is not None:
            config["users"][0]["user"] = user
        config["clusters"][0]["cluster"].update(cluster)
        config["contexts"][0]["context"]["namespace"] = namespace
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return str(path)

    return written


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def service_account(kube: Kube, namespace: str, *verbs: str) -> str:
    """A token of a service account that may do that with ConfigMaps."""
    kube.post(SERVICE_ACCOUNTS.path(namespace), {"metadata": {"name": "bot"}})
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}
    kube.post(ROLES.path(namespace), {"metadata": {"name": "bot"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "bot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "bot"},
        "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": namespace}],
    }
    kube.post(BINDINGS.path(namespace), binding)
    asked = {"spec": {"expirationSeconds": 600}}
    answer = kube.post(SERVICE_ACCOUNTS.path(namespace, "bot", "token"), asked)
    return str(json.loads(answer)["status"]["token"])


def test_an_object_is_written_read_changed_and_deleted(kube: Kube, namespace: str) -> None:
    path = CONFIG_MAPS.path(namespace, "a")
    made = json.loads(kube.post(CONFIG_MAPS.path(namespace), config_map("a", x="1", y="2")))
    assert json.loads(kube.get(path))["metadata"]["uid"] == made["metadata"]["uid"]
    patched = json.loads(kube.patch(path, {"data": {"x": "3", "y": None}}))
    assert patched["data"] == {"x": "3"}
    replaced = json.loads(kube.put(path, {**patched, "data": {"z": "4"}}))
    assert replaced["data"] == {"z": "4"}
    assert kube.delete(path) is True
    assert kube.delete(path) is False


def test_a_dry_run_checks_and_writes_nothing(kube: Kube, namespace: str) -> None:
    kube.post(CONFIG_MAPS.path(namespace), config_map("a"), dryRun="All")
    with pytest.raises(ApiError) as refused:
        kube.get(CONFIG_MAPS.path(namespace, "a"))
    assert refused.value.is_missing
    with pytest.raises(ApiError) as refused:
        kube.post(CONFIG_MAPS.path(namespace), config_map("A_"), dryRun="All")
    assert refused.value.is_permanent
    assert "metadata.name: Invalid value" in refused.value.message


def test_only_the_object_of_a_uid_is_deleted(kube: Kube, namespace: str) -> None:
    kube.post(CONFIG_MAPS.path(namespace), config_map("a"))
    with pytest.raises(ApiError) as refused:
        kube.delete(CONFIG_MAPS.path(namespace, "a"), uid=str(uuid.uuid4()))
    assert refused.value.is_conflict
    made = json.loads(kube.get(CONFIG_MAPS.path(namespace, "a")))
    assert kube.delete(CONFIG_MAPS.path(namespace, "a"), uid=made["metadata"]["uid"])


def test_a_name_that_is_taken_and_a_stale_write_are_told_apart(kube: Kube, namespace: str) -> None:
    first = json.loads(kube.post(CONFIG_MAPS.path(namespace), config_map("a")))
    with pytest.raises(ApiError) as taken:
        kube.post(CONFIG_MAPS.path(namespace), config_map("a"))
    assert taken.value.is_taken
    kube.patch(CONFIG_MAPS.path(namespace, "a"), {"data": {"x": "1"}})
    with pytest.raises(ApiError) as conflict:
        kube.put(CONFIG_MAPS.path(namespace, "a"), first)
    assert conflict.value.is_conflict


def test_queries_are_sent_as_the_api_server_reads_them(kube: Kube, namespace: str) -> None:
    for name in ("a", "b", "c"):
        labels = {"metadata": {"name": name, "labels": {"which": name}}}
        kube.post(CONFIG_MAPS.path(namespace), labels)
    wanted = "which in (b,c)"
    page = json.loads(kube.get(CONFIG_MAPS.path(namespace), limit=1, labelSelector=wanted))
    assert [item["metadata"]["name"] for item in page["items"]] == ["b"]
    rest = kube.get(
        CONFIG_MAPS.path(namespace),
        labelSelector=wanted,
        **{"continue": page["metadata"]["continue"]},
    )
    assert [item["metadata"]["name"] for item in json.loads(rest)["items"]] == ["c"]
    everything = json.loads(kube.get(CONFIG_MAPS.path(namespace), labelSelector="", limit=None))
    assert len(everything["items"]) >= 3


def test_only_metadata_comes_where_only_metadata_is_asked_for(kube: Kube, namespace: str) -> None:
    kube.post(CONFIG_MAPS.path(namespace), config_map("a", x="1"))
    answer = kube.get(
        CONFIG_MAPS.path(namespace, "a"),
        accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    )
    assert json.loads(answer)["kind"] == "PartialObjectMetadata"


def test_a_service_account_without_a_permission_is_told_which(
    kube: Kube, namespace: str, write: Write
) -> None:
    token = service_account(kube, namespace, "get", "list")
    theirs = Kube(kubeconfig=write({"token": token}))
    until(lambda: _may_list(theirs, namespace), "the role to be known")
    account = f"system:serviceaccount:{namespace}:bot"
    with pytest.raises(ApiError) as refused:
        theirs.post(CONFIG_MAPS.path(namespace), config_map("a"))
    assert refused.value.message == (
        f"The account `{account}` may not create `configmaps` in the namespace `{namespace}`."
    )
    with pytest.raises(ApiError) as refused:
        theirs.stream(EXPERIMENTS.path(namespace), watch=True)
    assert refused.value.message == (
        f"The account `{account}` may not watch `experiments.kubeflow.org` in the namespace "
        f"`{namespace}`."
    )
    with pytest.raises(ApiError) as refused:
        theirs.get(PODS.path(namespace, "x", "log"))
    assert "may not get `pods/log`" in refused.value.message


def _may_list(kube: Kube, namespace: str) -> bool:
    try:
        kube.get(CONFIG_MAPS.path(namespace))
    except ApiError:
        return False
    return True


def test_a_quota_that_is_used_up_says_of_what(kube: Kube, namespace: str) -> None:
    hard = {"persistentvolumeclaims": "1", "requests.storage": "5Gi"}
    kube.post(QUOTAS.path(namespace), {"metadata": {"name": "team"}, "spec": {"hard": hard}})

    def counted() -> bool:
        found = json.loads(kube.get(QUOTAS.path(namespace, "team")))
        return "persistentvolumeclaims" in found["status"].get("used", {})

    until(counted, "the quota to be counted")
    claim = {
        "metadata": {"name": "tune-1"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
    }
    with pytest.raises(ApiError) as refused:
        kube.post(CLAIMS.path(namespace), claim)
    assert "`team`" in refused.value.message
    assert "10Gi of requests.storage asked for, 0 of 5Gi used" in refused.value.message


def test_a_kind_that_is_not_installed_is_told_from_a_missing_object(
    kube: Kube, namespace: str
) -> None:
    with pytest.raises(ApiError, match="Kubeflow Trainer is not installed") as refused:
        kube.post(TRAINJOBS.path(namespace), {"metadata": {"name": "x"}})
    assert refused.value.is_unserved
    with pytest.raises(ApiError, match=f"no `experiments/x` in the namespace `{namespace}`"):
        kube.get(EXPERIMENTS.path(namespace, "x"))


def test_a_namespace_that_is_not_there_is_named(kube: Kube) -> None:
    with pytest.raises(ApiError, match="There is no namespace `nowhere`"):
        kube.post(CONFIG_MAPS.path("nowhere"), config_map("a"))


def test_a_namespace_that_is_being_deleted_is_named(kube: Kube) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    kube.post(NAMESPACES.path(), {"metadata": {"name": name}})
    held = {"metadata": {"name": "held", "finalizers": ["example.org/held"]}}
    kube.post(CONFIG_MAPS.path(name), held)
    kube.delete(NAMESPACES.path(name=name))
    with pytest.raises(ApiError, match=f"The namespace `{name}` is being deleted"):
        kube.post(CONFIG_MAPS.path(name), config_map("a"))
    kube.patch(CONFIG_MAPS.path(name, "held"), {"metadata": {"finalizers": None}})


def test_a_webhook_that_is_down_is_said_to_be_down(
    kube: Kube, namespace: str, free_port: int
) -> None:
    hooks = Resource(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        namespaced=False,
    )
    name = f"down-{namespace}"
    hook = {
        "name": "validator.experiment.katib.kubeflow.org",
        "clientConfig": {"url": f"https://127.0.0.1:{free_port}/validate"},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
             "operations": ["CREATE"]}
        ],
        "namespaceSelector": {"matchLabels": {"down": namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }  # fmt: skip
    kube.patch(NAMESPACES.path(name=namespace), {"metadata": {"labels": {"down": namespace}}})
    kube.post(hooks.path(), {"metadata": {"name": name}, "webhooks": [hook]})

    def refusal() -> ApiError | None:
        try:
            kube.post(CONFIG_MAPS.path(namespace), config_map("a"), dryRun="All")
        except ApiError as error:
            return error
        return None

    try:
        error = until(refusal, "the webhook to be asked")
    finally:
        kube.delete(hooks.path(name=name))
    assert "Katib's admission webhook" in error.message
    assert error.message.endswith("connection refused.")


def test_a_stream_gives_each_event_and_ends_when_another_thread_closes_it(
    kube: Kube, namespace: str
) -> None:
    seen: list[dict[str, Any]] = []
    with kube.stream(CONFIG_MAPS.path(namespace), watch=True, resourceVersion="0") as stream:
        reader = threading.Thread(target=lambda: seen.extend(json.loads(line) for line in stream))
        reader.start()
        kube.post(CONFIG_MAPS.path(namespace), config_map("a", text="é\n" * 40000))
        kube.post(CONFIG_MAPS.path(namespace), config_map("b"))
        names = lambda: [event["object"]["metadata"]["name"] for event in seen]  # noqa: E731
        until(lambda: {"a", "b"} <= set(names()), "both events")
        assert reader.is_alive()
        stream.close()
        reader.join(5)
        assert not reader.is_alive()
        stream.close()


def test_a_stream_that_stays_silent_is_noticed(kubeconfig: str, namespace: str) -> None:
    kube = Kube(kubeconfig=kubeconfig, patience=Patience(watch_s=0.3))
    with (
        kube.stream(CLAIMS.path(namespace), watch=True) as stream,
        pytest.raises(Unreachable, match="did not answer in time"),
    ):
        list(stream)


def test_every_call_is_told_with_the_verb_of_a_role(kubeconfig: str, namespace: str) -> None:
    told: list[tuple[str, str]] = []
    kube = Kube(kubeconfig=kubeconfig, on_call=lambda verb, path: told.append((verb, path)))
    all_of, one = CONFIG_MAPS.path(namespace), CONFIG_MAPS.path(namespace, "a")
    kube.get(all_of)
    kube.post(all_of, config_map("a"))
    kube.get(one)
    kube.patch(one, {"data": {"x": "1"}})
    kube.stream(all_of, watch=True).close()
    kube.delete(one)
    assert told == [
        ("list", all_of), ("create", all_of), ("get", one), ("patch", one), ("watch", all_of),
        ("delete", one),
    ]  # fmt: skip


def test_many_threads_share_one(kube: Kube, namespace: str) -> None:
    def make(number: int) -> str:
        answer = kube.post(CONFIG_MAPS.path(namespace), config_map(f"m-{number}"))
        return str(json.loads(answer)["metadata"]["name"])

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(make, range(64))) == {f"m-{number}" for number in range(64)}


def test_a_wrong_token_is_said_to_be_refused(write: Write) -> None:
    kube = Kube(kubeconfig=write({"token": "wrong"}))
    with pytest.raises(ApiError, match="does not accept our credentials") as refused:
        kube.get(CONFIG_MAPS.path("default"))
    assert refused.value.status == 401


def test_a_token_that_was_renewed_in_the_file_is_taken_without_a_restart(
    kubeconfig: str, write: Write
) -> None:
    good = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))["users"][0]["user"]
    kube = Kube(kubeconfig=write({"token": "expired"}))
    write(good)
    assert json.loads(kube.get(CONFIG_MAPS.path("default")))["kind"] == "ConfigMapList"


def test_an_exec_plugin_is_asked_again_when_its_token_has_expired(
    kubeconfig: str, write: Write, tmp_path: Path
) -> None:
    token = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))["users"][0]["user"]
    calls = tmp_path / "calls"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {**token, "expirationTimestamp": "2020-01-01T00:00:00Z"},
    }
    plugin = tmp_path / "plugin"
    plugin.write_text(
        f"#!/bin/sh\necho called >> {calls}\ncat <<'END'\n{json.dumps(credential)}\nEND\n",
        encoding="utf-8",
    )
    plugin.chmod(0o755)
    run = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    kube = Kube(kubeconfig=write({"exec": run}))
    kube.get(CONFIG_MAPS.path("default"))
    assert len(calls.read_text(encoding="utf-8").split()) >= 2


def test_in_a_cluster_the_service_account_speaks_and_its_new_token_is_taken(
    kube: Kube, kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    cluster = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    host, _, port = cluster["server"].removeprefix("https://").rpartition(":")
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    (tmp_path / "namespace").write_text(namespace, encoding="utf-8")
    (tmp_path / "token").write_text("expired", encoding="utf-8")
    inside = Kube(
        environment={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port,
                     "KUBECONFIG": str(tmp_path / "none")},
        account=tmp_path,
    )  # fmt: skip
    assert inside.default_namespace == namespace
    (tmp_path / "token").write_text(service_account(kube, namespace, "list"), encoding="utf-8")
    until(lambda: _may_list(inside, namespace), "the role to be known")
    with pytest.raises(ApiError, match=f"`system:serviceaccount:{namespace}:bot` may not create"):
        inside.post(CONFIG_MAPS.path(namespace), config_map("a"))


def test_the_contexts_namespace_is_the_default(write: Write) -> None:
    assert Kube(kubeconfig=write(namespace="team")).default_namespace == "team"
    assert Kube(kubeconfig=write()).default_namespace == "default"


def test_a_context_that_is_not_known_is_told_with_those_that_are(kubeconfig: str) -> None:
    contexts = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))["contexts"]
    with pytest.raises(EngineError, match="no context `nowhere`") as refused:
        Kube("nowhere", kubeconfig)
    assert f"`{contexts[0]['name']}`" in refused.value.hint


def test_several_kubeconfigs_are_read_as_one(kubeconfig: str, tmp_path: Path) -> None:
    empty = tmp_path / "second"
    empty.write_text("{apiVersion: v1, kind: Config, clusters: [], contexts: [], users: []}")
    kube = Kube(environment={"KUBECONFIG": f"{empty}{os.pathsep}{kubeconfig}"})
    assert kube.get(CONFIG_MAPS.path("default"))


@pytest.mark.parametrize("text", ["", "[]", "a: b: c", "{current-context: x}", "just words"])
def test_a_kubeconfig_that_is_none_is_said_to_be_unusable(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match="cannot be used"):
        Kube(kubeconfig=str(path))


def test_without_any_configuration_the_person_is_told_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="There is no kubeconfig"):
        Kube(environment={"KUBECONFIG": str(tmp_path / "none")})


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_an_api_server_that_is_not_there_is_named_with_its_address(
    write: Write, free_port: int
) -> None:
    server = f"https://127.0.0.1:{free_port}"
    kube = Kube(kubeconfig=write(server=server))
    with pytest.raises(Unreachable, match=f"{server} cannot be reached: connection refused"):
        kube.get(CONFIG_MAPS.path("default"))


def test_an_api_server_that_takes_the_call_and_says_nothing_is_given_up_in_time(
    write: Write,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = f"http://127.0.0.1:{listener.getsockname()[1]}"
        kube = Kube(kubeconfig=write(server=server), patience=Patience(read_s=0.2))
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            kube.get(CONFIG_MAPS.path("default"))
        assert time.monotonic() - begun < 5


def test_a_certificate_of_another_authority_is_not_trusted(write: Write, tmp_path: Path) -> None:
    other = base64.b64encode(make_certificate(tmp_path).pem()).decode()
    kube = Kube(kubeconfig=write(**{"certificate-authority-data": other}))
    with pytest.raises(Unreachable, match="cannot be trusted, TLS fails") as refused:
        kube.get(CONFIG_MAPS.path("default"))
    assert "certificate-authority" in refused.value.hint


@pytest.mark.parametrize(
    ("linger_s", "sentence"), [(None, "closed connection"), (0, "connection reset by peer")]
)
def test_reading_again_is_safe_where_a_kept_connection_was_dropped_and_writing_is_not(
    write: Write, linger_s: int | None, sentence: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):  # each connection answers once, and drops the second request
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as asked:
                    read_request(asked)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    read_request(asked)
                    if linger_s is not None:
                        drop = struct.pack("ii", 1, linger_s)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, drop)

        server = threading.Thread(target=serve)
        server.start()
        kube = Kube(kubeconfig=write(server=f"http://127.0.0.1:{listener.getsockname()[1]}"))
        assert kube.get(CONFIG_MAPS.path("default")) == b"{}"
        assert kube.get(CONFIG_MAPS.path("default")) == b"{}"
        with pytest.raises(Unreachable, match=sentence):
            kube.post(CONFIG_MAPS.path("default"), config_map("a"))
        server.join(5)
        kube.close()


def read_request(asked: BinaryIO) -> None:
    """One request, whole: a connection closed over unread bytes is reset by the kernel."""
    length = 0
    while line := asked.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    asked.read(length)

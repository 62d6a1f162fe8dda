"""`doctor` on a real API server: what a cluster lacks is said, each in its sentence."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot import doctor
from bot.engines.katib_doctor import Served, examine
from bot.engines.katib_installed import CONTROLLER_LABEL
from bot.engines.katib_offers import DEFAULT_CLASS
from bot.engines.katib_permissions import PERMISSIONS
from bot.engines.kube import Kube
from bot.findings import Finding
from bot.settings import Settings
from tests.cluster.account import SERVICE_ACCOUNTS, kubeconfig_of
from tests.cluster.api import Api
from tests.cluster.resources import EXPERIMENTS, NAMESPACES, PODS, VALIDATING, Json, Resource
from tests.cluster.run import Controllers

pytestmark = pytest.mark.cluster

IMAGE = "registry.example/katib-tune-trainer:0.1.0"
RBAC = "rbac.authorization.k8s.io/v1"
ROLES = Resource(RBAC, "Role", "roles")
ROLE_BINDINGS = Resource(RBAC, "RoleBinding", "rolebindings")
CLUSTER_ROLES = Resource(RBAC, "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
STORAGE_CLASSES = Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
QUOTAS = Resource("v1", "ResourceQuota", "resourcequotas")

Account = Callable[[Sequence[Mapping[str, Any]]], Kube]


@pytest.fixture
def kube(kubeconfig: str) -> Kube:
    """The administrator's."""
    return Kube(kubeconfig=kubeconfig)


@pytest.fixture
def served(namespace: str, storage_class: str) -> Served:
    return Served(
        (namespace,), IMAGE, own_namespace=namespace, storage_class=storage_class,
    )  # fmt: skip


@pytest.fixture
def storage_class(api: Api) -> Iterator[str]:
    name = f"class-{uuid.uuid4().hex[:8]}"
    api.create(STORAGE_CLASSES, {"metadata": {"name": name}, "provisioner": "example.com/disk"})
    yield name
    api.delete(STORAGE_CLASSES, "", name)


@pytest.fixture
def account(kubeconfig: str, api: Api, namespace: str, tmp_path: Path) -> Iterator[Account]:
    """Makes a service account that has some rules in the namespace and, `cluster`, everywhere."""
    name = f"bot-{uuid.uuid4().hex[:8]}"

    def make(rules: Sequence[Mapping[str, Any]], cluster: Sequence[Mapping[str, Any]] = ()) -> Kube:
        metadata = {"name": name, "namespace": namespace}
        subjects = [{"kind": "ServiceAccount", **metadata}]
        group = RBAC.partition("/")[0]
        api.create(SERVICE_ACCOUNTS, {"metadata": metadata})
        api.create(ROLES, {"metadata": metadata, "rules": list(rules)})
        to = {"apiGroup": group, "kind": "Role", "name": name}
        api.create(ROLE_BINDINGS, {"metadata": metadata, "subjects": subjects, "roleRef": to})
        api.create(CLUSTER_ROLES, {"metadata": {"name": name}, "rules": list(cluster)})
        to = {"apiGroup": group, "kind": "ClusterRole", "name": name}
        api.create(
            CLUSTER_ROLE_BINDINGS,
            {"metadata": {"name": name}, "subjects": subjects, "roleRef": to},
        )
        return Kube(kubeconfig=kubeconfig_of(kubeconfig, namespace, name, tmp_path))

    yield make
    api.delete(CLUSTER_ROLE_BINDINGS, "", name)
    api.delete(CLUSTER_ROLES, "", name)


def rules(*, cluster: bool = False, without: str = "") -> list[Json]:
    """The whole table as a Role's rules, but for one resource."""
    return [
        {"apiGroups": [each.group], "resources": [each.rule], "verbs": list(each.verbs)}
        for each in PERMISSIONS
        if each.cluster == cluster and each.rule != without
    ]


def sentences(found: Sequence[Finding], verdict: str) -> list[str]:
    return [each.sentence for each in found if each.verdict == verdict]


def the_one(found: Sequence[Finding], verdict: str, word: str) -> str:
    """The one sentence of a verdict that has a word."""
    (sentence,) = [each for each in sentences(found, verdict) if word in each]
    return sentence


def test_a_cluster_that_has_everything_is_not_found_wanting(kube: Kube, served: Served) -> None:
    found = list(examine(kube, served))
    assert sentences(found, "wrong") == []
    said = "\n".join(sentences(found, "ok"))
    for part in (
        f"The API server at {kube.server} answers (Kubernetes v",
        "Katib's kinds are served (kubeflow.org/v1beta1)",
        "The trials' kind is served (PyTorchJob, kubeflow.org/v1)",
        f"The namespace {served.namespaces[0]} exists and lets metrics be collected",
        f"The storage class is {served.storage_class} (example.com/disk)",
        f"The account may do everything needed in {served.namespaces[0]}",
        f"An Experiment would be accepted in {served.namespaces[0]}",
    ):
        assert part in said


def test_a_namespace_without_the_label_is_found_once_with_the_command_that_sets_it(
    kube: Kube, served: Served, api: Api, standins: Controllers
) -> None:
    name = f"plain-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACES, {"metadata": {"name": name}})
    found = list(examine(kube, replace(served, namespaces=(name,))))
    api.delete(NAMESPACES, "", name)
    (wrong,) = sentences(found, "wrong")
    assert "lacks the label katib.kubeflow.org/metrics-collector-injection=enabled" in wrong
    assert f"`kubectl label namespace {name} katib.kubeflow.org/" in wrong


def test_a_namespace_that_is_not_there_is_found(kube: Kube, served: Served) -> None:
    found = list(examine(kube, replace(served, namespaces=("nowhere",))))
    (wrong,) = sentences(found, "wrong")
    assert wrong.startswith("The namespace nowhere does not exist.")
    assert "`kubectl create namespace nowhere`" in wrong


def test_an_account_with_just_the_table_s_permissions_lacks_nothing(
    account: Any, served: Served
) -> None:
    found = list(examine(account(rules(), rules(cluster=True)), served))
    assert sentences(found, "wrong") == []
    assert "everything needed" in the_one(found, "ok", "account")
    # The controller's pod is none of its business.
    assert "cannot be seen from here" in the_one(found, "note", "controller")


def test_an_account_without_rights_in_the_whole_cluster_gets_notes_and_no_errors(
    account: Any, served: Served
) -> None:
    found = list(examine(account(rules()), served))
    assert sentences(found, "wrong") == []
    assert "cannot be seen" in the_one(found, "note", "storage classes")
    assert "to check the label of a namespace. The bot works without." in the_one(
        found, "note", "may not get namespaces in the whole cluster"
    )
    assert "kubectl label namespace" in the_one(found, "note", "Whether the namespace")


def test_a_missing_permission_is_said_with_verbs_resource_namespace_and_purpose(
    account: Any, served: Served
) -> None:
    namespace = served.namespaces[0]
    left = rules(without="pods/log")
    next(each for each in left if each["resources"] == ["experiments"])["verbs"] = ["get", "list"]
    found = list(examine(account(left, rules(cluster=True)), served))
    assert sentences(found, "wrong") == [
        "The account may not watch, create, patch or delete experiments.kubeflow.org in the "
        f"namespace {namespace}, to start, follow, extend and stop Experiments. Bind the Role of "
        "manifests/base to it.",
        f"The account may not get pods/log in the namespace {namespace}, to show what a trial "
        "printed. Bind the Role of manifests/base to it.",
    ]
    assert not [each for each in sentences(found, "ok") if "everything needed" in each]


def test_without_a_right_to_leases_replicas_cannot_agree_and_it_is_said(
    account: Any, served: Served
) -> None:
    kube = account(rules(without="leases"), rules(cluster=True))
    assert "let one of several replicas tell" in the_one(
        list(examine(kube, served)), "wrong", "get, create or update leases.coordination.k8s.io"
    )
    alone = list(examine(kube, replace(served, own_namespace=None)))
    assert sentences(alone, "wrong") == []


def test_a_kind_of_trial_that_the_cluster_does_not_serve_is_found(
    kube: Kube, served: Served, tmp_path: Path
) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("trial_kind: TrainJob\n")
    found = list(examine(kube, replace(served, template=template)))
    wrong = the_one(found, "wrong", "Trainer")
    assert "does not serve trainjobs of trainer.kubeflow.org/v1alpha1" in wrong
    assert "Custom objectives run as Jobs and need none" in wrong
    assert "restart Katib's controller afterwards" in wrong


@pytest.fixture
def controller(api: Api, namespace: str) -> Iterator[Callable[[str], None]]:
    """Makes the pod of Katib's controller, running since a time."""
    name = "katib-controller"
    key, _, value = CONTROLLER_LABEL.partition("=")

    def start(at: str) -> None:
        container = {"name": name, "image": "katib-controller:v0.19.0"}
        running = {"ready": True, "restartCount": 0, "state": {"running": {"startedAt": at}}}
        api.create(SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": namespace}})
        pod = {
            "containers": [container], "nodeName": "none", "serviceAccountName": name,
            "automountServiceAccountToken": False,
        }  # fmt: skip
        metadata = {"name": name, "namespace": namespace, "labels": {key: value}}
        api.create(PODS, {"metadata": metadata, "spec": pod})
        status = {"containerStatuses": [{**container, "imageID": "", **running}]}
        api.patch(PODS, namespace, name, {"status": status}, "status")

    yield start
    api.request("DELETE", PODS.path(namespace, name), gracePeriodSeconds=0)


@pytest.mark.parametrize(
    ("started", "verdict", "said"),
    [
        ("2020-01-01T00:00:00Z", "wrong", "it does not see such trials end"),
        ("2090-01-01T00:00:00Z", "ok", "started after the kind PyTorchJob was installed"),
    ],
)
def test_a_controller_older_than_the_kind_of_job_is_found(
    kube: Kube, served: Served, controller: Callable[[str], None],
    started: str, verdict: str, said: str,
) -> None:  # fmt: skip
    controller(started)
    assert said in the_one(list(examine(kube, served)), verdict, "controller")


def test_a_storage_class_that_is_not_there_is_found_with_those_that_are(
    kube: Kube, served: Served, storage_class: str
) -> None:
    found = list(examine(kube, replace(served, storage_class="fast")))
    wrong = the_one(found, "wrong", "The storage class fast does not exist")
    assert storage_class in wrong


def test_without_a_default_storage_class_it_is_said_and_with_one_it_is_taken(
    kube: Kube, served: Served, api: Api, storage_class: str
) -> None:
    unnamed = replace(served, storage_class="")
    assert "would wait for ever" in the_one(
        list(examine(kube, unnamed)), "wrong", "No storage class is the default"
    )
    default = {"metadata": {"annotations": {DEFAULT_CLASS: "true"}}}
    api.patch(STORAGE_CLASSES, "", storage_class, default)
    found = list(examine(kube, unnamed))
    assert "ReadWriteMany cannot be asked" in the_one(
        found, "ok", f"The default storage class is {storage_class}"
    )


def test_a_quota_that_leaves_no_gpu_is_noted(
    kube: Kube, served: Served, api: Api, namespace: str
) -> None:
    hard = {"requests.nvidia.com/gpu": "0"}
    api.create(QUOTAS, {
        "metadata": {"name": "team", "namespace": namespace}, "spec": {"hard": hard},
    })  # fmt: skip
    api.patch(QUOTAS, namespace, "team", {"status": {"hard": hard, "used": hard}}, "status")
    assert "leaves no nvidia.com/gpu" in the_one(
        list(examine(kube, served)), "note", "The quota team"
    )


def test_a_cluster_that_cannot_be_reached_is_one_sentence_and_nothing_is_asked_of_it(
    kubeconfig: str, served: Served, tmp_path: Path
) -> None:
    config = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    for each in config["clusters"]:
        each["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "kubeconfig"
    away.write_text(yaml.safe_dump(config))
    found = list(examine(Kube(kubeconfig=str(away)), served))
    (wrong,) = sentences(found, "wrong")
    assert "127.0.0.1:1" in wrong
    assert found[-1].sentence == wrong


def test_doctor_examines_every_place_that_channels_are_mapped_to(
    kubeconfig: str, namespace: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    settings = Settings(
        engine="katib", namespace=namespace, channels="C0TEAM=nowhere,C0AWAY=team@away",
        slack_bot_token=None, slack_app_token=None,
    )  # fmt: skip
    assert doctor.examine(settings) == 1
    said = capsys.readouterr().out
    assert f"ok     namespace The namespace {namespace} exists" in said
    assert "WRONG  namespace The namespace nowhere does not exist" in said
    assert said.splitlines()[-1].startswith("WRONG  cluster   ")
    assert "away" in said.splitlines()[-1]


@pytest.mark.usefixtures("standins")
def test_the_experiment_that_is_tried_pleases_katib_s_webhooks_and_is_not_made(
    kube: Kube, served: Served, api: Api, namespace: str
) -> None:
    found = list(examine(kube, served))
    assert sentences(found, "wrong") == []
    assert the_one(found, "ok", "would be accepted")
    assert api.list(EXPERIMENTS, namespace) == []


@pytest.mark.usefixtures("standins")
def test_a_webhook_that_does_not_answer_is_found_by_the_trial(
    kube: Kube, served: Served, api: Api
) -> None:
    (hooks,) = [
        each for each in api.list(VALIDATING)
        if "experiment" in each["webhooks"][0]["name"]
    ]  # fmt: skip
    away = copy.deepcopy(hooks)
    for each in away["webhooks"]:
        each["clientConfig"]["url"] = "https://127.0.0.1:1/none"
    changed = api.replace(VALIDATING, away)
    try:
        found = list(examine(kube, served))
    finally:
        hooks["metadata"] = changed["metadata"]
        api.replace(VALIDATING, hooks)
    assert "webhook" in the_one(found, "wrong", "Katib")

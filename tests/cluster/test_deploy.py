"""manifests/ on a real API server: applied, looked at from the bot's account, and removed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from bot import prior
from bot.engines import katib_objects, katib_records
from bot.engines.katib_permissions import PERMISSIONS, Permission
from bot.engines.katib_state import State
from bot.slack import command
from bot.status import Record
from tests.cluster.account import Single, kubeconfig_of, permissions
from tests.cluster.api import Api
from tests.cluster.kubectl import Kubectl, install
from tests.cluster.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    EXPERIMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    PYTORCHJOBS,
)
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

MANIFESTS = Path(__file__).parents[2] / "manifests"
BOT = "katib-tune"
TEAM = "team-a"
OVERLAYS = {  # where the bot's own kustomization of each overlay is
    "one-namespace": "overlays/one-namespace",
    "many-namespaces": "overlays/many-namespaces/bot",
}
REMOVE_EXPERIMENTS = (
    "delete", "experiments.kubeflow.org,jobs,persistentvolumeclaims,configmaps",
    "-l", "app.kubernetes.io/managed-by=katib-tune",
)  # fmt: skip


@pytest.fixture(scope="module")
def kubectl(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    folder = tmp_path_factory.mktemp("kubectl")
    return Kubectl(install(folder / "package"), kubeconfig, folder)


@pytest.fixture(scope="module")
def team(api: Api) -> Iterator[None]:
    """The namespace that the overlay for many expects to exist."""
    with namespace_of(api, TEAM):
        api.create(NAMESPACES, {"metadata": {"name": TEAM}})
        yield


@pytest.fixture
def names(api: Api, team: None) -> Iterator[None]:
    """The namespaces of the overlays: the bot's is free before and after, the team's exists."""
    with namespace_of(api, BOT):
        yield


@contextmanager
def namespace_of(api: Api, name: str) -> Iterator[None]:
    if api.find(NAMESPACES, "", name) is not None:
        pytest.fail(f"This cluster has a namespace {name}: the tests would remove it.")
    yield
    api.delete(NAMESPACES, "", name)
    until(lambda: api.find(NAMESPACES, "", name) is None, f"the end of namespace {name}")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """manifests/ to edit."""
    return Path(shutil.copytree(MANIFESTS, tmp_path / "manifests"))


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.usefixtures("names")
def test_an_overlay_applies_twice_changes_and_leaves_nothing(
    kubectl: Kubectl, api: Api, copy: Path, overlay: str
) -> None:
    before = kubectl.objects()
    folder = str(MANIFESTS / "overlays" / overlay)
    kubectl("apply", "-k", folder)
    again = kubectl("apply", "-k", folder)
    assert {line.split()[-1] for line in again.splitlines()} == {"unchanged"}
    until(lambda: len(api.list(PODS, BOT)) == 2, "a pod for each replica")

    change(copy / OVERLAYS[overlay], "KATIB_TUNE_TRAINER_IMAGE=.*", "KATIB_TUNE_LOG_LEVEL=DEBUG")
    generation = api.get(DEPLOYMENTS, BOT, BOT)["metadata"]["generation"]
    kubectl("apply", "-k", str(copy / "overlays" / overlay))
    assert api.get(DEPLOYMENTS, BOT, BOT)["metadata"]["generation"] > generation

    kubectl("delete", "-k", folder, "--ignore-not-found")
    assert kubectl.objects() - before == set()


@pytest.mark.usefixtures("names")
def test_the_bots_account_may_do_what_its_roles_say_and_nothing_else(
    kubectl: Kubectl, kubeconfig: str, tmp_path: Path, overlay: str
) -> None:
    everybody = permissions(account(kubeconfig, "default", "default", tmp_path), "default")
    kubectl("apply", "-k", str(MANIFESTS / "overlays" / overlay))
    bot = account(kubeconfig, BOT, BOT, tmp_path)
    own = single(each for each in PERMISSIONS if each.own_namespace)
    trials = single(each for each in PERMISSIONS if not each.own_namespace and not each.cluster)
    where = {"one-namespace": {BOT: trials | own}, "many-namespaces": {TEAM: trials, BOT: own}}
    for namespace in (BOT, TEAM, "default"):
        held = permissions(bot, namespace) - everybody
        assert held == where[overlay].get(namespace, set()), namespace


@pytest.mark.usefixtures("names")
def test_the_deployed_bots_doctor_finds_its_account_complete(
    kubectl: Kubectl, kubeconfig: str, api: Api, tmp_path: Path, overlay: str
) -> None:
    kubectl("apply", "-k", str(MANIFESTS / "overlays" / overlay))
    said = doctor_on_access(kubeconfig, api, tmp_path)
    where = {"one-namespace": BOT, "many-namespaces": TEAM}[overlay]
    needed = [line for line in said if not line.startswith("note ")]
    assert [line.split()[0] for line in needed] == ["ok"], needed
    assert needed[0].endswith(f"The account may do everything needed in {where}.")


@pytest.mark.usefixtures("names")
def test_the_doctors_component_adds_its_reads_and_leaves_no_note(
    kubectl: Kubectl, kubeconfig: str, api: Api, tmp_path: Path, copy: Path, overlay: str
) -> None:
    before = kubectl.objects()
    uncomment(copy / OVERLAYS[overlay], "components:", "components/doctor")
    kubectl("apply", "-k", str(copy / "overlays" / overlay))
    everybody = permissions(account(kubeconfig, "default", "default", tmp_path), "default")
    bot = account(kubeconfig, BOT, BOT, tmp_path)
    held = permissions(bot, "default") - everybody
    assert held == single(each for each in PERMISSIONS if each.cluster)
    said = doctor_on_access(kubeconfig, api, tmp_path)
    assert [line.split()[0] for line in said] == ["ok"], said
    kubectl("delete", "-k", str(copy / "overlays" / overlay))
    assert kubectl.objects() - before == set()


def test_every_component_follows_the_bots_namespace(
    kubectl: Kubectl, copy: Path, overlay: str
) -> None:
    place = copy / OVERLAYS[overlay]
    parts = ("doctor", "disruption-budget", "service-monitor")
    uncomment(place, "components:", *(f"components/{part}" for part in parts))
    change(place, "namespace: katib-tune", "namespace: elsewhere")
    made = list(yaml.safe_load_all(kubectl("kustomize", str(place))))
    kinds = {each["kind"]: each for each in made}
    for kind in ("PodDisruptionBudget", "ServiceMonitor", "Deployment", "NetworkPolicy"):
        assert kinds[kind]["metadata"]["namespace"] == "elsewhere", kind
    assert kinds["Namespace"]["metadata"]["name"] == "elsewhere"
    for each in made:
        for subject in each.get("subjects", ()):
            assert subject["namespace"] == "elsewhere", each["metadata"]["name"]


def test_the_disruption_budget_is_one_that_a_server_takes(kubectl: Kubectl, api: Api) -> None:
    path = MANIFESTS / "components/disruption-budget/disruption-budget.yaml"
    text = path.read_text(encoding="utf-8")
    served = {group["name"]: group for group in api.request("GET", "/apis")["groups"]}["policy"]
    # NB: the same fields were policy/v1beta1 until Kubernetes 1.21.
    version = served["preferredVersion"]["groupVersion"]
    asked = text.replace("apiVersion: policy/v1\n", f"apiVersion: {version}\n")
    assert "created" in kubectl("create", "--dry-run=server", "-f", "-", stdin=asked)


def test_a_template_of_ones_own_takes_the_place_of_the_bases(
    kubectl: Kubectl, copy: Path, overlay: str
) -> None:
    place = copy / OVERLAYS[overlay]
    shutil.copy(copy / "trial-template.yaml", place)
    uncomment(place, "name: katib-tune-trial-template", "behavior: replace", "files: ")
    made = list(yaml.safe_load_all(kubectl("kustomize", str(place))))
    (data,) = (each["data"] for each in made if "trial-template.yaml" in each.get("data", {}))
    assert data == {"trial-template.yaml": (MANIFESTS / "trial-template.yaml").read_text()}


def test_one_more_team_is_a_copy_with_another_namespace(kubectl: Kubectl, copy: Path) -> None:
    many = copy / "overlays/many-namespaces"
    shutil.copytree(many / "team-a", many / "team-b")
    change(many / "team-b", "namespace: team-a", "namespace: team-b")
    change(many, "  - team-a", "  - team-a\n  - team-b")
    made = list(yaml.safe_load_all(kubectl("kustomize", str(many))))
    bound = {
        each["metadata"]["namespace"]
        for each in made
        if each["kind"] == "RoleBinding" and each["roleRef"]["kind"] == "ClusterRole"
    }
    assert bound == {"team-a", "team-b"}


def test_one_command_removes_what_experiments_left_in_a_namespace(
    kubectl: Kubectl, api: Api, namespace: str
) -> None:
    typed = command.parse_tune("org/model on org/data name=kept learning_rate=1e-5..5e-5 gpu=1")
    spec = prior.to_spec(typed.data, "kept")
    cluster = katib_objects.Cluster(namespace=namespace, trainer_image="katib-tune-trainer:0.1.0")
    build = katib_objects
    made = api.create(EXPERIMENTS, build.experiment(spec, cluster))
    owner = {key: made[key] for key in ("apiVersion", "kind")} | {
        key: made["metadata"][key] for key in ("name", "uid")
    }
    for document in (build.volume_claim, build.fetch_job, build.baseline):
        each = document(spec, cluster)
        assert each is not None
        each["metadata"]["ownerReferences"] = [owner]
        api.create(api.resource_of(each["apiVersion"], each["kind"]), each)
    record = Record(uid="u", spec=spec, created=datetime.now(UTC), requested_by="U1")
    api.create(CONFIG_MAPS, katib_records.to_config_map(record, State(), namespace))
    other = {"metadata": {"name": "somebody-elses", "namespace": namespace}}
    api.create(CONFIG_MAPS, other)
    kubectl("--namespace", namespace, *REMOVE_EXPERIMENTS)
    kinds = (EXPERIMENTS, JOBS, CLAIMS, PYTORCHJOBS)
    until(lambda: not any(api.list(kind, namespace) for kind in kinds), "the end of them all")
    left = {each["metadata"]["name"] for each in api.list(CONFIG_MAPS, namespace)}
    assert left - {"kube-root-ca.crt"} == {"somebody-elses"}


def test_the_env_file_of_a_real_slack_makes_the_secret_that_the_bot_reads(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    example = (MANIFESTS.parent / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(re.sub("(?m)=$", "=xyz-1", example), encoding="utf-8")
    words = ("create", "secret", "generic", "katib-tune-slack", f"--from-env-file={tmp_path}/.env")
    made = yaml.safe_load(kubectl("-n", BOT, *words, "--dry-run=client", "-o", "yaml"))
    shown = yaml.safe_load((MANIFESTS / "secret.example.yaml").read_text(encoding="utf-8"))
    assert made["metadata"] == shown["metadata"]
    assert made["data"].keys() == shown["stringData"].keys()
    assert f"kubectl -n {BOT} {' '.join(words[:4])} --from-env-file=.env" in (
        MANIFESTS / "secret.example.yaml"
    ).read_text(encoding="utf-8")


def account(kubeconfig: str, namespace: str, name: str, folder: Path) -> Api:
    return Api(kubeconfig_of(kubeconfig, namespace, name, folder))


def doctor_on_access(kubeconfig: str, api: Api, folder: Path) -> list[str]:
    """What `doctor` says of access, with the deployed settings and as the bot's account."""
    (deployed,) = (
        each["data"] for each in api.list(CONFIG_MAPS, BOT) if "KATIB_TUNE_ENGINE" in each["data"]
    )
    here = {
        "KUBECONFIG": kubeconfig_of(kubeconfig, BOT, BOT, folder),
        "KATIB_TUNE_TRIAL_TEMPLATE": str(MANIFESTS / "base/trial-template.yaml"),
        "KATIB_TUNE_STATE_DIR": str(folder),
    }
    examined = subprocess.run(
        [sys.executable, "-m", "bot", "doctor"],
        env={**os.environ, **deployed, **here},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not examined.stderr
    return [line for line in examined.stdout.splitlines() if " access " in line]


def single(asked: Iterable[Permission]) -> set[Single]:
    return {(each.group, each.rule, verb) for each in asked for verb in each.verbs}


def change(folder: Path, pattern: str, text: str) -> None:
    """Edit a kustomization as its comments tell people to."""
    path = folder / "kustomization.yaml"
    edited, count = re.subn(pattern, text, path.read_text(encoding="utf-8"))
    assert count == 1, f"{path}: {pattern} {count} times"
    path.write_text(edited, encoding="utf-8")


def uncomment(folder: Path, *lines: str) -> None:
    """Take the `# ` from the lines that hold these texts."""
    for text in lines:
        change(folder, rf"(?m)^# (.*{text}.*)$", r"\1")

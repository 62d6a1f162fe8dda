"""What manifests/ deploys, as files; tests/cluster/test_deploy.py applies it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot import __version__
from bot.engines.katib_permissions import PERMISSIONS, Permission
from bot.engines.katib_places import read_channels
from bot.engines.katib_template import from_file
from bot.settings import Settings, load, variable
from tests.cluster.account import expanded
from tests.cluster.katib_refusals import INJECTION_LABEL

MANIFESTS = Path(__file__).parent.parent / "manifests"
KUSTOMIZATIONS = sorted(MANIFESTS.rglob("kustomization.yaml"))
OVERLAYS = ("overlays/one-namespace", "overlays/many-namespaces/bot")
NAME = {"app.kubernetes.io/name": "katib-tune"}


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / path).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def deployment() -> dict[str, Any]:
    return documents("base/deployment.yaml")[0]


@pytest.fixture(scope="module")
def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    lines = (MANIFESTS / "base/settings.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_two_replicas_take_turns_at_an_update(deployment: dict[str, Any]) -> None:
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_the_pod_is_what_the_restricted_security_standard_asks_for(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all({"configMap", "emptyDir"} & volume.keys() for volume in pod["volumes"])


def test_what_the_bot_writes_to_is_a_volume(pod: dict[str, Any], settings: dict[str, str]) -> None:
    (container,) = pod["containers"]
    scratch = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    writable = {m["mountPath"] for m in container["volumeMounts"] if m["name"] in scratch}
    assert writable == {"/tmp", settings["KATIB_TUNE_STATE_DIR"]}


def test_probes_metrics_and_network_policy_are_at_the_health_port(
    pod: dict[str, Any], settings: dict[str, str]
) -> None:
    (container,) = pod["containers"]
    (port,) = container["ports"]
    assert str(port["containerPort"]) == settings["KATIB_TUNE_HEALTH_PORT"]
    paths = {
        probe: (container[probe]["httpGet"]["path"], container[probe]["httpGet"]["port"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": ("/healthz", port["name"]),
        "livenessProbe": ("/healthz", port["name"]),
        "readinessProbe": ("/readyz", port["name"]),
    }
    (policy,) = documents("base/network-policy.yaml")
    assert [each["ports"] for each in policy["spec"]["ingress"]] == [
        [{"protocol": "TCP", "port": port["name"]}]
    ]
    (service,) = documents("base/service.yaml")
    assert [each["targetPort"] for each in service["spec"]["ports"]] == [port["name"]]
    (monitor,) = documents("components/service-monitor/service-monitor.yaml")
    names = {each["name"] for each in service["spec"]["ports"]}
    assert {each["port"] for each in monitor["spec"]["endpoints"]} == names


def test_everything_that_selects_selects_the_bots_pods(deployment: dict[str, Any]) -> None:
    assert deployment["spec"]["template"]["metadata"]["labels"] == NAME
    assert deployment["spec"]["selector"]["matchLabels"] == NAME
    assert documents("base/service.yaml")[0]["spec"]["selector"] == NAME
    assert documents("base/network-policy.yaml")[0]["spec"]["podSelector"]["matchLabels"] == NAME
    (budget,) = documents("components/disruption-budget/disruption-budget.yaml")
    assert budget["spec"]["selector"]["matchLabels"] == NAME
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def test_the_network_policy_lets_names_slack_and_the_api_server_through_and_nothing_else() -> None:
    (policy,) = documents("base/network-policy.yaml")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    let_out = {
        (port["protocol"], port["port"])
        for rule in policy["spec"]["egress"]
        for port in rule["ports"]
    }
    assert let_out == {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443)}


def test_slack_tokens_come_from_a_secret_that_is_not_among_the_resources(
    pod: dict[str, Any],
) -> None:
    (example,) = documents("secret.example.yaml")
    (container,) = pod["containers"]
    references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    assert references == {
        name: {"name": example["metadata"]["name"], "key": name} for name in example["stringData"]
    }
    for path in KUSTOMIZATIONS:
        assert "secret" not in path.read_text(encoding="utf-8").lower(), path


@pytest.mark.parametrize(
    ("path", "role", "asked"),
    [
        (
            "base/role.yaml",
            "katib-tune-trials",
            [each for each in PERMISSIONS if not each.own_namespace and not each.cluster],
        ),
        ("base/role.yaml", "katib-tune", [each for each in PERMISSIONS if each.own_namespace]),
        (
            "components/doctor/cluster-role.yaml",
            "katib-tune-doctor",
            [each for each in PERMISSIONS if each.cluster],
        ),
    ],
    ids=["trials", "own", "doctor"],
)
def test_a_role_allows_what_the_bot_asks_for_and_nothing_else(
    path: str, role: str, asked: Sequence[Permission]
) -> None:
    (found,) = (
        each for each in documents(path) if each["metadata"]["name"] == role and "rules" in each
    )
    allowed = {each for rule in found["rules"] for each in expanded(rule)}
    assert allowed == {(each.group, each.rule, verb) for each in asked for verb in each.verbs}


def test_the_role_holds_no_wildcard_and_no_secrets() -> None:
    for role in [*documents("base/role.yaml"), *documents("components/doctor/cluster-role.yaml")]:
        for rule in role.get("rules", ()):
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in words and "secrets" not in rule["resources"], rule


def test_the_trial_template_of_the_base_can_be_read(
    pod: dict[str, Any], settings: dict[str, str]
) -> None:
    assert from_file(MANIFESTS / "base/trial-template.yaml").gpu_resource == "nvidia.com/gpu"
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert (
        settings["KATIB_TUNE_TRIAL_TEMPLATE"] == f"{mounts['trial-template']}/trial-template.yaml"
    )


def test_a_namespace_of_trials_lets_katib_collect_metrics() -> None:
    (alone,) = documents("overlays/one-namespace/namespace.yaml")
    assert alone["metadata"]["labels"][INJECTION_LABEL] == "enabled"
    (apart,) = documents("overlays/many-namespaces/bot/namespace.yaml")
    assert INJECTION_LABEL not in apart["metadata"]["labels"]
    said = (MANIFESTS / "overlays/many-namespaces/kustomization.yaml").read_text(encoding="utf-8")
    assert f"kubectl label namespace team-b {INJECTION_LABEL}=enabled" in said


@pytest.mark.parametrize("path", OVERLAYS)
def test_images_are_of_this_version(path: str) -> None:
    text = (MANIFESTS / path / "kustomization.yaml").read_text(encoding="utf-8")
    overlay = yaml.safe_load(text)
    assert [image["newTag"] for image in overlay["images"]] == [__version__]
    assert f"KATIB_TUNE_TRAINER_IMAGE=katib-tune-trainer:{__version__}" in text


def test_each_namespace_that_channels_run_in_is_a_teams_whose_role_is_bound() -> None:
    many = MANIFESTS / "overlays/many-namespaces"
    bot = yaml.safe_load((many / "bot/kustomization.yaml").read_text(encoding="utf-8"))
    (generated,) = bot["configMapGenerator"]
    literals = dict(literal.split("=", 1) for literal in generated["literals"])
    named = {place.namespace for place in read_channels(literals["KATIB_TUNE_CHANNELS"]).values()}
    # NB: without KATIB_TUNE_NAMESPACE the bot would look in its own, where it may do nothing.
    named.add(literals["KATIB_TUNE_NAMESPACE"])
    resources = yaml.safe_load((many / "kustomization.yaml").read_text(encoding="utf-8"))
    teams = set(resources["resources"]) - {"bot"}
    bound = {
        yaml.safe_load((many / team / "kustomization.yaml").read_text(encoding="utf-8"))[
            "namespace"
        ]
        for team in teams
    }
    assert named == bound


def test_every_file_has_a_place_in_a_kustomization() -> None:
    named = {MANIFESTS / name for name in ("slack-app.yaml", "trial-template.yaml")}
    named |= {MANIFESTS / "secret.example.yaml", *KUSTOMIZATIONS}
    for path in KUSTOMIZATIONS:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
        for generated in stated.get("configMapGenerator", ()):
            stated.setdefault("files", []).extend(
                [*generated.get("files", ()), *generated.get("envs", ())]
            )
        for key in ("resources", "components", "files"):
            named |= {(path.parent / each).resolve() for each in stated.get(key, ())}
    assert {path for path in MANIFESTS.rglob("*") if path.is_file()} <= named


def test_every_setting_that_is_deployed_exists_and_is_taken(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    overlays = [MANIFESTS / path / "kustomization.yaml" for path in OVERLAYS]
    stated = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in overlays]
    merged = [
        literal.split("=", 1)
        for overlay in stated
        for generated in overlay["configMapGenerator"]
        for literal in generated["literals"]
    ]
    deployed = {**settings, **dict(merged)}
    assert set(deployed) <= {variable(name) for name in Settings.model_fields}
    for name, value in deployed.items():
        monkeypatch.setenv(name, value)
    assert load().engine == "katib"
    assert load().health_port == 8080

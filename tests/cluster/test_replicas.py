"""Two replicas with a Lease on a real API server: no news is lost or told twice, whoever falls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk import WebClient

from bot.engines.katib_lease import PATIENCE, KubeLease
from bot.engines.kube import Kube
from bot.leader import Leader, Term
from bot.outbox import Outbox
from bot.poller import Poller
from bot.replicas import candidate
from bot.settings import Settings
from tests.cluster.api import Api
from tests.cluster.resources import LEASES
from tests.cluster.test_leader import Line
from tests.cluster.waiting import until
from tests.experiments import NAME, ended, experiment, trial
from tests.harness import RunningWorkspace
from tests.memory_engine import MemoryEngine

pytestmark = pytest.mark.cluster

MANIFEST = Path(__file__).parents[2] / "manifests" / "slack-app.yaml"
SHORT = Term(lease_s=2, renew_deadline_s=1.2, renew_s=0.2, retry_s=0.1)
FAIL_OVERS = 4


class Replica:
    """A poller that tells while its candidate holds the Lease; `line` can be cut."""

    def __init__(
        self, name: str, engine: MemoryEngine, workspace: RunningWorkspace, leases: KubeLease
    ) -> None:
        self.line = Line(leases)
        client = WebClient(token=workspace.bot_token, base_url=workspace.api_url, retry_handlers=[])
        outbox = Outbox(client)
        self.leader = Leader(self.line, identity=name, term=SHORT, gained=outbox.forget_all)
        self.poller = Poller(engine, outbox, may_tell=self.leader.is_leader, root_grace_s=0.2)

    def start(self) -> None:
        self.leader.start()
        self.poller.start(0.05)

    def close(self) -> None:
        self.poller.close()
        self.leader.close()


class Pair:
    """Two replicas, one engine, one workspace."""

    def __init__(self, workspace: RunningWorkspace, leases: KubeLease) -> None:
        self.workspace = workspace
        self.engine = MemoryEngine()
        self.both = [Replica(name, self.engine, workspace, leases) for name in "ab"]

    def leading(self) -> Replica | None:
        return next((each for each in self.both if each.leader.is_leader()), None)

    def told(self) -> list[str]:
        roots = [m for m in self.workspace.messages() if m.get("bot_id")]
        if not roots:
            return []
        (root,) = roots
        replies: list[dict[str, Any]] = self.workspace.thread("C0TUNING", root["ts"])[1:]
        return [str(m["metadata"]["event_payload"]["key"]).partition(":")[2] for m in replies]


@pytest.fixture
def pair(kubeconfig: str, namespace: str, tmp_path: Path) -> Iterator[Pair]:
    workspace = RunningWorkspace(tmp_path, yaml.safe_load(MANIFEST.read_text()))
    leases = KubeLease(Kube(kubeconfig=kubeconfig, patience=PATIENCE), namespace)
    pair = Pair(workspace, leases)
    for each in pair.both:
        each.start()
    yield pair
    for each in pair.both:
        each.close()
    workspace.stop()


def test_news_of_every_reign_come_once_while_leaders_fall_one_after_the_other(pair: Pair) -> None:
    trials = [trial(0, 0.5)]
    pair.engine.put(experiment(trials))
    until(lambda: "started" in pair.told(), "the start")
    reigns = []
    for number in range(1, FAIL_OVERS + 1):
        fallen = until(pair.leading, "a leader")
        reigns.append(fallen.leader.identity)
        trials.append(trial(number, 0.5 + 0.05 * number))
        pair.engine.put(experiment(trials))
        fallen.line.is_cut = True  # while it tells, perhaps: it stops as soon as its time is up
        until(lambda fallen=fallen: pair.leading() not in (None, fallen), "another leader")
        until(lambda number=number: f"best:{NAME}-{number}" in pair.told(), f"the news of {number}")
        fallen.line.is_cut = False
    pair.engine.put(ended(trials))
    until(lambda: pair.engine.get(NAME).record.told.ended, "the end")
    assert reigns == ["a", "b", "a", "b"] or reigns == ["b", "a", "b", "a"]
    told = pair.told()
    assert told[0] == "started"
    assert told[-1] == "ended"
    assert [key for key, times in Counter(told).items() if times > 1] == []


def test_a_leader_that_ends_well_is_followed_within_a_moment_and_nothing_is_missing(
    pair: Pair,
) -> None:
    first = until(pair.leading, "a leader")
    pair.engine.put(experiment([trial(0, 0.5)]))
    until(lambda: "started" in pair.told(), "the start")
    first.close()
    pair.engine.put(ended([trial(0, 0.5)]))
    until(lambda: "ended" in pair.told(), "the end", SHORT.lease_s)
    assert Counter(pair.told()).most_common(1)[0][1] == 1


def test_a_bot_on_a_cluster_is_a_candidate_in_its_own_namespace_until_it_ends(
    kubeconfig: str, api: Api, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    for each in config["contexts"]:
        each["context"]["namespace"] = namespace
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(own))
    remembered = ["old"]
    with candidate(Settings(engine="katib"), remembered.clear) as leader:
        assert leader is not None
        until(leader.is_leader, "the lead")
        assert remembered == []
        held = api.get(LEASES, namespace, "katib-tune")["spec"]
        assert (held["holderIdentity"], held["leaseDurationSeconds"]) == (leader.identity, 15)
    assert not leader.is_leader()
    assert not api.get(LEASES, namespace, "katib-tune")["spec"].get("holderIdentity")

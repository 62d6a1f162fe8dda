"""How soon a change on the API server is in the outbox, with 1,000 open Experiments: prints a
table, judges nothing.

The API server, the engine, the poller and the cards are the real ones; only what the outbox would
send to Slack is timed in place of sent. It runs on the cluster of the cluster suite, without any
controllers.
`python -m tests.bench.katib_latency`
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from slack_sdk import WebClient

from bot import spec
from bot.engines import katib_objects, katib_records
from bot.engines.katib import KatibEngine
from bot.engines.katib_drive import UID
from bot.engines.katib_places import Place, Places
from bot.engines.katib_state import State
from bot.engines.kube import CONFIG_MAPS, Kube
from bot.outbox import Outbox
from bot.poller import Poller
from bot.slack.messages import Message
from bot.status import Record, Thread
from tests.bench.katib_poll import processor
from tests.cluster.api import Api, find_kubeconfig
from tests.cluster.resources import EXPERIMENTS, NAMESPACES, TRIALS

PADDING = "x" * 4500  # an Experiment of Katib's with its managed fields is 7.5 kB
POLL_INTERVAL_S = 1.0


class TimedOutbox(Outbox):
    """Notes when the newest card of a thread was handed over; sends nothing."""

    def __init__(self) -> None:
        super().__init__(WebClient(token="xoxb-none"))
        self.seen: dict[str, list[tuple[float, str]]] = {}

    def update(self, thread: Thread, message: Message, *, urgent: bool = False) -> bool:
        self.seen.setdefault(thread.ts, []).append((time.monotonic(), message.text))
        return True

    def post_reply(self, thread: Thread, message: Message, *, key: str) -> bool:
        return True


class Cluster:
    """A namespace full of Experiments that run, each with its record and its trials."""

    def __init__(self, api: Api, kube: Kube, experiments: int, trials: int) -> None:
        self.api = api
        self.kube = kube
        self.trials = trials
        self.names = [f"bench-{number}" for number in range(experiments)]
        self.namespace = f"bench-{uuid.uuid4().hex[:6]}"
        api.create(NAMESPACES, {"metadata": {"name": self.namespace}})

    def fill(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._make, enumerate(self.names)))

    def _make(self, item: tuple[int, str]) -> None:
        number, name = item
        asked = spec.read(
            {
                "name": name, "objective_image": "registry.example/objective:1.0",
                "objective_command": ["run", "--a=${trialParameters.a}"],
                "parameters": {"a": {"min": 0.0, "max": 1.0}}, "objective_metric_name": "score",
                "max_trial_count": 100, "parallel_trial_count": self.trials,
            }
        )  # fmt: skip
        record = Record(
            uid=uuid.uuid4().hex, spec=asked, created=datetime.now(UTC), requested_by="U1",
            channel="C0BENCH", thread=Thread(channel="C0BENCH", ts=str(number)), submitted=True,
        )  # fmt: skip
        state = State(fetched=True, created=True)
        body = katib_records.to_config_map(record, state, self.namespace)
        self.kube.post(CONFIG_MAPS.path(self.namespace), body)
        cluster = katib_objects.Cluster(namespace=self.namespace, trainer_image="registry/x:1")
        experiment = katib_objects.experiment(asked, cluster)
        experiment["metadata"]["annotations"] = {UID: record.uid, "padding": PADDING}
        self.api.create(EXPERIMENTS, experiment)
        status = {"conditions": [_condition("Running")], "startTime": _now(), "trials": self.trials,
                  "trialsRunning": self.trials}  # fmt: skip
        self.api.patch(EXPERIMENTS, self.namespace, name, {"status": status}, "status")
        for trial in range(self.trials):
            self._make_trial(name, trial)

    def _make_trial(self, name: str, number: int) -> None:
        trial = f"{name}-{number:08d}"
        labels = {"katib.kubeflow.org/experiment": name}
        body = {
            "metadata": {"name": trial, "namespace": self.namespace, "labels": labels},
            "spec": {"parameterAssignments": [{"name": "a", "value": f"0.{number}"}]},
        }
        self.api.create(TRIALS, body)
        status = {"conditions": [_condition("Running")], "startTime": _now()}
        self.api.patch(TRIALS, self.namespace, trial, {"status": status}, "status")

    def change(self, name: str) -> float:
        """End the first trial of an Experiment; when that was asked of the API server."""
        metric = {"name": "score", "latest": "0.5", "min": "0.5", "max": "0.5"}
        status = {
            "conditions": [_condition("Running", "False"), _condition("Succeeded")],
            "completionTime": _now(), "observation": {"metrics": [metric]},
        }  # fmt: skip
        asked = time.monotonic()
        self.api.patch(TRIALS, self.namespace, f"{name}-00000000", {"status": status}, "status")
        return asked

    def remove(self) -> None:
        self.api.delete(NAMESPACES, "", self.namespace)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": f"Trial{kind}", "message": "",
            "lastTransitionTime": _now()}  # fmt: skip


def main() -> None:
    """Fills a namespace, changes it at a steady rate, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--rate", type=float, default=20.0, help="changes a second")
    parser.add_argument("--changes", type=int, default=600)
    chosen = parser.parse_args()
    kubeconfig = find_kubeconfig()
    cluster = Cluster(
        Api(kubeconfig), Kube(kubeconfig=kubeconfig), chosen.experiments, chosen.trials
    )
    cluster.fill()
    calls: list[tuple[str, str]] = []
    outbox = TimedOutbox()
    engine = KatibEngine(
        Places(Place(cluster.namespace)),
        trainer_image="registry/x:1",
        connect=lambda _: Kube(kubeconfig=kubeconfig, on_call=lambda *call: calls.append(call)),
    )
    poller = Poller(engine, outbox)
    begun = time.monotonic()
    poller.start(POLL_INTERVAL_S)
    while len(outbox.seen) < chosen.experiments:
        time.sleep(0.1)
    warm = time.monotonic() - begun
    time.sleep(20)  # the cards' own writes have come back
    calls.clear()
    late = _measure(cluster, outbox, chosen.rate, chosen.changes)
    made = len(calls)
    poller.close()
    engine.close()
    cluster.remove()
    late.sort()
    print(f"{datetime.now(UTC):%d %B %Y}, {processor()}; ", end="")
    print(f"{chosen.experiments} open Experiments of {chosen.trials} trials\n")
    print("| What | Seen |\n|---|---|")
    print(f"| from the start until every card is in the outbox | {warm:.1f} s |")
    print(f"| {chosen.changes} changes, {chosen.rate:g} a second: median | "
          f"{statistics.median(late) * 1000:.0f} ms |")  # fmt: skip
    print(f"| p95 | {late[int(len(late) * 0.95)] * 1000:.0f} ms |")
    print(f"| worst | {late[-1] * 1000:.0f} ms |")
    print(f"| API calls for each change (the record is marked told) | {made / len(late):.2f} |")


def _measure(cluster: Cluster, outbox: TimedOutbox, rate: float, changes: int) -> list[float]:
    """Seconds from each change to the first card that shows it."""
    names = cluster.names[:changes]
    before = {name: outbox.seen[str(index)][-1][1] for index, name in enumerate(names)}
    asked: dict[str, float] = {}
    begun = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        futures = {}
        for number, name in enumerate(names):
            threading.Event().wait(max(0.0, begun + number / rate - time.monotonic()))
            futures[name] = pool.submit(cluster.change, name)
        asked = {name: future.result() for name, future in futures.items()}
    time.sleep(5)
    late = []
    for index, name in enumerate(names):
        first = (at for at, text in outbox.seen[str(index)]
                 if at > asked[name] and text != before[name])  # fmt: skip
        late.append(next(first) - asked[name])
    return late


if __name__ == "__main__":
    main()

"""A pretend API server for benches, in a process of its own: many Experiments with their Trials.

It lists in pages, watches, and sends changes when told to; it is as fast as it can be, so that what
is measured is its client.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bot import prior
from bot.engines import katib_objects
from bot.engines.katib_objects import LABEL_KATIB_EXPERIMENT, Cluster
from bot.engines.kube import EXPERIMENTS, TRIALS
from bot.slack import command
from tests import guide

Json = dict[str, Any]
Change = tuple[int, bytes]  # a version, and the line of the watch that brings it
NAMESPACE = "bench"
EXPERIMENT_PATH = EXPERIMENTS.path(NAMESPACE)
TRIAL_PATH = TRIALS.path(NAMESPACE)
CLUSTER = Cluster(namespace=NAMESPACE, trainer_image="registry.example/katib-tune-trainer:0.1.0")
MOMENT = "2026-11-24T10:00:00Z"
BOOKMARK_S = 5.0


def fields(value: Any) -> Json:
    """A managedFields tree of a value: who set which field."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{key}": fields(each) for key, each in value.items()}


def managed(manager: str, **part: Any) -> Json:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "kubeflow.org/v1beta1",
        "time": MOMENT,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields(part),
    }


def condition(kind: str, reason: str) -> Json:
    return {
        "type": kind, "status": "True", "reason": reason, "message": f"{reason}: as it should be",
        "lastUpdateTime": MOMENT, "lastTransitionTime": MOMENT,
    }  # fmt: skip


def assignments(number: int) -> list[Json]:
    return [
        {"name": "learning_rate", "value": f"{1e-5 + number * 1e-7:.8f}"},
        {"name": "r", "value": str(8 + number % 24)},
    ]


def observation(number: int) -> Json:
    value = f"{0.7 - number * 1e-4:.6f}"
    return {"metrics": [{"name": "train_loss", "latest": value, "min": value, "max": "0.93"}]}


def experiment(name: str, version: int, trials: int) -> Json:
    """As the API server would give it: the guide's example, running, with two managers."""
    spec = prior.to_spec(command.parse_tune(guide.LLAMA).data, name).model_copy(
        update={"name": name}
    )
    body = katib_objects.experiment(spec, CLUSTER)
    status = {
        "startTime": MOMENT,
        "lastReconcileTime": MOMENT,
        "conditions": [
            condition("Created", "ExperimentCreated"),
            condition("Running", "ExperimentRunning"),
        ],
        "currentOptimalTrial": {
            "bestTrialName": trial_name(name, 0),
            "parameterAssignments": assignments(0),
            "observation": observation(0),
        },
        "runningTrialList": [trial_name(name, trials - 1)],
        "succeededTrialList": [trial_name(name, number) for number in range(trials - 1)],
        "trials": trials,
        "trialsRunning": 1,
        "trialsSucceeded": trials - 1,
    }
    meta = {
        **body["metadata"],
        "uid": f"{version:08d}-0000-4000-8000-000000000000",
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": MOMENT,
        "finalizers": ["update-prometheus-metrics"],
        "managedFields": [
            managed("katib-tune", metadata={"labels": body["metadata"]["labels"]},
                    spec=body["spec"]),
            managed("katib-controller", metadata={"finalizers": {}}, status=status),
        ],
    }  # fmt: skip
    return {**body, "metadata": meta, "status": status}


def trial_name(experiment: str, number: int) -> str:
    return f"{experiment}-trial{number:03d}"


def trial(of: Json, number: int, version: int, is_final: bool) -> Json:
    """One of its Trials, with the job that it runs."""
    name = of["metadata"]["name"]
    kinds = [("Created", "TrialCreated"), ("Succeeded", "TrialSucceeded")]
    status: Json = {
        "startTime": MOMENT,
        "conditions": [condition(*each) for each in kinds[: 1 + is_final]],
    }
    if is_final:
        status |= {"completionTime": MOMENT, "observation": observation(number)}
    spec = {
        "objective": of["spec"]["objective"],
        "parameterAssignments": assignments(number),
        "primaryContainerName": "pytorch",
        "primaryPodLabels": {"training.kubeflow.org/job-role": "master"},
        "runSpec": of["spec"]["trialTemplate"]["trialSpec"],
        "metricsCollector": of["spec"]["metricsCollectorSpec"],
    }
    meta = {
        "name": trial_name(name, number),
        "namespace": NAMESPACE,
        "uid": f"{version:08d}-0000-4000-8000-000000000001",
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": MOMENT,
        "finalizers": ["clean-metrics-in-db"],
        "labels": {**of["metadata"]["labels"], LABEL_KATIB_EXPERIMENT: name},
        "ownerReferences": [{"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
                             "name": name, "uid": of["metadata"]["uid"], "controller": True,
                             "blockOwnerDeletion": True}],
        "managedFields": [managed("katib-controller", spec=spec, status=status)],
    }  # fmt: skip
    kind = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial"}
    return {**kind, "metadata": meta, "spec": spec, "status": status}


def encoded(obj: Json) -> bytes:
    return json.dumps(obj, separators=(",", ":")).encode()


class Contents:
    """What the server holds: encoded objects by the path of their collection."""

    def __init__(self, experiments: int, trials: int) -> None:
        self.version = 0
        self.objects: dict[str, list[bytes]] = defaultdict(list)
        self.first: dict[str, Json] = {}
        for index in range(experiments):
            made = experiment(f"tune-{index:05d}", self._next(), trials)
            self._add(EXPERIMENT_PATH, made)
            for number in range(trials):
                one = trial(made, number, self._next(), is_final=number < trials - 1)
                self._add(TRIAL_PATH, one)

    def _next(self) -> int:
        self.version += 1
        return self.version

    def _add(self, path: str, obj: Json) -> None:
        self.objects[path].append(encoded(obj))
        self.first.setdefault(path, obj)

    def page(self, path: str, start: int, limit: int) -> bytes:
        items = self.objects.get(path, [])
        more = str(start + limit) if limit and len(items) > start + limit else ""
        meta = encoded({"resourceVersion": str(self.version), "continue": more})
        end = start + limit if limit else None
        return b'{"kind":"List","apiVersion":"v1","metadata":%s,"items":[%s]}' % (
            meta,
            b",".join(items[start:end]),
        )

    def changes(self, path: str, count: int) -> list[Change]:
        """That many MODIFIED events of one object, each with a newer version."""
        first = self.first[path]
        changes = []
        for _ in range(count):
            version = self._next()
            meta = {**first["metadata"], "resourceVersion": str(version)}
            line = encoded({"type": "MODIFIED", "object": {**first, "metadata": meta}})
            changes.append((version, line))
        return changes


class Handler(BaseHTTPRequestHandler):
    contents: Contents
    watchers: dict[str, list[queue.Queue[Change]]]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {key: value[0] for key, value in parse_qs(address.query).items()}
        if query.get("watch") == "true":
            self._watch(address.path)
        else:
            start, limit = int(query.get("continue", 0)), int(query.get("limit", 0))
            self._reply(self.contents.page(address.path, start, limit))

    def do_POST(self) -> None:
        """Send `count` changes down the watches of a path; the answer is the last version."""
        address = urlsplit(self.path)
        count = int(parse_qs(address.query)["count"][0])
        changes = self.contents.changes(address.path, count)
        for watcher in list(self.watchers[address.path]):  # one that ends takes itself out
            for change in changes:
                watcher.put(change)
        self._reply(str(self.contents.version).encode())

    def _reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self, path: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        mine: queue.Queue[Change] = queue.Queue()
        version = self.contents.version
        self.watchers[path].append(mine)
        bookmark = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"}}}'
        try:
            while True:
                try:
                    version, line = mine.get(timeout=BOOKMARK_S)
                except queue.Empty:
                    line = bookmark % version
                self.wfile.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
        except OSError:
            self.watchers[path].remove(mine)

    def log_message(self, format: str, *args: Any) -> None:
        """No log."""


def _serve(pipe: Connection, experiments: int, trials: int) -> None:
    shared = {"contents": Contents(experiments, trials), "watchers": defaultdict(list)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), shared))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_address[1])
    pipe.recv()  # until whoever started it is done


@contextmanager
def cluster(experiments: int, trials: int) -> Iterator[str]:
    """The address of a server with so many Experiments, and so many Trials for each."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_serve, args=(there, experiments, trials), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        here.send(None)
        process.join(10)

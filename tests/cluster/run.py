"""Starts and stops the stand-ins: Katib, the training operator and a node, on a real API server.

`python -m tests.cluster.run` runs them until it is interrupted, on the cluster of KUBECONFIG.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from tests.cluster.api import Api
from tests.cluster.collector import Collector
from tests.cluster.https import HttpsServer, make_certificate
from tests.cluster.informer import Informer
from tests.cluster.katib_experiments import ExperimentController
from tests.cluster.katib_objects import experiment_key
from tests.cluster.katib_suggestions import SearchPods, SuggestionController
from tests.cluster.katib_trials import TrialController
from tests.cluster.metrics import Database
from tests.cluster.node import Node
from tests.cluster.node_play import Player
from tests.cluster.node_run import RealPods
from tests.cluster.objects import controller_of
from tests.cluster.operator import PyTorchJobController, owner_uid
from tests.cluster.pod_logs import Logs
from tests.cluster.quirks import KATIB, Quirks
from tests.cluster.recorder import Recorder
from tests.cluster.resources import (
    DEPLOYMENTS,
    EXPERIMENTS,
    JOBS,
    PODS,
    PYTORCHJOBS,
    SERVICES,
    SUGGESTIONS,
    TRIALS,
    Json,
    Key,
    Resource,
    key_of,
)
from tests.cluster.search_pod import SUGGESTION_LABEL
from tests.cluster.sidecar import Image
from tests.cluster.webhooks import Webhooks, install, uninstall
from tests.cluster.workqueue import WorkQueue

WATCHED = (EXPERIMENTS, SUGGESTIONS, TRIALS, PYTORCHJOBS, JOBS, PODS, SERVICES, DEPLOYMENTS)
INDEX: Mapping[Resource, Callable[[Json], Any]] = {
    TRIALS: experiment_key,
    PODS: owner_uid,
    SERVICES: owner_uid,
}


@dataclass(frozen=True)
class Controllers:
    """What a test may ask and tell the stand-ins."""

    api: Api
    node: Node
    database: Database
    search: SearchPods


def katib_runs_in(api: Api) -> bool:
    """Whether Katib's own controller is installed."""
    selector = "katib.kubeflow.org/component=controller"
    return bool(api.list(DEPLOYMENTS, labelSelector=selector))


@contextmanager
def controllers(
    kubeconfig: str,
    *,
    quirks: Quirks = KATIB,
    search_pods: bool = True,
    images: Mapping[str, Image] | None = None,
) -> Iterator[Controllers]:
    """All stand-ins, running until the block ends.

    `search_pods` makes Suggestions wait for a Deployment, as in a cluster; without, they are ready
    at once. `images` stands for the registry that the pod webhook asks for commands.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with ExitStack() as stack:
        api = Api(kubeconfig)
        informers = {one: Informer(api, one, INDEX.get(one)) for one in WATCHED}
        recorder, database, search = Recorder(api), Database(), SearchPods(quirks)
        node = _node(api, informers, database, recorder)
        queues = _queues(api, informers, recorder, database, search, quirks, search_pods)
        _forget_with_pod(informers[PODS], search)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webhooks-")))
        certificate = make_certificate(folder)
        hooks = Webhooks(api, _lookup(api, informers), images or {})
        routes: dict[str, Callable[..., None]] = {
            "/admission/": hooks.serve,
            "/containerLogs/": node.logs.serve,
        }
        server = HttpsServer(certificate, routes)
        for part in (server, recorder):
            part.start()
            stack.callback(part.stop)
        install(api, server, certificate.pem())
        stack.callback(uninstall, api)
        node.start(server.port)
        stack.callback(node.stop)
        for queue in queues:
            queue.start()
            stack.callback(queue.stop)
        for informer in informers.values():
            informer.start()
            stack.callback(informer.stop)
        yield Controllers(api, node, database, search)


@contextmanager
def training_operator(kubeconfig: str) -> Iterator[None]:
    """The training operator alone, for a node that runs pods; nothing where the real one is."""
    api = Api(kubeconfig)
    if api.list(DEPLOYMENTS, labelSelector="control-plane=kubeflow-training-operator"):
        yield
        return
    with ExitStack() as stack:
        informers = {
            one: Informer(api, one, INDEX.get(one)) for one in (PYTORCHJOBS, PODS, SERVICES)
        }
        recorder = Recorder(api)
        controller = PyTorchJobController(
            api, informers[PYTORCHJOBS], informers[PODS], informers[SERVICES], recorder
        )
        queue = _queue("pytorchjobs", controller.reconcile)
        _feed(informers[PYTORCHJOBS], queue, key_of)
        for resource in (PODS, SERVICES):
            _feed(informers[resource], queue, _owner_key("PyTorchJob"))
        for part in (recorder, queue, *informers.values()):
            part.start()
            stack.callback(part.stop)
        yield


def _node(
    api: Api, informers: Mapping[Resource, Informer], database: Database, recorder: Recorder
) -> Node:
    waiting: list[Node] = []
    logs = Logs(lambda place: waiting[0].why_waiting(place))
    collector = Collector(api, database)
    player = Player(api, logs, collector, recorder)
    real = RealPods(api, logs, collector)
    node = Node(api, informers[PODS], informers[TRIALS], player, real, logs, recorder)
    waiting.append(node)
    return node


def _queues(
    api: Api,
    informers: Mapping[Resource, Informer],
    recorder: Recorder,
    database: Database,
    search: SearchPods,
    quirks: Quirks,
    search_pods: bool,
) -> list[WorkQueue]:
    """One queue for each controller, filled by what it watches."""
    experiments = ExperimentController(
        api, informers[EXPERIMENTS], informers[SUGGESTIONS], informers[TRIALS], recorder, quirks
    )
    suggestions = SuggestionController(
        api,
        {one.plural: informers[one] for one in (SUGGESTIONS, EXPERIMENTS, TRIALS, DEPLOYMENTS)},
        search,
        database,
        recorder,
        real_pods=search_pods,
    )
    jobs = {one: informers[one] for one in (PYTORCHJOBS, JOBS)}
    trials = TrialController(api, informers[TRIALS], jobs, database, recorder)
    operator = PyTorchJobController(
        api, informers[PYTORCHJOBS], informers[PODS], informers[SERVICES], recorder
    )
    experiment_queue = _queue("experiments", experiments.reconcile)
    suggestion_queue = _queue("suggestions", suggestions.reconcile)
    trial_queue = _queue("trials", trials.reconcile)
    operator_queue = _queue("pytorchjobs", operator.reconcile)
    _feed(informers[EXPERIMENTS], experiment_queue, key_of)
    _feed(informers[TRIALS], experiment_queue, _owner_key("Experiment"))
    _feed(informers[SUGGESTIONS], experiment_queue, key_of)
    _feed(informers[SUGGESTIONS], suggestion_queue, key_of)
    _feed(informers[DEPLOYMENTS], suggestion_queue, _owner_key("Suggestion"))
    _feed(informers[TRIALS], trial_queue, key_of)
    _feed(informers[PYTORCHJOBS], trial_queue, _owner_key("Trial"))
    _feed(informers[JOBS], trial_queue, _owner_key("Trial"))
    _feed(informers[PYTORCHJOBS], operator_queue, key_of)
    _feed(informers[PODS], operator_queue, _owner_key("PyTorchJob"))
    _feed(informers[SERVICES], operator_queue, _owner_key("PyTorchJob"))
    return [experiment_queue, suggestion_queue, trial_queue, operator_queue]


def _queue(name: str, reconcile: Callable[[Key], float | None]) -> WorkQueue:
    return WorkQueue(name, lambda key: reconcile(key), workers=3)  # type: ignore[arg-type]


def _feed(informer: Informer, queue: WorkQueue, key: Callable[[Json], Key | None]) -> None:
    def handler(obj: Json) -> None:
        if (found := key(obj)) is not None:
            queue.add(found)

    informer.handlers.append(handler)


def _owner_key(kind: str) -> Callable[[Json], Key | None]:
    def key(obj: Json) -> Key | None:
        found = controller_of(obj)
        if found is None or found["kind"] != kind:
            return None
        return obj["metadata"]["namespace"], found["name"]

    return key


def _lookup(
    api: Api, informers: Mapping[Resource, Informer]
) -> Callable[[Resource, str, str], Json | None]:
    def lookup(resource: Resource, namespace: str, name: str) -> Json | None:
        informer = informers.get(resource)
        found = informer.get((namespace, name)) if informer else None
        return found or api.find(resource, namespace, name)

    return lookup


def _forget_with_pod(pods: Informer, search: SearchPods) -> None:
    """A search pod that goes takes its memory along."""

    def handler(pod: Json) -> None:
        name = pod["metadata"].get("labels", {}).get(SUGGESTION_LABEL)
        if name and pods.deleted(pod["metadata"]["uid"]):
            search.forget((pod["metadata"]["namespace"], name))

    pods.handlers.append(handler)


def main() -> None:
    """Runs the stand-ins until TERM or an interrupt."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with controllers(os.environ["KUBECONFIG"]):
        print("The stand-ins run.", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()

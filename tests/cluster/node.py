"""A stand-in for scheduler and kubelet: takes every new pod and plays it or runs it here.

The API server reads logs from it as from a kubelet, so pods/log works.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator

import urllib3

from tests.cluster.api import Api, ApiError
from tests.cluster.informer import Informer
from tests.cluster.node_play import Player
from tests.cluster.node_run import RealPods
from tests.cluster.objects import now
from tests.cluster.pod_logs import Logs, Place
from tests.cluster.recorder import Recorder
from tests.cluster.recordings import Choose, PodFacts, Real, Recording, default_recording
from tests.cluster.resources import LEASES, NODES, PODS, Json, key_of
from tests.cluster.search_pod import SUGGESTION_LABEL
from tests.cluster.sidecar import TRIAL_LABEL
from tests.cluster.workqueue import WorkQueue

NAME = "stand-in"
HEARTBEAT_S = 10.0
LEASE_NAMESPACE = "kube-node-lease"
ENDLESS = Recording(never_ends=True)


class Node:
    """One node with room for everything, unless a recording says otherwise.

    What the pods of a namespace do, `choose` decides for each start of a pod; without a choice
    they play `default_recording`. Search pods just run.
    """

    def __init__(
        self,
        api: Api,
        pods: Informer,
        trials: Informer,
        player: Player,
        real: RealPods,
        logs: Logs,
        recorder: Recorder,
    ) -> None:
        self._api = api
        self._pods = pods
        self._trials = trials
        self._player = player
        self._real = real
        self._recorder = recorder
        self.logs = logs
        self._choices: dict[str, Choose] = {}
        self._searches: dict[str, Recording] = {}
        self._steps: dict[str, Iterator[float]] = {}
        self._queue = WorkQueue("node", self._step, workers=4)
        self._stopped = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="node-heartbeat", daemon=True)
        pods.handlers.append(self._seen)

    def play(self, namespace: str, choose: Choose) -> None:
        """From now on, what the pods that start in a namespace do."""
        self._choices[namespace] = choose

    def play_search(self, namespace: str, recording: Recording) -> None:
        """The same for the search pods of a namespace, which have to run for any Trial to be."""
        self._searches[namespace] = recording

    def log(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> str:
        """A container's log, without asking the API server."""
        return self.logs.text((namespace, pod, container), previous=previous)

    def start(self, port: int) -> None:
        """Registers the node, with the port where it serves logs."""
        self._api.delete(NODES, "", NAME)
        node = self._api.create(NODES, {"metadata": {"name": NAME, "labels": {_HOSTNAME: NAME}}})
        self._api.patch(NODES, "", NAME, {"status": _status(port)}, "status")
        self._api.delete(LEASES, LEASE_NAMESPACE, NAME)
        self._api.create(LEASES, _lease(node))
        self._queue.start()
        self._heart.start()

    def stop(self) -> None:
        self._stopped.set()
        self._queue.stop()
        self._real.stop()
        self.logs.close_all()
        self._heart.join(10)
        self._api.delete(NODES, "", NAME)
        self._api.delete(LEASES, LEASE_NAMESPACE, NAME)

    def facts(self, pod: Json, attempt: int = 0) -> PodFacts:
        """What is known of a pod when it is to start."""
        namespace = pod["metadata"]["namespace"]
        name = pod["metadata"].get("labels", {}).get(TRIAL_LABEL)
        trial = self._trials.get((namespace, name)) if name else None
        given = trial["spec"]["parameterAssignments"] if trial else ()
        parameters = {one["name"]: one["value"] for one in given}
        return PodFacts(namespace, pod, trial, attempt, parameters)

    def choose(self, facts: PodFacts) -> Recording | Real:
        if SUGGESTION_LABEL in facts.pod["metadata"].get("labels", {}):
            return self._searches.get(facts.namespace, ENDLESS)
        return self._choices.get(facts.namespace, default_recording)(facts)

    def why_waiting(self, place: Place) -> str:
        """The reason of a container that has not started."""
        pod = self._pods.get(place[:2]) or {}
        for one in pod.get("status", {}).get("containerStatuses") or ():
            if one["name"] == place[2] and "waiting" in one["state"]:
                reason: str = one["state"]["waiting"]["reason"]
                return reason
        return "ContainerCreating"

    def _seen(self, pod: Json) -> None:
        uid, meta = pod["metadata"]["uid"], pod["metadata"]
        if self._pods.deleted(uid):
            self._steps.pop(uid, None)
            self._real.end(uid)
            self.logs.forget(*key_of(pod))
        elif "deletionTimestamp" in meta:
            self._real.end(uid)
            self._steps[uid] = self._removal(pod)
            self._queue.add(uid)
        elif not pod["spec"].get("nodeName") and uid not in self._steps:
            self._steps[uid] = self._life(pod)
            self._queue.add(uid)

    def _step(self, key: Hashable) -> float | None:
        uid = str(key)
        steps = self._steps.get(uid)
        if steps is None:
            return None
        try:
            return next(steps, None)
        except ApiError as error:
            if error.status == 404 or self._pods.deleted(uid):
                return None  # deleted in the middle of its life
            raise

    def _life(self, pod: Json) -> Iterator[float]:
        facts = self.facts(pod)
        chosen = self.choose(facts)
        if isinstance(chosen, Real):
            yield from self._real.life(pod, facts, NAME)
        else:
            yield from self._player.life(pod, chosen, self.facts, self.choose, NAME)

    def _removal(self, pod: Json) -> Iterator[float]:
        """The kubelet's last word about a deleted pod: it may go at once."""
        path = PODS.path(*key_of(pod))
        self._api.request("DELETE", path, gracePeriodSeconds=0)
        yield from ()

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_S):
            try:
                renewed = {"spec": {"renewTime": _micro()}}
                self._api.patch(LEASES, LEASE_NAMESPACE, NAME, renewed)
            except (ApiError, urllib3.exceptions.HTTPError):
                continue  # the API server is away; the next beat will tell


_HOSTNAME = "kubernetes.io/hostname"


def _status(port: int) -> Json:
    room = {"cpu": "1000", "memory": "4Ti", "pods": "10000", "nvidia.com/gpu": "1000"}
    return {
        "capacity": room,
        "allocatable": room,
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": "127.0.0.1"},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "kubelet is posting ready status",
                "lastHeartbeatTime": now(),
                "lastTransitionTime": now(),
            }
        ],
    }


def _lease(node: Json) -> Json:
    owner = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": NAME,
        "uid": node["metadata"]["uid"],
    }
    return {
        "metadata": {"name": NAME, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
        "spec": {"holderIdentity": NAME, "leaseDurationSeconds": 40, "renewTime": _micro()},
    }


def _micro() -> str:
    return now().replace("Z", ".000000Z")

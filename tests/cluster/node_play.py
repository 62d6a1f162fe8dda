"""Pods that play a recording: their stages, lines and ends, written to the API server."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime

from tests.cluster.api import Api
from tests.cluster.collector import Collector
from tests.cluster.objects import now
from tests.cluster.pod_logs import Log, Logs
from tests.cluster.pod_status import State, running, status, terminated, unschedulable, waiting
from tests.cluster.recorder import NORMAL, WARNING, Recorder
from tests.cluster.recordings import Failure, PodFacts, Real, Recording
from tests.cluster.resources import PODS, Json, key_of
from tests.cluster.sidecar import COLLECTOR, LOGGER

KILLED = 137
TERMINATED_BY_US = 143
FIRST_RESTART_S = 0.05  # kubelets begin with 10 s
LAST_RESTART_S = 5.0
SECOND_LOOK_S = 0.05
Facts = Callable[[Json, int], PodFacts]
Chosen = Callable[[PodFacts], Recording | Real]


class Player:
    """Writes what a kubelet would write for a pod that does what its recording says."""

    def __init__(self, api: Api, logs: Logs, collector: Collector, recorder: Recorder) -> None:
        self._api = api
        self._logs = logs
        self._collector = collector
        self._recorder = recorder

    def life(
        self, pod: Json, recording: Recording, facts: Facts, choose: Chosen, node: str
    ) -> Iterator[float]:
        """The steps of a pod's life; yields how many seconds to wait for the next.

        `recording` is for the first start, `choose` is asked again for each restart.
        """
        if recording.failure is Failure.UNSCHEDULABLE:
            why = recording.why or "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
            self._patch(pod, unschedulable(why))
            self._event(pod, "FailedScheduling", why, WARNING, "default-scheduler")
            return
        bind(self._api, pod, node)
        if recording.failure in (Failure.IMAGE_PULL, Failure.CONFIG):
            yield from self._stuck(pod, recording)
            return
        attempt = 0
        while True:
            code = yield from self._attempt(pod, facts(pod, attempt), recording, attempt)
            if code == 0 or pod["spec"].get("restartPolicy") == "Never":
                return
            attempt += 1
            yield min(FIRST_RESTART_S * 2 ** (attempt - 1), LAST_RESTART_S)
            recording = _played(choose(facts(pod, attempt)))

    def _attempt(
        self, pod: Json, facts: PodFacts, recording: Recording, restarts: int
    ) -> Generator[float, None, int]:
        """One start of the containers; returns the pod's exit code."""
        names = [one["name"] for one in pod["spec"]["containers"]]
        began = now()
        states: dict[str, State] = {name: running() for name in names}
        self._patch(pod, status(pod, states, restarts=restarts))
        main, printed = self._begin_logs(pod, facts)
        stopped = False
        for line in recording.lines:
            if line.after_s:
                yield line.after_s
            printed.append(klog(line.text) if printed is not main else line.text)
            if self._collector.stops(facts.trial, line.text):
                stopped = True
                break
        if recording.never_ends and not stopped:
            return 0
        if recording.last_s and not stopped:
            yield recording.last_s
        code, reason = _ending(recording, stopped)
        side = self._collector.finish(facts, recording, code, stopped=stopped)
        for name in names:
            is_side = name in (LOGGER, COLLECTOR)
            states[name] = terminated(side if is_side else code, began, "" if is_side else reason)
        main.close()
        printed.close()
        self._finish(pod, states, restarts, code or side)
        return code or side

    def _finish(self, pod: Json, states: dict[str, State], restarts: int, code: int) -> None:
        if code == 0 or pod["spec"].get("restartPolicy") == "Never":
            self._patch(pod, status(pod, states, restarts=restarts))
            return
        name = pod["metadata"]["name"]
        back_off = waiting("CrashLoopBackOff", f"back-off restarting failed container pod={name}")
        later = dict.fromkeys(states, back_off)
        self._patch(pod, status(pod, later, restarts=restarts + 1, last=states))
        self._event(pod, "BackOff", "Back-off restarting failed container", WARNING)

    def _begin_logs(self, pod: Json, facts: PodFacts) -> tuple[Log, Log]:
        """The main container's log, and the one that its lines end in."""
        namespace, name = key_of(pod)
        opened = {
            one["name"]: self._logs.begin((namespace, name, one["name"]))
            for one in pod["spec"]["containers"]
        }
        first = facts.trial["spec"]["primaryContainerName"] if facts.trial else ""
        main = opened.get(first) or next(iter(opened.values()))
        redirected = LOGGER in opened and self._collector.redirects(facts.trial)
        return main, opened[LOGGER] if redirected else main

    def _stuck(self, pod: Json, recording: Recording) -> Iterator[float]:
        """A container that cannot be made: the pod stays Pending."""
        names = [one["name"] for one in pod["spec"]["containers"]]
        image = pod["spec"]["containers"][0].get("image", "")
        if recording.failure is Failure.CONFIG:
            why = recording.why or 'secret "hf-token" not found'
            state = waiting("CreateContainerConfigError", why)
            self._patch(pod, status(pod, dict.fromkeys(names, state)))
            self._event(pod, "Failed", f"Error: {why}", WARNING)
            return
        why = recording.why or f'failed to resolve reference "{image}": not found'
        text = f'Failed to pull image "{image}": rpc error: code = NotFound desc = {why}'
        first = waiting("ErrImagePull", f"rpc error: code = NotFound desc = {why}")
        self._patch(pod, status(pod, dict.fromkeys(names, first)))
        self._event(pod, "Pulling", f'Pulling image "{image}"')
        self._event(pod, "Failed", text, WARNING)
        self._event(pod, "Failed", "Error: ErrImagePull", WARNING)
        yield SECOND_LOOK_S
        later = waiting("ImagePullBackOff", f'Back-off pulling image "{image}"')
        self._patch(pod, status(pod, dict.fromkeys(names, later)))
        self._event(pod, "BackOff", f'Back-off pulling image "{image}"')
        self._event(pod, "Failed", "Error: ImagePullBackOff", WARNING)

    def _patch(self, pod: Json, changed: Json) -> None:
        self._api.patch(PODS, *key_of(pod), {"status": changed}, "status")

    def _event(
        self, pod: Json, reason: str, text: str, kind: str = NORMAL, by: str = "kubelet"
    ) -> None:
        self._recorder.record(pod, PODS, reason, text, kind, by)


def bind(api: Api, pod: Json, node: str) -> None:
    """The scheduler's act: the pod belongs to a node."""
    namespace, name = key_of(pod)
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    api.request("POST", PODS.path(namespace, name, "binding"), binding)


def klog(text: str) -> str:
    """A line as the file collector repeats it: behind the header of its logging library."""
    return f"{datetime.now(UTC):I%m%d %H:%M:%S.%f}      14 main.go:143] {text}"


def _played(chosen: Recording | Real) -> Recording:
    if isinstance(chosen, Real):
        raise TypeError("A pod that began to play cannot go on as real processes.")
    return chosen


def _ending(recording: Recording, stopped: bool) -> tuple[int, str]:
    if stopped:
        return 0, ""  # the wrapped command turns an early stop into success
    if recording.failure is Failure.OOM_KILLED:
        return KILLED, "OOMKilled"
    return recording.exit_code, ""

"""A pod's status as kubelet and scheduler write it, stage by stage."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from tests.cluster.objects import now
from tests.cluster.resources import Json

State = Json  # {"running": …}, {"waiting": …} or {"terminated": …}


def running() -> State:
    return {"running": {"startedAt": now()}}


def waiting(reason: str, message: str = "") -> State:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def terminated(exit_code: int, started: str, reason: str = "") -> State:
    """Completed, Error or the reason given."""
    word = reason or ("Completed" if exit_code == 0 else "Error")
    ended = {"exitCode": exit_code, "reason": word, "startedAt": started, "finishedAt": now()}
    return {"terminated": ended}


def exit_code(state: State) -> int | None:
    """None while it has not ended."""
    return state["terminated"]["exitCode"] if "terminated" in state else None


def phase(states: Sequence[State], restart_policy: str) -> str:
    """The phase that follows from the main containers' states."""
    codes = [exit_code(state) for state in states]
    if all(code is not None for code in codes) and restart_policy != "Always":
        failed = any(codes)
        if not failed:
            return "Succeeded"
        if restart_policy == "Never":
            return "Failed"
    started = any("running" in state or "terminated" in state for state in states)
    restarting = any(
        state.get("waiting", {}).get("reason") == "CrashLoopBackOff" for state in states
    )
    return "Running" if started or restarting else "Pending"


def status(
    pod: Json,
    states: Mapping[str, State],
    *,
    restarts: int = 0,
    last: Mapping[str, State] | None = None,
    initialised: bool = True,
) -> Json:
    """status of a scheduled pod whose main containers are in these states."""
    containers = pod["spec"]["containers"]
    ready = all("running" in states[one["name"]] for one in containers)
    done = all("terminated" in states[one["name"]] for one in containers)
    word = "" if ready else ("PodCompleted" if done else "ContainersNotReady")
    policy = pod["spec"].get("restartPolicy", "Always")
    kind = phase([states[one["name"]] for one in containers], policy)
    inits = pod["spec"].get("initContainers") or ()
    began = pod.get("status", {}).get("startTime") or now()
    return {
        "phase": kind if initialised else "Pending",
        "startTime": began,
        "podIP": _address(pod),
        "podIPs": [{"ip": _address(pod)}],
        "hostIP": "127.0.0.1",
        "conditions": [
            _condition("Initialized", initialised),
            _condition("Ready", ready, word),
            _condition("ContainersReady", ready, word),
            _condition("PodScheduled", True),
        ],
        "initContainerStatuses": [
            _container(one, terminated(0, began) if initialised else waiting("PodInitializing"))
            for one in inits
        ],
        "containerStatuses": [
            _container(one, states[one["name"]], restarts, (last or {}).get(one["name"]))
            for one in containers
        ],
    }


def _address(pod: Json) -> str:
    """An address of the pod's own; nothing answers there."""
    number = zlib.crc32(pod["metadata"]["uid"].encode())
    return f"10.244.{number >> 8 & 255}.{number & 255}"


def unschedulable(message: str) -> Json:
    """status of a pod for which the scheduler finds no node."""
    found = {**_condition("PodScheduled", False, "Unschedulable"), "message": message}
    return {"phase": "Pending", "conditions": [found]}


def _container(container: Json, state: State, restarts: int = 0, last: State | None = None) -> Json:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": "running" in state,
        "started": "running" in state,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
    }


def _condition(kind: str, value: bool, reason: str = "") -> Json:
    found = {"type": kind, "status": str(value), "lastTransitionTime": now()}
    return {**found, "reason": reason} if reason else found

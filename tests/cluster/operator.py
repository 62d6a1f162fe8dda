"""The training operator's PyTorchJob controller (training operator v1.9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.cluster.api import Api, ApiError
from tests.cluster.informer import Informer
from tests.cluster.objects import controller_of, is_true, now, with_condition
from tests.cluster.operator_pods import (
    OPERATOR,
    pod,
    replica_name,
    replicas,
    selector,
    service,
    with_defaults,
)
from tests.cluster.recorder import NORMAL, WARNING, Recorder
from tests.cluster.resources import PODS, PYTORCHJOBS, SERVICES, Json, Key, key_of

CREATED, RUNNING, RESTARTING = "Created", "Running", "Restarting"
SUSPENDED, SUCCEEDED, FAILED = "Suspended", "Succeeded", "Failed"
RETRYABLE_EXIT_CODE = 128


class PyTorchJobController:
    """`pods` and `services` are indexed by the owner's uid."""

    def __init__(
        self, api: Api, jobs: Informer, pods: Informer, services: Informer, recorder: Recorder
    ) -> None:
        self._api = api
        self._jobs = jobs
        self._pods = pods
        self._services = services
        self._recorder = recorder

    def reconcile(self, key: Key) -> float | None:
        """One look at a job; returns when to look again (its deadline)."""
        stored = self._jobs.get(key)
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            return None
        job = with_defaults(stored)
        status = _begun(stored)
        pods = self._pods.group(stored["metadata"]["uid"])
        over = _over(status)
        if over:
            self._clean(job, pods)
        elif job["spec"]["runPolicy"].get("suspend"):
            status = self._suspended(job, status, pods)
        else:
            status = self._run(job, status, pods)
            over = _over(status)
        if status != stored.get("status"):
            changed = self._api.replace(PYTORCHJOBS, {**stored, "status": status}, "status")
            self._jobs.note(changed)
        return None if over else _until_deadline(job, status)

    def _run(self, job: Json, status: Json, pods: Sequence[Json]) -> Json:
        if is_true(status["conditions"], SUSPENDED):
            text = f"PyTorchJob {job['metadata']['name']} is resumed."
            conditions = with_condition(
                status["conditions"], SUSPENDED, "PyTorchJobResumed", text, "False"
            )
            status = {**status, "conditions": conditions}
        if why := self._exhausted(job, status, pods):
            return self._end(job, status, FAILED, why, WARNING)
        status = {**status, "startTime": status.get("startTime") or now()}
        gone = self._restart_by_exit_code(job, pods)
        left = [one for one in pods if one not in gone]
        self._create_missing(job, left)
        return self._judged(job, _with_replicas(job, status, left), gone)

    def _create_missing(self, job: Json, pods: Sequence[Json]) -> None:
        present = {one["metadata"]["name"] for one in pods}
        served = {one["metadata"]["name"] for one in self._services.group(job["metadata"]["uid"])}
        for role, index in replicas(job):
            name = replica_name(job, role, index)
            if name not in present:
                self._create_pod(job, role, index)
            if name not in served:
                self._create_service(job, role, index)

    def _create_pod(self, job: Json, role: str, index: int) -> None:
        name = replica_name(job, role, index)
        try:
            self._pods.note(self._api.create(PODS, pod(job, role, index)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                text = f"Error creating: {error.message}"
                self._event(job, "FailedCreatePod", text, WARNING)
                raise
        else:
            self._event(job, "SuccessfulCreatePod", f"Created pod: {name}")

    def _create_service(self, job: Json, role: str, index: int) -> None:
        name = replica_name(job, role, index)
        try:
            self._services.note(self._api.create(SERVICES, service(job, role, index)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        else:
            self._event(job, "SuccessfulCreateService", f"Created service: {name}")

    def _restart_by_exit_code(self, job: Json, pods: Sequence[Json]) -> list[Json]:
        """Restart policy ExitCode: a pod that ended with 128 or more is made anew."""
        gone = []
        for one in pods:
            role = _role(job, one)
            policy = job["spec"]["pytorchReplicaSpecs"][role]["restartPolicy"]
            failed = one.get("status", {}).get("phase") == "Failed"
            if policy == "ExitCode" and failed and _exit_code(one) >= RETRYABLE_EXIT_CODE:
                self._api.delete(PODS, *key_of(one))
                gone.append(one)
        return gone

    def _judged(self, job: Json, status: Json, restarting: Sequence[Json]) -> Json:
        """The conditions that follow from the replicas; the Master's success alone decides."""
        name, specs = job["metadata"]["name"], job["spec"]["pytorchReplicaSpecs"]
        deciding = "Master" if "Master" in specs else "Worker"
        counts = status["replicaStatuses"][deciding]
        if counts.get("active"):
            status = _condition(status, RUNNING, f"PyTorchJob {name} is running.")
        if counts.get("succeeded", 0) >= specs[deciding]["replicas"]:
            return self._end(
                job, status, SUCCEEDED, f"PyTorchJob {name} is successfully completed."
            )
        again = Counter(_role(job, one) for one in restarting)
        for role, number in again.items():
            text = f"PyTorchJob {name} is restarting because {number} {role} replica(s) failed."
            self._event(job, "PyTorchJobRestarting", text, WARNING)
            status = _condition(status, RESTARTING, text)
        for role in sorted(specs):
            if failed := status["replicaStatuses"][role].get("failed", 0):
                text = f"PyTorchJob {name} is failed because {failed} {role} replica(s) failed."
                return self._end(job, status, FAILED, text)
        return status

    def _exhausted(self, job: Json, status: Json, pods: Sequence[Json]) -> str | None:
        """Why the run policy ends the job now."""
        name, policy = job["metadata"]["name"], job["spec"]["runPolicy"]
        limit = policy.get("backoffLimit")
        if limit is not None and _restarts(job, pods) >= max(limit, 1) and _restarts(job, pods):
            return (
                f"PyTorchJob {name} has failed because it has reached the specified backoff limit"
            )
        left = _until_deadline(job, status)
        if left is not None and left <= 0:
            return (
                f"PyTorchJob {name} has failed because it was active longer than specified deadline"
            )
        return None

    def _suspended(self, job: Json, status: Json, pods: Sequence[Json]) -> Json:
        for one in pods:
            self._api.delete(PODS, *key_of(one))
        text = f"PyTorchJob {job['metadata']['name']} is suspended."
        status = _condition(status, SUSPENDED, text)
        status = {name: value for name, value in status.items() if name != "startTime"}
        return _with_replicas(job, status, [])

    def _end(self, job: Json, status: Json, kind: str, message: str, event: str = NORMAL) -> Json:
        self._event(job, f"PyTorchJob{kind}", message, event)
        return {**_condition(status, kind, message), "completionTime": now()}

    def _clean(self, job: Json, pods: Sequence[Json]) -> None:
        """cleanPodPolicy None leaves every pod, also one that still runs."""
        policy = job["spec"]["runPolicy"]["cleanPodPolicy"]
        if policy == "None":
            return
        for one in pods:
            running = one.get("status", {}).get("phase") in ("Running", "Pending")
            if (policy == "All" or running) and "deletionTimestamp" not in one["metadata"]:
                self._api.delete(PODS, *key_of(one))
                self._api.delete(SERVICES, *key_of(one))

    def _event(self, job: Json, reason: str, message: str, kind: str = NORMAL) -> None:
        self._recorder.record(job, PYTORCHJOBS, reason, message, kind, OPERATOR)


def owner_uid(obj: Json) -> str:
    """By whom a pod or a service is controlled, "" if by none."""
    found = controller_of(obj)
    return found["uid"] if found else ""


def _begun(job: Json) -> Json:
    status = {"replicaStatuses": {}, **job.get("status", {})}
    if status.get("conditions"):
        return status
    text = f"PyTorchJob {job['metadata']['name']} is created."
    return {**status, "conditions": with_condition([], CREATED, "PyTorchJobCreated", text)}


def _over(status: Json) -> bool:
    return is_true(status["conditions"], SUCCEEDED) or is_true(status["conditions"], FAILED)


def _condition(status: Json, kind: str, message: str) -> Json:
    """Running and Restarting replace each other; an end turns Running to False."""
    replaced = {RUNNING: RESTARTING, RESTARTING: RUNNING}.get(kind)
    present = [one for one in status["conditions"] if one["type"] != replaced]
    if kind in (SUCCEEDED, FAILED, SUSPENDED):
        present = [{**one, "status": "False"} if one["type"] == RUNNING else one for one in present]
    return {**status, "conditions": with_condition(present, kind, f"PyTorchJob{kind}", message)}


def _role(job: Json, one: Json) -> str:
    role: str = one["metadata"]["labels"]["training.kubeflow.org/replica-type"]
    return role.capitalize()


def _with_replicas(job: Json, status: Json, pods: Sequence[Json]) -> Json:
    counted: Json = {role: {"selector": selector(job, role)} for role, _ in replicas(job)}
    words = {"Running": "active", "Succeeded": "succeeded", "Failed": "failed"}
    for one in pods:
        phase = one.get("status", {}).get("phase", "")
        if (word := words.get(phase)) and "deletionTimestamp" not in one["metadata"]:
            role = _role(job, one)
            counted[role][word] = counted[role].get(word, 0) + 1
    return {**status, "replicaStatuses": counted}


def _restarts(job: Json, pods: Sequence[Json]) -> int:
    """How often kubelets restarted containers, where they may."""
    total = 0
    for one in pods:
        policy = job["spec"]["pytorchReplicaSpecs"][_role(job, one)]["restartPolicy"]
        if policy in ("OnFailure", "Always"):
            states = one.get("status", {}).get("containerStatuses") or ()
            total += sum(state.get("restartCount", 0) for state in states)
    return total


def _exit_code(one: Json) -> int:
    states = one.get("status", {}).get("containerStatuses") or ()
    codes = [
        state["state"]["terminated"]["exitCode"]
        for state in states
        if state["name"] == "pytorch" and "terminated" in state.get("state", {})
    ]
    return max(codes, default=0)


def _until_deadline(job: Json, status: Json) -> float | None:
    """Seconds left of activeDeadlineSeconds, None without a deadline or a start."""
    limit = job["spec"]["runPolicy"].get("activeDeadlineSeconds")
    if limit is None or not status.get("startTime"):
        return None
    began = datetime.fromisoformat(status["startTime"])
    return float(limit) - (datetime.now(UTC) - began).total_seconds()

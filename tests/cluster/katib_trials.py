"""Katib's Trial controller (v0.19): a job for each Trial, and its end as the Trial's end."""

from __future__ import annotations

from collections.abc import Mapping

from tests.cluster.api import Api, ApiError
from tests.cluster.conditions_path import matched
from tests.cluster.informer import Informer
from tests.cluster.katib_status import is_finished, state, trial_ended
from tests.cluster.metrics import UNAVAILABLE, ZERO_TIME, Database, Row, is_available, observation
from tests.cluster.objects import (
    finalizers_due,
    is_true,
    now,
    owner,
    with_condition,
    with_finalizers,
)
from tests.cluster.recorder import NORMAL, WARNING, Recorder
from tests.cluster.resources import TRIALS, Json, Key, Resource

FINALIZER = "clean-metrics-in-db"
COMPONENT = "trial-controller"
METRICS_PAUSE_S = 1.0


class TrialController:
    """`jobs` holds the local copies of the kinds that trials are made of."""

    def __init__(
        self,
        api: Api,
        trials: Informer,
        jobs: Mapping[Resource, Informer],
        database: Database,
        recorder: Recorder,
    ) -> None:
        self._api = api
        self._trials = trials
        self._jobs = jobs
        self._database = database
        self._recorder = recorder

    def reconcile(self, key: Key) -> float | None:
        """One look at a Trial; returns when to look again."""
        trial = self._trials.get(key)
        if trial is None:
            return None
        finalizers = finalizers_due(trial, FINALIZER)
        if finalizers is not None:
            if "deletionTimestamp" in trial["metadata"]:
                self._database.delete(trial["metadata"]["name"])
            self._write(with_finalizers(trial, finalizers))
            return None
        if "deletionTimestamp" in trial["metadata"]:
            return None
        status = trial.get("status", {})
        if not is_true(status.get("conditions", ()), "Created"):
            created = with_condition([], "Created", "TrialCreated", "Trial is created")
            new = {"startTime": now(), "completionTime": None, "conditions": created}
            self._write({**trial, "status": new}, "status")
            return None
        try:
            return self._follow(trial)
        except ApiError as error:
            if error.reason != "Conflict":
                self._event(trial, "ReconcileError", f"Failed to reconcile: {error}", WARNING)
            raise

    def _follow(self, trial: Json) -> float | None:
        if state(trial) == "EarlyStopped" and not trial["status"].get("observation"):
            return self._observe_stopped(trial)
        job = self._job(trial)
        if job is None or is_finished(trial):
            return None
        status = self._judged(trial, job)
        if status is None:
            return METRICS_PAUSE_S
        if status != trial["status"]:
            self._write({**trial, "status": status}, "status")
        return None

    def _observe_stopped(self, trial: Json) -> float | None:
        seen = self._observed(trial)
        if seen is None:
            return METRICS_PAUSE_S
        self._write({**trial, "status": {**trial["status"], "observation": seen}}, "status")
        return None

    def _job(self, trial: Json) -> Json | None:
        """The Trial's job, made if it is missing, deleted once the Trial is over."""
        run, over = trial["spec"]["runSpec"], is_finished(trial)
        resource = self._api.resource_of(run["apiVersion"], run["kind"])
        namespace, name = trial["metadata"]["namespace"], trial["metadata"]["name"]
        job = self._read(resource, (namespace, name))
        if job is None:
            return None if over else self._create(trial, resource)
        if over and not trial["spec"].get("retainRun"):
            if "deletionTimestamp" not in job["metadata"]:
                self._api.delete(resource, namespace, name, policy="Foreground")
                self._event(trial, "JobDeleted", f"Job {name} has been deleted")
            return None
        return job

    def _read(self, resource: Resource, key: Key) -> Json | None:
        informer = self._jobs.get(resource)
        found = informer.get(key) if informer else None
        return found or self._api.find(resource, *key)

    def _create(self, trial: Json, resource: Resource) -> Json:
        run = trial["spec"]["runSpec"]
        meta = {**run["metadata"], "ownerReferences": [owner(trial)]}
        job = self._api.create(resource, {**run, "metadata": meta})
        if resource in self._jobs:
            self._jobs[resource].note(job)
        self._event(trial, "JobCreated", f"Job {job['metadata']['name']} has been created")
        return job

    def _judged(self, trial: Json, job: Json) -> Json | None:
        """The Trial's status after a look at its job; None to look again for metrics.

        Failure is looked at first. Running only says that the job object exists.
        """
        spec, name = trial["spec"], job["metadata"]["name"]
        status: Json = trial["status"]
        if failure := matched(job, spec["failureCondition"]):
            reason, message = _because(failure, "TrialFailed", "Trial has failed")
            text = (
                f"Job {name} has failed. Job message: {failure.get('message', '')}, "
                f"reason: {failure.get('reason', '')}"
            )
            self._event(trial, "JobFailed", text)
            return trial_ended(status, "Failed", reason, message)
        if success := matched(job, spec["successCondition"]):
            seen = self._observed(trial)
            if seen is None:
                return None
            return self._succeeded({**trial, "status": {**status, "observation": seen}}, success)
        if not is_true(status["conditions"], "Running"):
            self._event(trial, "JobRunning", f"Job {name} is running")
            conditions = with_condition(
                status["conditions"], "Running", "TrialRunning", "Trial is running"
            )
            return {**status, "conditions": conditions}
        return status

    def _succeeded(self, trial: Json, success: Json) -> Json:
        name = trial["metadata"]["name"]
        if is_available(trial):
            reason, message = _because(success, "TrialSucceeded", "Trial has succeeded")
            self._event(trial, "JobSucceeded", f"Job {name} has succeeded")
            return trial_ended(trial["status"], "Succeeded", reason, message)
        reason, message = _because(success, "MetricsUnavailable", "Metrics are not available")
        text = f"Metrics are not available for Job {name}"
        self._event(trial, "MetricsUnavailable", text, WARNING)
        return trial_ended(trial["status"], "MetricsUnavailable", reason, message)

    def _observed(self, trial: Json) -> Json | None:
        name, objective = trial["metadata"]["name"], trial["spec"]["objective"]
        rows = self._database.rows(name)
        if not rows and trial["spec"]["metricsCollector"]["collector"]["kind"] == "Push":
            rows = [Row(ZERO_TIME, objective["objectiveMetricName"], UNAVAILABLE)]
            self._database.report(name, rows)
        return observation(rows, objective["metricStrategies"])

    def _write(self, trial: Json, sub: str = "") -> None:
        self._trials.note(self._api.replace(TRIALS, trial, sub))

    def _event(self, trial: Json, reason: str, message: str, kind: str = NORMAL) -> None:
        self._recorder.record(trial, TRIALS, reason, message, kind, COMPONENT)


def _because(found: Json, reason: str, message: str) -> tuple[str, str]:
    """Reason and message of the Trial, with those of its job behind."""
    if text := found.get("message"):
        message = f"{message}. Job message: {text}"
    if word := found.get("reason"):
        reason = f"{reason}. Job reason: {word}"
    return reason, message

"""Katib's Suggestion controller (v0.19): a search pod for each Experiment, and what it suggests."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence

from tests.cluster.api import Api, ApiError
from tests.cluster.informer import Informer
from tests.cluster.katib_status import is_finished, state
from tests.cluster.medianstop import rules
from tests.cluster.metrics import Database
from tests.cluster.objects import condition, is_true, now, owner, with_condition
from tests.cluster.quirks import Quirks
from tests.cluster.recorder import WARNING, Recorder
from tests.cluster.resources import (
    CLAIMS,
    DEPLOYMENTS,
    SERVICES,
    SUGGESTIONS,
    Json,
    Key,
    Resource,
    key_of,
)
from tests.cluster.search import Service, make_service
from tests.cluster.search_pod import claim, deployment, pod_name, service
from tests.cluster.search_settings import SettingsError, check_early_stopping, check_settings
from tests.cluster.search_space import SearchError

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SEARCH_RETRY_S = 0.5


class SearchPods:
    """The memory of the search pods: gone with the pod, rebuilt from nothing by the next."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._services: dict[Key, Service] = {}
        self._lock = threading.Lock()

    def ask(
        self, experiment: Json, suggestion: Json, trials: Sequence[Json], number: int
    ) -> tuple[list[list[Json]], list[Json]]:
        """New assignments and what the service keeps in the status. Raises SearchError."""
        found = self._service(experiment, suggestion)
        points = found.suggest(trials, number)
        if len(points) != number:
            raise SearchError("The response contains unexpected trials")
        return points, found.settings()

    def forget(self, key: Key) -> None:
        """The pod is gone."""
        with self._lock:
            self._services.pop(key, None)

    def _service(self, experiment: Json, suggestion: Json) -> Service:
        key = key_of(suggestion)
        carried = suggestion.get("status", {}).get("algorithmSettings") or ()
        with self._lock:
            if carried or key not in self._services:
                self._services[key] = make_service(experiment, self._quirks, carried)
            return self._services[key]


class SuggestionController:
    """With `real_pods` a Deployment must become available first, as in a cluster."""

    def __init__(
        self,
        api: Api,
        informers: dict[str, Informer],
        pods: SearchPods,
        database: Database,
        recorder: Recorder,
        *,
        real_pods: bool,
    ) -> None:
        self._api = api
        self._suggestions = informers["suggestions"]
        self._experiments = informers["experiments"]
        self._trials = informers["trials"]
        self._deployments = informers["deployments"]
        self._pods = pods
        self._database = database
        self._recorder = recorder
        self._real_pods = real_pods

    def reconcile(self, key: Key) -> float | None:
        """One look at a Suggestion; returns when to look again."""
        suggestion = self._suggestions.get(key)
        if suggestion is None:
            self._pods.forget(key)
            return None
        if "deletionTimestamp" in suggestion["metadata"]:
            return None
        status = suggestion.get("status", {})
        conditions = status.get("conditions", ())
        if is_true(conditions, "Succeeded"):
            self._remove_pod(suggestion)
            return None
        if not is_true(conditions, "Created"):
            created = with_condition([], "Created", "SuggestionCreated", "Suggestion is created")
            self._write(suggestion, {"startTime": now(), "conditions": created})
            return None
        try:
            status, after = self._followed(suggestion)
        except ApiError as error:
            if error.reason != "Conflict":
                self._complain(suggestion, error)
            raise
        if status != suggestion.get("status"):
            self._write(suggestion, status)
        return after

    def _followed(self, suggestion: Json) -> tuple[Json, float | None]:
        status: Json = suggestion["status"]
        if self._real_pods and not self._ready(suggestion):
            text = "Deployment is not ready"
            marked = _marked(status, "DeploymentReady", "DeploymentNotReady", text, "False")
            return marked, None
        experiment = self._experiments.get(key_of(suggestion))
        if experiment is None:
            return status, None
        status = _marked(status, "DeploymentReady", "DeploymentReady", "Deployment is ready")
        if not is_true(status["conditions"], "Running"):
            try:
                check_settings(experiment)
                if experiment["spec"].get("earlyStopping"):
                    check_early_stopping(experiment["spec"]["earlyStopping"])
            except SettingsError as error:
                text = f"Validation failed: ValidateAlgorithmSettings Error: {error}"
                return _marked(status, "Failed", "SuggestionFailed", text), None
            status = _marked(status, "Running", "SuggestionRunning", "Suggestion is running")
        try:
            return self._synced(experiment, suggestion, status), None
        except SearchError as error:
            self._complain(suggestion, error)
            return status, SEARCH_RETRY_S

    def _synced(self, experiment: Json, suggestion: Json, status: Json) -> Json:
        number = suggestion["spec"]["requests"] - status.get("suggestionCount", 0)
        if number <= 0:
            return status
        trials = self._trials.group(key_of(suggestion))
        sent = [one for one in trials if is_finished(one) and _has_metrics(one)]
        points, settings = self._pods.ask(experiment, suggestion, sent, number)
        stopping = rules(experiment, trials, self._database)
        given = [*(status.get("suggestions") or ())]
        for point in points:
            one: Json = {"name": _trial_name(experiment), "parameterAssignments": point}
            if stopping:
                one["earlyStoppingRules"] = stopping
            given.append(one)
        new = {**status, "suggestions": given, "suggestionCount": len(given)}
        return {**new, "algorithmSettings": settings} if settings else new

    def _ready(self, suggestion: Json) -> bool:
        """Makes what the search pod needs; whether the pod answers."""
        namespace = suggestion["metadata"]["namespace"]
        if suggestion["spec"]["resumePolicy"] == "FromVolume":
            self._ensure(CLAIMS, suggestion, claim(suggestion))
        name = pod_name(suggestion)
        found = self._deployments.get((namespace, name))
        if found is None:
            self._ensure(SERVICES, suggestion, service(suggestion))
            self._ensure(DEPLOYMENTS, suggestion, deployment(suggestion))
            return False
        return is_true(found.get("status", {}).get("conditions", ()), "Available")

    def _ensure(self, resource: Resource, suggestion: Json, obj: Json) -> None:
        obj["metadata"]["ownerReferences"] = [owner(suggestion)]
        try:
            self._api.create(resource, obj)
        except ApiError as error:
            if error.status != 409:
                raise

    def _remove_pod(self, suggestion: Json) -> None:
        """Succeeded: Deployment and Service go, and what the pod knew; a claim stays."""
        self._pods.forget(key_of(suggestion))
        place = suggestion["metadata"]["namespace"], pod_name(suggestion)
        if self._real_pods and self._deployments.get(place):
            self._api.delete(DEPLOYMENTS, *place)
            self._api.delete(SERVICES, *place)

    def _write(self, suggestion: Json, status: Json) -> None:
        changed = self._api.replace(SUGGESTIONS, {**suggestion, "status": status}, "status")
        self._suggestions.note(changed)

    def _complain(self, suggestion: Json, error: Exception) -> None:
        text = f"rpc error: code = Unknown desc = {error}"
        self._recorder.record(
            suggestion, SUGGESTIONS, "ReconcileError", text, WARNING, "suggestion-controller"
        )


def _has_metrics(trial: Json) -> bool:
    """Katib sends every finished trial but those without metrics; of the failed the state alone."""
    return state(trial) in ("Succeeded", "EarlyStopped")


def _trial_name(experiment: Json) -> str:
    return f"{experiment['metadata']['name']}-" + "".join(
        secrets.choice(ALPHABET) for _ in range(8)
    )


def _marked(status: Json, kind: str, reason: str, message: str, value: str = "True") -> Json:
    present = status["conditions"]
    if kind == "Failed" and (old := condition(present, "Running")):
        present = with_condition(present, "Running", old["reason"], old["message"], "False")
    return {**status, "conditions": with_condition(present, kind, reason, message, value)}

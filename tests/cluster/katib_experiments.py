"""Katib's Experiment controller (v0.19): asks for suggestions, makes Trials, says how it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.cluster.api import Api, ApiError
from tests.cluster.informer import Informer
from tests.cluster.katib_objects import suggestion_for, trial_for
from tests.cluster.katib_refusals import completed, restartable
from tests.cluster.katib_status import (
    ACTIVE,
    FINISHED,
    count,
    ended,
    failed_suggestion,
    restarted,
    state,
    summary,
    verdict,
)
from tests.cluster.katib_template import TemplateError, run_spec
from tests.cluster.objects import (
    finalizers_due,
    is_true,
    now,
    with_condition,
    with_finalizers,
)
from tests.cluster.quirks import Quirks
from tests.cluster.recorder import WARNING, Recorder
from tests.cluster.resources import (
    CONFIG_MAPS,
    EXPERIMENTS,
    SUGGESTIONS,
    TRIALS,
    Json,
    Key,
    key_of,
)

FINALIZER = "update-prometheus-metrics"
TEMPLATE_RETRY_S = 0.5


class ExperimentController:
    """`trials` is indexed by namespace and name of the Experiment."""

    def __init__(
        self,
        api: Api,
        experiments: Informer,
        suggestions: Informer,
        trials: Informer,
        recorder: Recorder,
        quirks: Quirks,
    ) -> None:
        self._api = api
        self._experiments = experiments
        self._suggestions = suggestions
        self._trials = trials
        self._recorder = recorder
        self._quirks = quirks

    def reconcile(self, key: Key) -> float | None:
        """One look at an Experiment; returns when to look again."""
        experiment = self._experiments.get(key)
        if experiment is None:
            return None
        finalizers = finalizers_due(experiment, FINALIZER)
        if finalizers is not None:
            changed = self._api.replace(EXPERIMENTS, with_finalizers(experiment, finalizers))
            self._experiments.note(changed)
            return None
        if "deletionTimestamp" in experiment["metadata"]:
            return None
        if not is_true(experiment.get("status", {}).get("conditions", ()), "Created"):
            created = with_condition([], "Created", "ExperimentCreated", "Experiment is created")
            status = {"startTime": now(), "completionTime": None, "conditions": created}
            self._write(experiment, status)
            return None
        try:
            status = self._followed(experiment)
        except TemplateError as error:
            self._complain(experiment, error)
            return TEMPLATE_RETRY_S
        except ApiError as error:
            if error.reason != "Conflict":
                self._complain(experiment, error)
            raise
        if status != experiment["status"]:
            self._write(experiment, status)
        return None

    def _followed(self, experiment: Json) -> Json:
        status: Json = experiment["status"]
        if completed(experiment):
            if experiment["spec"]["resumePolicy"] in ("Never", "FromVolume"):
                self._end_suggestion(key_of(experiment))
            if self._restarts(experiment):
                status = restarted(status)
                if experiment["spec"]["resumePolicy"] == "FromVolume":
                    self._restart_suggestion(key_of(experiment))
            elif not count(status, "Running"):
                return status
        trials = self._trials.group(key_of(experiment))
        experiment = {**experiment, "status": status}
        if trials:
            status, reached = summary(experiment, trials)
            experiment = {**experiment, "status": status}
            if not completed(experiment):
                status = verdict(experiment["spec"], status, reached)
                experiment = {**experiment, "status": status}
        return status if completed(experiment) else self._steer(experiment, trials)

    def _restarts(self, experiment: Json) -> bool:
        most = experiment["spec"].get("maxTrialCount")
        made = experiment["status"].get("trials", 0)
        if most is None:
            return self._quirks.restarts_without_max and made != 0
        return bool(restartable(experiment) and most > made)

    def _steer(self, experiment: Json, trials: Sequence[Json]) -> Json:
        """As many active Trials as may run at once: makes new ones or deletes the newest."""
        spec = experiment["spec"]
        status: Json = experiment["status"]
        trials = [one for one in trials if "deletionTimestamp" not in one["metadata"]]
        parallel, active = spec["parallelTrialCount"], sum(state(one) in ACTIVE for one in trials)
        if active > parallel:
            self._delete_trials(experiment, trials, active - parallel)
            return status
        wanted, most = parallel, spec.get("maxTrialCount")
        if most is not None:
            wanted = min(parallel, most - count(status, *FINISHED))
        if wanted <= active:
            return status
        return self._add_trials(experiment, trials, wanted - active)

    def _add_trials(self, experiment: Json, trials: Sequence[Json], number: int) -> Json:
        suggestion = self._request(experiment, len(trials) + number)
        if failed_suggestion(suggestion):
            # Katib leaves completionTime empty here.
            return ended(
                experiment["status"],
                "Failed",
                "ExperimentFailed",
                "Suggestion has failed",
                with_completion_time=False,
            )
        present = {trial["metadata"]["name"] for trial in trials}
        given = suggestion.get("status", {}).get("suggestions") or ()
        for assignment in [one for one in given if one["name"] not in present][:number]:
            self._create_trial(experiment, assignment)
        status: Json = experiment["status"]
        return status

    def _request(self, experiment: Json, requests: int) -> Json:
        """The Suggestion, asked for so many trials in all."""
        key = key_of(experiment)
        suggestion = self._suggestions.get(key) or self._api.find(SUGGESTIONS, *key)
        if suggestion is None:
            made = self._api.create(SUGGESTIONS, suggestion_for(experiment, requests))
            return self._suggestions.note(made)
        if suggestion["spec"]["requests"] != requests and not failed_suggestion(suggestion):
            spec = {**suggestion["spec"], "requests": requests}
            changed = self._api.replace(SUGGESTIONS, {**suggestion, "spec": spec})
            return self._suggestions.note(changed)
        return suggestion

    def _create_trial(self, experiment: Json, assignment: Json) -> None:
        name = assignment["name"]
        job = run_spec(
            experiment, name, assignment["parameterAssignments"], self._template(experiment)
        )
        trial = trial_for(experiment, assignment, job)
        try:
            self._trials.note(self._api.create(TRIALS, trial))
        except ApiError as error:
            if error.status != 409:
                raise

    def _template(self, experiment: Json) -> str:
        template = experiment["spec"]["trialTemplate"]
        if template.get("trialSpec") is not None:
            return json.dumps(template["trialSpec"])
        source = template["configMap"]
        place = source["configMapNamespace"], source["configMapName"]
        data = self._api.get(CONFIG_MAPS, *place).get("data", {})
        text: str | None = data.get(source["templatePath"])
        if text is None:
            raise TemplateError("NotFound")
        return text

    def _delete_trials(self, experiment: Json, trials: Sequence[Json], number: int) -> None:
        """The newest active ones; the Suggestion forgets what it gave them."""
        active = [trial for trial in trials if state(trial) in ACTIVE]
        doomed = [trial["metadata"]["name"] for trial in active[-number:]]
        namespace, name = key_of(experiment)
        for trial in doomed:
            self._api.delete(TRIALS, namespace, trial)
        suggestion = self._api.get(SUGGESTIONS, namespace, name)
        status = suggestion.get("status", {})
        left = [one for one in status.get("suggestions") or () if one["name"] not in doomed]
        spec = {**suggestion["spec"], "requests": len(left)}
        suggestion = self._api.replace(SUGGESTIONS, {**suggestion, "spec": spec})
        status = {**status, "suggestions": left, "suggestionCount": len(left)}
        changed = self._api.replace(SUGGESTIONS, {**suggestion, "status": status}, "status")
        self._suggestions.note(changed)

    def _end_suggestion(self, key: Key) -> None:
        suggestion = self._suggestions.get(key)
        if suggestion is None or failed_suggestion(suggestion):
            return
        status = suggestion.get("status", {})
        if is_true(status.get("conditions", ()), "Succeeded"):
            return
        conditions = with_condition(
            [one for one in status.get("conditions", ()) if one["type"] != "Running"],
            "Succeeded",
            "Experiment is succeeded",
            "Suggestion is succeeded",
        )
        self._mark_suggestion(suggestion, {**status, "conditions": conditions})

    def _restart_suggestion(self, key: Key) -> None:
        suggestion = self._suggestions.get(key)
        if suggestion is None:
            return
        status = suggestion.get("status", {})
        kept = [one for one in status.get("conditions", ()) if one["type"] != "Succeeded"]
        conditions = with_condition(
            kept, "Running", "Experiment is restarting", "Suggestion is restarting", "False"
        )
        self._mark_suggestion(suggestion, {**status, "conditions": conditions})

    def _mark_suggestion(self, suggestion: Json, status: Json) -> None:
        changed = self._api.replace(SUGGESTIONS, {**suggestion, "status": status}, "status")
        self._suggestions.note(changed)

    def _write(self, experiment: Json, status: Json) -> None:
        changed = self._api.replace(EXPERIMENTS, {**experiment, "status": status}, "status")
        self._experiments.note(changed)

    def _complain(self, experiment: Json, error: Exception) -> None:
        text = f"Failed to reconcile: {error}"
        self._recorder.record(
            experiment, EXPERIMENTS, "ReconcileError", text, WARNING, "experiment-controller"
        )

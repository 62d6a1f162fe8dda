"""Katib's early stopping (v0.19): the rule that new trials get, and when a running one meets it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.cluster.metrics import Database, Row, as_number
from tests.cluster.objects import is_true
from tests.cluster.resources import Json
from tests.cluster.search_settings import settings_of

MIN_TRIALS, START_STEP = 3, 4


def rules(experiment: Json, trials: Sequence[Json], database: Database) -> list[Json]:
    """At most one rule: worse than the mean of the succeeded trials' first steps' means.

    It is called median, and it is a mean.
    """
    spec = experiment["spec"]
    if not spec.get("earlyStopping"):
        return []
    settings = settings_of(spec["earlyStopping"])
    start = int(settings.get("start_step", START_STEP))
    name = spec["objective"]["objectiveMetricName"]
    means = []
    for trial in trials:
        if is_true(trial["status"]["conditions"], "Succeeded"):
            values = _numbers(database.rows(trial["metadata"]["name"]), name)[:start]
            if values:
                means.append(sum(values) / len(values))
    if len(means) < int(settings.get("min_trials_required", MIN_TRIALS)):
        return []
    comparison = "greater" if spec["objective"]["type"] == "minimize" else "less"
    value = str(sum(means) / len(means))
    return [{"name": name, "value": value, "comparison": comparison, "startStep": start}]


def met(trial: Json, rows: Sequence[Row]) -> bool:
    """Whether what was printed so far meets all rules; the objective's best value is compared."""
    found = trial["spec"].get("earlyStoppingRules") or []
    return bool(found) and all(_met(rule, trial["spec"]["objective"], rows) for rule in found)


def _met(rule: Json, objective: Json, rows: Sequence[Row]) -> bool:
    values = _numbers(rows, rule["name"])
    if not values or len(values) < rule.get("startStep", 0):
        return False
    value = values[-1]
    if rule["name"] == objective["objectiveMetricName"]:
        value = min(values) if objective["type"] == "minimize" else max(values)
    limit = float(rule["value"])
    if rule["comparison"] == "greater":
        return value > limit
    return value < limit if rule["comparison"] == "less" else value == limit


def _numbers(rows: Sequence[Row], name: str) -> list[float]:
    found = (as_number(row.value) for row in rows if row.name == name)
    return [value for value in found if value is not None]

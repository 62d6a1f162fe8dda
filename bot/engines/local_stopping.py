"""The early-stopping rule medianstop as Katib means it (pure).

Katib's median is a mean: of the succeeded trials' means of their first `start_step` values of the
objective. A trial keeps the limit that it began with. It is stopped if the best of its own first
`start_step` values is worse; the best only gets better, so one look is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from bot.algorithms import EARLY_STOPPING
from bot.engines.local_outcome import Verdict
from bot.spec import TuneSpec
from bot.status import TrialCondition


def start_step(spec: TuneSpec) -> int:
    """How many values of the objective the rule looks at; 0 without a rule."""
    return _setting(spec, "start_step") if spec.early_stopping else 0


def limit(spec: TuneSpec, succeeded: Iterable[Sequence[float]]) -> float | None:
    """What a trial that begins now must reach; None while too few have succeeded.

    Args:
        succeeded: the first `start_step` values of each trial that has succeeded.
    """
    means = [fmean(values) for values in succeeded if values]
    return fmean(means) if len(means) >= _setting(spec, "min_trials_required") else None


def verdict(spec: TuneSpec, limit: float, first: Sequence[float]) -> Verdict | None:
    """Why a trial is stopped whose first `start_step` values are `first`; None if it is not."""
    steps = start_step(spec)
    if len(first) < steps:
        return None
    minimize = spec.objective_type == "minimize"
    best = min(first) if minimize else max(first)
    if best <= limit if minimize else best >= limit:
        return None
    return Verdict(
        condition=TrialCondition.EARLY_STOPPED,
        reason="",
        message=f"`{spec.objective_metric_name}` was {best:.6g} at best after {steps} values; "
        f"the mean of the trials before it is {limit:.6g}.",
    )


def _setting(spec: TuneSpec, name: str) -> int:
    assert spec.early_stopping
    known = EARLY_STOPPING[spec.early_stopping].settings[name]
    return int(spec.early_stopping_settings.get(name, known.default or ""))

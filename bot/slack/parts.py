"""The parts that messages are made of: lines and tables about an Experiment. Pure; escaped text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from bot import insight, wording
from bot.notifications import Waiting
from bot.slack import blocks as b
from bot.slack.blocks import Block, Element
from bot.spec import Scalar, TuneSpec
from bot.status import Experiment, TrialCondition, TrialStatus

MAX_COPY = 4000  # of a message's 12,000 characters, for the block that is there to be copied
MAX_TABLE = 8000
MAX_SHOWN_PARAMETERS = 8
MAX_PARAMETER_COLUMNS = 8
MAX_CELL = 40


SHIPPED_MODEL = "`default` (MiniLM)"
SHIPPED_DATASET = "`default` (movie reviews)"


def tuned(spec: TuneSpec) -> str:
    """Model on dataset, or the custom objective."""
    model, data = wording.model(spec), wording.dataset(spec)
    shown = SHIPPED_MODEL if model == "default" and not spec.is_custom else b.code(model, 60)
    if not data:
        return shown
    return f"{shown} on {SHIPPED_DATASET if data == 'default' else b.code(data, 60)}"


def what(spec: TuneSpec) -> str:
    """What is tuned, method, algorithm; objective, and what it cannot say."""
    method = "" if spec.is_custom else {"lora": " · LoRA", "full": " · all weights"}[spec.method]
    objective = f"{spec.objective_type} {b.code(spec.objective_metric_name)}"
    goal = spec.objective_goal
    lines = [
        f"{tuned(spec)}{method} · {b.escape(spec.algorithm_name)}",
        f"Objective: {objective}" + (f", goal {wording.number(goal)}" if goal is not None else ""),
    ]
    if caution := wording.caution(spec):
        lines.append(f"⚠️ {caution}")
    return "\n".join(lines)


def progress(experiment: Experiment) -> str:
    """4 of 10 trials + trial 0 · 2 running · 1 failed."""
    status = experiment.status
    words = [wording.done(experiment)]
    kinds = {
        "running": status.count(TrialCondition.RUNNING),
        "failed": status.failed,
        "stopped early": status.count(TrialCondition.EARLY_STOPPED),
        "killed": status.count(TrialCondition.KILLED),
    }
    return " · ".join(words + [f"{many} {kind}" for kind, many in kinds.items() if many])


def which(trial: TrialStatus) -> str:
    """Its number, and whether it is the known-good default."""
    kind = "known-good default, " if trial.known_good else ""
    return f"{kind}trial {trial.number}"


def who_waits(waiting: Waiting, experiment: Experiment) -> str:
    """Trial 3 and 2 more wait; the Experiment waits, where it is not one trial that does."""
    if not waiting.trials:
        return "The Experiment waits"
    numbers = {trial.name: trial.number for trial in experiment.status.trials}
    name, more = waiting.trials[0], len(waiting.trials) - 1
    first = f"Trial {numbers[name]}" if name in numbers else b.code(name, 60)
    return f"{first} and {more} more wait" if more else f"{first} waits"


def metric(spec: TuneSpec) -> str:
    """The objective's name; letters, digits, _, - and | alone."""
    return b.clip(spec.objective_metric_name, 60)


def value(spec: TuneSpec, trial: TrialStatus) -> str:
    """The objective's value, in few digits."""
    seen = trial.value(spec)
    return wording.number(float(seen)) if seen is not None else "no value"


def parameters(trial: TrialStatus) -> str:
    """The searched hyperparameters of a trial on one line, the first few of them."""
    shown = list(trial.parameters.items())[:MAX_SHOWN_PARAMETERS]
    more = len(trial.parameters) - len(shown)
    words = [f"{b.code(name, 40)} {_inline(value)}" for name, value in shown]
    return " · ".join(words + ([f"and {more} more"] if more else []))


def _inline(value: Scalar) -> str:
    return b.code(value, 40) if isinstance(value, str) else wording.number(value)


def who(experiment: Experiment) -> str:
    """Who asked for it; not escaped."""
    record = experiment.record
    return b.clip(record.requested_by_name or record.requested_by, 80)


def summary(experiment: Experiment, now: datetime, link: str | None = None) -> str:
    """Two lines about an Experiment: state, name, what is tuned; best value and facts."""
    optimum, wanted = experiment.status.optimal_trial, experiment.spec
    name = f"<{link}|{experiment.name}>" if link else f"*{experiment.name}*"
    best = "no value yet"
    if optimum is not None:
        best = f"{metric(wanted)} *{value(wanted, optimum)}* (trial {optimum.number})"
    first = f"{wording.state(experiment)} · {name} · {tuned(wanted)}"
    return f"{first}\n{best} · {facts(experiment, now)}"


def facts(experiment: Experiment, now: datetime) -> str:
    """How many trials, when, by whom."""
    when = _date(insight.ended(experiment) or experiment.record.created, now)
    by = "followed for" if experiment.record.adopted else "by"
    return f"{progress(experiment)} · {when} · {by} {b.code(who(experiment), 40)}"


def _date(when: datetime, now: datetime) -> str:
    """A date that each reader sees in their own time zone and words."""
    shape = "{date_short_pretty} {time}" if when.year == now.year else "{date_short} {time}"
    return f"<!date^{int(when.timestamp())}^{shape}|{when:%d %b %Y %H:%M %Z}>"


def optimum_yaml(experiment: Experiment) -> str:
    """Every hyperparameter of the optimum, to be copied into a spec."""
    return cut(_yaml(insight.optimal_hyperparameters(experiment)), MAX_COPY)


def repeat_yaml(experiment: Experiment) -> str:
    """A spec to run again, for `tune -f` and for the form."""
    return cut(_yaml(insight.repeat_data(experiment)), MAX_COPY)


def _yaml(data: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100).rstrip()


def cut(text: str, limit: int) -> str:
    """Whole lines of `text`, and a comment that says so if there were more."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 80].rpartition("\n")[0] or text[: limit - 80]
    return f"{kept}\n# … cut here: Slack takes no more. `katib-tune best` shows all of it."


Column = tuple[str, Callable[[TrialStatus], Element]]


@dataclass(frozen=True)
class TrialTable:
    """A table block, how many trials are in it, and how many hyperparameters are not."""

    block: Block
    rows: int
    hidden: int


def trial_table(
    caption: str, experiment: Experiment, trials: Sequence[TrialStatus], *, page_size: int,
    extra: Sequence[Column] = (),
) -> TrialTable:  # fmt: skip
    """A table of trials; as many rows as Slack takes."""
    names = list(experiment.spec.searched)
    columns: list[Column] = [
        ("trial", lambda trial: b.cell(trial.number, str(trial.number))),
        _value_column(experiment.spec),
        *extra,
        *map(_parameter_column, names[:MAX_PARAMETER_COLUMNS]),
    ]
    heads = [b.clip(head, MAX_CELL) for head, _make in columns]
    rows: list[list[Element]] = []
    room = MAX_TABLE - sum(map(len, heads))
    for trial in trials[: b.MAX_TABLE_ROWS]:
        row = [make(trial) for _head, make in columns]
        room -= sum(len(cell["text"]) for cell in row)
        if room < 0:
            break
        rows.append(row)
    block = b.data_table(caption, heads, rows, page_size=page_size)
    return TrialTable(block, len(rows), max(len(names) - MAX_PARAMETER_COLUMNS, 0))


def _value_column(spec: TuneSpec) -> Column:
    def cell(trial: TrialStatus) -> Element:
        seen = trial.value(spec)
        return b.cell(seen, value(spec, trial) if seen is not None else "")

    return spec.objective_metric_name, cell


def _parameter_column(name: str) -> Column:
    def cell(trial: TrialStatus) -> Element:
        found = trial.parameters.get(name)
        return b.cell(found, b.clip(wording.number(found), MAX_CELL) if found is not None else "")

    return name, cell


def state_cell(trial: TrialStatus) -> Element:
    """Its condition in colour and words, and what is special about it."""
    note = "known-good default" if trial.known_good else trial.reason
    colour = wording.TRIAL_COLOURS[trial.condition]
    words = f"{colour} {trial.condition.value}" + (f" ({b.clip(note, 40)})" if note else "")
    return b.cell(None, words)

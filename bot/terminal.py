"""The same Experiments without any Slack: what `tune`, `best` and `list` print in a terminal."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from bot import insight, notifications, prior, spec, wording
from bot.engines.base import Engine, Query
from bot.errors import NotFoundError, SpecError
from bot.slack import command
from bot.spec import TuneSpec
from bot.status import Experiment, Record, TrialCondition, TrialStatus

LOOK_INTERVAL_S = 0.3
ERASE = "\x1b[K"  # to the end of the line: what was written there before was longer


def read_file(path: str) -> str:
    """A file's text ("-" is standard input).

    Raises:
        SpecError: it cannot be read.
    """
    try:
        return sys.stdin.read() if path == "-" else Path(path).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"`{path}` cannot be read: {error}.") from error


def read_spec(line: str, file: str | None) -> TuneSpec:
    """The spec of a typed line, or of a YAML file, completed as in Slack.

    Raises:
        SpecError: neither or both, or a spec that cannot be run.
    """
    if bool(line) == bool(file):
        raise SpecError(
            "Give a typed line or -f FILE." if not line else "Give a typed line or -f, not both.",
            hint='For example: katib-tune tune "default on default trials=6".',
        )
    if file:
        return prior.to_spec(spec.data_from_yaml(read_file(file)), secrets.token_hex(2))
    asked = command.parse_tune(line, read_file=read_file)
    if asked.verb != "tune":
        raise SpecError(f"`{asked.verb}` is a word for Slack; here a typed line names a model.")
    try:
        return prior.to_spec(asked.data, secrets.token_hex(2))
    except SpecError as error:
        raise command.locate(error, asked) from error


def tune(engine: Engine, wanted: TuneSpec, *, as_json: bool) -> int:
    """Run one Experiment to its end.

    Returns:
        0 with an optimum, 1 without, 130 after Ctrl-C (which stops it with the best so far).
    """
    refused = engine.check(wanted)
    if refused:
        raise SpecError.of(refused)
    record = Record(
        uid=secrets.token_hex(8), spec=wanted, created=datetime.now(UTC), requested_by="terminal"
    )
    engine.save(record)
    code = 0
    with _interruptible() as interrupted:
        experiment = engine.submit(wanted.name)
        _print_start(experiment, as_json)
        experiment = _follow(engine, experiment, as_json, interrupted)
        if not experiment.status.condition.is_final:
            experiment = engine.stop(wanted.name, "terminal")
            code = 130
    engine.mark_told(wanted.name, record.told.model_copy(update={"ended": True}))
    _print_end(experiment, as_json)
    return code or (0 if experiment.status.optimal_trial else 1)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that no call of the engine is cut in two; a second one does."""
    interrupted = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            signal.default_int_handler(number, frame)
        interrupted.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(
    engine: Engine, experiment: Experiment, as_json: bool, interrupted: threading.Event
) -> Experiment:
    """The Experiment at its end, or as it is when Ctrl-C is pressed."""
    shown: set[str] = set()
    said = ""
    live = sys.stdout.isatty() and not as_json
    while True:
        for trial in experiment.status.trials:
            if trial.condition.is_final and trial.name not in shown:
                shown.add(trial.name)
                _print_trial(experiment, trial, as_json)
        if experiment.status.condition.is_final:
            return experiment
        if (waits := waits_for(experiment)) != said and not as_json:
            said = waits
            if said:
                print(f"  {said}", flush=True)
        if live:
            print(f"{_running(experiment)}{ERASE}", end="\r", flush=True)
        if interrupted.wait(LOOK_INTERVAL_S):
            return experiment
        experiment = _now(engine, experiment.name)


def waits_for(experiment: Experiment) -> str:
    """What keeps it from getting on, each reason once, in one line; "" if nothing does."""
    status = experiment.status
    troubles = [each.trouble for each in notifications.waits(status)]
    said = [f"{each.message} {each.hint}".strip() for each in troubles]
    return " ".join([status.message, *said]).strip()


def _now(engine: Engine, name: str) -> Experiment:
    """The Experiment after a poll, which is what brings Experiments of a cluster forward."""
    found = [each for each in engine.poll() if each.name == name]
    return found[0] if found else engine.get(name)


def _running(experiment: Experiment) -> str:
    """One line that is written over again and again: what runs, how far, how long to go."""
    running = [t for t in experiment.status.trials if t.condition == TrialCondition.RUNNING]
    parts = [f"trial {t.number} {wording.percent(t.progress)}".strip() for t in running]
    left = insight.time_to_go(experiment, datetime.now(UTC))
    to_go = [f"{wording.about(left)} to go"] if left is not None else []
    done = f"{experiment.status.counted} of {experiment.spec.max_trial_count} done"
    return "  " + " · ".join([done, *parts, *to_go])


def _print_start(experiment: Experiment, as_json: bool) -> None:
    if as_json:
        _emit({"event": "started", "experiment": experiment.name})
        return
    asked = experiment.spec
    print(f"{experiment.name}: {command.line(asked)}", flush=True)


def trial_data(experiment: Experiment, trial: TrialStatus) -> dict[str, Any]:
    """A trial as plain data for machines."""
    return {
        "trial": trial.name,
        "condition": trial.condition.value,
        "known_good": trial.known_good,
        "parameters": dict(trial.parameters),
        experiment.spec.objective_metric_name: trial.value(experiment.spec),
        "reason": trial.reason,
        "message": trial.message,
    }


def _print_trial(experiment: Experiment, trial: TrialStatus, as_json: bool) -> None:
    if as_json:
        _emit({"event": "trial", **trial_data(experiment, trial)})
        return
    value = trial.value(experiment.spec)
    result = f"{value:.4f}" if value is not None else f"{trial.condition}: {trial.message}"
    known = "  (known-good default)" if trial.known_good else ""
    print(f"  trial {trial.number:>2}  {result}  {_pairs(trial.parameters)}{known}", flush=True)


def _print_end(experiment: Experiment, as_json: bool) -> None:
    status = experiment.status
    if as_json:
        _emit({"event": "ended", **experiment_data(experiment)})
        return
    best = status.optimal_trial
    print(f"{status.condition}: {status.message or status.reason}", flush=True)
    if best is None:
        print("No optimum: no trial reported the objective.")
        return
    metric = experiment.spec.objective_metric_name
    print(f"Optimal: {metric} {best.value(experiment.spec):.4f} (trial {best.number})")
    if verdict := wording.verdict(experiment):
        print(verdict)
    print(spec.dump(insight.optimal_hyperparameters(experiment)), end="")


def experiment_data(experiment: Experiment) -> dict[str, Any]:
    """An Experiment as plain data for machines."""
    status = experiment.status
    best = status.optimal_trial
    return {
        "experiment": experiment.name,
        "condition": status.condition.value,
        "reason": status.reason,
        "message": status.message,
        "created": experiment.record.created.isoformat(),
        "requested_by": experiment.record.requested_by_name or experiment.record.requested_by,
        "trials": len(status.trials),
        "failed": status.failed,
        "optimal": trial_data(experiment, best) if best else None,
        "spec": insight.repeat_data(experiment),
    }


def best(engine: Engine, query: str, *, as_json: bool) -> int:
    """The optimum of one Experiment as YAML, or a ranked list of several.

    Raises:
        NotFoundError: nothing matches; says what there is.
    """
    matching = engine.find(Query(text=query, limit=100))
    found = insight.ranked_experiments([e for e in matching if e.status.optimal_trial])
    if not found:
        known = [e.name for e in matching or engine.find(Query(limit=10))]
        there_is = "There is: " + ", ".join(known) + "." if known else "Start one with `tune`."
        what = f"for `{query}`" if query else "yet"
        raise NotFoundError(f"No optimum {what}.", hint=there_is)
    if as_json:
        _emit_all(experiment_data(each) for each in found)
        return 0
    for each in found[1:] and found:
        print(_line(each))
    if len(found) == 1:
        print("# " + _line(found[0]))
        print(spec.dump(insight.repeat_data(found[0])), end="")
    return 0


def listing(engine: Engine, *, as_json: bool) -> int:
    """Every Experiment, newest first."""
    found = engine.find(Query(limit=1000))
    if as_json:
        _emit_all(experiment_data(each) for each in found)
        return 0
    for each in found:
        print(_line(each))
    if not found:
        print("No Experiments yet. Start one with `katib-tune run` or `katib-tune tune`.")
    return 0


def _line(experiment: Experiment) -> str:
    status, asked = experiment.status, experiment.spec
    trial = status.optimal_trial
    value = trial.value(asked) if trial else None
    result = f"{asked.objective_metric_name} {value:.4f}" if value is not None else "no optimum"
    parameters = _pairs(trial.parameters) if trial else ""
    when = f"{experiment.record.created.astimezone():%Y-%m-%d %H:%M}"
    trials = wording.done(experiment)
    return (
        f"{experiment.name}  {status.condition}  {result}  {trials}  {when}  {parameters}".strip()
    )


def _pairs(parameters: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in parameters.items()
    )


def _emit(data: Mapping[str, Any]) -> None:
    print(json.dumps(data), flush=True)


def _emit_all(items: Iterable[Mapping[str, Any]]) -> None:
    for item in items:
        _emit(item)

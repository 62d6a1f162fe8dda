"""What people read in Slack: the card, the replies, and the answers to commands. Pure.

Each function makes one Message within Slack's limits, whatever is in the Experiment.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot import insight, notifications, spec, wording
from bot.errors import SpecError, TuneError
from bot.notifications import Ended, Failure, NewBest, Notification, Started, Waiting
from bot.slack import blocks as b
from bot.slack import command, parts, verbs
from bot.slack.blocks import SHOW_TRIALS as SHOW_TRIALS
from bot.slack.blocks import STOP as STOP
from bot.slack.blocks import Block, Element
from bot.slack.line import LineError, without_secrets
from bot.status import Experiment, TrialCondition, TrialStatus

MAX_RUNNING = 6
MAX_LISTED = 20
MAX_TYPED_LINE = 600
MAX_ERRORS = 5
MAX_WAITS = 4
TOP = 5
BAR = 12


@dataclass(frozen=True)
class Message:
    """`text` is what notifications and screen readers get; `blocks` are what is shown."""

    text: str
    blocks: tuple[Block, ...]


def _message(text: str, blocks: Iterable[Block]) -> Message:
    return Message(b.clip(text, b.MAX_MESSAGE_TEXT), tuple(blocks))


# The card


def card(experiment: Experiment, now: datetime, capabilities: Container[str]) -> Message:
    """The root message of an Experiment, edited in place; buttons only for what the engine can."""
    title = f"{wording.state(experiment)} · {experiment.name}"
    shown = [
        b.header(title),
        b.section(parts.what(experiment.spec)),
        b.section(_progress(experiment)),
        *_waits(experiment),
    ]
    if line := _best_line(experiment):
        shown.append(b.section(line))
    shown += [*_chart(experiment), *_running(experiment), _footer(experiment, now)]
    if buttons := list(_buttons(experiment, capabilities)):
        shown.append(b.actions(buttons))
    return _message(f"{title}: {parts.progress(experiment)}", shown)


def _progress(experiment: Experiment) -> str:
    maximum = experiment.spec.max_trial_count
    full = min(BAR, BAR * experiment.status.counted // maximum)
    ended = ""
    if experiment.status.condition.is_final:
        ended = f"\nEnded: {b.escape(wording.why_ended(experiment))}."
    elif message := experiment.status.message:
        ended = f"\n{b.escape(b.clip(message, 500))}"
    return f"{'▰' * full}{'▱' * (BAR - full)}  {parts.progress(experiment)}{ended}"


def _waits(experiment: Experiment) -> Iterator[Block]:
    """What it waits for, one line each."""
    found = notifications.waits(experiment.status)
    lines = [
        f"⏳ *{parts.who_waits(each, experiment)}: {_reason(each.reason)}.* "
        f"{b.escape(b.clip(each.trouble.message, 250))}"
        for each in found[:MAX_WAITS]
    ]
    if len(found) > MAX_WAITS:
        lines.append(f"and for {wording.count(len(found) - MAX_WAITS, 'more reason')}")
    if lines:
        yield b.section("\n".join(lines))


def _reason(word: str) -> str:
    return b.escape(b.clip(word, 60))


def _best_line(experiment: Experiment) -> str:
    """Best so far with its parameters and its gain; or the known-good default while it leads."""
    trial = experiment.status.optimal_trial
    if trial is None:
        return ""
    word = "Optimum" if experiment.status.condition.is_final else "Best so far"
    lines = [
        f"*{word}: {parts.value(experiment.spec, trial)}* ({parts.which(trial)})",
        parts.parameters(trial),
    ]
    if not trial.known_good:
        lines.append(b.escape(wording.verdict(experiment)))
    elif experiment.status.condition.is_final:
        lines.append("The search brought nothing: the known-good default was not beaten.")
    return "\n".join(line for line in lines if line)


def _chart(experiment: Experiment) -> Iterator[Block]:
    """Each trial and the best so far, once there are two; Slack draws at most twenty points."""
    wanted, trials = experiment.spec, experiment.status.trials
    line = insight.best_so_far(wanted, trials)
    if len(line) < 2:
        return
    points = insight.thinned(line, b.MAX_CHART_POINTS)
    values = {trial.number: insight.trial_value(wanted, trial) or 0.0 for trial in trials}
    yield b.line_chart(
        "Best so far",
        [str(number) for number, _best in points],
        {
            "best so far": [best for _number, best in points],
            "each trial": [values[number] for number, _best in points],
        },
        x_label="trial",
        y_label=wanted.objective_metric_name,
    )


def _running(experiment: Experiment) -> Iterator[Block]:
    trials = [t for t in experiment.status.trials if t.condition is TrialCondition.RUNNING]
    if not trials or experiment.status.condition.is_final:
        return
    shown = [
        f"trial {t.number} {wording.percent(t.progress)}".rstrip() for t in trials[:MAX_RUNNING]
    ]
    more = [f"{len(trials) - MAX_RUNNING} more"] if len(trials) > MAX_RUNNING else []
    yield b.context(b.mrkdwn("Running: " + " · ".join(shown + more)))


def _footer(experiment: Experiment, now: datetime) -> Block:
    """Elapsed, GPU-hours, time to go, who started it: plain text, where names have no effect."""
    elapsed, over = insight.elapsed(experiment, now), experiment.status.condition.is_final
    hours = wording.gpu_hours(experiment.status.gpu_hours, rough=not over)
    if over:
        words = [f"Took {wording.duration(elapsed)}"] if insight.ended(experiment) else []
    else:
        words = [f"{wording.about(elapsed)} so far"]
        left = insight.time_to_go(experiment, now)
        words += [f"about {wording.about(left)} to go"] if left else []
    words += [hours] if hours else []
    by = "followed for" if experiment.record.adopted else "started by"
    return b.context(b.plain(" · ".join([*words, f"{by} {parts.who(experiment)}"]), 300))


def _buttons(experiment: Experiment, capabilities: Container[str]) -> Iterator[Element]:
    ours = not experiment.record.adopted and "stop" in capabilities
    if ours and not experiment.status.condition.is_final:
        sure = b.confirm(
            "Stop this Experiment?",
            "Running trials are killed. The best so far and all finished trials are kept.",
            yes="Stop it", no="Let it run",
        )  # fmt: skip
        yield b.button("Stop", STOP, experiment.name, style="danger", confirm=sure)
    if experiment.status.trials:
        yield b.button("Show trials", SHOW_TRIALS, experiment.name)


# The replies


def reply(notification: Notification, experiment: Experiment) -> Message:
    """What the thread is told."""
    match notification:
        case Started():
            return _started(experiment)
        case NewBest():
            return _new_best(notification, experiment)
        case Failure():
            return _failure(notification, experiment)
        case Waiting():
            return _waiting(notification, experiment)
        case Ended():
            return _ended(experiment)


def _started(experiment: Experiment) -> Message:
    wanted, first = experiment.spec, experiment.status.known_good_trial
    beside = ", and beside them the known-good default (trial 0)" if first and first.beside else ""
    text = (
        f"🚀 Started: up to {wording.count(wanted.max_trial_count, 'trial')}, "
        f"{wanted.parallel_trial_count} at a time{beside}. Searched by {wanted.algorithm_name}:"
    )
    space = command.show_hyperparameters(wanted.searched)
    return _message(text, [b.section(text), b.preformatted(parts.cut(space, parts.MAX_COPY))])


def _new_best(news: NewBest, experiment: Experiment) -> Message:
    metric = parts.metric(experiment.spec)
    text = (
        f"📈 New best: {metric} *{parts.value(experiment.spec, news.trial)}* in trial "
        f"{news.trial.number} (before: {wording.number(news.previous_value)})"
    )
    lines = [text, parts.parameters(news.trial), b.escape(wording.verdict(experiment))]
    return _message(text, [b.section("\n".join(line for line in lines if line))])


def _failure(news: Failure, experiment: Experiment) -> Message:
    text, lines = _failure_words(news)
    left = experiment.spec.max_failed_trial_count - experiment.status.failed
    if left > 0 and not experiment.status.condition.is_final:
        lines.append(f"The others go on; {wording.count(left, 'more failure')} would end it.")
    return _message(text, [b.section("\n".join([f"⚠️ *{text}*", *lines]))])


def _failure_words(news: Failure) -> tuple[str, list[str]]:
    """A heading, and the sentences below: cause and remedy. Escaped."""
    trials = f"Trial {news.trial.number}"
    if news.count > 1:
        trials += f" and {news.count - 1} more"
    reason = _reason(news.reason)
    said = [b.escape(b.clip(news.trial.message, 1200))] if news.trial.message else []
    remedy = wording.REMEDIES.get(news.reason)
    return f"{trials} failed: {reason}", said + ([b.escape(remedy)] if remedy else [])


def _waiting(news: Waiting, experiment: Experiment) -> Message:
    text = f"{parts.who_waits(news, experiment)}: {_reason(news.reason)}"
    said = [b.escape(b.clip(each, 1200)) for each in (news.trouble.message, news.trouble.hint)]
    lines = [f"⏳ *{text}*", *(each for each in said if each)]
    return _message(f"⏳ {text}", [b.section("\n".join(lines))])


def _ended(experiment: Experiment) -> Message:
    """The end: the optimum to copy, the top five, and an honest word on what it is worth."""
    optimum = experiment.status.optimal_trial
    text = _end_words(experiment, optimum)
    shown = [b.section(text)]
    if optimum is not None:
        shown.append(b.preformatted(parts.optimum_yaml(experiment)))
        shown += _top(experiment)
    if failed := notifications.failures(experiment.status):
        shown.append(b.section(_causes(failed)))
    if optimum is not None:
        shown.append(b.section(_how_to_reuse(experiment)))
    return _message(text, shown)


def _end_words(experiment: Experiment, optimum: TrialStatus | None) -> str:
    status, wanted = experiment.status, experiment.spec
    why = b.escape(wording.why_ended(experiment))
    end = insight.ended(experiment)
    after = f" after {wording.duration(insight.elapsed(experiment, end))}" if end else ""
    failed = f", {status.failed} failed" if status.failed else ""
    unfinished = status.count(TrialCondition.KILLED)
    killed = f", {unfinished} killed" if unfinished else ""
    used = f", {hours}" if (hours := wording.gpu_hours(status.gpu_hours)) else ""
    ended = f"🏁 *{experiment.name}* ended{after}: {why} ("
    ended += f"{wording.done(experiment)}{failed}{killed}{used})."
    # The engine's own sentence says why it failed; elsewhere our words do.
    if status.message and status.condition.value == "Failed":
        ended += f"\n{b.escape(b.clip(status.message, 1000))}"
    if optimum is None:
        nothing = "No trial reported a value, so there are no optimal hyperparameters."
        return f"{ended}\n{nothing}"
    metric = parts.metric(wanted)
    word = "Best so far" if status.reason == "Deleted" else "Optimal hyperparameters"
    lines = [
        ended,
        f"*{word}: {metric} {parts.value(wanted, optimum)}* ({parts.which(optimum)})",
        b.escape(wording.verdict(experiment)),
        f"⚠️ {caution}" if (caution := wording.caution(wanted)) else "",
    ]
    return "\n".join(line for line in lines if line)


def _top(experiment: Experiment) -> list[Block]:
    ranked = insight.ranked(experiment.spec, experiment.status.trials)
    if len(ranked) < 2:
        return []
    table = parts.trial_table(
        f"Top {min(TOP, len(ranked))} trials", experiment, ranked[:TOP], page_size=TOP
    )
    return [table.block]


def _causes(failed: Sequence[Failure]) -> str:
    lines = ["*Failures*"]
    for news in failed[:5]:
        heading, said = _failure_words(news)
        lines.append(f"⚠️ {heading}. {' '.join(said)}")
    if len(failed) > 5:
        lines.append(f"and {len(failed) - 5} more kinds: press Show trials.")
    return "\n".join(b.clip(line, 500) for line in lines)


def _how_to_reuse(experiment: Experiment) -> str:
    again = f"`/katib-best {experiment.name}` finds this again, with YAML to reuse."
    repeat = insight.repeat_data(experiment)
    if experiment.spec.is_custom:
        return again
    # Without its name, so that it can be sent more than once.
    line = command.line(spec.read({**repeat, "name": "again"})).replace(" name=again", "", 1)
    if len(line) > MAX_TYPED_LINE:
        return again
    typed = b.escape(f"/katib-tune {line}".replace("`", "ˋ"))
    return f"{again} To see how much of it is luck, train it with three seeds:\n```{typed}```"


def trials(experiment: Experiment, now: datetime) -> Message:
    """All trials, for one person: number, value, state, duration, hyperparameters, failures."""
    text = f"{experiment.name}: {parts.progress(experiment)}"
    if not experiment.status.trials:
        return _message(text, [b.section(f"*{b.escape(text)}*\nNo trial has been made yet.")])

    def took(trial: TrialStatus) -> Element:
        time = insight.duration(trial, now)
        seconds = round(time.total_seconds()) if time is not None else None
        return b.cell(seconds, wording.duration(time) if time is not None else "")

    ordered = sorted(experiment.status.trials, key=lambda trial: trial.number, reverse=True)
    table = parts.trial_table(
        f"Trials of {experiment.name}", experiment, ordered, page_size=10,
        extra=[("state", parts.state_cell), ("duration", took)],
    )  # fmt: skip
    shown = [b.section(f"*{b.escape(text)}*"), table.block]
    notes = []
    if table.rows < len(ordered):
        notes.append(f"The newest {table.rows} of {len(ordered)} trials.")
    if table.hidden:
        notes.append(f"{wording.count(table.hidden, 'hyperparameter')} not shown.")
    if notes:
        shown.append(b.context(b.mrkdwn(" ".join(notes))))
    if failed := notifications.failures(experiment.status):
        shown.append(b.section(_causes(failed)))
    return _message(text, shown)


# Answers to commands


def started(experiment: Experiment, permalink: str | None) -> Message:
    """To whoever typed the line: it runs, and where to follow it."""
    text = f"🚀 *{experiment.name}* is started."
    follow = f" <{permalink}|Follow it in its thread.>" if permalink else ""
    return _message(text, [b.section(text + follow)])


def stopping(experiment: Experiment) -> Message:
    """To whoever stopped it, or came too late for that."""
    name, why = experiment.name, wording.why_ended(experiment)
    text = f"*{name}* has ended: {b.escape(why)}."
    if experiment.status.optimal_trial:
        text += f" The best so far is kept: `/katib-best {name}`"
    if not experiment.status.condition.is_final:
        text = f"*{name}* is being stopped; the best so far is kept."
    return _message(text, [b.section(text)])


def status(experiment: Experiment, now: datetime, trouble: str = "") -> Message:
    """The card as it is now, without buttons; `trouble` is why it may be older than that."""
    shown = card(experiment, now, frozenset())
    if not trouble:
        return shown
    warning = b.section(f"⚠️ {b.escape(b.clip(trouble, 1000))}")
    return _message(shown.text, [warning, *shown.blocks])


def listing(experiments: Sequence[Experiment], now: datetime) -> Message:
    """The newest Experiments, one line each."""
    if not experiments:
        text = "There is no Experiment yet. `/katib-tune default on default` starts one."
        return _message(text, [b.section(text)])
    shown = experiments[:MAX_LISTED]
    text = f"{wording.count(len(shown), 'Experiment')}, newest first"
    lines = [parts.summary(experiment, now) for experiment in shown]
    return _message(text, [b.section(f"*{text}*"), *map(b.section, lines)])


def best(
    found: Sequence[Experiment],
    query: str,
    permalinks: Mapping[str, str],
    now: datetime,
    *,
    known: Sequence[Experiment] = (),
) -> Message:
    """The optimum of the one that was meant, a short ranking of several, or what there is.

    Args:
        found: what matches `query`. known: what there is, shown when nothing matches.
        permalinks: threads by Experiment name.
    """
    if len(found) == 1:
        return _best_of(found[0], permalinks.get(found[0].name), now)
    if found:
        return _ranking(found, query, permalinks, now)
    words = f"Nothing matches {b.code(query)}." if query else "There is no Experiment yet."
    names = ", ".join(b.code(experiment.name) for experiment in known[:MAX_LISTED])
    text = f"{words} There is: {names}" if known else f"{words} `/katib-tune help` shows how."
    return _message(text, [b.section(text)])


def _best_of(experiment: Experiment, link: str | None, now: datetime) -> Message:
    optimum, wanted = experiment.status.optimal_trial, experiment.spec
    facts = f"{wording.state(experiment)} · {parts.tuned(wanted)}\n{parts.facts(experiment, now)}"
    if link:
        facts += f" · <{link}|thread>"
    if optimum is None:
        text = f"*{experiment.name}* has no optimal hyperparameters (yet)."
        return _message(text, [b.section(f"{text}\n{facts}")])
    value = f"{parts.metric(wanted)} {parts.value(wanted, optimum)}"
    text = f"🏆 *{experiment.name}: {value}* ({parts.which(optimum)})"
    verdict, caution = b.escape(wording.verdict(experiment)), wording.caution(wanted)
    lines = [text, facts, verdict, f"⚠️ {caution}" if caution else ""]
    again = "runs the search again" if wanted.is_custom else "trains it again with three seeds"
    return _message(
        text,
        [
            b.section("\n".join(line for line in lines if line)),
            b.section("*Optimal hyperparameters*"),
            b.preformatted(parts.optimum_yaml(experiment)),
            b.section(f"*To reuse*: `katib-tune tune -f FILE`, or pasted into the form, {again}."),
            b.preformatted(parts.repeat_yaml(experiment)),
        ],
    )


def _ranking(
    found: Sequence[Experiment], query: str, permalinks: Mapping[str, str], now: datetime
) -> Message:
    """Experiments of one metric, the best first; those of several metrics side by side."""
    text = f"{len(found)} Experiments match {b.code(query)}" if query else "The best so far"
    lines = [
        parts.summary(e, now, permalinks.get(e.name))
        for e in insight.ranked_experiments(found)[:10]
    ]
    more = f" The best of each metric first; {len(found) - 10} more." if len(found) > 10 else ""
    tell = f"`/katib-best NAME` shows one of them with its hyperparameters and YAML.{more}"
    return _message(
        text, [b.section(f"*{text}*"), *map(b.section, lines), b.context(b.mrkdwn(tell))]
    )


HELP = (
    "*Tune a model from here*\n"
    "`/katib-tune default on default` tries 10 configurations of the shipped model on the "
    "shipped movie reviews\n"
    "`/katib-tune default on default learning_rate=2e-4..4e-3:log r=8,16,32 trials=6 parallel=2`\n"
    "`/katib-tune meta-llama/Llama-3.2-1B on imdb split=train[:1000] trials=20 for=2h`",
    "`/katib-tune` opens the form\n"
    "{verbs}\n"
    "`/katib-best [Experiment, model or dataset]` finds the optimal hyperparameters again",
    "Ranges are `a..b`, with `:log`, `:int` or `:step=x`; lists are `a,b,c`; plain values are "
    "fixed. Every field of the form can be typed by its name.",
)


def help_text(capabilities: Container[str]) -> Message:
    """How to start, in three examples, and the verbs that the engine has."""
    lines = [f"`/katib-tune {u.written}` {u.does}" for u in verbs.offered(capabilities)]
    shown = "\n".join(lines)
    return _message(HELP[0], [b.section(part.format(verbs=shown)) for part in HELP])


def refusal(error: TuneError, typed: str = "") -> Message:
    """What was wrong, one entry for each error, and the line put right, or as typed, to send again.

    A token that was typed where a Secret's name belongs is not repeated.
    """
    errors: Sequence[TuneError] = error.all if isinstance(error, SpecError) else (error,)
    shown = [b.section(_refused(each)) for each in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        shown.append(b.context(b.mrkdwn(f"and {len(errors) - MAX_ERRORS} more.")))
    located = [each for each in errors if isinstance(each, LineError)]
    if located and located[0].corrected:
        line = b.clip(f"/katib-tune {located[0].corrected}", 3000)
        shown += [b.section("Put right:"), b.preformatted(line)]
    elif typed and not any(each.pointed for each in located):
        line = b.clip(without_secrets(typed), 3000)
        shown += [b.section("You typed:"), b.preformatted(line)]
    return _message(f"❌ {b.clip(b.escape(str(errors[0])), 1000)}", shown)


def _refused(error: TuneError) -> str:
    said = f"❌ {b.clip(b.escape(str(error)), 1000)}"
    pointed = error.pointed if isinstance(error, LineError) else ""
    return f"{said}\n{b.escape(pointed)}" if pointed else said

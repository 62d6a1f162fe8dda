"""What whoever asked for an action reads: followed, extended, tried again, and logs. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot import wording
from bot.slack import blocks as b
from bot.slack import parts
from bot.slack.messages import Message
from bot.status import Experiment, TrialCondition, TrialStatus

MAX_LOG = 9000  # of a message's 12,000 characters; words and JSON need the rest
MAX_LOG_LINE = 1000
# Colours and cursor movements of a terminal.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


def _one(text: str) -> Message:
    return Message(b.clip(text, b.MAX_MESSAGE_TEXT), (b.section(text),))


def watched(experiment: Experiment, link: str | None, *, anew: bool) -> Message:
    """It is followed from now on, or it was already."""
    name, state = b.escape(experiment.name), wording.state(experiment)
    where = f" <{link}|Its thread is here.>" if link else ""
    if anew:
        return _one(f"👀 *{name}* ({state}) is followed in this channel from now on.{where}")
    return _one(f"*{name}* ({state}) is followed already.{where}")


def extended(before: Experiment, after: Experiment) -> Message:
    """How far it goes now, and whether it had ended."""
    count = wording.count(after.spec.max_trial_count, "trial")
    ended = before.status.condition.is_final
    runs = "had ended; it goes on with" if ended else "runs"
    finished = f"{after.status.counted} ended so far"
    return _one(f"*{b.escape(after.name)}* {runs} up to {count} now; {finished}.")


def parallel(experiment: Experiment) -> Message:
    """How many trials run at a time now; a lower number ends the newest of those that run."""
    allowed = experiment.spec.parallel_trial_count
    surplus = experiment.status.count(TrialCondition.RUNNING) - allowed
    count = wording.count(allowed, "trial")
    ended = f" More are running: the newest {surplus} end now, unfinished." if surplus > 0 else ""
    return _one(f"*{b.escape(experiment.name)}* runs up to {count} at a time now.{ended}")


def paused(experiment: Experiment) -> Message:
    """How many trials run no more, and how it goes on."""
    running = experiment.status.count(TrialCondition.RUNNING)
    held = f" {wording.count(running, 'trial')} end now and go on then." if running else ""
    return _one(
        f"⏸️ *{b.escape(experiment.name)}* is paused until `/katib-tune resume "
        f"{experiment.name}`.{held}"
    )


def resumed(before: Experiment) -> Message:
    """It goes on, or was not paused."""
    name = b.escape(before.name)
    if not before.is_paused:
        return _one(f"*{name}* is not paused: it runs.")
    return _one(f"▶️ *{name}* goes on.")


def retried(experiment: Experiment, trial: TrialStatus) -> Message:
    """A trial runs again; the card shows it like any other."""
    return _one(
        f"🔁 Trial {trial.number} of *{b.escape(experiment.name)}* is tried again, with the same "
        f"hyperparameters: {parts.parameters(trial) or 'none are searched'}"
    )


def logs(experiment: Experiment, trial: TrialStatus, text: str) -> Message:
    """The last lines that a trial printed, as many as Slack takes, and how many were cut."""
    state = trial.condition.value + (f", {trial.reason}" if trial.reason else "")
    title = f"Trial {trial.number} of *{b.escape(experiment.name)}* ({b.escape(b.clip(state, 80))})"
    lines = readable(text)
    if not lines:
        return _one(f"{title} has printed nothing.")
    shown = _last(lines, MAX_LOG)
    cut = len(lines) - len(shown)
    blocks = [b.section(title), b.preformatted("\n".join(shown))]
    if cut:
        note = f"The last {len(shown)} of {len(lines)} lines; Slack takes no more."
        blocks.append(b.context(b.mrkdwn(note)))
    return Message(f"Trial {trial.number} of {experiment.name}: what it printed", tuple(blocks))


def readable(text: str) -> list[str]:
    """Lines as a terminal would leave them: progress bars at their last state, no colours."""
    lines = []
    for line in text.split("\n"):
        last = line.rstrip("\r").rpartition("\r")[2]
        lines.append(b.clip(CONTROL.sub("", last).rstrip(), MAX_LOG_LINE))
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def _last(lines: Sequence[str], limit: int) -> list[str]:
    """As many of the last lines as fit into `limit` characters; at least one."""
    start, room = len(lines), limit
    while start and (room := room - len(lines[start - 1]) - 1) >= 0:
        start -= 1
    return list(lines[start:])

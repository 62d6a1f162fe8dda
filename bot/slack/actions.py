"""What people do to an Experiment that exists, each with the answer that they get."""

from __future__ import annotations

from collections.abc import Callable

from bot.engines.base import Engine
from bot.errors import NotFoundError
from bot.poller import Poller
from bot.slack import answers, messages, verbs
from bot.slack.messages import Message
from bot.slack.verbs import Words
from bot.status import Experiment, TrialStatus


class Actions:
    """The verbs that are about one Experiment: the engine does it, then card and thread follow.

    Each raises NotFoundError, or EngineError with what forbids it.

    Args:
        permalink: the address of an Experiment's thread, if it has one.
    """

    def __init__(
        self, engine: Engine, poller: Poller, permalink: Callable[[Experiment], str | None]
    ) -> None:
        self._engine = engine
        self._poller = poller
        self._permalink = permalink

    def stop(self, name: str, by: str) -> Message:
        """End it; what has ended already is only said."""
        before = self._engine.get(name)
        if before.status.condition.is_final:
            return messages.stopping(before)
        stopped = self._engine.stop(name, by)
        self._follow(stopped)
        return messages.stopping(stopped)

    def extend(self, words: Words, by: str) -> Message:
        """More trials; what has ended goes on."""
        before = self._engine.get(words.name)
        after = self._engine.extend(words.name, words.count, by)
        self._follow(after)
        return answers.extended(before, after)

    def set_parallel(self, words: Words, by: str) -> Message:
        """More or fewer trials at a time."""
        after = self._engine.set_parallel(words.name, words.count, by)
        self._follow(after)
        return answers.parallel(after)

    def pause(self, name: str, by: str) -> Message:
        """None of its trials run until it is resumed."""
        after = self._engine.pause(name, by)
        self._follow(after)
        return answers.paused(after)

    def resume(self, name: str, by: str) -> Message:
        """What is paused goes on."""
        before = self._engine.get(name)
        after = self._engine.resume(name, by)
        self._follow(after)
        return answers.resumed(before)

    def retry(self, words: Words, by: str) -> Message:
        """A trial's hyperparameters once more."""
        experiment, trial = self._trial(words)
        self._follow(self._engine.retry_trial(experiment.name, trial.name, by))
        return answers.retried(experiment, trial)

    def logs(self, words: Words) -> Message:
        """The last lines that a trial printed."""
        experiment, trial = self._trial(words)
        return answers.logs(experiment, trial, self._engine.logs(experiment.name, trial.name))

    def watch(self, words: Words, channel: str, user: str, user_name: str) -> Message:
        """Follow in this channel what others started; what is followed already says where."""
        before = self._found(words.name)
        found = self._engine.adopt(words.name, channel, user, user_name)
        anew = before is None or (found.is_open and not before.is_open)
        if anew:
            self._follow(found)
            found = self._engine.get(found.name)
        return answers.watched(found, self._permalink(found), anew=anew)

    def _follow(self, experiment: Experiment) -> None:
        if experiment.record.channel is not None:
            self._poller.tell(experiment.name)

    def _found(self, name: str) -> Experiment | None:
        try:
            return self._engine.get(name)
        except NotFoundError:
            return None

    def _trial(self, words: Words) -> tuple[Experiment, TrialStatus]:
        """The trial that is meant, and its Experiment.

        Raises:
            NotFoundError: there is none, or only an Experiment was named.
        """
        if words.name:
            experiment = self._engine.get(words.name)
            return experiment, verbs.find_trial(experiment.name, experiment.status, words.trial)
        for name in verbs.experiment_names(words.trial):
            found = self._found(name)
            if found and (trial := verbs.trial_of(name, found.status, words.trial)):
                return found, trial
        if self._found(words.trial) is not None:
            raise NotFoundError(
                f"`{words.trial}` is an Experiment, not a trial.",
                hint=f"Say which trial of it: `{words.trial} 0`; `Show trials` lists them.",
            )
        raise NotFoundError(
            f"There is no trial `{words.trial}`.",
            hint="Write its Experiment's name and its number; `list` shows the names.",
        )

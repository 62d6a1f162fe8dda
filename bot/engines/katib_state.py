"""What the Katib engine remembers of an Experiment besides its record (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.spec import Frozen, Scalar
from bot.status import Ending, TrialStatus


class OwnTrial(Frozen):
    """A trial that we run ourselves, beside Katib's: trial 0, or a trial tried again.

    `name` is its job's; `parameters` are its values with their types.
    """

    name: str
    parameters: Mapping[str, Scalar]
    known_good: bool = False
    retry_of: str = ""


class End(Frozen):
    """Why a trial failed, as its pods and its log said: one word and a sentence."""

    reason: str
    message: str


class State(Frozen):
    """What cannot be read off the cluster, or not any more.

    Args:
        fetched: model and data are in the volume, or nothing is to be fetched.
        node: the node where the volume was filled, if trials have to run there too.
        created: the Experiment exists, or existed: if it is gone, somebody deleted it.
        order: Katib's trials in the order of their numbers, as far as it was kept.
        own: our own trials, in the order in which they were asked for.
        outcomes: own trials that have ended, by name.
        gpu_seconds: GPUs held by a trial's pods times how long, by trial.
        ends: why trials failed, by trial.
        logs: the last lines of failed trials, by trial; a bounded number of them.
        ending: how it ends, once that is decided: by a person, a budget, or because it is over.
        trials: the trials as they ended; only once `ending` is set.
    """

    fetched: bool = False
    node: str = ""
    created: bool = False
    order: tuple[str, ...] = ()
    own: tuple[OwnTrial, ...] = ()
    outcomes: Mapping[str, TrialStatus] = {}
    gpu_seconds: Mapping[str, float] = {}
    ends: Mapping[str, End] = {}
    logs: Mapping[str, str] = {}
    ending: Ending | None = None
    trials: tuple[TrialStatus, ...] = ()

"""What asks a trial to end before its last step: SIGTERM, or a deadline that is near."""

from __future__ import annotations

import math
import time
from enum import IntEnum

# Kubernetes and torchrun kill 30 s after SIGTERM; the last words need a moment.
GRACE_S = 25.0
# One stop may come twice, by torchrun and by who signals a whole process group.
SAME_SIGNAL_S = 2.0
# What is left of a deadline for the end: result, saved model.
LAST_WORDS_S = 1.0


class Ask(IntEnum):
    """The stronger one is the larger one."""

    NOTHING = 0
    DEADLINE = 1
    STOP = 2


class Stop:
    """Asked by a signal handler, looked at by the training after every step."""

    def __init__(self, deadline_s: float | None = None) -> None:
        self.is_watched = False  # whether a training looks at it
        self.checkpoint_step: int | None = None  # where the trial would go on
        self.deadline_s = deadline_s
        self._began = time.monotonic()
        self._asked_at = math.inf

    def ask(self) -> bool:
        """Asks for the end; False if it was asked before, and this is not the same signal again."""
        now = time.monotonic()
        if self.is_asked:
            return now - self._asked_at < SAME_SIGNAL_S
        self._asked_at = now
        return True

    @property
    def is_asked(self) -> bool:
        return self._asked_at < math.inf

    def left_s(self) -> float:
        """Seconds to the deadline."""
        if self.deadline_s is None:
            return math.inf
        return self.deadline_s - (time.monotonic() - self._began)

    def wants(self, needed_s: float) -> Ask:
        """What is asked of a training whose next step and end need so many seconds."""
        if self.is_asked:
            return Ask.STOP
        return Ask.DEADLINE if self.left_s() < needed_s + LAST_WORDS_S else Ask.NOTHING

    def sentence(self) -> str:
        """What is said of a trial that was stopped."""
        stopped = "The trial was stopped by SIGTERM before it finished"
        if self.checkpoint_step is None:
            return f"{stopped}."
        return f"{stopped}; started again, it goes on from step {self.checkpoint_step}."

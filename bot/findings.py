"""What `doctor` finds: one sentence, and whether it needs anybody's attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One sentence about one topic; `wrong` is what keeps the bot from working."""

    verdict: Verdict
    topic: str
    sentence: str

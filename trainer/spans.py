"""Answers as spans of tokens: the best one of a window, and SQuAD's comparison of two answers."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


class Span(NamedTuple):
    """The best answer of a window: its score, and its first and last token."""

    score: float
    first: int
    last: int


def best_span(start: np.ndarray, end: np.ndarray, context: range, longest: int) -> Span:
    """The span of at most `longest` tokens within `context` whose start and end sum highest.

    Args:
        start, end: the logits of each token of one window, (length,).
    """
    begins, ends = start[context.start : context.stop], end[context.start : context.stop]
    # Row i: the ends that an answer beginning at i may have, -inf behind the context.
    padded = np.append(ends, np.full(longest - 1, -np.inf, ends.dtype))
    sums = begins[:, None] + np.lib.stride_tricks.sliding_window_view(padded, longest)
    first, more = np.unravel_index(sums.argmax(), sums.shape)
    begin = context.start + int(first)
    return Span(float(sums[first, more]), begin, begin + int(more))


def normalised(answer: str) -> str:
    """Lower case, without punctuation, articles and more than one space, as SQuAD's script."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def exact_match(found: str, actual: Sequence[str]) -> float:
    """1 if `found` is one of the answers, else 0; no answers means that there is none to find."""
    return max(float(normalised(found) == normalised(each)) for each in actual or ("",))


def f1(found: str, actual: Sequence[str]) -> float:
    """The overlap in words with the answer that is nearest, 0..1."""
    return max(_f1(normalised(found).split(), normalised(each).split()) for each in actual or ("",))


def _f1(found: list[str], actual: list[str]) -> float:
    if not found or not actual:
        return float(found == actual)
    shared = (Counter(found) & Counter(actual)).total()
    return 2 * shared / (len(found) + len(actual))

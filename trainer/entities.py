"""Named entities in sequences of tags, and how those that were found are scored against the true.

As conlleval and seqeval's default read them: IOB1, IOB2, IOE and BIOES (BILOU, too), leniently: an
entity also begins with an `I-` that follows nothing of its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Entity = tuple[str, int, int]  # its type, its first and its last word
OUTSIDE = "O"
PREFIXED = re.compile(r"[BIESLU]-.+")
STANDARD = {"L": "E", "U": "S"}  # BILOU's letters for BIOES'


def is_scheme(names: Iterable[str]) -> bool:
    """Whether tags of these names mark entities: all but `O` have a prefix such as `B-`."""
    marked = [name for name in names if name != OUTSIDE]
    return bool(marked) and all(PREFIXED.fullmatch(name) for name in marked)


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of one sequence of tags, in order."""
    found = []
    start, before, kind = 0, OUTSIDE, ""
    for i, tag in enumerate([*tags, OUTSIDE]):
        letter, _, of = tag.partition("-")
        letter = STANDARD.get(letter, letter)
        breaks = of != kind or before in ("E", "S") or letter in ("B", "S", OUTSIDE)
        if before != OUTSIDE and breaks:
            found.append((kind, start, i - 1))
        if letter != OUTSIDE and (breaks or before == OUTSIDE):
            start = i
        before, kind = letter, of
    return found


def entity_scores(
    found: Sequence[Sequence[str]], actual: Sequence[Sequence[str]]
) -> dict[str, float]:
    """precision, recall and f1 of whole entities, whose type and both ends must be right.

    Args:
        found, actual: the tags of each text; 0 is the score where there is nothing to divide by.
    """
    right = said = there = 0
    for tags, truth in zip(found, actual, strict=True):
        one, other = set(entities(tags)), set(entities(truth))
        right, said, there = right + len(one & other), said + len(one), there + len(other)
    return {
        "precision": right / said if said else 0.0,
        "recall": right / there if there else 0.0,
        "f1": 2 * right / (said + there) if said + there else 0.0,
    }

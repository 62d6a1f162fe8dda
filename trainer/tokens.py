"""Pieces of text as tokens and labels, rows of a length that fits, and rows packed into one.

A row is `input_ids` and, as long, `labels`: at each position the token that should come next, or
-100 where that token is not to be learned. So labels and logits stand at the same positions.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.errors import TrialError
from trainer.prompts import Piece
from trainer.tasks.base import NO_LABEL, Features


def tokenized(
    rows: Sequence[Sequence[Piece]], tokenizer: Any, *, begins: bool
) -> list[tuple[list[int], np.ndarray]]:
    """The tokens of each row, and which of them are learned: those with a character that is.

    Args:
        begins: whether a row begins with the token for the beginning, if the tokenizer has one.
    """
    if not rows:
        return []
    if not tokenizer.is_fast:
        raise TrialError(
            "ModelNotFound",
            "This model's tokenizer does not tell where a token stands in its text (it is not a "
            "fast one), so completions cannot be told from prompts; use another model.",
        )
    texts = ["".join(piece.text for piece in row) for row in rows]
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    first = [tokenizer.bos_token_id] if begins and _starts_with_bos(tokenizer) else []
    found = []
    for row, ids, offsets in zip(
        rows, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        learned = _learned(row, np.asarray(offsets, dtype=np.int64).reshape(-1, 2))
        found.append((first + ids, np.concatenate((np.zeros(len(first), dtype=bool), learned))))
    return found


def _starts_with_bos(tokenizer: Any) -> bool:
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer("")["input_ids"][:1] == [bos]


def _learned(row: Sequence[Piece], offsets: np.ndarray) -> np.ndarray:
    learned = np.zeros(len(offsets), dtype=bool)
    start = 0
    for piece in row:
        end = start + len(piece.text)
        if piece.learned:
            learned |= (offsets[:, 1] > start) & (offsets[:, 0] < end)
        start = end
    return learned


def fitted(
    ids: list[int], learned: np.ndarray, limit: int, bos: int | None
) -> tuple[list[int], np.ndarray]:
    """At most `limit` tokens: what is learned keeps its beginning, what leads to it its end.

    The learned part gets what the prompt leaves, and half the room at least; a token for the
    beginning stays in front.
    """
    if len(ids) <= limit:
        return ids, learned
    prompt = int(learned.argmax()) if learned.any() else 0
    answer = len(ids) - prompt
    kept = min(answer, max(limit - prompt, limit // 2))
    start, end = prompt - (limit - kept), prompt + kept
    if start > 0 and ids[0] == bos:
        return ids[:1] + ids[start + 1 : end], np.append(learned[:1], learned[start + 1 : end])
    return ids[start:end], learned[start:end]


def row_of(ids: list[int], learned: np.ndarray) -> Features | None:
    """The tokens with their labels; None if there is nothing to learn."""
    if not learned[1:].any():
        return None
    following = np.asarray(ids[1:])
    return {
        "input_ids": ids,
        "labels": [*np.where(learned[1:], following, NO_LABEL).tolist(), NO_LABEL],
    }


def packed(rows: Sequence[Features], limit: int) -> list[Features]:
    """The rows in as few sequences of at most `limit` tokens as best fit, longest first, finds.

    `position_ids` begin anew with each row, by which models know that rows do not see each other.
    """
    room: list[tuple[int, int]] = []  # what is left in each sequence, ascending
    sequences: list[list[Features]] = []
    for row in sorted(rows, key=lambda row: len(row["input_ids"]), reverse=True):
        size = len(row["input_ids"])
        at = bisect_left(room, (size, -1))
        if at == len(room):
            sequences.append([])
            left, index = limit, len(sequences) - 1
        else:
            left, index = room.pop(at)
        sequences[index].append(row)
        insort(room, (left - size, index))
    return [_joined(sequence) for sequence in sequences]


def _joined(rows: Sequence[Features]) -> Features:
    return {
        "input_ids": [token for row in rows for token in row["input_ids"]],
        "labels": [label for row in rows for label in row["labels"]],
        "position_ids": [i for row in rows for i in range(len(row["input_ids"]))],
    }


def right_tokens(logits: Any, labels: Any) -> Any:
    """Of each row, how many of its labels are the likeliest token."""
    return (logits.argmax(-1) == labels).sum(1)  # NB: -100 is never the likeliest


def perplexity(loss: float) -> float:
    """exp(loss), which stays a finite number."""
    return float(np.exp(min(loss, 700.0)))

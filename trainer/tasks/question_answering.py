"""Extractive question answering: contexts cut into windows, and the span that answers best.

The answer to a question is a part of its context, or nothing, for which the first token (`[CLS]`)
stands. A context that is too long makes several rows of the network's, each with the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForQuestionAnswering

from trainer import data, model, spans
from trainer.casting import cast
from trainer.columns import cells
from trainer.config import TrialConfig
from trainer.errors import TrialError
from trainer.model import Weights
from trainer.questions import Columns, Question, columns_of, questions, usable
from trainer.reading import Splits
from trainer.tasks.base import Collator, Encoded, Features, Task, Warn
from trainer.tasks.sequence_classification import by_length

SHORTEST = 16  # tokens of a row; fewer do not hold a question, four marks, and a piece of context
QUESTION_PART = 3  # a question has at most this part of a row
OVERLAP_PART = 4  # and windows overlap by this one, 32 of 128: as much as LONGEST_ANSWER
LONGEST_ANSWER = 30  # tokens, as usual; more if the training answers have more
PLACING = {"question", "nothing", "first", "places"}  # of a row, not for the network
NO_TOKEN = -1e4  # a logit that stands for none, in half precision, too


@dataclass(frozen=True)
class Window:
    """One row of the network's: which question it belongs to, and where its context is.

    `nothing` is the token that means no answer, `context` are the context's tokens, and `places`,
    (their number, 2), the characters that they stand for in it.
    """

    question: int
    nothing: int
    context: range
    places: np.ndarray

    def characters(self, first: int, last: int) -> tuple[int, int]:
        """Where in the context a span of tokens begins and ends."""
        start = self.context.start
        return self.places[first - start, 0], self.places[last - start, 1]

    @classmethod
    def of(cls, row: Features) -> Self:
        """The window that goes with a row to evaluate on."""
        first, places = row["first"], np.array(row["places"], np.int32)
        return cls(row["question"], row["nothing"], range(first, first + len(places)), places)


@dataclass
class QuestionAnswering(Task):
    """The questions to train on and to evaluate on; and, once they are encoded, the windows that
    the rows to evaluate on are, in their order, and how many tokens an answer may have."""

    train: tuple[Question, ...]
    eval: tuple[Question, ...]
    columns: Columns
    windows: Sequence[Window] = ()
    longest_answer: int = LONGEST_ANSWER

    peft_task_type: ClassVar[str] = "QUESTION_ANS"

    @classmethod
    def read(cls, splits: Splits, config: TrialConfig, warn: Warn) -> Self:
        if cast(config.training_parameters.get("label_smoothing_factor", 0), float):
            raise TrialError(
                "BadParameter",
                "label_smoothing_factor means nothing in question answering, where the classes are "
                "the tokens of a row; leave it out.",
            )
        columns = columns_of(data.take(splits, config.split), config)
        train, held_out = data.train_and_eval(
            splits,
            config,
            complete=lambda rows, spec: usable(rows, columns, spec, warn),
            strata=lambda rows: [not each.answers for each in questions(rows, columns)],
            groups=lambda rows: cells(rows, columns.context),
        )
        parts = (tuple(questions(rows, columns)) for rows in (train, held_out))
        return cls(*parts, columns)

    @property
    def has_unanswerable(self) -> bool:
        """Whether some questions have no answer, so that none may be the right one."""
        return not all(each.answers for each in (*self.train, *self.eval))

    def counts(self) -> dict[str, Any]:
        return {
            "train": len(self.train),
            "eval": len(self.eval),
            "unanswerable": sum(not each.answers for each in self.eval),
        }

    def load_processor(self, weights: Weights) -> Any:
        tokenizer = model.load_tokenizer(weights)
        if not tokenizer.is_fast:
            raise TrialError(
                "ModelNotFound",
                f"The model {weights.uri!r} has a tokenizer without fast support "
                f"({type(tokenizer).__name__}), which does not say where in the text a token is; "
                "question answering needs another model.",
            )
        return tokenizer

    def load_network(self, weights: Weights, processor: Any) -> Any:
        network = model.load(AutoModelForQuestionAnswering, weights)
        network.config.pad_token_id = processor.pad_token_id
        # NB: an answer's place is chosen among all tokens of a row. Padding must not be among them,
        # or the loss would depend on which rows are batched together.
        network.register_forward_hook(_without_padding, with_kwargs=True)
        return network

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        assert max_length is not None
        if max_length < SHORTEST:
            raise TrialError(
                "BadParameter",
                f"A question and a piece of its context need {SHORTEST} tokens; max length is "
                f"{max_length}.",
            )
        notes: list[str] = []
        train = encode(self.train, processor, max_length, notes.append)
        held_out = encode(self.eval, processor, max_length, notes.append)
        return Encoded([_unplaced(row) for row in train], by_length(held_out), notes=notes)

    def encode_rows(
        self, rows: Dataset, numbers: Sequence[int], processor: Any, max_length: int | None
    ) -> list[Features]:
        assert max_length is not None  # see encode
        found = tuple(questions(rows, self.columns))
        made = encode(found, processor, max_length, lambda said: None) if found else []
        return [_unplaced(row) for row in made]

    def keep(self, encoded: Encoded) -> None:
        lengths = (1 + last - first for first, last in (row["labels"] for row in encoded.train))
        self.longest_answer = max([LONGEST_ANSWER, *lengths])
        self.windows = [Window.of(row) for row in encoded.eval]

    def collator(self, processor: Any) -> Collator:
        def collate(rows: list[Features]) -> Any:
            # NB: the labels are positions, so padding comes behind, whatever the model is used to.
            options = {"padding_side": "right", "return_attention_mask": True}
            plain = [_unplaced(row) for row in rows]
            return processor.pad(plain, return_tensors="pt", **options)

        return collate

    def logits(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Those of the start and of the end, (rows, 2, length)."""
        return torch.stack((outputs[0], outputs[1]), 1)

    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Two numbers per token: which of them can be an answer is not known where they are."""
        return (logits[:, 0], logits[:, 1])

    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        """SQuAD's exact_match and f1 in the mean over the questions, 0..1 and not in percent."""
        answers = self.answers(*found)
        pairs = [(said, each.texts) for said, each in zip(answers, self.eval, strict=True)]
        return {
            "exact_match": float(np.mean([spans.exact_match(*pair) for pair in pairs])),
            "f1": float(np.mean([spans.f1(*pair) for pair in pairs])),
        }

    def answers(self, starts: np.ndarray, ends: np.ndarray) -> list[str]:
        """What is found for each question to evaluate on: the best span of all its windows, or
        nothing, where some questions have no answer and nothing scores higher in every window."""
        best = [(-np.inf, "")] * len(self.eval)
        nothing = [np.inf] * len(self.eval)
        for window, start, end in zip(self.windows, starts, ends, strict=True):
            span = spans.best_span(start, end, window.context, self.longest_answer)
            i = window.question
            if span.score > best[i][0]:
                start_char, end_char = window.characters(span.first, span.last)
                best[i] = (span.score, self.eval[i].context[start_char:end_char])
            nothing[i] = min(nothing[i], start[window.nothing] + end[window.nothing])
        if not self.has_unanswerable:
            return [text for _, text in best]
        return [
            "" if none > score else text for (score, text), none in zip(best, nothing, strict=True)
        ]


TASK = QuestionAnswering


def _without_padding(network: Any, args: Any, kwargs: dict[str, Any], outputs: Any) -> Any:
    padding = kwargs["attention_mask"] == 0
    for name in ("start_logits", "end_logits"):
        outputs[name] = outputs[name].masked_fill(padding, NO_TOKEN)
    return outputs


def encode(
    asked: tuple[Question, ...], tokenizer: Any, max_length: int, warn: Warn
) -> list[Features]:
    """Rows of token ids with the first and the last token of the answer as labels; if no part of
    the window is the answer, both are the token for nothing. PLACING is what a Window needs."""
    texts = [each.text for each in asked]
    cut = _cut(texts, tokenizer, max_length // QUESTION_PART)
    if shortened := sum(one != other for one, other in zip(texts, cut, strict=True)):
        warn(
            f"{shortened} of {len(texts)} questions were cut to {max_length // QUESTION_PART} "
            "tokens, so that there is room for their contexts."
        )
    encoded = tokenizer(
        cut,
        [each.context for each in asked],
        truncation="only_second",
        max_length=max_length,
        stride=max_length // OVERLAP_PART,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_attention_mask=True,
    )
    origins, offsets = encoded.pop("overflow_to_sample_mapping"), encoded.pop("offset_mapping")
    rows = []
    for i, origin in enumerate(origins):
        inside = [j for j, sequence in enumerate(encoded.sequence_ids(i)) if sequence == 1]
        if not inside:
            continue  # nothing in this context is a token
        row = {name: encoded[name][i] for name in encoded}
        row["question"], row["first"] = origin, inside[0]
        row["nothing"] = _nothing(row["input_ids"], tokenizer)
        row["places"] = [list(offsets[i][j]) for j in inside]
        row["labels"] = located(Window.of(row), asked[origin])
        rows.append(row)
    return rows


def _unplaced(row: Features) -> Features:
    """What of a row is for the network."""
    return {name: row[name] for name in row.keys() - PLACING}


def _cut(texts: Sequence[str], tokenizer: Any, limit: int) -> list[str]:
    """The texts, those of more than `limit` tokens up to the end of that token."""
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    return [
        text if len(offsets) <= limit else text[: offsets[limit - 1][1]]
        for text, offsets in zip(texts, encoded["offset_mapping"], strict=True)
    ]


def _nothing(ids: list[int], tokenizer: Any) -> int:
    """Where the token is that means no answer: the classifier's, or else the first."""
    return ids.index(tokenizer.cls_token_id) if tokenizer.cls_token_id in ids else 0


def located(window: Window, question: Question) -> list[int]:
    """The first and the last token of the first answer, or twice the one that means nothing."""
    nothing = [window.nothing, window.nothing]
    if not question.answers:
        return nothing
    start, end = question.answers[0]
    tokens = window.places
    if start < tokens[0, 0] or end > tokens[-1, 1]:
        return nothing
    inside = np.flatnonzero((tokens[:, 1] > start) & (tokens[:, 0] < end))
    return (window.context.start + inside[[0, -1]]).tolist() if len(inside) else nothing

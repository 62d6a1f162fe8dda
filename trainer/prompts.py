"""Prompt templates by name: how the turns of a conversation become one text, and what is learned.

A template says of each piece of the text whether the model is to learn it: what the assistant says,
up to the token that ends it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.errors import TrialError, nearest, one_line

ASSISTANT, USER, SYSTEM = "assistant", "user", "system"
CHAT = "chat"
ALPACA_TASK = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request."
)
ALPACA_TASK_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. Write a response that appropriately completes the request."
)


@dataclass(frozen=True)
class Turn:
    """What one side says; `input` is what an instruction is to be applied to, if it is apart.

    What is `open` goes on in the next turn without a break, unless a template writes one.
    """

    role: str
    content: str
    input: str = ""
    open: bool = False

    @property
    def whole(self) -> str:
        return f"{self.content}\n\n{self.input}" if self.input else self.content


@dataclass(frozen=True)
class Piece:
    """Some text, and whether it is learned."""

    text: str
    learned: bool


def plain(turns: Sequence[Turn], eos: str) -> list[Piece]:
    """`User: …` and `Assistant: …`, a line each."""
    pieces = []
    for turn in turns:
        if turn.role == ASSISTANT:
            pieces += [Piece("Assistant:", False), Piece(f" {turn.content}{eos}", True)]
            pieces.append(Piece("\n", False))
        else:
            pieces.append(Piece(f"{turn.role.capitalize()}: {turn.whole}\n", False))
    return _without_last_break(pieces)


def alpaca(turns: Sequence[Turn], eos: str) -> list[Piece]:
    """The template of Stanford's Alpaca; a system turn takes the place of its first sentences."""
    has_input = any(turn.input for turn in turns)
    task = ALPACA_TASK_WITH_INPUT if has_input else ALPACA_TASK
    if turns and turns[0].role == SYSTEM:
        task, turns = turns[0].content, turns[1:]
    pieces = [Piece(f"{task}\n\n", False)]
    for turn in turns:
        if turn.role == ASSISTANT:
            pieces += [Piece("### Response:\n", False), Piece(f"{turn.content}{eos}", True)]
            pieces.append(Piece("\n\n", False))
        else:
            given = f"### Input:\n{turn.input}\n\n" if turn.input else ""
            pieces.append(Piece(f"### Instruction:\n{turn.content}\n\n{given}", False))
    return _without_last_break(pieces)


def none(turns: Sequence[Turn], eos: str) -> list[Piece]:
    """As it is in the data; a line break between two turns where there is no white space."""
    pieces: list[Piece] = []
    is_joined = True
    for turn in turns:
        is_learned = turn.role == ASSISTANT
        text = f"{turn.content}{eos}" if is_learned else turn.whole
        if not is_joined and not pieces[-1].text[-1:].isspace() and not text[:1].isspace():
            pieces.append(Piece("\n", False))
        pieces.append(Piece(text, is_learned))
        is_joined = turn.open
    return pieces


def _without_last_break(pieces: list[Piece]) -> list[Piece]:
    return pieces[:-1] if pieces and pieces[-1].text.isspace() else pieces


PLAIN: dict[str, Callable[[Sequence[Turn], str], list[Piece]]] = {
    "alpaca": alpaca,
    "plain": plain,
    "none": none,
}
NAMES = (CHAT, *PLAIN)


def check_name(name: str) -> None:
    """BadParameter, with the nearest names, if there is no such template."""
    if name not in NAMES:
        raise TrialError(
            "BadParameter",
            f"There is no prompt template {name!r}.{nearest(name, NAMES)} "
            f"Known: {', '.join(NAMES)}.",
        )


def render(name: str, turns: Sequence[Turn], tokenizer: Any) -> list[Piece]:
    """The pieces of one conversation; `chat` is the tokenizer's own template."""
    if name == CHAT:
        return _chat(turns, tokenizer)
    return PLAIN[name](turns, tokenizer.eos_token or "")


def _chat(turns: Sequence[Turn], tokenizer: Any) -> list[Piece]:
    """What a template writes for each answer: what it adds to the text before, a prefix of it.

    A template that writes earlier turns otherwise once others follow has its last answer learned.
    """
    messages = [{"role": turn.role, "content": turn.whole} for turn in turns]
    answers = [i for i, turn in enumerate(turns) if turn.role == ASSISTANT]
    pieces = _by_prefix(messages, answers, tokenizer)
    if pieces is None:
        pieces = _by_prefix(messages, answers[-1:], tokenizer)
    if pieces is None:
        raise TrialError(
            "BadParameter",
            "The tokenizer's chat template does not tell where an answer begins; set "
            'prompt_template to "plain", or --loss-on all.',
        )
    return _ended(pieces, tokenizer)


def _by_prefix(
    messages: list[dict[str, str]], answers: list[int], tokenizer: Any
) -> list[Piece] | None:
    pieces: list[Piece] = []
    done = ""
    for i in answers:
        before = _written(messages[:i], tokenizer, add_generation_prompt=True)
        after = _written(messages[: i + 1], tokenizer)
        if not (before.startswith(done) and after.startswith(before)):
            return None
        pieces += [Piece(before[len(done) :], False), Piece(after[len(before) :], True)]
        done = after
    whole = _written(messages, tokenizer)
    return [*pieces, Piece(whole[len(done) :], False)] if whole.startswith(done) else None


def _written(messages: list[dict[str, str]], tokenizer: Any, **options: Any) -> str:
    from jinja2 import TemplateError

    if not messages:
        return ""
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except (TemplateError, ValueError) as error:
        roles = ", ".join(message["role"] for message in messages)
        raise TrialError(
            "BadColumn",
            f"The tokenizer's chat template refused a conversation of {roles}: {one_line(error)} "
            'Change the data, or set prompt_template to "plain".',
        ) from error


def _ended(pieces: list[Piece], tokenizer: Any) -> list[Piece]:
    """Answers that end with their end token: white space behind it is not learned, and the last
    answer gets one if the template has none."""
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    special |= set(tokenizer.all_special_tokens)
    last = max((i for i, piece in enumerate(pieces) if piece.learned), default=None)
    found: list[Piece] = []
    for i, piece in enumerate(pieces):
        text = piece.text.rstrip()
        if piece.learned and text.endswith(tuple(special)):
            found += [Piece(text, True), Piece(piece.text[len(text) :], False)]
        elif i == last:
            found.append(Piece(text + (tokenizer.eos_token or ""), True))
        else:
            found.append(piece)
    return [piece for piece in found if piece.text]

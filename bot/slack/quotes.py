"""How texts, numbers and durations are written in a line: quotes, brackets, Slack's escapes."""

from __future__ import annotations

import math
import re

from bot.spec import Number

# A typographic quote is what Slack and phones make of a straight one; any of its kind closes it.
QUOTES = {'"': '"', "“": '”“"', "”": '”“"', "„": '”“"', "'": "'", "‘": "’‘'", "’": "’‘'"}
BRACKETS = {"(": ")", "[": "]", "{": "}"}
NUMBER = r"[-+]?(?:[0-9]{1,300}(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:d|h|min|m|s))+")
LINK = re.compile(r"<((?:https?://|mailto:)[^|<>\s]+)(?:\|([^<>\s]*))?>")
ENTITY = re.compile(r"&(amp|lt|gt);")
ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}


class Unreadable(Exception):
    """A value that cannot be read; `instead` is the value put right, or ""."""

    def __init__(self, message: str, *, hint: str = "", instead: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.instead = instead


def clean(text: str) -> str:
    """What was typed, without Slack's decoration: links unwrapped, `&amp;` and the like undone."""
    text = ENTITY.sub(lambda found: ENTITIES[found[1]], LINK.sub(_typed_link, text))
    return re.sub("[\u200b\ufeff]", "", text)  # invisible, and copied from web pages


def _typed_link(found: re.Match[str]) -> str:
    url, label = found[1], found[2]
    # NB: Slack makes `a.py` a link as well, <http://a.py|a.py>: there the label was typed.
    made = url.startswith(("http://", "mailto:")) and url.partition(":")[2].strip("/") == label
    return label if label and made else url


def end_of_chunk(text: str, start: int, stop: str = "") -> int:
    """Where the chunk at `start` ends: at white space or `stop`, outside quotes and brackets.

    Raises:
        Unreadable: a quote or a bracket that is never closed.
    """
    waiting: list[str] = []
    position, may_quote = start, True
    while position < len(text):
        character = text[position]
        if may_quote and character in QUOTES:
            position, may_quote = read_quoted(text, position)[1], False
            continue
        if character in BRACKETS:
            waiting.append(BRACKETS[character])
        elif waiting and character == waiting[-1]:
            waiting.pop()
        elif not waiting and (character.isspace() or (stop and character in stop)):
            break
        may_quote = character in ",:([{=" or character.isspace()
        position += 1
    if waiting:
        raise Unreadable(f"a bracket is never closed: `{waiting[-1]}` is missing.")
    return position


def read_quoted(text: str, start: int) -> tuple[str, int]:
    """The text in the quotes that open at `start`, and the position behind them."""
    closing = QUOTES[text[start]]
    escapes = '"' in closing
    position = start + 1
    while position < len(text) and text[position] not in closing:
        position += 2 if escapes and text[position] == "\\" else 1
    if position >= len(text):
        raise Unreadable(f"a quote is never closed: `{closing[0]}` is missing.")
    inner = text[start + 1 : position]
    return (ESCAPE.sub(_unescaped, inner) if escapes else inner), position + 1


ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "”": '"', "“": '"'}


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) == 5:
        number = int(code[1:], 16)
        return found[0] if 0xD800 <= number < 0xE000 else chr(number)  # half a character
    return ESCAPED.get(code, code if code in QUOTES else found[0])


# Control characters, typographic quotes, and what `clean` would change.
DELICATE = re.compile(
    r"[\x00-\x1f\x7f-\x9f“”„\u200b\u2028\u2029\ufeff]|&(?=(?:amp|lt|gt);)|<(?=https?://|mailto:)"
)


def quote(text: str) -> str:
    """`text` in double quotes, in a form that Slack leaves alone."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return '"' + DELICATE.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


# What needs no quotes as a value of its own, e.g. `hf://meta-llama/Llama-3.2-1B`, `train[:1000]`.
PLAIN_TEXT = re.compile(r"[\w./:@%+~*>=-]+(?:\[[\w:%+-]*\])?")


def show_text(text: str) -> str:
    """`text` as `read_text` and `read_texts` read it, in quotes where it needs them."""
    plain = PLAIN_TEXT.fullmatch(text) and text.lower() not in ("none", "null")
    return text if plain else quote(text)


def read_number(text: str) -> Number | None:
    """The number that `text` is, an int if it is written as one."""
    if not re.fullmatch(NUMBER, text):
        return None
    number: Number = int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else float(text)
    return number if abs(number) < math.inf else None


def read_duration(text: str) -> int | None:
    """Seconds: `90`, `90s`, `30m`, `2h`, `1h30m`, `2d`."""
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text)
    if not DURATION.fullmatch(text):
        return None
    parts = re.findall(r"([0-9.]+)([dhms])", text)
    return round(sum(float(number) * UNITS[unit] for number, unit in parts))


def show_duration(seconds: int) -> str:
    """The shortest writing that `read_duration` takes."""
    parts = []
    for unit, size in UNITS.items():
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0"


def read_texts(text: str) -> list[str]:
    """The comma-separated texts in `text`, with or without brackets and quotes around them."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
    texts, position = [], 0
    while position < len(text):
        position = behind_space(text, position)
        end = end_of_chunk(text, position, ",")
        if end == position:
            raise Unreadable("a value is missing between two commas.")
        texts.append(read_text(text[position:end]))
        position = behind_space(text, end)
        position += text[position : position + 1] == ","
    return texts


def read_text(text: str) -> str:
    """`text` itself, or what stands in the quotes around it."""
    if text[:1] not in QUOTES or not text:
        return text
    inner, end = read_quoted(text, 0)
    if end < len(text):
        raise Unreadable(f"`{text[end:][:20]}` stands behind a closing quote.")
    return inner


def behind_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position

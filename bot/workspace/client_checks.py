"""What Slack's own client checks before it submits a form (pure)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.workspace.card_rules import walk
from bot.workspace.elements import STATE_KEYS, Blocks
from bot.workspace.validate import text_length

REQUIRED = "Please complete this required field."


def complaints(blocks: Blocks, values: Mapping[str, Any]) -> dict[str, str]:
    """block_id -> sentence, for every input that Slack's client would not send."""
    found = {
        block["block_id"]: _complaint(block, values)
        for _, block in walk(blocks, "")
        if block["type"] == "input" and block["element"]["type"] in STATE_KEYS
    }
    return {block_id: text for block_id, text in found.items() if text}


def _complaint(block: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    element = block["element"]
    key, _ = STATE_KEYS[element["type"]]
    value = values[block["block_id"]][element["action_id"]][key]
    if value in (None, "", []) or (key == "rich_text_value" and not text_length(value)):
        return "" if block.get("optional") else REQUIRED
    judge = _JUDGES.get(element["type"])
    return judge(element, value) if judge else ""


def _number_complaint(element: Mapping[str, Any], text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return "Please enter a number."
    if not math.isfinite(number):
        return "Please enter a number."
    if not element["is_decimal_allowed"] and not number.is_integer():
        return "Please enter a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Must be {element['min_value']} or more."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Must be {element['max_value']} or less."
    return ""


def _length_complaint(element: Mapping[str, Any], text: str) -> str:
    low, high = element.get("min_length", 0), element.get("max_length", 3000)
    if len(text) < low:
        return f"Must be at least {low} characters."
    return f"Must be {high} characters or less." if len(text) > high else ""


def _email_complaint(element: Mapping[str, Any], text: str) -> str:
    is_email = re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", text)
    return "" if is_email else "Please enter a valid email address."


def _url_complaint(element: Mapping[str, Any], text: str) -> str:
    return "" if re.fullmatch(r"https?://[^\s/]+\S*", text) else "Please enter a valid URL."


def _files_complaint(element: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> str:
    most, kinds = element.get("max_files", 10), element.get("filetypes")
    if len(files) > most:
        return f"You can add up to {most} files."
    for file in files:
        suffix = file["name"].rpartition(".")[2].lower()
        if kinds and not {suffix, file["filetype"]} & {kind.lower() for kind in kinds}:
            return f"{file['name']} is of no accepted type: {', '.join(kinds)}."
    return ""


_JUDGES: Mapping[str, Callable[[Mapping[str, Any], Any], str]] = {
    "number_input": _number_complaint,
    "plain_text_input": _length_complaint,
    "email_text_input": _email_complaint,
    "url_text_input": _url_complaint,
    "file_input": _files_complaint,
}

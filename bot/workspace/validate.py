"""Says what Slack would refuse in a message or a view, in Slack's words: one table, applied.

Used by the workspace for every call, and by an app's own tests for everything that it can render.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.workspace.card_rules import SEVERAL, walk
from bot.workspace.element_rules import MODAL_ONLY_ELEMENTS
from bot.workspace.rules import Complaint, Complaints, Json, Object, String, Tagged
from bot.workspace.surface_rules import MESSAGE_BLOCKS, VIEWS

__all__ = ["Complaint", "check_blocks", "check_message", "check_view"]

TEXT_LIMIT = 40_000
UPDATED_TEXT_LIMIT = 4_000
ATTACHMENTS_LIMIT = 100
VIEW_BYTES_LIMIT = 250_000
# Not in Slack's documentation; users measure it (bolt-js issue 2509).
BLOCK_TEXT_LIMIT = 13_200
MARKDOWN_LIMIT = 12_000
TABLE_TEXT_LIMIT = 10_000
DATA_TABLE_TEXT_LIMIT = 20_000
CHARTS_LIMIT = 2
TABLES_LIMIT = 1

METADATA = Object(
    {"event_type": String(255), "event_payload": Json()}, ("event_type", "event_payload")
)
VIEW = Tagged(VIEWS)


def check_message(
    payload: Mapping[str, Any], *, text_limit: int = TEXT_LIMIT
) -> tuple[Complaint, ...]:
    """Complaints about the `text`, `blocks`, `attachments` and `metadata` of a message (other
    keys are let be).

    Use text_limit=4000 for what goes to chat.update.
    """
    out: Complaints = []
    text, blocks = payload.get("text"), payload.get("blocks")
    attachments = payload.get("attachments")
    if not (text or blocks or attachments):
        out.append(Complaint("no text, blocks or attachments provided", "", "no_text"))
    if isinstance(text, str) and len(text) > text_limit:
        words = f"must be less than {text_limit + 1} characters"
        out.append(Complaint(words, "/text", "msg_too_long"))
    if blocks is not None:
        out += check_blocks(blocks)
    if attachments is not None:
        out += _check_attachments(attachments)
    if payload.get("metadata") is not None:
        found: Complaints = []
        METADATA.check(payload["metadata"], "/metadata", found)
        out += [Complaint(c.text, c.pointer, "invalid_metadata_format") for c in found]
    return tuple(out)


def check_blocks(blocks: object, at: str = "/blocks") -> tuple[Complaint, ...]:
    """Complaints about the blocks of a message."""
    if not isinstance(blocks, list):
        return (Complaint("must provide an array", at, "invalid_blocks_format"),)
    out: Complaints = []
    MESSAGE_BLOCKS.check(blocks, at, out)
    if not out:
        _check_message_elements(blocks, at, out)
        _check_ids(blocks, at, out)
        _check_totals(blocks, at, out)
    return tuple(out)


def check_view(view: object) -> tuple[Complaint, ...]:
    """Complaints about a modal or a Home view; pointers begin at /view."""
    out: Complaints = []
    VIEW.check(view, "/view", out)
    if not out:
        assert isinstance(view, dict)
        blocks = view["blocks"]
        if view["type"] == "modal":
            _check_modal(view, out)
        else:
            _check_message_elements(blocks, "/view/blocks", out)
        _check_ids(blocks, "/view/blocks", out)
    complaints = [Complaint(c.text, c.pointer, "invalid_arguments") for c in out]
    if not out and len(json.dumps(view).encode()) > VIEW_BYTES_LIMIT:
        complaints.append(Complaint("must be less than 250kb", "/view", "view_too_large"))
    return tuple(complaints)


def _check_attachments(attachments: object) -> Complaints:
    if not isinstance(attachments, list):
        return [Complaint("must provide an array", "/attachments", "invalid_attachments")]
    if len(attachments) > ATTACHMENTS_LIMIT:
        words = f"no more than {ATTACHMENTS_LIMIT} items allowed"
        return [Complaint(words, "/attachments", "too_many_attachments")]
    out: Complaints = []
    for index, attachment in enumerate(attachments):
        at = f"/attachments/{index}"
        if not isinstance(attachment, dict):
            out.append(Complaint("must provide an object", at, "invalid_attachments"))
        elif "blocks" in attachment:
            out += check_blocks(attachment["blocks"], f"{at}/blocks")
    return out


def elements_in(block: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The interactive elements of a block, each with its pointer below the block."""
    for name in ("accessory", "element"):
        if name in block:
            yield f"/{name}", block[name]
    several = SEVERAL.get(block["type"], "")
    for index, element in enumerate(block.get(several, [])):
        yield f"/{several}/{index}", element


def _check_message_elements(blocks: Sequence[Mapping[str, Any]], at: str, out: Complaints) -> None:
    for place, block in walk(blocks, at):
        for path, element in elements_in(block):
            if element["type"] in MODAL_ONLY_ELEMENTS:
                words = f"unsupported type: {element['type']}"
                out.append(Complaint(words, f"{place}{path}/type"))


def _check_ids(blocks: Sequence[Mapping[str, Any]], at: str, out: Complaints) -> None:
    """block_id is unique on its surface, action_id in its block."""
    seen: set[str] = set()
    for place, block in walk(blocks, at):
        block_id = block.get("block_id")
        if block_id in seen:
            out.append(_exists("block_id", block_id, f"{place}/block_id"))
        seen.update([block_id] if block_id else [])
        actions: set[str] = set()
        for path, element in elements_in(block):
            action_id = element.get("action_id")
            if action_id in actions:
                out.append(_exists("action_id", action_id, f"{place}{path}/action_id"))
            actions.update([action_id] if action_id else [])


def _exists(name: str, value: object, pointer: str) -> Complaint:
    return Complaint(f'`{name}` "{value}" already exists', pointer)


def _check_modal(view: Mapping[str, Any], out: Complaints) -> None:
    blocks = view["blocks"]
    if "submit" not in view and any(block["type"] == "input" for block in blocks):
        out.append(Complaint("missing required field: submit", "/view"))
    focused = [
        f"/view/blocks/{index}{path}/focus_on_load"
        for index, block in enumerate(blocks)
        for path, element in elements_in(block)
        if element.get("focus_on_load")
    ]
    out += [Complaint("only one element can set focus_on_load", pointer) for pointer in focused[1:]]


def _check_totals(blocks: Sequence[Mapping[str, Any]], at: str, out: Complaints) -> None:
    """What a whole message may hold."""
    _check_count(blocks, "table", TABLES_LIMIT, at, out)
    _check_count(blocks, "data_visualization", CHARTS_LIMIT, at, out)
    _check_text(blocks, "markdown", MARKDOWN_LIMIT, at, out)
    _check_text(blocks, "table", TABLE_TEXT_LIMIT, at, out)
    _check_text(blocks, "data_table", DATA_TABLE_TEXT_LIMIT, at, out)
    # Tables have totals of their own above.
    tables = [block for _, block in walk(blocks, at) if block["type"] in ("table", "data_table")]
    if text_length(blocks) - text_length(tables) > BLOCK_TEXT_LIMIT:
        words = f"must be less than {BLOCK_TEXT_LIMIT + 1} characters in all"
        out.append(Complaint(words, at, "msg_blocks_too_long"))


def _check_count(
    blocks: Sequence[Mapping[str, Any]], kind: str, most: int, at: str, out: Complaints
) -> None:
    places = [place for place, block in walk(blocks, at) if block["type"] == kind]
    for place in places[most:]:
        out.append(Complaint(f"no more than {most} {kind} blocks allowed", place))


def _check_text(
    blocks: Sequence[Mapping[str, Any]], kind: str, most: int, at: str, out: Complaints
) -> None:
    if text_length([block for _, block in walk(blocks, at) if block["type"] == kind]) > most:
        words = f"{kind} blocks must be less than {most + 1} characters in all"
        out.append(Complaint(words, at))


def text_length(value: object) -> int:
    """Characters that people read in these blocks."""
    if isinstance(value, list):
        return sum(text_length(item) for item in value)
    if not isinstance(value, dict):
        return 0
    own = value.get("text")
    rest = sum(text_length(item) for name, item in value.items() if name != "text")
    return rest + (len(own) if isinstance(own, str) else text_length(own))

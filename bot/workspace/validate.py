"""Says what Slack would refuse in a message or a view, in Slack's words: one table, applied.

Used by the workspace for every call, and by an app's own tests for everything that it can render.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.workspace.card_rules import CHILDREN, SEVERAL, walk
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
# Characters in all blocks of a kind together.
TEXT_LIMITS: Mapping[str, int] = {"markdown": 12_000, "table": 10_000, "data_table": 20_000}
CHARTS_LIMIT = 2
TABLES_LIMIT = 1
# Fields that hold what people read.
READ = frozenset({"text", "title"})

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
    if text is not None and not isinstance(text, str):
        out.append(Complaint("must provide a string", "/text", "invalid_arguments"))
    elif text and len(text) > text_limit:
        words = f"must be less than {text_limit + 1} characters"
        out.append(Complaint(words, "/text", "msg_too_long"))
    attached = _attached_blocks(attachments, out)
    own = [] if blocks is None else [("/blocks", blocks)]
    out += _check_block_lists([*own, *attached])
    if payload.get("metadata") is not None:
        found: Complaints = []
        METADATA.check(payload["metadata"], "/metadata", found)
        out += [Complaint(c.text, c.pointer, "invalid_metadata_format") for c in found]
    return tuple(out)


def check_blocks(blocks: object, at: str = "/blocks") -> tuple[Complaint, ...]:
    """Complaints about the blocks of a message."""
    return tuple(_check_block_lists([(at, blocks)]))


def check_view(view: object) -> tuple[Complaint, ...]:
    """Complaints about a modal or a Home view; pointers begin at /view."""
    out: Complaints = []
    VIEW.check(view, "/view", out)
    if not out:
        assert isinstance(view, dict)
        placed = list(walk(view["blocks"], "/view/blocks"))
        if view["type"] == "modal":
            _check_submit(view, out)
        else:
            _check_surface_elements(placed, out)
        _check_ids(placed, out)
        _check_focus(placed, out)
    complaints = [Complaint(c.text, c.pointer, "invalid_arguments") for c in out]
    if not out and len(json.dumps(view).encode()) > VIEW_BYTES_LIMIT:
        complaints.append(Complaint("must be less than 250kb", "/view", "view_too_large"))
    return tuple(complaints)


def _attached_blocks(attachments: object, out: Complaints) -> list[tuple[str, object]]:
    """The block lists of attachments that are otherwise right, each with its pointer."""
    if attachments is None:
        return []
    if not isinstance(attachments, list):
        out.append(Complaint("must provide an array", "/attachments", "invalid_attachments"))
        return []
    if len(attachments) > ATTACHMENTS_LIMIT:
        words = f"no more than {ATTACHMENTS_LIMIT} items allowed"
        out.append(Complaint(words, "/attachments", "too_many_attachments"))
        return []
    found: list[tuple[str, object]] = []
    for index, attachment in enumerate(attachments):
        at = f"/attachments/{index}"
        if not isinstance(attachment, dict):
            out.append(Complaint("must provide an object", at, "invalid_attachments"))
        elif "blocks" in attachment:
            found.append((f"{at}/blocks", attachment["blocks"]))
    return found


Placed = Sequence[tuple[str, Mapping[str, Any]]]


def _check_block_lists(lists: Sequence[tuple[str, Any]]) -> Complaints:
    """What is wrong with the block lists of one message: each by itself, then all together."""
    out: Complaints = []
    for at, blocks in lists:
        if isinstance(blocks, list):
            MESSAGE_BLOCKS.check(blocks, at, out)
        else:
            out.append(Complaint("must provide an array", at, "invalid_blocks_format"))
    if not out and lists:
        placed = [pair for at, blocks in lists for pair in walk(blocks, at)]
        _check_surface_elements(placed, out)
        _check_ids(placed, out)
        _check_totals(placed, lists[0][0], out)
    return out


def elements_in(block: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The interactive elements of a block, each with its pointer below the block."""
    for name in ("accessory", "element"):
        if name in block:
            yield f"/{name}", block[name]
    several = SEVERAL.get(block["type"], "")
    for index, element in enumerate(block.get(several, [])):
        yield f"/{several}/{index}", element


def _check_surface_elements(placed: Placed, out: Complaints) -> None:
    """Messages and Home tabs have no elements that only modals have."""
    for place, block in placed:
        for path, element in elements_in(block):
            if element["type"] in MODAL_ONLY_ELEMENTS:
                words = f"unsupported type: {element['type']}"
                out.append(Complaint(words, f"{place}{path}/type"))


def _check_ids(placed: Placed, out: Complaints) -> None:
    """block_id is unique on its surface, action_id in its block."""
    seen: set[str] = set()
    for place, block in placed:
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


def _check_submit(view: Mapping[str, Any], out: Complaints) -> None:
    if "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        out.append(Complaint("missing required field: submit", "/view"))


def _check_focus(placed: Placed, out: Complaints) -> None:
    focused = [
        f"{place}{path}/focus_on_load"
        for place, block in placed
        for path, element in elements_in(block)
        if element.get("focus_on_load")
    ]
    out += [Complaint("only one element can set focus_on_load", pointer) for pointer in focused[1:]]


def _check_totals(placed: Placed, at: str, out: Complaints) -> None:
    """What a whole message may hold."""
    for place in _places(placed, "table")[TABLES_LIMIT:]:
        out.append(Complaint("only_one_table_allowed", place, "invalid_attachments"))
    for place in _places(placed, "data_visualization")[CHARTS_LIMIT:]:
        words = f"no more than {CHARTS_LIMIT} data_visualization blocks allowed"
        out.append(Complaint(words, place))
    lengths: Counter[str] = Counter()
    for _, block in placed:
        inside = block.get(CHILDREN.get(block["type"], ""), [])
        lengths[block["type"]] += text_length(block) - text_length(inside)
    for kind, most in TEXT_LIMITS.items():
        if lengths[kind] > most:
            words = f"{kind} blocks must be less than {most + 1} characters in all"
            out.append(Complaint(words, at))
    # Tables have totals of their own.
    if lengths.total() - lengths["table"] - lengths["data_table"] > BLOCK_TEXT_LIMIT:
        words = f"must be less than {BLOCK_TEXT_LIMIT + 1} characters in all"
        out.append(Complaint(words, at, "msg_blocks_too_long"))


def _places(placed: Placed, kind: str) -> list[str]:
    return [place for place, block in placed if block["type"] == kind]


def text_length(value: object) -> int:
    """Characters that people read in these blocks."""
    if isinstance(value, list):
        return sum(text_length(item) for item in value)
    if not isinstance(value, dict):
        return 0
    return sum(
        len(item) if name in READ and isinstance(item, str) else text_length(item)
        for name, item in value.items()
    )

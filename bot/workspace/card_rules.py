"""The table of blocks that are made of other blocks or of cards: card, carousel, container, plan.

Limits are Slack's published ones; where sources differ the stricter is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.workspace.block_rules import (
    MESSAGE,
    MESSAGE_AND_HOME,
    RICH_TEXT,
    SIMPLE_BLOCKS,
    BlockRule,
    block_rule,
)
from bot.workspace.element_rules import IMAGE_ELEMENT, URL, elements, mrkdwn_text, plain, text
from bot.workspace.rules import (
    Array,
    Choice,
    Complaint,
    Complaints,
    Flag,
    Object,
    Rule,
    String,
    Tagged,
    typed,
)

# Where the cards, children and tasks of a block stand.
CHILDREN = {"carousel": "elements", "container": "child_blocks", "plan": "tasks"}
# Where a block has a list of interactive elements.
SEVERAL = {"actions": "elements", "context_actions": "elements", "card": "actions"}
CHILD_KINDS = (
    "actions",
    "context",
    "divider",
    "header",
    "image",
    "input",
    "rich_text",
    "section",
    "table",
    "video",
)


def walk(blocks: Sequence[Mapping[str, Any]], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """These blocks and all that are inside them, each with its pointer."""
    for index, block in enumerate(blocks):
        yield f"{at}/{index}", block
        inside = CHILDREN.get(block["type"], "")
        yield from walk(block.get(inside, []), f"{at}/{index}/{inside}")


def card_shows_something(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """A card has a picture, a title, a body or buttons."""
    if not {"hero_image", "title", "actions", "body"} & set(value):
        out.append(Complaint("missing required field: title", at))


def container_is_whole(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """A container has a title, and folds only if it may."""
    folds = value.get("is_collapsible") is True
    if "title" not in value and "rich_text_title" not in value:
        out.append(Complaint("missing required field: title", at))
    if value.get("default_collapsed") and not folds:
        words = "requires `is_collapsible` to be true"
        out.append(Complaint(words, f"{at}/default_collapsed"))
    if value.get("has_header_divider") and folds:
        words = "cannot provide both `is_collapsible` and `has_header_divider`"
        out.append(Complaint(words, f"{at}/has_header_divider"))


def _mrkdwn(most: int) -> Rule:
    return Tagged({"mrkdwn": mrkdwn_text(most)}, "must be a valid enum value")


IMAGE = Tagged({"image": IMAGE_ELEMENT})
CARD_FIELDS: Mapping[str, Rule] = {
    "hero_image": IMAGE,
    "icon": IMAGE,
    "title": _mrkdwn(150),
    "subtitle": _mrkdwn(150),
    "body": _mrkdwn(200),
    "subtext": _mrkdwn(200),
    "actions": Array(elements(("button",)), least=1, most=3),
}
CARD = block_rule("card", CARD_FIELDS, extra=card_shows_something)
CHILD = Tagged({kind: SIMPLE_BLOCKS[kind].rule for kind in CHILD_KINDS})
CONTAINER_FIELDS: Mapping[str, Rule] = {
    "title": plain(150),
    "rich_text_title": Tagged({"rich_text": RICH_TEXT}),
    "subtitle": text(150),
    "child_blocks": Array(CHILD, least=1, most=10),
    "width": Choice(("narrow", "standard", "wide", "full")),
    "icon": IMAGE,
    "is_collapsible": Flag(),
    "default_collapsed": Flag(),
    "has_header_divider": Flag(),
}
RICH = Tagged({"rich_text": RICH_TEXT})
SOURCE = Tagged({"url": typed("url", {"url": URL, "text": String()}, "url", "text")})


def _task(*states: str) -> tuple[str, BlockRule]:
    fields: Mapping[str, Rule] = {
        "task_id": String(255),
        "title": String(),
        "details": RICH,
        "output": RICH,
        "sources": Array(SOURCE),
        "status": Choice(states),
    }
    required = ("task_id", "title", "status")
    return block_rule("task_card", fields, *required, surfaces=frozenset({MESSAGE}))


PLANNED_TASK: Object = _task("pending", "in_progress", "complete", "error")[1].rule
NESTING_BLOCKS: Mapping[str, BlockRule] = dict(
    [
        CARD,
        block_rule(
            "carousel",
            {"elements": Array(Tagged({"card": CARD[1].rule}), least=1, most=10)},
            "elements",
            surfaces=MESSAGE_AND_HOME,
        ),
        block_rule(
            "container",
            CONTAINER_FIELDS,
            "child_blocks",
            extra=container_is_whole,
            surfaces=MESSAGE_AND_HOME,
        ),
        # A task that stands by itself has begun.
        _task("in_progress", "complete", "error"),
        block_rule(
            "plan",
            # Slack publishes no number of tasks; 12 are known to be taken.
            {"title": String(), "tasks": Array(Tagged({"task_card": PLANNED_TASK}), most=12)},
            "title",
            surfaces=frozenset({MESSAGE}),
        ),
    ]
)

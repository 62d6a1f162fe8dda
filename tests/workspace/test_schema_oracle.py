"""A JSON Schema made from @slack/types, and the limits in its comments, agree with our table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from bot.workspace.element_rules import CONFIRM, LINK_OPTION, RICH_OPTION
from bot.workspace.rules import Array, Number, Object, Rule, String, Tagged
from bot.workspace.surface_rules import BLOCKS, VIEWS
from tests.workspace.generate import broken_payloads, good_payloads
from tests.workspace.limits import MESSAGE_LIMITS, VIEW_LIMITS
from tests.workspace.oracle import SCHEMA, SCHEMA_FOLDER, complaints_about, schema_accepts
from tests.workspace.shapes import facts_of_rules, facts_of_schema, forms, kind_of

PAYLOADS = Path(__file__).parent.parent / "browser" / "payloads"

# What we accept and @slack/types 3.2.0 does not: (type, field) -> why we are right.
NEWER: Mapping[tuple[str, str], str] = {
    ("data_visualization", "type"): "of June 2026, not in @slack/types yet",
    ("button", "agent_prompt"): "in slack_sdk 3.46, not in @slack/types yet",
    ("button", "agent_prompt_display"): "in slack_sdk 3.46, not in @slack/types yet",
    ("button", "visible_to_user_ids"): "in slack_sdk 3.46, not in @slack/types yet",
    ("card", "subtext"): "in Slack's documentation, not in @slack/types yet",
    ("header", "level"): "in Slack's documentation, not in @slack/types yet",
    ("emoji", "skin_tone"): "in slack_sdk's RichTextElementParts.Emoji",
    ("rich_text_list", "offset"): "in slack_sdk's RichTextListElement",
}
# What we demand and @slack/types does not; facts as in shapes.py.
STRICTER: Mapping[str, str] = {
    "*.confirm requires *": "Slack's documentation requires all four texts",
    "*option* requires value": "Slack's documentation requires it",
    "file.source can be remote": "its comment says that it is always this",
    "icon_button.icon can be trash": "Slack's documentation names no other",
}
# What @slack/types has and we refuse.
REFUSED: Mapping[str, str] = {
    "*option* has url": "the comment says: only in overflow menus",
    "*option*.url is a string": "the comment says: only in overflow menus",
    "actions.elements takes multi_*": "Slack's documentation: multi-selects in section and input",
    "actions.elements takes rich_text_input": "Slack's documentation: only in input blocks",
    "container.child_blocks takes file": "Slack's documentation does not list it",
    "file.source is a string": "its comment says that it is always remote",
    "icon_button.icon is a string": "Slack's documentation names no other than trash",
    "plan.tasks takes an object": "a task is a task_card",
    "*.elements takes team": "the workspace has one team; mentions of another are not drawn",
    "team*": "the workspace has one team; mentions of another are not drawn",
    "emoji has url": "for custom emoji, which the workspace does not have",
    "emoji.url is a string": "for custom emoji, which the workspace does not have",
    "*.* takes workflow_button": "the workspace has no workflows",
    "workflow_button*": "the workspace has no workflows",
    "home.blocks *": "any block at all; ours is in the surface table",
    "home.blocks.*": "any block at all; ours is in the surface table",
    "modal.blocks *": "any block at all; ours is in the surface table",
    "modal.blocks.*": "any block at all; ours is in the surface table",
}
# Limits that the comments put otherwise: (definition and field, limit) -> why ours is right.
OTHER_LIMITS: Mapping[tuple[str, str], str] = {
    ("PlainTextOption.value", "maxLength"): "75 in the comment, 150 in Slack's documentation",
    ("MrkdwnOption.value", "maxLength"): "75 in the comment, 150 in Slack's documentation",
    ("PlainTextElement.text", "maxLength"): "each field that holds a text has a limit of its own",
    ("MrkdwnElement.text", "maxLength"): "each field that holds a text has a limit of its own",
    ("MrkdwnOption.url", "maxLength"): "only overflow menus have a url, and these have no mrkdwn",
}


def examples() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Payloads that the table accepts, by hand and generated."""
    for path in sorted(PAYLOADS.glob("*.json")):
        payload = json.loads(path.read_text())
        is_view = "type" in payload
        yield path.stem, {"view": payload} if is_view else {"text": "x", **payload}
    yield from ((name, {"blocks": good}) for name, (good, _, _) in MESSAGE_LIMITS.items())
    yield from ((name, {"view": good}) for name, (good, _, _) in VIEW_LIMITS.items())
    yield from good_payloads()


def typed_fields(value: object) -> Iterator[tuple[str, str]]:
    """Every (type, field) of the objects in a payload."""
    if isinstance(value, list):
        for item in value:
            yield from typed_fields(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield str(value.get("type")), name
            yield from typed_fields(item)


def test_what_we_accept_the_schema_accepts() -> None:
    accepted = list(examples())
    assert len(accepted) > 3000
    used = set()
    for name, payload in accepted:
        assert complaints_about(payload) == (), name
        newer = NEWER.keys() & set(typed_fields(payload))
        assert schema_accepts(payload) == (not newer), (name, payload)
        used |= newer
    assert used == NEWER.keys()


def test_what_the_schema_refuses_we_refuse() -> None:
    refused = [one for _, one in broken_payloads() if not schema_accepts(one.value)]
    assert len(refused) > 3000
    accepted = [one for one in refused if not complaints_about(one.value)]
    assert accepted == []


def _ours() -> set[str]:
    return facts_of_rules(*(block.rule for block in BLOCKS.values()), *VIEWS.values())


def _theirs() -> set[str]:
    known = SCHEMA["definitions"]["KnownBlock"]["anyOf"]
    names = [one["$ref"].rpartition("/")[2] for one in known]
    return facts_of_schema(SCHEMA, *names, "HomeView", "ModalView")


def _is_surface(fact: str) -> bool:
    return fact.startswith(("modal.blocks takes", "home.blocks takes"))


def _unlisted(facts: Iterable[str], patterns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Facts that no pattern covers, and patterns that cover no fact."""
    left = sorted(f for f in facts if not any(fnmatchcase(f, p) for p in patterns))
    idle = sorted(p for p in patterns if not any(fnmatchcase(f, p) for f in facts))
    return left, idle


def test_every_field_kind_and_word_of_ours_is_in_the_schema_or_listed() -> None:
    more = {fact for fact in _ours() - _theirs() if not _is_surface(fact)}
    newer = {f"{kind} has {name}" for kind, name in NEWER if name != "type"}
    below = tuple(f"{kind}.{name} " for kind, name in NEWER)
    charts = ("data_visualization", "line", "bar", "area", "pie")
    left = {
        fact
        for fact in more - newer
        if not fact.startswith(below) and fact.partition(" ")[0].partition(".")[0] not in charts
    }
    assert newer <= more
    assert _unlisted(left, STRICTER) == ([], [])


def test_every_field_kind_and_word_of_the_schema_is_ours_or_listed() -> None:
    left = {fact for fact in _theirs() - _ours() if not _is_surface(fact)}
    assert _unlisted(left, REFUSED) == ([], [])


# --- the limits in the comments -------------------------------------------------------------------

LIMITS: Mapping[str, Mapping[str, int]] = json.loads(
    (SCHEMA_FOLDER / "slack-types-limits.json").read_text()
)
# Definitions without a type of their own, and those that only others are made of.
UNTYPED: Mapping[str, Rule] = {
    "ConfirmationDialog": CONFIRM,
    "PlainTextOption": LINK_OPTION,
    "MrkdwnOption": RICH_OPTION,
}
NOT_OURS = ("RichTextInput", "WorkflowButton")
BASES = ("Block.block_id",)


def _objects(rule: Rule) -> Iterator[Object]:
    """Every object rule in a rule, once for each place where it stands."""
    if isinstance(rule, Object):
        yield rule
        for field in rule.fields.values():
            yield from _objects(field)
    elif isinstance(rule, Array):
        yield from _objects(rule.item)
    elif isinstance(rule, Tagged):
        for kind in rule.kinds.values():
            yield from _objects(kind)


def _objects_by_kind() -> Mapping[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for top in (*(block.rule for block in BLOCKS.values()), *VIEWS.values()):
        for one in _objects(top):
            known = found.setdefault(kind_of(one), [])
            if not any(one is other for other in known):
                known.append(one)
    return found


OBJECTS = _objects_by_kind()


def _rules_of(definition: str) -> list[Rule]:
    """Our rules for a definition of the schema."""
    if definition in UNTYPED:
        return [UNTYPED[definition]]
    (kind,) = {
        form["properties"]["type"]["const"]
        for form in forms(SCHEMA, SCHEMA["definitions"][definition])
    }
    is_block = definition.endswith("Block")
    return [
        one for one in OBJECTS[kind] if ("block_id" in one.fields) == is_block or kind != "image"
    ]


def _limit(rule: Rule, limit: str) -> float | None:
    """What a rule says of a limit that is named as in a JSON Schema."""
    if limit.startswith("items."):
        assert isinstance(rule, Array)
        return _limit(rule.item, limit.removeprefix("items."))
    match rule:
        case Tagged():
            texts = {_limit(kind, limit) for kind in rule.kinds.values()}
            return texts.pop() if len(texts) == 1 else None
        case Object():
            return _limit(rule.fields["text"], limit)
        case Array():
            return {"maxItems": rule.most, "minItems": rule.least}.get(limit)
        case String():
            return {"maxLength": rule.most, "minLength": rule.least}.get(limit)
        case Number():
            return {"maximum": rule.most, "minimum": rule.least}.get(limit)
    return None


def _field(rule: Rule, path: list[str]) -> Rule | None:
    for name in path:
        assert isinstance(rule, Object)
        if name not in rule.fields:
            return None
        rule = rule.fields[name]
    return rule


SAID = [
    (path, limit, value)
    for path, limits in LIMITS.items()
    for limit, value in limits.items()
    if not path.startswith(NOT_OURS) and path not in BASES
]


@pytest.mark.parametrize(("path", "limit", "value"), SAID, ids=[f"{p} {n}" for p, n, _ in SAID])
def test_a_limit_in_the_comments_is_ours_or_listed(path: str, limit: str, value: int) -> None:
    definition, *names = path.split(".")
    fields = [_field(rule, names) for rule in _rules_of(definition)]
    ours = {_limit(field, limit) if field is not None else None for field in fields}
    assert ours
    assert (ours == {value}) == ((path, limit) not in OTHER_LIMITS), (value, ours)


def test_every_other_limit_is_in_the_comments() -> None:
    assert OTHER_LIMITS.keys() <= {(path, limit) for path, limit, _ in SAID}


def test_the_comments_have_the_limits_that_everybody_knows() -> None:
    """The words for limits in schema/limits.py still fit the comments."""
    assert LIMITS["SectionBlock.fields"] == {"items.maxLength": 2000, "maxItems": 10}
    assert LIMITS["VideoBlock.title"] == {"maxLength": 199}
    assert len(SAID) > 100

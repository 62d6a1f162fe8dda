"""Whatever is sent, the validator answers: with complaints that say what, where and which error,
and never with yes where the schema says no.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.workspace.element_rules import ELEMENTS
from bot.workspace.rules import Complaint
from bot.workspace.surface_rules import BLOCKS
from bot.workspace.validate import check_message, check_view
from tests.workspace.builders import modal, mrkdwn, section
from tests.workspace.generate import good_payloads, least
from tests.workspace.limits import MESSAGE_LIMITS, PAYLOAD_LIMITS, VIEW_LIMITS
from tests.workspace.oracle import complaints_about, schema_accepts
from tests.workspace.test_schema_oracle import NEWER, typed_fields

CODES = {
    "invalid_arguments",
    "invalid_attachments",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_metadata_format",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
    "too_many_attachments",
    "view_too_large",
}
Path = tuple[str | int, ...]

GOOD: list[dict[str, Any]] = [
    *(payload for _, payload in good_payloads()),
    *({"blocks": good} for good, _, _ in MESSAGE_LIMITS.values()),
    *({"view": good} for good, _, _ in VIEW_LIMITS.values()),
    *(good for good, _, _ in PAYLOAD_LIMITS.values()),
]
KINDS = sorted({*BLOCKS, *ELEMENTS, "plain_text", "mrkdwn", "raw_text", "raw_number", "modal"})
FIELDS = sorted({name for one in GOOD for _, name in typed_fields(one)})

# All that JSON can carry, with what Python's reader takes besides: NaN, Infinity, half characters.
words = st.sampled_from([*KINDS, *FIELDS, "", "x" * 3001]) | st.text(
    st.characters(exclude_categories=()), max_size=8
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**4000)
    | st.floats(allow_nan=True, allow_infinity=True)
    | words
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=12,
)


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value, the value itself first."""
    yield at
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        # Long lists repeat one item: the first few are enough.
        items = enumerate(value[:3])
    for name, item in items:
        yield from paths(item, (*at, name))


def found(value: Any, at: Path) -> Any:
    for name in at:
        value = value[name]
    return value


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A good payload, changed in one to three places."""
    payload: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        *above, name = draw(st.sampled_from([at for at in paths(payload) if at] or [("text",)]))
        _change(draw, found(payload, tuple(above)), name)
    return payload


def _change(draw: st.DrawFn, parent: Any, name: str | int) -> None:
    match draw(st.sampled_from(("replace", "delete", "add", "kind", "repeat", "rename"))):
        case "delete" if name in parent or isinstance(name, int):
            del parent[name]
        case "add" if isinstance(parent, dict):
            parent[draw(words)] = draw(values)
        case "kind" if isinstance(parent, dict):
            parent["type"] = draw(st.sampled_from(KINDS))
        case "repeat" if isinstance(parent, list):
            parent.extend(copy.deepcopy(parent) * draw(st.integers(1, 5)))
        case "rename" if isinstance(parent, dict) and name in parent:
            parent[draw(st.sampled_from(FIELDS))] = parent.pop(name)
        case _:
            parent[name] = draw(values)


def assert_says_what_and_where(complaint: Complaint, root: Any) -> None:
    assert complaint.text
    assert complaint.code in CODES
    assert complaint.pointer == "" or complaint.pointer.startswith("/")
    *above, last = complaint.pointer.split("/")
    for name in above[1:]:
        root = root[int(name)] if isinstance(root, list) else root[name]
    # What is missing is complained of where it should be: that may be nowhere yet.
    assert not last or isinstance(root, (dict, list))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payload=mutated())
def test_a_changed_payload_is_answered_and_never_accepted_against_the_schema(
    payload: dict[str, Any],
) -> None:
    complaints = complaints_about(payload)
    for complaint in complaints:
        assert_says_what_and_where(complaint, payload)
    if not complaints and not NEWER.keys() & set(typed_fields(payload)):
        assert schema_accepts(payload)


@settings(max_examples=300, deadline=None)
@given(value=values)
def test_anything_at_all_is_answered(value: Any) -> None:
    for complaint in check_view(value):
        assert_says_what_and_where(complaint, {"view": value})
    message = {"text": value, "blocks": value, "attachments": value, "metadata": value}
    for complaint in check_message(message):
        assert_says_what_and_where(complaint, message)
    listed = {"blocks": [value], "attachments": [value, {"blocks": [value]}]}
    for complaint in check_message(listed):
        assert_says_what_and_where(complaint, listed)


def deep(kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
    """Lists in lists, or objects in objects, 10 000 deep."""
    value: Any = kind()
    for _ in range(10_000):
        value = [value] if kind is list else {"type": value}
    return value


DEEP = {"list": deep(list), "object": deep(dict)}


@pytest.mark.parametrize("kind", DEEP)
def test_a_value_that_is_10_000_deep_is_refused_wherever_it_stands(kind: str) -> None:
    blocks = [least(block.rule) for block in BLOCKS.values()]
    blocks += [section(text=mrkdwn(), accessory=least(rule)) for rule in ELEMENTS.values()]
    for payload in ({"blocks": [block]} for block in blocks):
        for *above, name in [at for at in paths(payload) if at]:
            changed = copy.deepcopy(payload)
            found(changed, tuple(above))[name] = DEEP[kind]
            assert check_message({"text": "x", **changed})
            assert check_view({**modal(), **changed})
    assert check_view(DEEP[kind])
    assert check_message(dict.fromkeys(("text", "attachments", "metadata"), DEEP[kind]))

"""What the validator says of whole messages and views: codes, pointers, totals."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workspace.element_rules import ELEMENTS
from bot.workspace.surface_rules import BLOCKS
from bot.workspace.validate import check_message, check_view
from tests.workspace.builders import (
    Json,
    actions,
    an_input,
    container,
    modal,
    mrkdwn,
    pie,
    plain,
    section,
    select,
    table,
    text_input,
)


def said(complaints: tuple[Any, ...]) -> list[str]:
    return [str(complaint) for complaint in complaints]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, "no_text"),
        ({"text": "", "blocks": []}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": {}}, "invalid_blocks_format"),
        ({"text": "x", "attachments": [{}] * 101}, "too_many_attachments"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"blocks": [section(text=mrkdwn("x" * 3000))] * 5}, "msg_blocks_too_long"),
        ({"attachments": [{"blocks": [{"type": "x"}]}]}, "invalid_blocks"),
    ],
)
def test_each_kind_of_refusal_has_slacks_error_code(payload: Json, code: str) -> None:
    assert [c.code for c in check_message(payload)] == [code]


def test_a_text_is_a_string() -> None:
    (complaint,) = check_message({"text": ["x"]})
    assert (str(complaint), complaint.code) == (
        "must provide a string [json-pointer:/text]",
        "invalid_arguments",
    )


def test_the_blocks_of_attachments_count_towards_the_message() -> None:
    both = {"blocks": [table()], "attachments": [{"blocks": [table()]}]}
    (complaint,) = check_message(both)
    assert (str(complaint), complaint.code) == (
        "only_one_table_allowed [json-pointer:/attachments/0/blocks/0]",
        "invalid_attachments",
    )
    divider = {"type": "divider", "block_id": "a"}
    twice = {"blocks": [divider], "attachments": [{"blocks": [divider]}]}
    assert said(check_message(twice)) == [
        '`block_id` "a" already exists [json-pointer:/attachments/0/blocks/0/block_id]'
    ]


def test_a_home_tab_has_one_focus_too() -> None:
    focused = [an_input(text_input(focus_on_load=True)) for _ in range(2)]
    home = {"type": "home", "blocks": [container(focused[0]), focused[1]]}
    assert said(check_view(home)) == [
        "only one element can set focus_on_load [json-pointer:/view/blocks/1/element/focus_on_load]"
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_is_finite(value: float) -> None:
    assert said(check_message({"blocks": [pie(1, value=value)]})) == [
        "must provide a number [json-pointer:/blocks/0/chart/segments/0/value]"
    ]


def test_attachments_are_checked_where_they_are() -> None:
    attachments = [{"color": "#fff", "blocks": [section()]}, {"blocks": [section(text=plain(""))]}]
    assert said(check_message({"attachments": attachments})) == [
        "must be more than 0 characters [json-pointer:/attachments/1/blocks/0/text/text]"
    ]


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], [1], {"type": 1}, {"type": None}, {"type": []}]
)
def test_anything_at_all_may_be_asked_about(value: Any) -> None:
    assert check_view(value)
    assert check_message({"text": "x", "blocks": [value]})
    assert check_message({"text": "x", "blocks": [section(text=value)]})
    assert check_message({"text": "x", "blocks": [actions(select(options=value))]})


@pytest.mark.parametrize("kind", [*BLOCKS, *ELEMENTS])
def test_a_block_or_element_of_nothing_but_its_type_may_be_asked_about(kind: str) -> None:
    bare = {"type": kind}
    assert check_message({"blocks": [bare, actions(bare)]})
    assert check_view(modal(bare, an_input(bare)))

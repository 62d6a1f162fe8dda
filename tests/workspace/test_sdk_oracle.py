"""slack_sdk's models refuse nothing that we accept; where they say nothing is listed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from tests.workspace.generate import good_payloads
from tests.workspace.limits import MESSAGE_LIMITS, VIEW_LIMITS

NO_CLASS = {"data_table", "data_visualization"}
# The models want a block in every view; Slack's documentation does not.
EMPTY_HOME = {"type": "home", "blocks": []}
# Rows of limits.py that the models do not have -> why not.
SILENT: Mapping[str, tuple[str, ...]] = {
    "they know no surfaces": (
        "alert: not in a message",
        "A4 number_input: modal only",
        "A4 number_input: not on a Home tab",
        "A4 file_input: modal only",
        "A4 file_input: not on a Home tab",
        "5.4 view: a known type",
    ),
    "they take any block or element anywhere": (
        "context: no button",
        "actions: no multi-select",
        "context_actions: no button",
        "A4 container: child blocks",
        "A4 container: no data_table",
        "A4 container: no data_visualization",
        "A4 table: cells",
        "rich_text: known parts",
    ),
    "they take any kind of text": (
        "A4 header: plain text",
        "A4 card: text objects",
        "A4 plan: a bare title",
        "A3 title: plain text",
        "A3 submit: plain text",
        "A3 close: plain text",
    ),
    "they drop unknown fields with a warning": (
        "5.4 block: known fields",
        "5.4 view: known fields",
        "A4 header: level of 1",
        "A4 header: level of 4",
        "A4 card: subtext of 200",
        "A4 conversations, channels, users select: no options",
        "A4 conversations, channels, users select: response_url_enabled",
    ),
    "they look at one block at a time": (
        "A4 markdown: 12 000 in all",
        "A4 table: one in a message",
        "table: one in a message, in a container too",
        "A4 message: 50 blocks",
        "A4 message: 13 200 in all",
        "A3 payload: 250 kB",
        "5.4 ids: block_id once in a message",
        "5.4 ids: block_id once in a view",
        "ids: block_id once, in a container too",
        "5.4 ids: action_id once in a block",
        "view: focus_on_load once",
        "A3 submit: required for an input",
        "5.4 view: title is required",
    ),
    "they do not compare fields": (
        "A4 image: a url or a slack_file",
        "A4 image: a url or a slack_file, not both",
        "slack_file: an id or a url",
        "image element: a url or a slack_file",
        "select: an initial option of its own",
        "multi select: initial options of its own",
        "radio buttons: an initial option of its own",
        "checkboxes: initial options of its own",
        "table: even rows",
        "container: folded only if it folds",
        "plain_text_input: initial_value within max_length",
        "plain_text_input: min_length below max_length",
        "A4 number_input: min_value below max_value",
        "number_input: whole if no decimals",
    ),
    "they do not check types": (
        "A4 section: expand",
        "A4 container: collapsible",
        "A4 plain_text_input: multiline",
        "A4 number_input: is_decimal_allowed",
        "A4 button: visible_to_user_ids",
    ),
    "they leave out what is empty, or take it": (
        "actions: 1 element",
        "context: 1 element",
        "radio buttons: 1 option",
        "checkboxes: 1 option",
        "checkboxes: 1 initial option",
        "select: 1 option",
        "select: 1 option group",
        "multi select: 1 initial option",
        "multi external select: 1 initial option",
        "conversations select: a filter of 1",
        "text input: 1 trigger of an action",
        "button: 1 person who sees it",
        "rich_text: 1 part",
        "card: 1 button",
        "file_input: 1 filetype",
        "view: nothing to remember",
        "plain_text_input: nothing at first",
    ),
    "they have no such word, form or range": (
        "A4 task_card: not pending by itself",
        "A4 plan: status of a task",
        "A4 plain_text_input: dispatch_action_config",
        "A4 number_input: no exponent",
        "video: https",
        "file: remote",
        "datetimepicker: 10 digits",
        "email_text_input: an address",
        "url_text_input: an address",
        "multi select: max_selected_items of 1",
        "A4 external select: min_query_length",
        "multi external select: min_query_length",
        "A4 file_input: 1 file",
        "A4 file_input: 10 files",
        "A4 plain_text_input: min_length of 3000",
        "A4 plain_text_input: max_length of 3000",
        "plain_text_input: max_length of 1",
        "plain_text_input: min_length of 0",
        "datetimepicker: not before 10 digits",
        "rich_text_list: border of 0",
        "rich_text_list: border of 1",
        "rich_text_list: indent of 0",
        "rich_text_list: indent of 8",
        "rich_text_list: offset of 0",
    ),
    "they have no such length": (
        "A4 section: text of 1",
        "A4 section: a field of 2000",
        "A3 external_id: 255",
        "A4 alert: text of 200",
        "icon_button: accessibility_label of 75",
        "plain_text_input: initial_value of 3000",
        "context: a text of 2000",
        "context: a plain text of 2000",
        "button: agent_prompt_display of 75",
        "feedback_buttons: accessibility_label of 75",
        "icon_button: text of 75",
        "icon_button: value of 2000",
        "slack_file: id of 255",
        "slack_file: url of 3000",
        "timepicker: timezone of 255",
        "video: alt_text of 2000",
        "video: description of 200",
        "video: provider_name of 49",
        "task_card: task_id of 255",
        "file_input: a filetype of 255",
    ),
    "they have no such count": (
        "A4 card: 3 buttons",
        "A4 plan: 12 tasks",
        "A4 table: 100 rows",
        "A4 table: 20 columns",
        "A4 table: 10 000 in all",
        "A4 radio buttons: 10 options",
        "A4 checkboxes: 10 options",
        "checkboxes: 10 initial options",
        "multi select: 100 initial options",
        "multi external select: 100 initial options",
        "multi_users_select: 100 at first",
        "multi_channels_select: 100 at first",
        "multi_conversations_select: 100 at first",
        "text input: 2 triggers of an action",
        "table: 20 column settings",
    ),
    "a menu's to_dict writes its options as they came, unchecked": (
        "A4 select: option text of 75",
        "A4 select: option value of 150",
        "A4 select: option description of 75",
        "A4 select: 100 options of a group",
        "select: a group's label of 75",
        "radio buttons: option text of 75",
        "radio buttons: option description of 75",
        "overflow: option text of 75",
        "overflow: option description of 75",
        "select: 1 option of a group",
    ),
}


@pytest.fixture(autouse=True)
def no_warnings_of_unknown_fields() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def sdk_accepts(payload: Mapping[str, Any]) -> bool:
    """Whether the models can be made of this payload and think it right."""
    try:
        if "view" in payload:
            view = View(**payload["view"])
            view.to_dict()
            return None not in view.blocks
        blocks = Block.parse_all(payload["blocks"])
        for block in blocks:
            block.to_dict()
    except (SlackObjectFormationError, TypeError, KeyError, AttributeError):
        # A block of an unknown type is None, which has no to_dict.
        return False
    return True


def has_class(payload: Mapping[str, Any]) -> bool:
    """Whether the models know all blocks of this payload."""
    blocks = payload["view"]["blocks"] if "view" in payload else payload["blocks"]
    return not NO_CLASS & {block["type"] for block in blocks}


def limits(at: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The payloads of limits.py at a limit (0) or beyond it (1) that the models know."""
    sent = [(name, {"blocks": row[at]}) for name, row in MESSAGE_LIMITS.items()]
    sent += [(name, {"view": row[at]}) for name, row in VIEW_LIMITS.items()]
    yield from ((name, payload) for name, payload in sent if has_class(payload))


def test_what_we_accept_the_models_accept() -> None:
    generated = [one for one in good_payloads() if has_class(one[1])]
    assert len(generated) > 3000
    refused = [one for one in (*limits(0), *generated) if not sdk_accepts(one[1])]
    assert refused == [("home", {"view": EMPTY_HOME})]


def test_where_the_models_say_nothing_is_listed() -> None:
    listed = {name for names in SILENT.values() for name in names}
    silent = {name for name, payload in limits(1) if sdk_accepts(payload)}
    assert silent == listed

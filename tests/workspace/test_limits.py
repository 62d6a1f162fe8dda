"""Every limit of Slack: at the limit it passes, beyond it is refused; and no row is missing.

REFERENCE has the rows of our Slack reference that limit something: A3 modals, A4 blocks, surfaces
and elements, A5 charts, A6 messages, A7 files; and 5.4, of the workspace's reference.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.workspace.card_rules import CHILD
from bot.workspace.element_rules import ELEMENTS
from bot.workspace.surface_rules import BLOCKS
from bot.workspace.validate import UPDATED_TEXT_LIMIT, check_message, check_view
from tests.workspace.builders import home, modal
from tests.workspace.generate import Broken, broken_payloads, least
from tests.workspace.limits import CODES, MESSAGE_LIMITS, PAYLOAD_LIMITS, VIEW_LIMITS
from tests.workspace.oracle import complaints_about

# row -> what it limits, as in the names of limits.py.
REFERENCE: Mapping[str, tuple[str, ...]] = {
    "A3 trigger_id": ("3 s", "one use"),
    "A3 stack": ("3 views",),
    "A3 modal": ("100 blocks",),
    "A3 title": ("24", "plain text"),
    "A3 submit": ("24", "plain text", "required for an input"),
    "A3 close": ("24", "plain text"),
    "A3 private_metadata": ("3000",),
    "A3 callback_id": ("255",),
    "A3 external_id": ("255", "once in a team"),
    "A3 payload": ("250 kB",),
    "A3 hash": ("the newest",),
    "A3 rates": ("views.* tier 4",),
    "A3 input": ("kept under the same ids",),
    "A3 view_closed": ("only with notify_on_close",),
    "A3 errors": ("of input blocks only",),
    "A4 message": ("50 blocks", "13 200 in all"),
    "A4 home": ("100 blocks",),
    "A4 section": ("text of 3000", "text of 1", "10 fields", "a field of 2000", "expand"),
    "A4 header": ("150", "plain text", "level of 1", "level of 4"),
    "A4 context": ("10 elements",),
    "A4 actions": ("25 elements",),
    "A4 image": (
        "alt_text of 2000",
        "title of 2000",
        "url of 3000",
        "a url or a slack_file",
        "a url or a slack_file, not both",
    ),
    "A4 input": ("label of 2000", "hint of 2000"),
    "A4 markdown": ("12 000 in all",),
    "A4 table": ("100 rows", "20 columns", "10 000 in all", "one in a message", "cells"),
    "A4 data_table": (
        "a row and a header",
        "100 rows and a header",
        "a column",
        "20 columns",
        "caption",
        "page_size of 1",
        "page_size of 100",
        "20 000 in all",
        "no rich text in the header",
    ),
    "A4 card": (
        "title of 150",
        "subtitle of 150",
        "body of 200",
        "subtext of 200",
        "3 buttons",
        "text objects",
    ),
    "A4 carousel": ("1 card", "10 cards"),
    "A4 container": (
        "10 children",
        "collapsible",
        "child blocks",
        "no data_table",
        "no data_visualization",
    ),
    "A4 plan": ("a bare title", "12 tasks", "status of a task"),
    "A4 task_card": ("not pending by itself",),
    "A4 alert": ("level", "text of 200"),
    "A4 context_actions": ("5 elements",),
    "A4 select": (
        "100 options",
        "100 option groups",
        "100 options of a group",
        "options or groups",
        "option text of 75",
        "option value of 150",
        "option description of 75",
        "placeholder of 150",
    ),
    "A4 multi select": ("100 options",),
    "A4 external select": ("min_query_length", "options in 3 s"),
    "A4 conversations, channels, users select": ("no options", "response_url_enabled"),
    "A4 radio buttons": ("10 options",),
    "A4 checkboxes": ("10 options",),
    "A4 number_input": (
        "modal only",
        "not on a Home tab",
        "is_decimal_allowed",
        "min_value below max_value",
        "no exponent",
    ),
    "A4 plain_text_input": (
        "min_length of 3000",
        "max_length of 3000",
        "multiline",
        "dispatch_action_config",
    ),
    "A4 file_input": ("modal only", "not on a Home tab", "1 file", "10 files"),
    "A4 overflow": ("1 option", "5 options"),
    "A4 button": (
        "text of 75",
        "value of 2000",
        "url of 3000",
        "style",
        "confirm title of 100",
        "confirm text of 300",
        "confirm button of 30",
        "deny button of 30",
        "confirm style",
        "visible_to_user_ids",
    ),
    "A4 ids": ("action_id of 255", "block_id of 255"),
    "A5 chart": (
        "title of 50",
        "a known type",
        "2 in a message",
        "1 series",
        "6 series",
        "a series name of 20",
        "different series names",
        "1 point",
        "20 points",
        "20 points of a series",
        "a point for every category",
        "different categories",
        "a category of 20",
        "a point's label of 20",
        "values, below zero too",
        "x_label of 50",
        "y_label of 50",
        "no log axis",
        "no colour of a point",
    ),
    "A5 pie": ("6 segments", "above 0", "a label of 20"),
    "A6 text": ("40 000", "cut at 40 000 when posted", "4000 in an update"),
    "A6 metadata": ("event_type and event_payload", "metadata_too_large"),
    "A6 thread": ("the parent's ts",),
    "A6 update": ("own messages only", "tier 3"),
    "A6 rates": ("a message a second in a channel", "429 with Retry-After"),
    "A6 ephemeral": ("to a member",),
    "A7 files": ("not ready", "of others", "PNG, JPG, JPEG, GIF"),
    "5.4 block": ("a known type", "known fields"),
    "5.4 blocks": ("a list",),
    "5.4 ids": (
        "block_id once in a message",
        "block_id once in a view",
        "action_id once in a block",
    ),
    "5.4 message": ("something to show",),
    "5.4 attachments": ("100",),
    "5.4 view": ("a known type", "title is required", "known fields"),
}
# Limits that only the server can see -> the test that shows them.
SEEN_BY_THE_SERVER: Mapping[str, str] = {
    "A3 trigger_id: 3 s": "test_bolt_app.py::test_a_trigger_lives_three_seconds",
    "A3 trigger_id: one use": "test_bolt_app.py::test_a_form_opens_and_its_trigger_works_once",
    "A3 stack: 3 views": "test_bolt_app.py::test_forms_pile_up_to_three_and_clear_at_once",
    "A3 external_id: once in a team": (
        "test_bolt_app.py::test_an_external_id_belongs_to_one_open_view"
    ),
    "A3 hash: the newest": "test_bolt_app.py::test_a_view_update_needs_the_newest_hash",
    "A3 input: kept under the same ids": (
        "test_bolt_app.py::test_what_was_typed_survives_an_update_under_the_same_ids"
    ),
    "A3 view_closed: only with notify_on_close": (
        "test_bolt_app.py::test_a_closed_form_is_reported_only_if_the_app_asked"
    ),
    "A3 errors: of input blocks only": (
        "test_bolt_app.py::test_an_error_for_a_block_that_is_no_input_keeps_the_form_open"
    ),
    "A4 external select: options in 3 s": (
        "test_socket_mode.py::test_an_acknowledgement_that_does_not_come_is_an_operation_timeout"
    ),
    "A6 text: cut at 40 000 when posted": (
        "test_web_api.py::test_long_text_is_cut_when_posted_and_refused_when_updated"
    ),
    "A6 text: 4000 in an update": (
        "test_web_api.py::test_long_text_is_cut_when_posted_and_refused_when_updated"
    ),
    "A6 thread: the parent's ts": (
        "test_web_api.py::test_a_thread_counts_its_replies_and_a_reply_is_no_root"
    ),
    "A6 update: own messages only": (
        "test_web_api.py::test_only_the_bots_own_messages_can_be_changed"
    ),
    "A6 ephemeral: to a member": (
        "test_web_api.py::test_an_ephemeral_message_is_seen_by_one_person_only"
    ),
    "A3 rates: views.* tier 4": "test_rate_limits.py::test_a_method_has_slacks_tier",
    "A6 update: tier 3": "test_rate_limits.py::test_a_method_has_slacks_tier",
    "A6 rates: a message a second in a channel": (
        "test_rate_limits.py::test_a_channel_takes_a_short_burst_and_then_one_message_a_second"
    ),
    "A6 rates: 429 with Retry-After": (
        "test_rate_limits.py::test_a_call_too_many_is_answered_with_429_and_retry_after"
    ),
    "A7 files: not ready": (
        "test_files.py::test_a_file_in_an_image_block_is_refused_until_it_is_ready"
    ),
    "A7 files: of others": (
        "test_files.py::test_a_file_that_slack_does_not_draw_is_refused_in_an_image_block"
    ),
    "A7 files: PNG, JPG, JPEG, GIF": (
        "test_files.py::test_a_file_that_slack_does_not_draw_is_refused_in_an_image_block"
    ),
}
# Limits that nothing shows yet -> why, or whose they are.
NOT_SHOWN: Mapping[str, str] = {
    "A6 metadata: metadata_too_large": "Slack publishes the error and not the size",
}
# Where blocks may stand: message, modal, Home.
SURFACES: Mapping[str, tuple[bool, bool, bool]] = {
    "section": (True, True, True),
    "header": (True, True, True),
    "context": (True, True, True),
    "actions": (True, True, True),
    "divider": (True, True, True),
    "image": (True, True, True),
    "input": (True, True, True),
    "rich_text": (True, True, True),
    "markdown": (True, False, False),
    "table": (True, False, True),
    "data_table": (True, False, True),
    "data_visualization": (True, False, False),
    "card": (True, True, True),
    "carousel": (True, False, True),
    "container": (True, False, True),
    "plan": (True, False, False),
    "task_card": (True, False, False),
    "alert": (False, True, False),
    "context_actions": (True, False, False),
    "video": (True, True, True),
    "file": (True, False, False),
}
# For the sign-in of agents' tools; apps without an agent never send it.
NOT_SUPPORTED = {"type": "auth_provider", "value": "x", "name": "x", "is_connected": False}
CHILDREN = {
    "section", "actions", "table", "image", "rich_text", "context", "header", "divider", "input",
    "video",
}  # fmt: skip
TABLES: tuple[Mapping[str, Any], ...] = (MESSAGE_LIMITS, VIEW_LIMITS, PAYLOAD_LIMITS)


@pytest.mark.parametrize("name", MESSAGE_LIMITS)
def test_a_message_at_the_limit_passes_and_beyond_is_refused(name: str) -> None:
    good, bad, complaint = MESSAGE_LIMITS[name]
    assert [str(c) for c in check_message({"blocks": good})] == []
    refused = {str(c): c.code for c in check_message({"blocks": bad})}
    assert refused[complaint] == CODES.get(name, "invalid_blocks")


@pytest.mark.parametrize("name", VIEW_LIMITS)
def test_a_view_at_the_limit_passes_and_beyond_is_refused(name: str) -> None:
    good, bad, complaint = VIEW_LIMITS[name]
    assert [str(c) for c in check_view(good)] == []
    refused = {str(c): c.code for c in check_view(bad)}
    assert refused[complaint] == CODES.get(name, "invalid_arguments")


@pytest.mark.parametrize("name", PAYLOAD_LIMITS)
def test_a_payload_at_the_limit_passes_and_beyond_is_refused(name: str) -> None:
    good, bad, code = PAYLOAD_LIMITS[name]
    assert check_message(good) == ()
    assert [c.code for c in check_message(bad)] == [code]


def test_the_text_of_an_update_has_a_limit_of_its_own() -> None:
    assert check_message({"text": "x" * 4000}, text_limit=UPDATED_TEXT_LIMIT) == ()
    (complaint,) = check_message({"text": "x" * 4001}, text_limit=UPDATED_TEXT_LIMIT)
    assert complaint.code == "msg_too_long"


@pytest.mark.parametrize("kind", SURFACES)
def test_a_block_stands_where_slack_lets_it(kind: str) -> None:
    block = least(BLOCKS[kind].rule)
    verdicts = (
        check_message({"blocks": [block]}),
        check_view(modal(block)),
        check_view(home(block)),
    )
    assert tuple(verdict == () for verdict in verdicts) == SURFACES[kind]
    refused = {complaint.text for verdict in verdicts for complaint in verdict}
    assert refused <= {f"unsupported type: {kind}"}


def test_a_block_that_is_not_supported_is_refused_everywhere() -> None:
    assert check_message({"blocks": [NOT_SUPPORTED]})
    assert check_view(modal(NOT_SUPPORTED)) and check_view(home(NOT_SUPPORTED))


def test_the_surface_table_has_every_block() -> None:
    assert SURFACES.keys() == BLOCKS.keys()
    assert CHILD.kinds.keys() == CHILDREN


def test_no_row_of_the_reference_is_missing() -> None:
    rows = {f"{row}: {limit}" for row, limits in REFERENCE.items() for limit in limits}
    named = {name for table in TABLES for name in table if re.match(r"A[3-7] |5\.4 ", name)}
    elsewhere = SEEN_BY_THE_SERVER.keys() | NOT_SHOWN.keys()
    assert rows == named | elsewhere
    assert not named & elsewhere


@pytest.mark.parametrize("test", sorted(set(SEEN_BY_THE_SERVER.values())))
def test_what_only_the_server_sees_has_a_test_there(test: str) -> None:
    file, _, name = test.partition("::")
    tree = ast.parse((Path(__file__).parent / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_block_and_element_has_a_limit_here() -> None:
    tried = str(TABLES)
    assert [kind for kind in [*BLOCKS, *ELEMENTS] if f"'{kind}'" not in tried] == []


BROKEN = list(broken_payloads())


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in BROKEN}))
def test_every_way_to_break_a_rule_is_complained_of_where_it_is(kind: str) -> None:
    def is_seen(one: Broken) -> bool:
        return one.pointer in {complaint.pointer for complaint in complaints_about(one.value)}

    tried = [one for name, one in BROKEN if name == kind]
    assert tried
    assert [(one.how, one.pointer) for one in tried if not is_seen(one)] == []

"""Every limit of the table: at the limit it passes, beyond it is refused in Slack's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bot.workspace.element_rules import ELEMENTS
from bot.workspace.surface_rules import BLOCKS
from bot.workspace.validate import check_message, check_view
from tests.workspace.builders import (
    Json,
    actions,
    an_input,
    button,
    card,
    carousel,
    cell,
    chart,
    confirm,
    container,
    context_actions,
    data_table,
    feedback,
    icon,
    modal,
    mrkdwn,
    number_input,
    options,
    pie,
    plain,
    plan,
    section,
    select,
    table,
    task,
    text_input,
    video,
)


def said(complaints: tuple[Any, ...]) -> list[str]:
    return [str(complaint) for complaint in complaints]


# name -> (at the limit, beyond it, the complaint about the latter); blocks of one message.
MESSAGE_LIMITS: Mapping[str, tuple[list[Json], list[Json], str]] = {
    "section text": (
        [section(text=mrkdwn("x" * 3000))],
        [section(text=mrkdwn("x" * 3001))],
        "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ),
    "section text of nothing": (
        [section(text=mrkdwn("x"))],
        [section(text=mrkdwn(""))],
        "must be more than 0 characters [json-pointer:/blocks/0/text/text]",
    ),
    "section fields": (
        [section(fields=[mrkdwn()] * 10)],
        [section(fields=[mrkdwn()] * 11)],
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    "a section field": (
        [section(fields=[mrkdwn("x" * 2000)])],
        [section(fields=[mrkdwn("x" * 2001)])],
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
    ),
    "a section without anything": (
        [section(fields=[mrkdwn()])],
        [{"type": "section"}],
        "missing required field: text [json-pointer:/blocks/0]",
    ),
    "header": (
        [{"type": "header", "text": plain("x" * 150)}],
        [{"type": "header", "text": plain("x" * 151)}],
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    "header in mrkdwn": (
        [{"type": "header", "text": plain()}],
        [{"type": "header", "text": mrkdwn()}],
        "must be a valid enum value [json-pointer:/blocks/0/text/type]",
    ),
    "context elements": (
        [{"type": "context", "elements": [mrkdwn()] * 10}],
        [{"type": "context", "elements": [mrkdwn()] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "a button in a context": (
        [{"type": "context", "elements": [mrkdwn()]}],
        [{"type": "context", "elements": [button()]}],
        "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
    ),
    "actions": (
        [actions(*[button()] * 25)],
        [actions(*[button()] * 26)],
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "no actions": (
        [actions(button())],
        [actions()],
        "no less than 1 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "button text": (
        [actions(button(text=plain("x" * 75)))],
        [actions(button(text=plain("x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    "button value": (
        [actions(button(value="x" * 2000))],
        [actions(button(value="x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    "button url": (
        [actions(button(url="http://a/" + "x" * 2991))],
        [actions(button(url="http://a/" + "x" * 2992))],
        "must be less than 3001 characters [json-pointer:/blocks/0/elements/0/url]",
    ),
    "button style": (
        [actions(button(style="danger"))],
        [actions(button(style="default"))],
        "must be a valid enum value [json-pointer:/blocks/0/elements/0/style]",
    ),
    "action_id": (
        [actions(button(action_id="x" * 255))],
        [actions(button(action_id="x" * 256))],
        "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
    ),
    "block_id": (
        [{"type": "divider", "block_id": "x" * 255}],
        [{"type": "divider", "block_id": "x" * 256}],
        "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
    ),
    "confirm title": (
        [actions(button(confirm=confirm(title=plain("x" * 100))))],
        [actions(button(confirm=confirm(title=plain("x" * 101))))],
        "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]",
    ),
    "confirm text": (
        [actions(button(confirm=confirm(text=mrkdwn("x" * 300))))],
        [actions(button(confirm=confirm(text=mrkdwn("x" * 301))))],
        "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]",
    ),
    "confirm button": (
        [actions(button(confirm=confirm(confirm=plain("x" * 30))))],
        [actions(button(confirm=confirm(confirm=plain("x" * 31))))],
        "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/confirm/text]",
    ),
    "deny button": (
        [actions(button(confirm=confirm(deny=plain("x" * 30))))],
        [actions(button(confirm=confirm(deny=plain("x" * 31))))],
        "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/deny/text]",
    ),
    "options of a select": (
        [actions(select(options=options(100)))],
        [actions(select(options=options(101)))],
        "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "option text": (
        [actions(select(options=options(1, "x" * 75)))],
        [actions(select(options=options(1, "x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/options/0/text/text]",
    ),
    "option value": (
        [actions(select(options=options(1, value="x" * 150)))],
        [actions(select(options=options(1, value="x" * 151)))],
        "must be less than 151 characters [json-pointer:/blocks/0/elements/0/options/0/value]",
    ),
    "placeholder": (
        [actions(select(placeholder=plain("x" * 150)))],
        [actions(select(placeholder=plain("x" * 151)))],
        "must be less than 151 characters [json-pointer:/blocks/0/elements/0/placeholder/text]",
    ),
    "an initial option of the select": (
        [actions(select(initial_option=options(2)[1]))],
        [actions(select(initial_option={"text": plain("other"), "value": "1"}))],
        "must match one of the options [json-pointer:/blocks/0/elements/0/initial_option]",
    ),
    "radio buttons": (
        [actions({"type": "radio_buttons", "options": options(10)})],
        [actions({"type": "radio_buttons", "options": options(11)})],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "checkboxes": (
        [actions({"type": "checkboxes", "options": options(10)})],
        [actions({"type": "checkboxes", "options": options(11)})],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "overflow": (
        [actions({"type": "overflow", "options": options(5)})],
        [actions({"type": "overflow", "options": options(6)})],
        "no more than 5 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "a multi-select among actions": (
        [section(text=mrkdwn(), accessory={**select(), "type": "multi_static_select"})],
        [actions({**select(), "type": "multi_static_select"})],
        "unsupported type: multi_static_select [json-pointer:/blocks/0/elements/0/type]",
    ),
    "a date": (
        [actions({"type": "datepicker", "initial_date": "2026-11-24"})],
        [actions({"type": "datepicker", "initial_date": "24.11.2026"})],
        "must match the required pattern [json-pointer:/blocks/0/elements/0/initial_date]",
    ),
    "a time": (
        [actions({"type": "timepicker", "initial_time": "23:59"})],
        [actions({"type": "timepicker", "initial_time": "24:00"})],
        "must match the required pattern [json-pointer:/blocks/0/elements/0/initial_time]",
    ),
    "image alt text": (
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x" * 2000}],
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x" * 2001}],
        "must be less than 2001 characters [json-pointer:/blocks/0/alt_text]",
    ),
    "image title": (
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x", "title": plain("x" * 2000)}],
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x", "title": plain("x" * 2001)}],
        "must be less than 2001 characters [json-pointer:/blocks/0/title/text]",
    ),
    "an image without a source": (
        [{"type": "image", "slack_file": {"id": "F1"}, "alt_text": "x"}],
        [{"type": "image", "alt_text": "x"}],
        "missing required field: image_url [json-pointer:/blocks/0]",
    ),
    "input label": (
        [an_input(label=plain("x" * 2000))],
        [an_input(label=plain("x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/label/text]",
    ),
    "input hint": (
        [an_input(hint=plain("x" * 2000))],
        [an_input(hint=plain("x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/hint/text]",
    ),
    "a number input in a message": (
        [an_input(text_input())],
        [an_input(number_input())],
        "unsupported type: number_input [json-pointer:/blocks/0/element/type]",
    ),
    "markdown": (
        [{"type": "markdown", "text": "x" * 12_000}],
        [{"type": "markdown", "text": "x" * 12_001}],
        "must be less than 12001 characters [json-pointer:/blocks/0/text]",
    ),
    "markdown in all": (
        [{"type": "markdown", "text": "x" * 6_000}] * 2,
        [{"type": "markdown", "text": "x" * 6_000}] * 2 + [{"type": "markdown", "text": "x"}],
        "markdown blocks must be less than 12001 characters in all [json-pointer:/blocks]",
    ),
    "table rows": (
        [table(rows=100)],
        [table(rows=101)],
        "no more than 100 items allowed [json-pointer:/blocks/0/rows]",
    ),
    "table columns": (
        [table(columns=20)],
        [table(columns=21)],
        "no more than 20 items allowed [json-pointer:/blocks/0/rows/0]",
    ),
    "table text": (
        [table(rows=100, columns=20, text="xxxxx")],
        [table(rows=100, columns=20, text="xxxxxx")],
        "table blocks must be less than 10001 characters in all [json-pointer:/blocks]",
    ),
    "tables": (
        [table()],
        [table(), table()],
        "only_one_table_allowed [json-pointer:/blocks/1]",
    ),
    "uneven rows": (
        [{"type": "table", "rows": [[cell(), cell()], [cell(), cell()]]}],
        [{"type": "table", "rows": [[cell(), cell()], [cell()]]}],
        "must have 2 cells, as the first row has [json-pointer:/blocks/0/rows/1]",
    ),
    "data table rows": (
        [data_table(rows=101)],
        [data_table(rows=102)],
        "no more than 101 items allowed [json-pointer:/blocks/0/rows]",
    ),
    "a data table of a header alone": (
        [data_table(rows=2)],
        [data_table(rows=1)],
        "no less than 2 items allowed [json-pointer:/blocks/0/rows]",
    ),
    "data table columns": (
        [data_table(columns=20)],
        [data_table(columns=21)],
        "no more than 20 items allowed [json-pointer:/blocks/0/rows/0]",
    ),
    "data table page": (
        [data_table(page_size=100)],
        [data_table(page_size=101)],
        "must be less than or equal to 100 [json-pointer:/blocks/0/page_size]",
    ),
    "data table text": (
        [data_table(rows=100, columns=20, text="x" * 10)],
        [data_table(rows=100, columns=20, text="x" * 11)],
        "data_table blocks must be less than 20001 characters in all [json-pointer:/blocks]",
    ),
    "chart title": (
        [chart(title="x" * 50)],
        [chart(title="x" * 51)],
        "must be less than 51 characters [json-pointer:/blocks/0/title]",
    ),
    "chart series": (
        [chart(series=6)],
        [chart(series=7)],
        "no more than 6 items allowed [json-pointer:/blocks/0/chart/series]",
    ),
    "chart points": (
        [chart(points=20)],
        [chart(points=21)],
        "no more than 20 items allowed [json-pointer:/blocks/0/chart/axis_config/categories]",
    ),
    "chart labels": (
        [chart(label="x" * 20)],
        [chart(label="x" * 21)],
        "must be less than 21 characters [json-pointer:/blocks/0/chart/axis_config/categories/0]",
    ),
    "charts": (
        [chart(), chart()],
        [chart(), chart(), chart()],
        "no more than 2 data_visualization blocks allowed [json-pointer:/blocks/2]",
    ),
    "pie segments": (
        [pie(6)],
        [pie(7)],
        "no more than 6 items allowed [json-pointer:/blocks/0/chart/segments]",
    ),
    "a pie segment of nothing": (
        [pie(1, value=0.1)],
        [pie(1, value=0)],
        "must be greater than 0 [json-pointer:/blocks/0/chart/segments/0/value]",
    ),
    "blocks of a message": (
        [{"type": "divider"}] * 50,
        [{"type": "divider"}] * 51,
        "no more than 50 items allowed [json-pointer:/blocks]",
    ),
    "text of all blocks": (
        [section(text=mrkdwn("x" * 2640))] * 5,
        [section(text=mrkdwn("x" * 2640))] * 5 + [section(text=mrkdwn("x"))],
        "must be less than 13201 characters in all [json-pointer:/blocks]",
    ),
    "a block_id twice": (
        [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "b"}],
        [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}],
        '`block_id` "a" already exists [json-pointer:/blocks/1/block_id]',
    ),
    "an action_id twice in a block": (
        [actions(button(action_id="a")), actions(button(action_id="a"))],
        [actions(button(action_id="a"), button(action_id="a"))],
        '`action_id` "a" already exists [json-pointer:/blocks/0/elements/1/action_id]',
    ),
    "an unknown block": (
        [{"type": "divider"}],
        [{"type": "dividor"}],
        "unsupported type: dividor [json-pointer:/blocks/0/type]",
    ),
    "an unknown property": (
        [section()],
        [section(text=mrkdwn(), colour="red")],
        "invalid additional property: colour [json-pointer:/blocks/0]",
    ),
    "an alert in a message": (
        [section()],
        [{"type": "alert", "text": plain()}],
        "unsupported type: alert [json-pointer:/blocks/0/type]",
    ),
    "rich text of an unknown part": (
        [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]}],
        [{"type": "rich_text", "elements": [{"type": "rich_text_chapter", "elements": []}]}],
        "unsupported type: rich_text_chapter [json-pointer:/blocks/0/elements/0/type]",
    ),
    "card title": (
        [card(title=mrkdwn("x" * 150))],
        [card(title=mrkdwn("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/title/text]",
    ),
    "card subtitle": (
        [card(title=mrkdwn(), subtitle=mrkdwn("x" * 150))],
        [card(title=mrkdwn(), subtitle=mrkdwn("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/subtitle/text]",
    ),
    "card body": (
        [card(title=mrkdwn(), body=mrkdwn("x" * 200))],
        [card(title=mrkdwn(), body=mrkdwn("x" * 201))],
        "must be less than 201 characters [json-pointer:/blocks/0/body/text]",
    ),
    "card subtext": (
        [card(title=mrkdwn(), subtext=mrkdwn("x" * 200))],
        [card(title=mrkdwn(), subtext=mrkdwn("x" * 201))],
        "must be less than 201 characters [json-pointer:/blocks/0/subtext/text]",
    ),
    "card buttons": (
        [card(actions=[button()] * 3)],
        [card(actions=[button()] * 4)],
        "no more than 3 items allowed [json-pointer:/blocks/0/actions]",
    ),
    "a card of nothing": (
        [card(body=mrkdwn())],
        [card(subtitle=mrkdwn())],
        "missing required field: title [json-pointer:/blocks/0]",
    ),
    "a card in plain text": (
        [card(title=mrkdwn())],
        [card(title=plain())],
        "must be a valid enum value [json-pointer:/blocks/0/title/type]",
    ),
    "carousel": (
        [carousel(10)],
        [carousel(11)],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "an empty carousel": (
        [carousel(1)],
        [carousel(0)],
        "no less than 1 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "container children": (
        [container(*[section()] * 10)],
        [container(*[section()] * 11)],
        "no more than 10 items allowed [json-pointer:/blocks/0/child_blocks]",
    ),
    "container title": (
        [container(title=plain("x" * 150))],
        [container(title=plain("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/title/text]",
    ),
    "container subtitle": (
        [container(subtitle=mrkdwn("x" * 150))],
        [container(subtitle=mrkdwn("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/subtitle/text]",
    ),
    "a data table in a container": (
        [container(table())],
        [container(data_table())],
        "unsupported type: data_table [json-pointer:/blocks/0/child_blocks/0/type]",
    ),
    "a chart in a container": (
        [container()],
        [container(chart())],
        "unsupported type: data_visualization [json-pointer:/blocks/0/child_blocks/0/type]",
    ),
    "a folded container": (
        [container(is_collapsible=True, default_collapsed=True)],
        [container(default_collapsed=True)],
        "requires `is_collapsible` to be true [json-pointer:/blocks/0/default_collapsed]",
    ),
    "a divided container": (
        [container(has_header_divider=True)],
        [container(has_header_divider=True, is_collapsible=True)],
        "cannot provide both `is_collapsible` and `has_header_divider` "
        "[json-pointer:/blocks/0/has_header_divider]",
    ),
    "a second table in a container": (
        [container(table())],
        [table(), container(table())],
        "only_one_table_allowed [json-pointer:/blocks/1/child_blocks/0]",
    ),
    "a block_id twice, once inside": (
        [container({"type": "divider", "block_id": "a"})],
        [container({"type": "divider", "block_id": "a"}, block_id="a")],
        '`block_id` "a" already exists [json-pointer:/blocks/0/child_blocks/0/block_id]',
    ),
    "a task by itself": (
        [task("in_progress")],
        [task("pending")],
        "must be a valid enum value [json-pointer:/blocks/0/status]",
    ),
    "a task of a plan": (
        [plan(task("pending"))],
        [plan(task("stopped"))],
        "must be a valid enum value [json-pointer:/blocks/0/tasks/0/status]",
    ),
    "plan tasks": (
        [plan(*[task()] * 12)],
        [plan(*[task()] * 13)],
        "no more than 12 items allowed [json-pointer:/blocks/0/tasks]",
    ),
    "video title": (
        [video(title=plain("x" * 199))],
        [video(title=plain("x" * 200))],
        "must be less than 200 characters [json-pointer:/blocks/0/title/text]",
    ),
    "video author": (
        [video(author_name="x" * 49)],
        [video(author_name="x" * 50)],
        "must be less than 50 characters [json-pointer:/blocks/0/author_name]",
    ),
    "a video over http": (
        [video()],
        [video(video_url="http://a/b")],
        "must match the required pattern [json-pointer:/blocks/0/video_url]",
    ),
    "a remote file": (
        [{"type": "file", "source": "remote", "external_id": "x"}],
        [{"type": "file", "source": "local", "external_id": "x"}],
        "must be a valid enum value [json-pointer:/blocks/0/source]",
    ),
    "context actions": (
        [context_actions(*[icon()] * 5)],
        [context_actions(*[icon()] * 6)],
        "no more than 5 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "feedback text": (
        [context_actions(feedback("x" * 75))],
        [context_actions(feedback("x" * 76))],
        "must be less than 76 characters "
        "[json-pointer:/blocks/0/elements/0/positive_button/text/text]",
    ),
    "feedback value": (
        [context_actions(feedback(value="x" * 2000))],
        [context_actions(feedback(value="x" * 2001))],
        "must be less than 2001 characters "
        "[json-pointer:/blocks/0/elements/0/positive_button/value]",
    ),
    "icon button label": (
        [context_actions(icon(accessibility_label="x" * 75))],
        [context_actions(icon(accessibility_label="x" * 76))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/accessibility_label]",
    ),
    "a button among context actions": (
        [context_actions(feedback())],
        [context_actions(button())],
        "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
    ),
    "a date and time": (
        [actions({"type": "datetimepicker", "initial_date_time": 1_760_000_000})],
        [actions({"type": "datetimepicker", "initial_date_time": 176})],
        "must be greater than or equal to 1e+09 "
        "[json-pointer:/blocks/0/elements/0/initial_date_time]",
    ),
    "an e-mail address": (
        [an_input({"type": "email_text_input", "initial_value": "a@b"})],
        [an_input({"type": "email_text_input", "initial_value": "ab"})],
        "must match the required pattern [json-pointer:/blocks/0/element/initial_value]",
    ),
    "a url input": (
        [an_input({"type": "url_text_input", "initial_value": "https://a"})],
        [an_input({"type": "url_text_input", "initial_value": "a"})],
        "must match the required pattern [json-pointer:/blocks/0/element/initial_value]",
    ),
}

# name -> (at the limit, beyond it, the complaint about the latter); whole views.
VIEW_LIMITS: Mapping[str, tuple[Json, Json, str]] = {
    "title": (
        modal(title=plain("x" * 24)),
        modal(title=plain("x" * 25)),
        "must be less than 25 characters [json-pointer:/view/title/text]",
    ),
    "submit": (
        modal(submit=plain("x" * 24)),
        modal(submit=plain("x" * 25)),
        "must be less than 25 characters [json-pointer:/view/submit/text]",
    ),
    "close": (
        modal(close=plain("x" * 24)),
        modal(close=plain("x" * 25)),
        "must be less than 25 characters [json-pointer:/view/close/text]",
    ),
    "blocks": (
        modal(*[{"type": "divider"}] * 100),
        modal(*[{"type": "divider"}] * 101),
        "no more than 100 items allowed [json-pointer:/view/blocks]",
    ),
    "private metadata": (
        modal(private_metadata="x" * 3000),
        modal(private_metadata="x" * 3001),
        "must be less than 3001 characters [json-pointer:/view/private_metadata]",
    ),
    "callback_id": (
        modal(callback_id="x" * 255),
        modal(callback_id="x" * 256),
        "must be less than 256 characters [json-pointer:/view/callback_id]",
    ),
    "external_id": (
        modal(external_id="x" * 255),
        modal(external_id="x" * 256),
        "must be less than 256 characters [json-pointer:/view/external_id]",
    ),
    "a title is required": (
        modal(),
        {name: value for name, value in modal().items() if name != "title"},
        "missing required field: title [json-pointer:/view]",
    ),
    "an input needs a submit": (
        modal(an_input()),
        {name: value for name, value in modal(an_input()).items() if name != "submit"},
        "missing required field: submit [json-pointer:/view]",
    ),
    "an unknown property": (
        modal(),
        modal(submit_disabled=True),
        "invalid additional property: submit_disabled [json-pointer:/view]",
    ),
    "a chart in a form": (
        modal({"type": "alert", "text": plain("x" * 200)}),
        modal(chart()),
        "unsupported type: data_visualization [json-pointer:/view/blocks/0/type]",
    ),
    "alert text": (
        modal({"type": "alert", "text": plain("x" * 200)}),
        modal({"type": "alert", "text": plain("x" * 201)}),
        "must be less than 201 characters [json-pointer:/view/blocks/0/text/text]",
    ),
    "alert level": (
        modal({"type": "alert", "text": plain(), "level": "error"}),
        modal({"type": "alert", "text": plain(), "level": "fatal"}),
        "must be a valid enum value [json-pointer:/view/blocks/0/level]",
    ),
    "initial text": (
        modal(an_input(text_input(initial_value="x" * 3000))),
        modal(an_input(text_input(initial_value="x" * 3001))),
        "must be less than 3001 characters [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "longest text": (
        modal(an_input(text_input(max_length=3000))),
        modal(an_input(text_input(max_length=3001))),
        "must be less than or equal to 3000 [json-pointer:/view/blocks/0/element/max_length]",
    ),
    "initial text longer than allowed": (
        modal(an_input(text_input(max_length=2, initial_value="xx"))),
        modal(an_input(text_input(max_length=2, initial_value="xxx"))),
        "must be between 0 and 2 characters [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "numbers in order": (
        modal(an_input(number_input(min_value="1", max_value="1.0"))),
        modal(an_input(number_input(min_value="2", max_value="1"))),
        "min_value, initial_value and max_value must be in this order "
        "[json-pointer:/view/blocks/0/element]",
    ),
    "whole numbers": (
        modal(an_input(number_input(is_decimal_allowed=False, initial_value="1"))),
        modal(an_input(number_input(is_decimal_allowed=False, initial_value="1.5"))),
        "must be an integer [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "numbers in exponent form": (
        modal(an_input(number_input(initial_value="0.000001"))),
        modal(an_input(number_input(initial_value="1e-06"))),
        "must match the required pattern [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "focus": (
        modal(an_input(text_input(focus_on_load=True)), an_input()),
        modal(*[an_input(text_input(focus_on_load=True))] * 2),
        "only one element can set focus_on_load "
        "[json-pointer:/view/blocks/1/element/focus_on_load]",
    ),
    "a button as an input": (
        modal(an_input(select())),
        modal(an_input(button())),
        "unsupported type: button [json-pointer:/view/blocks/0/element/type]",
    ),
    "files": (
        modal(an_input({"type": "file_input", "max_files": 10})),
        modal(an_input({"type": "file_input", "max_files": 11})),
        "must be less than or equal to 10 [json-pointer:/view/blocks/0/element/max_files]",
    ),
    "a carousel in a form": (
        modal(card()),
        modal(carousel(1)),
        "unsupported type: carousel [json-pointer:/view/blocks/0/type]",
    ),
    "a container in a form": (
        modal(video()),
        modal(container()),
        "unsupported type: container [json-pointer:/view/blocks/0/type]",
    ),
    "a plan in a form": (
        modal(video()),
        modal(plan()),
        "unsupported type: plan [json-pointer:/view/blocks/0/type]",
    ),
    "a task card in a form": (
        modal(video()),
        modal(task()),
        "unsupported type: task_card [json-pointer:/view/blocks/0/type]",
    ),
    "a context actions in a form": (
        modal(video()),
        modal(context_actions(icon())),
        "unsupported type: context_actions [json-pointer:/view/blocks/0/type]",
    ),
    "a file in a form": (
        modal(video()),
        modal({"type": "file", "source": "remote", "external_id": "x"}),
        "unsupported type: file [json-pointer:/view/blocks/0/type]",
    ),
    "a markdown in a form": (
        modal(video()),
        modal({"type": "markdown", "text": "x"}),
        "unsupported type: markdown [json-pointer:/view/blocks/0/type]",
    ),
    "a table in a form": (
        modal(video()),
        modal(table()),
        "unsupported type: table [json-pointer:/view/blocks/0/type]",
    ),
    "a data table in a form": (
        modal(video()),
        modal(data_table()),
        "unsupported type: data_table [json-pointer:/view/blocks/0/type]",
    ),
}


@pytest.mark.parametrize("name", MESSAGE_LIMITS)
def test_a_message_at_the_limit_passes_and_beyond_is_refused(name: str) -> None:
    good, bad, complaint = MESSAGE_LIMITS[name]
    assert said(check_message({"blocks": good})) == []
    assert complaint in said(check_message({"blocks": bad}))


@pytest.mark.parametrize("name", VIEW_LIMITS)
def test_a_view_at_the_limit_passes_and_beyond_is_refused(name: str) -> None:
    good, bad, complaint = VIEW_LIMITS[name]
    assert said(check_view(good)) == []
    refused = check_view(bad)
    assert complaint in said(refused)
    assert {c.code for c in refused} == {"invalid_arguments"}


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


def test_an_updated_text_has_a_limit_of_its_own() -> None:
    assert check_message({"text": "x" * 4000}, text_limit=4000) == ()
    (complaint,) = check_message({"text": "x" * 4001}, text_limit=4000)
    assert complaint.code == "msg_too_long"


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


def test_a_view_of_more_than_250_kb_is_too_large() -> None:
    big = [section(text=mrkdwn("x" * 3000)) for _ in range(90)]
    assert [c.code for c in check_view(modal(*big))] == ["view_too_large"]
    assert check_view(modal(*big[:80])) == ()


def test_chart_points_match_the_categories() -> None:
    uneven = chart(points=2)
    uneven["chart"]["series"][0]["data"] = [{"label": "c0", "value": 1}]
    assert said(check_message({"blocks": [uneven]})) == [
        "must have exactly one data point for each category "
        "[json-pointer:/blocks/0/chart/series/0/data]"
    ]
    twice = chart(series=2)
    twice["chart"]["series"][1]["name"] = "s0"
    assert said(check_message({"blocks": [twice]})) == [
        "must be unique [json-pointer:/blocks/0/chart/series/1/name]"
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


def test_every_block_and_element_of_the_table_is_tried_here() -> None:
    """A new row needs a limit of its own in the tables above."""
    tried = str([MESSAGE_LIMITS, VIEW_LIMITS])
    untried = {kind for kind in [*BLOCKS, *ELEMENTS] if f"'{kind}'" not in tried}
    # Selects without options of their own share every rule with the ones that are tried.
    assert untried == {
        "external_select",
        "multi_external_select",
        "users_select",
        "multi_users_select",
        "channels_select",
        "multi_channels_select",
        "conversations_select",
        "multi_conversations_select",
    }

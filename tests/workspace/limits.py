"""The table of Slack's limits: for each a payload at the limit, one beyond it, and the complaint
about the latter.

A name says what is limited and how. One that begins with A3-A6 or 5.4 is a row of our reference,
see test_limits.py; the others stand in Slack's documentation only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

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
    dispatch,
    feedback,
    group,
    grouped,
    home,
    icon,
    modal,
    mrkdwn,
    multi_select,
    number_input,
    options,
    pie,
    plain,
    plan,
    raw_number,
    rich,
    section,
    select,
    table,
    task,
    text_input,
    video,
)
from tests.workspace.documented_limits import MESSAGE_ROWS, VIEW_ROWS

# Almost as much as a view may be.
LARGE = modal(*[section(text=mrkdwn("x" * 3000))] * 81, private_metadata="")
LISTS = ("conversations_select", "channels_select", "users_select")

# name -> (at the limit, beyond it, the complaint about the latter); blocks of one message.
MESSAGE_LIMITS: Mapping[str, tuple[list[Json], list[Json], str]] = {
    "A4 section: text of 3000": (
        [section(text=mrkdwn("x" * 3000))],
        [section(text=mrkdwn("x" * 3001))],
        "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ),
    "A4 section: text of 1": (
        [section(text=mrkdwn("x"))],
        [section(text=mrkdwn(""))],
        "must be more than 0 characters [json-pointer:/blocks/0/text/text]",
    ),
    "A4 section: 10 fields": (
        [section(fields=[mrkdwn()] * 10)],
        [section(fields=[mrkdwn()] * 11)],
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    "A4 section: a field of 2000": (
        [section(fields=[mrkdwn("x" * 2000)])],
        [section(fields=[mrkdwn("x" * 2001)])],
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
    ),
    "section: text or fields": (
        [section(fields=[mrkdwn()])],
        [{"type": "section"}],
        "missing required field: text [json-pointer:/blocks/0]",
    ),
    "A4 header: 150": (
        [{"type": "header", "text": plain("x" * 150)}],
        [{"type": "header", "text": plain("x" * 151)}],
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    "A4 header: plain text": (
        [{"type": "header", "text": plain()}],
        [{"type": "header", "text": mrkdwn()}],
        "must be a valid enum value [json-pointer:/blocks/0/text/type]",
    ),
    "A4 context: 10 elements": (
        [{"type": "context", "elements": [mrkdwn()] * 10}],
        [{"type": "context", "elements": [mrkdwn()] * 11}],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "context: no button": (
        [{"type": "context", "elements": [mrkdwn()]}],
        [{"type": "context", "elements": [button()]}],
        "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
    ),
    "A4 actions: 25 elements": (
        [actions(*[button()] * 25)],
        [actions(*[button()] * 26)],
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "actions: 1 element": (
        [actions(button())],
        [actions()],
        "no less than 1 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "A4 button: text of 75": (
        [actions(button(text=plain("x" * 75)))],
        [actions(button(text=plain("x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    "A4 button: value of 2000": (
        [actions(button(value="x" * 2000))],
        [actions(button(value="x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    "A4 button: url of 3000": (
        [actions(button(url="http://a/" + "x" * 2991))],
        [actions(button(url="http://a/" + "x" * 2992))],
        "must be less than 3001 characters [json-pointer:/blocks/0/elements/0/url]",
    ),
    "A4 button: style": (
        [actions(button(style="danger"))],
        [actions(button(style="default"))],
        "must be a valid enum value [json-pointer:/blocks/0/elements/0/style]",
    ),
    "A4 ids: action_id of 255": (
        [actions(button(action_id="x" * 255))],
        [actions(button(action_id="x" * 256))],
        "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
    ),
    "A4 ids: block_id of 255": (
        [{"type": "divider", "block_id": "x" * 255}],
        [{"type": "divider", "block_id": "x" * 256}],
        "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
    ),
    "A4 button: confirm title of 100": (
        [actions(button(confirm=confirm(title=plain("x" * 100))))],
        [actions(button(confirm=confirm(title=plain("x" * 101))))],
        "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]",
    ),
    "A4 button: confirm text of 300": (
        [actions(button(confirm=confirm(text=mrkdwn("x" * 300))))],
        [actions(button(confirm=confirm(text=mrkdwn("x" * 301))))],
        "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]",
    ),
    "A4 button: confirm button of 30": (
        [actions(button(confirm=confirm(confirm=plain("x" * 30))))],
        [actions(button(confirm=confirm(confirm=plain("x" * 31))))],
        "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/confirm/text]",
    ),
    "A4 button: deny button of 30": (
        [actions(button(confirm=confirm(deny=plain("x" * 30))))],
        [actions(button(confirm=confirm(deny=plain("x" * 31))))],
        "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/deny/text]",
    ),
    "A4 select: 100 options": (
        [actions(select(options=options(100)))],
        [actions(select(options=options(101)))],
        "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "A4 select: option text of 75": (
        [actions(select(options=options(1, "x" * 75)))],
        [actions(select(options=options(1, "x" * 76)))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/options/0/text/text]",
    ),
    "A4 select: option value of 150": (
        [actions(select(options=options(1, value="x" * 150)))],
        [actions(select(options=options(1, value="x" * 151)))],
        "must be less than 151 characters [json-pointer:/blocks/0/elements/0/options/0/value]",
    ),
    "A4 select: placeholder of 150": (
        [actions(select(placeholder=plain("x" * 150)))],
        [actions(select(placeholder=plain("x" * 151)))],
        "must be less than 151 characters [json-pointer:/blocks/0/elements/0/placeholder/text]",
    ),
    "select: an initial option of its own": (
        [actions(select(initial_option=options(2)[1]))],
        [actions(select(initial_option={"text": plain("other"), "value": "1"}))],
        "must match one of the options [json-pointer:/blocks/0/elements/0/initial_option]",
    ),
    "A4 radio buttons: 10 options": (
        [actions({"type": "radio_buttons", "options": options(10)})],
        [actions({"type": "radio_buttons", "options": options(11)})],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "A4 checkboxes: 10 options": (
        [actions({"type": "checkboxes", "options": options(10)})],
        [actions({"type": "checkboxes", "options": options(11)})],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "A4 overflow: 5 options": (
        [actions({"type": "overflow", "options": options(5)})],
        [actions({"type": "overflow", "options": options(6)})],
        "no more than 5 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "actions: no multi-select": (
        [section(text=mrkdwn(), accessory={**select(), "type": "multi_static_select"})],
        [actions({**select(), "type": "multi_static_select"})],
        "unsupported type: multi_static_select [json-pointer:/blocks/0/elements/0/type]",
    ),
    "datepicker: a date": (
        [actions({"type": "datepicker", "initial_date": "2026-11-24"})],
        [actions({"type": "datepicker", "initial_date": "24.11.2026"})],
        "must match the required pattern [json-pointer:/blocks/0/elements/0/initial_date]",
    ),
    "timepicker: a time": (
        [actions({"type": "timepicker", "initial_time": "23:59"})],
        [actions({"type": "timepicker", "initial_time": "24:00"})],
        "must match the required pattern [json-pointer:/blocks/0/elements/0/initial_time]",
    ),
    "A4 image: alt_text of 2000": (
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x" * 2000}],
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x" * 2001}],
        "must be less than 2001 characters [json-pointer:/blocks/0/alt_text]",
    ),
    "A4 image: title of 2000": (
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x", "title": plain("x" * 2000)}],
        [{"type": "image", "image_url": "http://a/b", "alt_text": "x", "title": plain("x" * 2001)}],
        "must be less than 2001 characters [json-pointer:/blocks/0/title/text]",
    ),
    "A4 image: a url or a slack_file": (
        [{"type": "image", "slack_file": {"id": "F1"}, "alt_text": "x"}],
        [{"type": "image", "alt_text": "x"}],
        "missing required field: image_url [json-pointer:/blocks/0]",
    ),
    "A4 input: label of 2000": (
        [an_input(label=plain("x" * 2000))],
        [an_input(label=plain("x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/label/text]",
    ),
    "A4 input: hint of 2000": (
        [an_input(hint=plain("x" * 2000))],
        [an_input(hint=plain("x" * 2001))],
        "must be less than 2001 characters [json-pointer:/blocks/0/hint/text]",
    ),
    "A4 number_input: modal only": (
        [an_input(text_input())],
        [an_input(number_input())],
        "unsupported type: number_input [json-pointer:/blocks/0/element/type]",
    ),
    "markdown: 12 000": (
        [{"type": "markdown", "text": "x" * 12_000}],
        [{"type": "markdown", "text": "x" * 12_001}],
        "must be less than 12001 characters [json-pointer:/blocks/0/text]",
    ),
    "A4 markdown: 12 000 in all": (
        [{"type": "markdown", "text": "x" * 6_000}] * 2,
        [{"type": "markdown", "text": "x" * 6_000}] * 2 + [{"type": "markdown", "text": "x"}],
        "markdown blocks must be less than 12001 characters in all [json-pointer:/blocks]",
    ),
    "A4 table: 100 rows": (
        [table(rows=100)],
        [table(rows=101)],
        "no more than 100 items allowed [json-pointer:/blocks/0/rows]",
    ),
    "A4 table: 20 columns": (
        [table(columns=20)],
        [table(columns=21)],
        "no more than 20 items allowed [json-pointer:/blocks/0/rows/0]",
    ),
    "A4 table: 10 000 in all": (
        [table(rows=100, columns=20, text="xxxxx")],
        [table(rows=100, columns=20, text="xxxxxx")],
        "table blocks must be less than 10001 characters in all [json-pointer:/blocks]",
    ),
    "A4 table: one in a message": (
        [table()],
        [table(), table()],
        "only_one_table_allowed [json-pointer:/blocks/1]",
    ),
    "table: even rows": (
        [{"type": "table", "rows": [[cell(), cell()], [cell(), cell()]]}],
        [{"type": "table", "rows": [[cell(), cell()], [cell()]]}],
        "must have 2 cells, as the first row has [json-pointer:/blocks/0/rows/1]",
    ),
    "A4 data_table: 100 rows and a header": (
        [data_table(rows=101)],
        [data_table(rows=102)],
        "no more than 101 items allowed [json-pointer:/blocks/0/rows]",
    ),
    "A4 data_table: a row and a header": (
        [data_table(rows=2)],
        [data_table(rows=1)],
        "no less than 2 items allowed [json-pointer:/blocks/0/rows]",
    ),
    "A4 data_table: 20 columns": (
        [data_table(columns=20)],
        [data_table(columns=21)],
        "no more than 20 items allowed [json-pointer:/blocks/0/rows/0]",
    ),
    "A4 data_table: page_size of 100": (
        [data_table(page_size=100)],
        [data_table(page_size=101)],
        "must be less than or equal to 100 [json-pointer:/blocks/0/page_size]",
    ),
    "A4 data_table: 20 000 in all": (
        [data_table(rows=100, columns=20, text="x" * 10)],
        [data_table(rows=100, columns=20, text="x" * 11)],
        "data_table blocks must be less than 20001 characters in all [json-pointer:/blocks]",
    ),
    "A5 chart: title of 50": (
        [chart(title="x" * 50)],
        [chart(title="x" * 51)],
        "must be less than 51 characters [json-pointer:/blocks/0/title]",
    ),
    "A5 chart: 6 series": (
        [chart(series=6)],
        [chart(series=7)],
        "no more than 6 items allowed [json-pointer:/blocks/0/chart/series]",
    ),
    "A5 chart: 20 points": (
        [chart(points=20)],
        [chart(points=21)],
        "no more than 20 items allowed [json-pointer:/blocks/0/chart/axis_config/categories]",
    ),
    "A5 chart: a category of 20": (
        [chart(label="x" * 20)],
        [chart(label="x" * 21)],
        "must be less than 21 characters [json-pointer:/blocks/0/chart/axis_config/categories/0]",
    ),
    "A5 chart: 2 in a message": (
        [chart(), chart()],
        [chart(), chart(), chart()],
        "no more than 2 data_visualization blocks allowed [json-pointer:/blocks/2]",
    ),
    "A5 pie: 6 segments": (
        [pie(6)],
        [pie(7)],
        "no more than 6 items allowed [json-pointer:/blocks/0/chart/segments]",
    ),
    "A5 pie: above 0": (
        [pie(1, value=0.1)],
        [pie(1, value=0)],
        "must be greater than 0 [json-pointer:/blocks/0/chart/segments/0/value]",
    ),
    "A4 message: 50 blocks": (
        [{"type": "divider"}] * 50,
        [{"type": "divider"}] * 51,
        "no more than 50 items allowed [json-pointer:/blocks]",
    ),
    "A4 message: 13 200 in all": (
        [section(text=mrkdwn("x" * 2640))] * 5,
        [section(text=mrkdwn("x" * 2640))] * 5 + [section(text=mrkdwn("x"))],
        "must be less than 13201 characters in all [json-pointer:/blocks]",
    ),
    "5.4 ids: block_id once in a message": (
        [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "b"}],
        [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}],
        '`block_id` "a" already exists [json-pointer:/blocks/1/block_id]',
    ),
    "5.4 ids: action_id once in a block": (
        [actions(button(action_id="a")), actions(button(action_id="a"))],
        [actions(button(action_id="a"), button(action_id="a"))],
        '`action_id` "a" already exists [json-pointer:/blocks/0/elements/1/action_id]',
    ),
    "5.4 block: a known type": (
        [{"type": "divider"}],
        [{"type": "dividor"}],
        "unsupported type: dividor [json-pointer:/blocks/0/type]",
    ),
    "5.4 block: known fields": (
        [section()],
        [section(text=mrkdwn(), colour="red")],
        "invalid additional property: colour [json-pointer:/blocks/0]",
    ),
    "alert: not in a message": (
        [section()],
        [{"type": "alert", "text": plain()}],
        "unsupported type: alert [json-pointer:/blocks/0/type]",
    ),
    "rich_text: known parts": (
        [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]}],
        [{"type": "rich_text", "elements": [{"type": "rich_text_chapter", "elements": []}]}],
        "unsupported type: rich_text_chapter [json-pointer:/blocks/0/elements/0/type]",
    ),
    "A4 card: title of 150": (
        [card(title=mrkdwn("x" * 150))],
        [card(title=mrkdwn("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/title/text]",
    ),
    "A4 card: subtitle of 150": (
        [card(title=mrkdwn(), subtitle=mrkdwn("x" * 150))],
        [card(title=mrkdwn(), subtitle=mrkdwn("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/subtitle/text]",
    ),
    "A4 card: body of 200": (
        [card(title=mrkdwn(), body=mrkdwn("x" * 200))],
        [card(title=mrkdwn(), body=mrkdwn("x" * 201))],
        "must be less than 201 characters [json-pointer:/blocks/0/body/text]",
    ),
    "A4 card: subtext of 200": (
        [card(title=mrkdwn(), subtext=mrkdwn("x" * 200))],
        [card(title=mrkdwn(), subtext=mrkdwn("x" * 201))],
        "must be less than 201 characters [json-pointer:/blocks/0/subtext/text]",
    ),
    "A4 card: 3 buttons": (
        [card(actions=[button()] * 3)],
        [card(actions=[button()] * 4)],
        "no more than 3 items allowed [json-pointer:/blocks/0/actions]",
    ),
    "card: something to show": (
        [card(body=mrkdwn())],
        [card(subtitle=mrkdwn())],
        "missing required field: title [json-pointer:/blocks/0]",
    ),
    "A4 card: text objects": (
        [card(title=mrkdwn())],
        [card(title=plain())],
        "must be a valid enum value [json-pointer:/blocks/0/title/type]",
    ),
    "A4 carousel: 10 cards": (
        [carousel(10)],
        [carousel(11)],
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "A4 carousel: 1 card": (
        [carousel(1)],
        [carousel(0)],
        "no less than 1 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "A4 container: 10 children": (
        [container(*[section()] * 10)],
        [container(*[section()] * 11)],
        "no more than 10 items allowed [json-pointer:/blocks/0/child_blocks]",
    ),
    "container: title of 150": (
        [container(title=plain("x" * 150))],
        [container(title=plain("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/title/text]",
    ),
    "container: subtitle of 150": (
        [container(subtitle=mrkdwn("x" * 150))],
        [container(subtitle=mrkdwn("x" * 151))],
        "must be less than 151 characters [json-pointer:/blocks/0/subtitle/text]",
    ),
    "A4 container: no data_table": (
        [container(table())],
        [container(data_table())],
        "unsupported type: data_table [json-pointer:/blocks/0/child_blocks/0/type]",
    ),
    "A4 container: no data_visualization": (
        [container()],
        [container(chart())],
        "unsupported type: data_visualization [json-pointer:/blocks/0/child_blocks/0/type]",
    ),
    "container: folded only if it folds": (
        [container(is_collapsible=True, default_collapsed=True)],
        [container(default_collapsed=True)],
        "requires `is_collapsible` to be true [json-pointer:/blocks/0/default_collapsed]",
    ),
    "container: folds or has a divider": (
        [container(has_header_divider=True)],
        [container(has_header_divider=True, is_collapsible=True)],
        "cannot provide both `is_collapsible` and `has_header_divider` "
        "[json-pointer:/blocks/0/has_header_divider]",
    ),
    "table: one in a message, in a container too": (
        [container(table())],
        [table(), container(table())],
        "only_one_table_allowed [json-pointer:/blocks/1/child_blocks/0]",
    ),
    "ids: block_id once, in a container too": (
        [container({"type": "divider", "block_id": "a"})],
        [container({"type": "divider", "block_id": "a"}, block_id="a")],
        '`block_id` "a" already exists [json-pointer:/blocks/0/child_blocks/0/block_id]',
    ),
    "A4 task_card: not pending by itself": (
        [task("in_progress")],
        [task("pending")],
        "must be a valid enum value [json-pointer:/blocks/0/status]",
    ),
    "A4 plan: status of a task": (
        [plan(task("pending"))],
        [plan(task("stopped"))],
        "must be a valid enum value [json-pointer:/blocks/0/tasks/0/status]",
    ),
    "A4 plan: 12 tasks": (
        [plan(*[task()] * 12)],
        [plan(*[task()] * 13)],
        "no more than 12 items allowed [json-pointer:/blocks/0/tasks]",
    ),
    "video: title of 199": (
        [video(title=plain("x" * 199))],
        [video(title=plain("x" * 200))],
        "must be less than 200 characters [json-pointer:/blocks/0/title/text]",
    ),
    "video: author_name of 49": (
        [video(author_name="x" * 49)],
        [video(author_name="x" * 50)],
        "must be less than 50 characters [json-pointer:/blocks/0/author_name]",
    ),
    "video: https": (
        [video()],
        [video(video_url="http://a/b")],
        "must match the required pattern [json-pointer:/blocks/0/video_url]",
    ),
    "file: remote": (
        [{"type": "file", "source": "remote", "external_id": "x"}],
        [{"type": "file", "source": "local", "external_id": "x"}],
        "must be a valid enum value [json-pointer:/blocks/0/source]",
    ),
    "A4 context_actions: 5 elements": (
        [context_actions(*[icon()] * 5)],
        [context_actions(*[icon()] * 6)],
        "no more than 5 items allowed [json-pointer:/blocks/0/elements]",
    ),
    "feedback_buttons: text of 75": (
        [context_actions(feedback("x" * 75))],
        [context_actions(feedback("x" * 76))],
        "must be less than 76 characters "
        "[json-pointer:/blocks/0/elements/0/positive_button/text/text]",
    ),
    "feedback_buttons: value of 2000": (
        [context_actions(feedback(value="x" * 2000))],
        [context_actions(feedback(value="x" * 2001))],
        "must be less than 2001 characters "
        "[json-pointer:/blocks/0/elements/0/positive_button/value]",
    ),
    "icon_button: accessibility_label of 75": (
        [context_actions(icon(accessibility_label="x" * 75))],
        [context_actions(icon(accessibility_label="x" * 76))],
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/accessibility_label]",
    ),
    "context_actions: no button": (
        [context_actions(feedback())],
        [context_actions(button())],
        "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
    ),
    "datetimepicker: 10 digits": (
        [actions({"type": "datetimepicker", "initial_date_time": 1_760_000_000})],
        [actions({"type": "datetimepicker", "initial_date_time": 176})],
        "must be greater than or equal to 1000000000 "
        "[json-pointer:/blocks/0/elements/0/initial_date_time]",
    ),
    "email_text_input: an address": (
        [an_input({"type": "email_text_input", "initial_value": "a@b"})],
        [an_input({"type": "email_text_input", "initial_value": "ab"})],
        "must match the required pattern [json-pointer:/blocks/0/element/initial_value]",
    ),
    "url_text_input: an address": (
        [an_input({"type": "url_text_input", "initial_value": "https://a"})],
        [an_input({"type": "url_text_input", "initial_value": "a"})],
        "must match the required pattern [json-pointer:/blocks/0/element/initial_value]",
    ),
    "A4 section: expand": (
        [section(text=mrkdwn(), expand=True)],
        [section(text=mrkdwn(), expand="yes")],
        "must provide a boolean [json-pointer:/blocks/0/expand]",
    ),
    "A4 header: level of 4": (
        [{"type": "header", "text": plain(), "level": 4}],
        [{"type": "header", "text": plain(), "level": 5}],
        "must be less than or equal to 4 [json-pointer:/blocks/0/level]",
    ),
    "A4 header: level of 1": (
        [{"type": "header", "text": plain(), "level": 1}],
        [{"type": "header", "text": plain(), "level": 0}],
        "must be greater than or equal to 1 [json-pointer:/blocks/0/level]",
    ),
    "A4 image: url of 3000": (
        [{"type": "image", "alt_text": "x", "image_url": "http://a/" + "x" * 2991}],
        [{"type": "image", "alt_text": "x", "image_url": "http://a/" + "x" * 2992}],
        "must be less than 3001 characters [json-pointer:/blocks/0/image_url]",
    ),
    "A4 image: a url or a slack_file, not both": (
        [{"type": "image", "alt_text": "x", "slack_file": {"url": "https://a/b"}}],
        [
            {
                "type": "image",
                "alt_text": "x",
                "image_url": "http://a/b",
                "slack_file": {"id": "F1"},
            }
        ],
        "cannot provide both `image_url` and `slack_file` [json-pointer:/blocks/0]",
    ),
    "A4 table: cells": (
        [{"type": "table", "rows": [[cell(), raw_number(), rich()]]}],
        [{"type": "table", "rows": [[mrkdwn()]]}],
        "unsupported type: mrkdwn [json-pointer:/blocks/0/rows/0/0/type]",
    ),
    "A4 data_table: caption": (
        [data_table()],
        [{name: value for name, value in data_table().items() if name != "caption"}],
        "missing required field: caption [json-pointer:/blocks/0]",
    ),
    "A4 data_table: page_size of 1": (
        [data_table(page_size=1)],
        [data_table(page_size=0)],
        "must be greater than or equal to 1 [json-pointer:/blocks/0/page_size]",
    ),
    "A4 data_table: a column": (
        [data_table(columns=1)],
        [data_table(columns=0)],
        "no less than 1 items allowed [json-pointer:/blocks/0/rows/0]",
    ),
    "A4 data_table: no rich text in the header": (
        [{**data_table(), "rows": [[cell()], [rich()]]}],
        [{**data_table(), "rows": [[rich()], [cell()]]}],
        "unsupported type: rich_text [json-pointer:/blocks/0/rows/0/0/type]",
    ),
    "A4 container: child blocks": (
        [
            container(
                section(),
                actions(button()),
                table(),
                {"type": "image", "image_url": "http://a/b", "alt_text": "x"},
                rich(),
                {"type": "context", "elements": [mrkdwn()]},
                {"type": "header", "text": plain()},
                {"type": "divider"},
                an_input(),
                video(),
            )
        ],
        [container(container())],
        "unsupported type: container [json-pointer:/blocks/0/child_blocks/0/type]",
    ),
    "A4 container: collapsible": (
        [container(is_collapsible=True)],
        [container(is_collapsible="yes")],
        "must provide a boolean [json-pointer:/blocks/0/is_collapsible]",
    ),
    "A4 plan: a bare title": (
        [plan(task())],
        [{**plan(task()), "title": plain()}],
        "must provide a string [json-pointer:/blocks/0/title]",
    ),
    "A4 select: 100 option groups": (
        [actions(grouped([group()] * 100))],
        [actions(grouped([group()] * 101))],
        "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/option_groups]",
    ),
    "A4 select: 100 options of a group": (
        [actions(grouped([group(100)]))],
        [actions(grouped([group(101)]))],
        "no more than 100 items allowed "
        "[json-pointer:/blocks/0/elements/0/option_groups/0/options]",
    ),
    "select: a group's label of 75": (
        [actions(grouped([group(label="x" * 75)]))],
        [actions(grouped([group(label="x" * 76)]))],
        "must be less than 76 characters "
        "[json-pointer:/blocks/0/elements/0/option_groups/0/label/text]",
    ),
    "A4 select: options or groups": (
        [actions(grouped([group()]))],
        [actions({**grouped([group()]), "options": options(1)})],
        "cannot provide both `options` and `option_groups` [json-pointer:/blocks/0/elements/0]",
    ),
    "A4 select: option description of 75": (
        [actions(select(options=[{**options(1)[0], "description": plain("x" * 75)}]))],
        [actions(select(options=[{**options(1)[0], "description": plain("x" * 76)}]))],
        "must be less than 76 characters "
        "[json-pointer:/blocks/0/elements/0/options/0/description/text]",
    ),
    "A4 multi select: 100 options": (
        [section(text=mrkdwn(), accessory=multi_select(options=options(100)))],
        [section(text=mrkdwn(), accessory=multi_select(options=options(101)))],
        "no more than 100 items allowed [json-pointer:/blocks/0/accessory/options]",
    ),
    "multi select: max_selected_items of 1": (
        [section(text=mrkdwn(), accessory=multi_select(max_selected_items=1))],
        [section(text=mrkdwn(), accessory=multi_select(max_selected_items=0))],
        "must be greater than or equal to 1 [json-pointer:/blocks/0/accessory/max_selected_items]",
    ),
    "A4 external select: min_query_length": (
        [actions({"type": "external_select", "min_query_length": 0})],
        [actions({"type": "external_select", "min_query_length": -1})],
        "must be greater than or equal to 0 [json-pointer:/blocks/0/elements/0/min_query_length]",
    ),
    "A4 conversations, channels, users select: no options": (
        [actions(*({"type": kind} for kind in LISTS))],
        [actions(*({"type": kind, "options": options(1)} for kind in LISTS))],
        "invalid additional property: options [json-pointer:/blocks/0/elements/2]",
    ),
    "A4 conversations, channels, users select: response_url_enabled": (
        [actions({"type": "conversations_select", "response_url_enabled": True})],
        [actions({"type": "users_select", "response_url_enabled": True})],
        "invalid additional property: response_url_enabled [json-pointer:/blocks/0/elements/0]",
    ),
    "A4 overflow: 1 option": (
        [actions({"type": "overflow", "options": options(1)})],
        [actions({"type": "overflow", "options": []})],
        "no less than 1 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    "A4 button: visible_to_user_ids": (
        [actions(button(visible_to_user_ids=["U1"]))],
        [actions(button(visible_to_user_ids="U1"))],
        "must provide an array [json-pointer:/blocks/0/elements/0/visible_to_user_ids]",
    ),
    "button: agent_prompt of 4000": (
        [actions(button(agent_prompt="x" * 4000, agent_prompt_display="x"))],
        [actions(button(agent_prompt="x" * 4001))],
        "must be less than 4001 characters [json-pointer:/blocks/0/elements/0/agent_prompt]",
    ),
    "A4 button: confirm style": (
        [actions(button(confirm=confirm(style="danger")))],
        [actions(button(confirm=confirm(style="warning")))],
        "must be a valid enum value [json-pointer:/blocks/0/elements/0/confirm/style]",
    ),
    "A4 file_input: modal only": (
        [an_input(text_input())],
        [an_input({"type": "file_input"})],
        "unsupported type: file_input [json-pointer:/blocks/0/element/type]",
    ),
    "A5 chart: a known type": (
        [chart(kind=kind) for kind in ("line", "bar")],
        [chart(kind="scatter")],
        "unsupported type: scatter [json-pointer:/blocks/0/chart/type]",
    ),
    "A5 chart: 1 series": (
        [chart(series=1)],
        [chart(series=0)],
        "no less than 1 items allowed [json-pointer:/blocks/0/chart/series]",
    ),
    "A5 chart: a series name of 20": (
        [chart(names=["x" * 20])],
        [chart(names=["x" * 21])],
        "must be less than 21 characters [json-pointer:/blocks/0/chart/series/0/name]",
    ),
    "A5 chart: different series names": (
        [chart(names=["a", "b"])],
        [chart(names=["a", "a"])],
        "must be unique [json-pointer:/blocks/0/chart/series/1/name]",
    ),
    "A5 chart: 1 point": (
        [chart(points=1)],
        [chart(points=0)],
        "no less than 1 items allowed [json-pointer:/blocks/0/chart/series/0/data]",
    ),
    "A5 chart: 20 points of a series": (
        [chart(points=20)],
        [chart(points=21)],
        "no more than 20 items allowed [json-pointer:/blocks/0/chart/series/0/data]",
    ),
    "A5 chart: a point for every category": (
        [chart(points=2)],
        [chart(points=1, categories=["c0", "c1"])],
        "must have exactly one data point for each category "
        "[json-pointer:/blocks/0/chart/series/0/data]",
    ),
    "A5 chart: different categories": (
        [chart(categories=["c0"])],
        [chart(categories=["c0", "c0"])],
        "must be unique [json-pointer:/blocks/0/chart/axis_config/categories/1]",
    ),
    "A5 chart: a point's label of 20": (
        [chart(label="x" * 20)],
        [chart(label="x" * 21)],
        "must be less than 21 characters [json-pointer:/blocks/0/chart/series/0/data/0/label]",
    ),
    "A5 chart: values, below zero too": (
        [chart(value=-0.5)],
        [chart(value=None)],
        "must provide a number [json-pointer:/blocks/0/chart/series/0/data/0/value]",
    ),
    "A5 chart: x_label of 50": (
        [chart(x_label="x" * 50)],
        [chart(x_label="x" * 51)],
        "must be less than 51 characters [json-pointer:/blocks/0/chart/axis_config/x_label]",
    ),
    "A5 chart: y_label of 50": (
        [chart(y_label="x" * 50)],
        [chart(y_label="x" * 51)],
        "must be less than 51 characters [json-pointer:/blocks/0/chart/axis_config/y_label]",
    ),
    "A5 chart: no log axis": (
        [chart()],
        [chart(scale="log")],
        "invalid additional property: scale [json-pointer:/blocks/0/chart/axis_config]",
    ),
    "A5 chart: no colour of a point": (
        [chart()],
        [chart(point={"colour": "red"})],
        "invalid additional property: colour [json-pointer:/blocks/0/chart/series/0/data/0]",
    ),
    "A5 pie: a label of 20": (
        [pie(1, label="x" * 20)],
        [pie(1, label="x" * 21)],
        "must be less than 21 characters [json-pointer:/blocks/0/chart/segments/0/label]",
    ),
    **MESSAGE_ROWS,
}

# name -> (at the limit, beyond it, the complaint about the latter); whole views.
VIEW_LIMITS: Mapping[str, tuple[Json, Json, str]] = {
    "A3 title: 24": (
        modal(title=plain("x" * 24)),
        modal(title=plain("x" * 25)),
        "must be less than 25 characters [json-pointer:/view/title/text]",
    ),
    "A3 submit: 24": (
        modal(submit=plain("x" * 24)),
        modal(submit=plain("x" * 25)),
        "must be less than 25 characters [json-pointer:/view/submit/text]",
    ),
    "A3 close: 24": (
        modal(close=plain("x" * 24)),
        modal(close=plain("x" * 25)),
        "must be less than 25 characters [json-pointer:/view/close/text]",
    ),
    "A3 modal: 100 blocks": (
        modal(*[{"type": "divider"}] * 100),
        modal(*[{"type": "divider"}] * 101),
        "no more than 100 items allowed [json-pointer:/view/blocks]",
    ),
    "A3 private_metadata: 3000": (
        modal(private_metadata="x" * 3000),
        modal(private_metadata="x" * 3001),
        "must be less than 3001 characters [json-pointer:/view/private_metadata]",
    ),
    "A3 callback_id: 255": (
        modal(callback_id="x" * 255),
        modal(callback_id="x" * 256),
        "must be less than 256 characters [json-pointer:/view/callback_id]",
    ),
    "A3 external_id: 255": (
        modal(external_id="x" * 255),
        modal(external_id="x" * 256),
        "must be less than 256 characters [json-pointer:/view/external_id]",
    ),
    "5.4 view: title is required": (
        modal(),
        {name: value for name, value in modal().items() if name != "title"},
        "missing required field: title [json-pointer:/view]",
    ),
    "A3 submit: required for an input": (
        modal(an_input()),
        {name: value for name, value in modal(an_input()).items() if name != "submit"},
        "missing required field: submit [json-pointer:/view]",
    ),
    "5.4 view: known fields": (
        modal(),
        modal(submit_disabled=True),
        "invalid additional property: submit_disabled [json-pointer:/view]",
    ),
    "modal: no data_visualization": (
        modal({"type": "alert", "text": plain("x" * 200)}),
        modal(chart()),
        "unsupported type: data_visualization [json-pointer:/view/blocks/0/type]",
    ),
    "A4 alert: text of 200": (
        modal({"type": "alert", "text": plain("x" * 200)}),
        modal({"type": "alert", "text": plain("x" * 201)}),
        "must be less than 201 characters [json-pointer:/view/blocks/0/text/text]",
    ),
    "A4 alert: level": (
        modal({"type": "alert", "text": plain(), "level": "error"}),
        modal({"type": "alert", "text": plain(), "level": "fatal"}),
        "must be a valid enum value [json-pointer:/view/blocks/0/level]",
    ),
    "plain_text_input: initial_value of 3000": (
        modal(an_input(text_input(initial_value="x" * 3000))),
        modal(an_input(text_input(initial_value="x" * 3001))),
        "must be less than 3001 characters [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "A4 plain_text_input: max_length of 3000": (
        modal(an_input(text_input(max_length=3000))),
        modal(an_input(text_input(max_length=3001))),
        "must be less than or equal to 3000 [json-pointer:/view/blocks/0/element/max_length]",
    ),
    "plain_text_input: initial_value within max_length": (
        modal(an_input(text_input(max_length=2, initial_value="xx"))),
        modal(an_input(text_input(max_length=2, initial_value="xxx"))),
        "must be between 0 and 2 characters [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "A4 number_input: min_value below max_value": (
        modal(an_input(number_input(min_value="1", max_value="1.0"))),
        modal(an_input(number_input(min_value="2", max_value="1"))),
        "min_value, initial_value and max_value must be in this order "
        "[json-pointer:/view/blocks/0/element]",
    ),
    "number_input: whole if no decimals": (
        modal(an_input(number_input(is_decimal_allowed=False, initial_value="1"))),
        modal(an_input(number_input(is_decimal_allowed=False, initial_value="1.5"))),
        "must be an integer [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "A4 number_input: no exponent": (
        modal(an_input(number_input(initial_value="0.000001"))),
        modal(an_input(number_input(initial_value="1e-06"))),
        "must match the required pattern [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "view: focus_on_load once": (
        modal(an_input(text_input(focus_on_load=True)), an_input()),
        modal(*[an_input(text_input(focus_on_load=True))] * 2),
        "only one element can set focus_on_load "
        "[json-pointer:/view/blocks/1/element/focus_on_load]",
    ),
    "input: no button": (
        modal(an_input(select())),
        modal(an_input(button())),
        "unsupported type: button [json-pointer:/view/blocks/0/element/type]",
    ),
    "A4 file_input: 10 files": (
        modal(an_input({"type": "file_input", "max_files": 10})),
        modal(an_input({"type": "file_input", "max_files": 11})),
        "must be less than or equal to 10 [json-pointer:/view/blocks/0/element/max_files]",
    ),
    "A3 title: plain text": (
        modal(title=plain()),
        modal(title=mrkdwn()),
        "must be a valid enum value [json-pointer:/view/title/type]",
    ),
    "A3 submit: plain text": (
        modal(submit=plain()),
        modal(submit=mrkdwn()),
        "must be a valid enum value [json-pointer:/view/submit/type]",
    ),
    "A3 close: plain text": (
        modal(close=plain()),
        modal(close=mrkdwn()),
        "must be a valid enum value [json-pointer:/view/close/type]",
    ),
    "A4 home: 100 blocks": (
        home(*[{"type": "divider"}] * 100),
        home(*[{"type": "divider"}] * 101),
        "no more than 100 items allowed [json-pointer:/view/blocks]",
    ),
    "A4 number_input: not on a Home tab": (
        home(an_input()),
        home(an_input(number_input())),
        "unsupported type: number_input [json-pointer:/view/blocks/0/element/type]",
    ),
    "A4 file_input: not on a Home tab": (
        home(an_input()),
        home(an_input({"type": "file_input"})),
        "unsupported type: file_input [json-pointer:/view/blocks/0/element/type]",
    ),
    "A4 number_input: is_decimal_allowed": (
        modal(an_input(number_input())),
        modal(an_input({"type": "number_input"})),
        "missing required field: is_decimal_allowed [json-pointer:/view/blocks/0/element]",
    ),
    "A4 plain_text_input: min_length of 3000": (
        modal(an_input(text_input(min_length=3000))),
        modal(an_input(text_input(min_length=3001))),
        "must be less than or equal to 3000 [json-pointer:/view/blocks/0/element/min_length]",
    ),
    "plain_text_input: min_length below max_length": (
        modal(an_input(text_input(min_length=2, max_length=2))),
        modal(an_input(text_input(min_length=3, max_length=2))),
        "must be less than or equal to 2 [json-pointer:/view/blocks/0/element/min_length]",
    ),
    "A4 plain_text_input: multiline": (
        modal(an_input(text_input(multiline=True))),
        modal(an_input(text_input(multiline=1))),
        "must provide a boolean [json-pointer:/view/blocks/0/element/multiline]",
    ),
    "A4 plain_text_input: dispatch_action_config": (
        modal(an_input(text_input(dispatch_action_config=dispatch("on_enter_pressed")))),
        modal(an_input(text_input(dispatch_action_config=dispatch("on_blur")))),
        "must be a valid enum value "
        "[json-pointer:/view/blocks/0/element/dispatch_action_config/trigger_actions_on/0]",
    ),
    "A4 file_input: 1 file": (
        modal(an_input({"type": "file_input", "max_files": 1})),
        modal(an_input({"type": "file_input", "max_files": 0})),
        "must be greater than or equal to 1 [json-pointer:/view/blocks/0/element/max_files]",
    ),
    "5.4 view: a known type": (
        modal(),
        {**modal(), "type": "workflow_step"},
        "unsupported type: workflow_step [json-pointer:/view/type]",
    ),
    "5.4 ids: block_id once in a view": (
        modal({"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "b"}),
        modal({"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}),
        '`block_id` "a" already exists [json-pointer:/view/blocks/1/block_id]',
    ),
    "A3 payload: 250 kB": (
        {**LARGE, "private_metadata": "x" * (250_000 - len(json.dumps(LARGE)))},
        {**LARGE, "private_metadata": "x" * (250_001 - len(json.dumps(LARGE)))},
        "must be less than 250kb [json-pointer:/view]",
    ),
    **VIEW_ROWS,
}

# name -> (at the limit, beyond it, what the complaint's error code is); what a message says.
PAYLOAD_LIMITS: Mapping[str, tuple[Json, Json, str]] = {
    "A6 text: 40 000": ({"text": "x" * 40_000}, {"text": "x" * 40_001}, "msg_too_long"),
    "metadata: event_type of 255": (
        {"text": "x", "metadata": {"event_type": "x" * 255, "event_payload": {}}},
        {"text": "x", "metadata": {"event_type": "x" * 256, "event_payload": {}}},
        "invalid_metadata_format",
    ),
    "A6 metadata: event_type and event_payload": (
        {"text": "x", "metadata": {"event_type": "x", "event_payload": {}}},
        {"text": "x", "metadata": {"event_type": "x"}},
        "invalid_metadata_format",
    ),
    "5.4 attachments: 100": (
        {"attachments": [{}] * 100},
        {"attachments": [{}] * 101},
        "too_many_attachments",
    ),
    "5.4 message: something to show": ({"text": "x"}, {"text": "", "blocks": []}, "no_text"),
    "5.4 blocks: a list": (
        {"text": "x", "blocks": []},
        {"text": "x", "blocks": {}},
        "invalid_blocks_format",
    ),
    "attachments: of objects": (
        {"attachments": [{}]},
        {"attachments": ["x"]},
        "invalid_attachments",
    ),
    "attachments: a list": (
        {"text": "x", "attachments": []},
        {"text": "x", "attachments": {}},
        "invalid_attachments",
    ),
}
# Limits with an error code of their own; the others have invalid_blocks, in a view
# invalid_arguments.
CODES: Mapping[str, str] = {
    "A4 message: 13 200 in all": "msg_blocks_too_long",
    "A4 table: one in a message": "invalid_attachments",
    "table: one in a message, in a container too": "invalid_attachments",
    "A3 payload: 250 kB": "view_too_large",
}

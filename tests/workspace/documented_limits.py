"""The limits that stand in Slack's documentation of one field only, as rows for limits.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.workspace.builders import (
    Json,
    actions,
    an_input,
    button,
    card,
    cell,
    chart,
    container,
    context_actions,
    data_table,
    feedback,
    group,
    grouped,
    icon,
    modal,
    mrkdwn,
    multi_select,
    options,
    pie,
    plain,
    rich,
    section,
    select,
    table,
    task,
    text_input,
    video,
)

Row = tuple[list[Json], list[Json], str]
ViewRow = tuple[Json, Json, str]


def longest(most: int, pointer: str, block: Callable[[str], Json]) -> Row:
    """A text of `most` characters."""
    words = f"must be less than {most + 1} characters [json-pointer:/blocks/0{pointer}]"
    return [block("x" * most)], [block("x" * (most + 1))], words


def most_of(most: int, pointer: str, block: Callable[[int], Json]) -> Row:
    """A list of `most` items."""
    words = f"no more than {most} items allowed [json-pointer:/blocks/0{pointer}]"
    return [block(most)], [block(most + 1)], words


def one_of(pointer: str, block: Callable[[int], Json]) -> Row:
    """A list of at least one item."""
    words = f"no less than 1 items allowed [json-pointer:/blocks/0{pointer}]"
    return [block(1)], [block(0)], words


def largest(most: int, pointer: str, block: Callable[[int], Json]) -> Row:
    """A number of at most this."""
    words = f"must be less than or equal to {most} [json-pointer:/blocks/0{pointer}]"
    return [block(most)], [block(most + 1)], words


def smallest(least: int, pointer: str, block: Callable[[int], Json]) -> Row:
    """A number of at least this."""
    words = f"must be greater than or equal to {least} [json-pointer:/blocks/0{pointer}]"
    return [block(least)], [block(least - 1)], words


def radio(option: Json) -> Json:
    return actions({"type": "radio_buttons", "options": [option]})


def overflow(**fields: Any) -> Json:
    return actions({"type": "overflow", "options": [{**options(1)[0], **fields}]})


def picture(**fields: Any) -> Json:
    return {"type": "image", "alt_text": "x", "slack_file": fields}


def accessory(kind: str, **fields: Any) -> Json:
    return section(text=mrkdwn(), accessory={"type": kind, **fields})


def checkboxes(count: int, chosen: int) -> Json:
    some = options(count)
    fields: Json = {"options": some, "initial_options": [some[0]] * chosen}
    return actions({"type": "checkboxes", **fields})


def datetime(seconds: int) -> Json:
    return actions({"type": "datetimepicker", "initial_date_time": seconds})


def rich_list(**fields: Any) -> Json:
    part = {"type": "rich_text_list", "style": "bullet", "elements": [], **fields}
    return {"type": "rich_text", "elements": [part]}


def columns(settings: int) -> Json:
    return {**table(), "column_settings": [{}] * settings}


def file_input(filetypes: Sequence[str]) -> Json:
    return an_input({"type": "file_input", "filetypes": list(filetypes)})


def positive(**fields: Any) -> Json:
    buttons = feedback()
    return context_actions({**buttons, "positive_button": {**buttons["positive_button"], **fields}})


CHOSEN = "/accessory/initial_options"
PERSON_LISTS = {
    "multi_users_select": "initial_users",
    "multi_channels_select": "initial_channels",
    "multi_conversations_select": "initial_conversations",
}

MESSAGE_ROWS: Mapping[str, Row] = {
    "context: a text of 2000": longest(
        2000, "/elements/0/text", lambda x: {"type": "context", "elements": [mrkdwn(x)]}
    ),
    "context: a plain text of 2000": longest(
        2000, "/elements/0/text", lambda x: {"type": "context", "elements": [plain(x)]}
    ),
    "context: 1 element": one_of(
        "/elements", lambda n: {"type": "context", "elements": [mrkdwn()] * n}
    ),
    "section: 1 field": one_of("/fields", lambda n: section(fields=[mrkdwn()] * n)),
    "radio buttons: option text of 75": longest(
        75, "/elements/0/options/0/text/text", lambda x: radio({"text": mrkdwn(x), "value": "x"})
    ),
    "radio buttons: option description of 75": longest(
        75,
        "/elements/0/options/0/description/text",
        lambda x: radio({"text": plain(), "value": "x", "description": plain(x)}),
    ),
    "radio buttons: 1 option": one_of(
        "/elements/0/options", lambda n: actions({"type": "radio_buttons", "options": options(n)})
    ),
    "checkboxes: 1 option": one_of(
        "/elements/0/options", lambda n: actions({"type": "checkboxes", "options": options(n)})
    ),
    "checkboxes: 1 initial option": one_of(
        "/elements/0/initial_options", lambda n: checkboxes(1, n)
    ),
    "checkboxes: 10 initial options": most_of(
        10, "/elements/0/initial_options", lambda n: checkboxes(10, n)
    ),
    "overflow: option text of 75": longest(
        75, "/elements/0/options/0/text/text", lambda x: overflow(text=plain(x))
    ),
    "overflow: option description of 75": longest(
        75, "/elements/0/options/0/description/text", lambda x: overflow(description=plain(x))
    ),
    "select: 1 option": one_of(
        "/elements/0/options", lambda n: actions(select(options=options(n)))
    ),
    "select: 1 option group": one_of(
        "/elements/0/option_groups", lambda n: actions(grouped([group()] * n))
    ),
    "select: 1 option of a group": one_of(
        "/elements/0/option_groups/0/options", lambda n: actions(grouped([group(n)]))
    ),
    "multi select: 1 initial option": one_of(
        CHOSEN, lambda n: section(text=mrkdwn(), accessory=multi_select(initial_options=options(n)))
    ),
    "multi select: 100 initial options": most_of(
        100,
        CHOSEN,
        lambda n: section(
            text=mrkdwn(), accessory=multi_select(options=options(100), initial_options=options(n))
        ),
    ),
    "multi external select: 1 initial option": one_of(
        CHOSEN, lambda n: accessory("multi_external_select", initial_options=options(n))
    ),
    "multi external select: 100 initial options": most_of(
        100, CHOSEN, lambda n: accessory("multi_external_select", initial_options=options(n))
    ),
    **{
        f"{kind}: 100 at first": most_of(
            100,
            f"/accessory/{name}",
            lambda n, kind=kind, name=name: accessory(kind, **{name: ["x"] * n}),
        )
        for kind, name in PERSON_LISTS.items()
    },
    "multi external select: min_query_length": smallest(
        0,
        "/accessory/min_query_length",
        lambda n: accessory("multi_external_select", min_query_length=n),
    ),
    "conversations select: a filter of 1": one_of(
        "/elements/0/filter/include",
        lambda n: actions({"type": "conversations_select", "filter": {"include": ["im"] * n}}),
    ),
    "text input: placeholder of 150": longest(
        150, "/element/placeholder/text", lambda x: an_input(text_input(placeholder=plain(x)))
    ),
    "text input: 1 trigger of an action": one_of(
        "/element/dispatch_action_config/trigger_actions_on",
        lambda n: an_input(
            text_input(dispatch_action_config={"trigger_actions_on": ["on_enter_pressed"] * n})
        ),
    ),
    "text input: 2 triggers of an action": most_of(
        2,
        "/element/dispatch_action_config/trigger_actions_on",
        lambda n: an_input(
            text_input(dispatch_action_config={"trigger_actions_on": ["on_enter_pressed"] * n})
        ),
    ),
    "plain_text_input: max_length of 1": smallest(
        1, "/element/max_length", lambda n: an_input(text_input(max_length=n))
    ),
    "plain_text_input: min_length of 0": smallest(
        0, "/element/min_length", lambda n: an_input(text_input(min_length=n))
    ),
    "button: accessibility_label of 75": longest(
        75, "/elements/0/accessibility_label", lambda x: actions(button(accessibility_label=x))
    ),
    "button: agent_prompt_display of 75": longest(
        75, "/elements/0/agent_prompt_display", lambda x: actions(button(agent_prompt_display=x))
    ),
    "button: 1 person who sees it": one_of(
        "/elements/0/visible_to_user_ids",
        lambda n: actions(button(visible_to_user_ids=["U1"] * n)),
    ),
    "feedback_buttons: accessibility_label of 75": longest(
        75,
        "/elements/0/positive_button/accessibility_label",
        lambda x: positive(accessibility_label=x),
    ),
    "icon_button: text of 75": longest(
        75, "/elements/0/text/text", lambda x: context_actions(icon(text=plain(x)))
    ),
    "icon_button: value of 2000": longest(
        2000, "/elements/0/value", lambda x: context_actions(icon(value=x))
    ),
    "context_actions: 1 element": one_of("/elements", lambda n: context_actions(*[icon()] * n)),
    "slack_file: id of 255": longest(255, "/slack_file/id", lambda x: picture(id=x)),
    "slack_file: url of 3000": longest(3000, "/slack_file/url", lambda x: picture(url=x)),
    "slack_file: an id or a url": (
        [picture(id="F1")],
        [picture()],
        "missing required field: id [json-pointer:/blocks/0/slack_file]",
    ),
    "image element: a url or a slack_file": (
        [accessory("image", alt_text="x", slack_file={"id": "F1"})],
        [accessory("image", alt_text="x")],
        "missing required field: image_url [json-pointer:/blocks/0/accessory]",
    ),
    "multi select: options or groups": (
        [accessory("multi_static_select", option_groups=[group()])],
        [accessory("multi_static_select")],
        "missing required field: options [json-pointer:/blocks/0/accessory]",
    ),
    "multi select: initial options of its own": (
        [accessory("multi_static_select", options=options(2), initial_options=options(2))],
        [accessory("multi_static_select", options=options(1), initial_options=options(2))],
        "must match one of the options [json-pointer:/blocks/0/accessory/initial_options/1]",
    ),
    "radio buttons: an initial option of its own": (
        [accessory("radio_buttons", options=options(2), initial_option=options(2)[1])],
        [accessory("radio_buttons", options=options(1), initial_option=options(2)[1])],
        "must match one of the options [json-pointer:/blocks/0/accessory/initial_option]",
    ),
    "checkboxes: initial options of its own": (
        [accessory("checkboxes", options=options(2), initial_options=options(2))],
        [accessory("checkboxes", options=options(1), initial_options=options(2))],
        "must match one of the options [json-pointer:/blocks/0/accessory/initial_options/1]",
    ),
    "container: a title of either kind": (
        [{"type": "container", "rich_text_title": rich(), "child_blocks": [section()]}],
        [{"type": "container", "child_blocks": [section()]}],
        "missing required field: title [json-pointer:/blocks/0]",
    ),
    "timepicker: timezone of 255": longest(
        255, "/elements/0/timezone", lambda x: actions({"type": "timepicker", "timezone": x})
    ),
    "datetimepicker: not before 10 digits": smallest(
        1_000_000_000, "/elements/0/initial_date_time", datetime
    ),
    "datetimepicker: not after 10 digits": largest(
        9_999_999_999, "/elements/0/initial_date_time", datetime
    ),
    "rich_text: 1 part": one_of(
        "/elements", lambda n: {**rich(), "elements": rich()["elements"] * n}
    ),
    "rich_text_list: border of 0": smallest(0, "/elements/0/border", lambda n: rich_list(border=n)),
    "rich_text_list: border of 1": largest(1, "/elements/0/border", lambda n: rich_list(border=n)),
    "rich_text_list: indent of 0": smallest(0, "/elements/0/indent", lambda n: rich_list(indent=n)),
    "rich_text_list: indent of 8": largest(8, "/elements/0/indent", lambda n: rich_list(indent=n)),
    "rich_text_list: offset of 0": smallest(0, "/elements/0/offset", lambda n: rich_list(offset=n)),
    "table: 1 row": one_of("/rows", lambda n: {"type": "table", "rows": [[cell()]] * n}),
    "table: 20 column settings": most_of(20, "/column_settings", columns),
    "data_table: row_header_column_index of 0": smallest(
        0, "/row_header_column_index", lambda n: data_table(row_header_column_index=n)
    ),
    "data_table: row_header_column_index of 19": largest(
        19, "/row_header_column_index", lambda n: data_table(row_header_column_index=n)
    ),
    "chart: 1 category": one_of(
        "/chart/axis_config/categories", lambda n: chart(points=1, categories=["c0"][:n])
    ),
    "pie: 1 segment": one_of("/chart/segments", pie),
    "video: alt_text of 2000": longest(2000, "/alt_text", lambda x: video(alt_text=x)),
    "video: description of 200": longest(
        200, "/description/text", lambda x: video(description=plain(x))
    ),
    "video: provider_name of 49": longest(49, "/provider_name", lambda x: video(provider_name=x)),
    "card: 1 button": one_of("/actions", lambda n: card(title=mrkdwn(), actions=[button()] * n)),
    "container: 1 child": one_of(
        "/child_blocks", lambda n: {**container(), "child_blocks": [section()] * n}
    ),
    "task_card: task_id of 255": longest(255, "/task_id", lambda x: task(task_id=x)),
}


def view_row(row: Row) -> ViewRow:
    """The same in a modal."""
    (good,), (bad,), words = row
    return modal(good), modal(bad), words.replace("/blocks/0", "/view/blocks/0")


VIEW_ROWS: Mapping[str, ViewRow] = {
    "file_input: 1 filetype": view_row(
        one_of("/element/filetypes", lambda n: file_input(["png"] * n))
    ),
    "file_input: a filetype of 255": view_row(
        longest(255, "/element/filetypes/0", lambda x: file_input([x]))
    ),
    "modal: 1 block": (
        modal(section()),
        {**modal(), "blocks": []},
        "no less than 1 items allowed [json-pointer:/view/blocks]",
    ),
    "plain_text_input: nothing at first": (
        modal(an_input(text_input(initial_value=""))),
        modal(an_input(text_input(initial_value=None))),
        "must provide a string [json-pointer:/view/blocks/0/element/initial_value]",
    ),
    "view: nothing to remember": (
        modal(private_metadata="", callback_id="", external_id=""),
        modal(private_metadata=None),
        "must provide a string [json-pointer:/view/private_metadata]",
    ),
}

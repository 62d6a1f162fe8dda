"""The table of blocks that hold no other blocks, with their limits and where they may stand.

Limits are Slack's published ones; where sources differ the stricter is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.workspace.element_rules import (
    ID,
    IMAGE_ELEMENT,
    IMAGE_SOURCE,
    MANY_CHOICE,
    ONE_CHOICE,
    TEXT_INPUTS,
    TYPED_IN,
    URL,
    elements,
    mrkdwn_text,
    plain,
    plain_text,
    text,
)
from bot.workspace.rules import (
    Array,
    Choice,
    Complaint,
    Complaints,
    Extra,
    Flag,
    Number,
    Object,
    Rule,
    String,
    Tagged,
    one_of,
    typed,
)

# --- rich text ---------------------------------------------------------------------------------

STYLE: Mapping[str, Rule] = {
    "style": Object({n: Flag() for n in ("bold", "italic", "strike", "code", "underline")})
}
VERBATIM: Mapping[str, Rule] = {
    "text": typed("text", {"text": String(), **STYLE}, "text"),
    "link": typed("link", {"url": URL, "text": String(), "unsafe": Flag(), **STYLE}, "url"),
}
INLINE = Tagged(
    {
        **VERBATIM,
        "emoji": typed(
            "emoji",
            {"name": String(), "unicode": String(), "skin_tone": Number(whole=True), **STYLE},
            "name",
        ),
        "user": typed("user", {"user_id": ID, **STYLE}, "user_id"),
        "channel": typed("channel", {"channel_id": ID, **STYLE}, "channel_id"),
        "usergroup": typed("usergroup", {"usergroup_id": ID, **STYLE}, "usergroup_id"),
        "broadcast": typed(
            "broadcast", {"range": Choice(("here", "channel", "everyone")), **STYLE}, "range"
        ),
        "date": typed(
            "date",
            {
                "timestamp": Number(whole=True),
                "format": String(),
                "url": URL,
                "fallback": String(),
                **STYLE,
            },
            "timestamp",
            "format",
        ),
        "color": typed("color", {"value": String(), **STYLE}, "value"),
    }
)
RICH_SECTION = typed("rich_text_section", {"elements": Array(INLINE)}, "elements")
BORDER: Mapping[str, Rule] = {"border": Number(least=0, most=1, whole=True)}
RICH_TEXT_PARTS = Tagged(
    {
        "rich_text_section": RICH_SECTION,
        "rich_text_quote": typed(
            "rich_text_quote", {"elements": Array(INLINE), **BORDER}, "elements"
        ),
        "rich_text_preformatted": typed(
            "rich_text_preformatted", {"elements": Array(Tagged(VERBATIM)), **BORDER}, "elements"
        ),
        "rich_text_list": typed(
            "rich_text_list",
            {
                "elements": Array(Tagged({"rich_text_section": RICH_SECTION})),
                "style": Choice(("bullet", "ordered")),
                "indent": Number(least=0, most=8, whole=True),
                "offset": Number(least=0, whole=True),
                **BORDER,
            },
            "elements",
            "style",
        ),
    }
)
RICH_TEXT = typed(
    "rich_text", {"block_id": ID, "elements": Array(RICH_TEXT_PARTS, least=1)}, "elements"
)

# An element, but it stands here: what it holds at first is a block.
RICH_TEXT_INPUT = typed(
    "rich_text_input",
    {
        **TYPED_IN,
        "initial_value": Tagged({"rich_text": RICH_TEXT}),
        "min_lines": Number(least=1, whole=True),
        "max_lines": Number(least=1, whole=True),
    },
)
INPUTS = Tagged(
    {
        **elements((*TEXT_INPUTS, "datetimepicker", "file_input", *ONE_CHOICE, *MANY_CHOICE)).kinds,
        "rich_text_input": RICH_TEXT_INPUT,
    }
)

# --- tables and charts ------------------------------------------------------------------------

RAW_TEXT = typed("raw_text", {"text": String()}, "text")
RAW_NUMBER = typed("raw_number", {"value": Number(), "text": String()}, "value", "text")
CELLS: Mapping[str, Rule] = {
    "raw_text": RAW_TEXT,
    "raw_number": RAW_NUMBER,
    "rich_text": RICH_TEXT,
}
ROW = Array(Tagged(CELLS), least=1, most=20)


def rows_are_even(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """Every row has as many cells as the first."""
    rows = value["rows"]
    assert isinstance(rows, list)
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            words = f"must have {len(rows[0])} cells, as the first row has"
            out.append(Complaint(words, f"{at}/rows/{index}"))


def data_table_is_even(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """Even rows, and no rich text in the header row."""
    rows_are_even(value, at, out)
    rows = value["rows"]
    assert isinstance(rows, list)
    for index, cell in enumerate(rows[0]):
        if cell["type"] == "rich_text":
            out.append(Complaint("unsupported type: rich_text", f"{at}/rows/0/{index}/type"))


def _repeated(names: list[object]) -> list[int]:
    return [index for index, name in enumerate(names) if name in names[:index]]


def chart_is_whole(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """Categories and series names differ, and each series has one point for each category."""
    axis, series = value["axis_config"], value["series"]
    assert isinstance(axis, dict) and isinstance(series, list)
    categories = axis["categories"]
    for index in _repeated(categories):
        out.append(Complaint("must be unique", f"{at}/axis_config/categories/{index}"))
    for index in _repeated([one["name"] for one in series]):
        out.append(Complaint("must be unique", f"{at}/series/{index}/name"))
    for index, one in enumerate(series):
        labels = [point["label"] for point in one["data"]]
        if sorted(labels) != sorted(categories):
            words = "must have exactly one data point for each category"
            out.append(Complaint(words, f"{at}/series/{index}/data"))


POINT = Object({"label": String(20), "value": Number()}, ("label", "value"))
SERIES = Object({"name": String(20), "data": Array(POINT, least=1, most=20)}, ("name", "data"))
AXIS = Object(
    {
        "categories": Array(String(20), least=1, most=20),
        "x_label": String(50),
        "y_label": String(50),
    },
    ("categories",),
)
SEGMENT = Object({"label": String(20), "value": Number(above=0)}, ("label", "value"))


def _series_chart(kind: str) -> Object:
    fields: Mapping[str, Rule] = {"series": Array(SERIES, least=1, most=6), "axis_config": AXIS}
    return typed(kind, fields, "series", "axis_config", extra=chart_is_whole)


CHART = Tagged(
    {
        **{kind: _series_chart(kind) for kind in ("line", "bar", "area")},
        "pie": typed("pie", {"segments": Array(SEGMENT, least=1, most=6)}, "segments"),
    }
)

HTTPS = String(3000, pattern=r"https:\S+")

# --- blocks -----------------------------------------------------------------------------------

MESSAGE, MODAL, HOME = "message", "modal", "home"
EVERYWHERE = frozenset({MESSAGE, MODAL, HOME})
MESSAGE_AND_HOME = frozenset({MESSAGE, HOME})


@dataclass(frozen=True)
class BlockRule:
    """What a block must be, and where it may stand."""

    rule: Object
    surfaces: frozenset[str] = EVERYWHERE


def block_rule(
    kind: str,
    fields: Mapping[str, Rule],
    *required: str,
    extra: Extra | None = None,
    surfaces: frozenset[str] = EVERYWHERE,
) -> tuple[str, BlockRule]:
    rule = typed(kind, {"block_id": ID, **fields}, *required, extra=extra)
    return kind, BlockRule(rule, surfaces)


def section_says_something(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """A section has text or fields."""
    if "text" not in value and "fields" not in value:
        out.append(Complaint("missing required field: text", at))


ACTIONS = ("button", "overflow", "datetimepicker", *ONE_CHOICE)
CONTEXT_ELEMENTS = Tagged(
    {"image": IMAGE_ELEMENT, "mrkdwn": mrkdwn_text(2000), "plain_text": plain_text(2000)}
)
SIMPLE_BLOCKS: Mapping[str, BlockRule] = dict(
    [
        block_rule(
            "section",
            {
                "text": text(3000),
                "fields": Array(text(2000), least=1, most=10),
                "accessory": elements(("button", "image", "overflow", *ONE_CHOICE, *MANY_CHOICE)),
                "expand": Flag(),
            },
            extra=section_says_something,
        ),
        block_rule(
            "header",
            {"text": plain(150), "level": Number(least=1, most=4, whole=True)},
            "text",
        ),
        block_rule("context", {"elements": Array(CONTEXT_ELEMENTS, least=1, most=10)}, "elements"),
        block_rule(
            "actions",
            {"elements": Array(elements(ACTIONS), 1, 25)},
            "elements",
        ),
        block_rule("divider", {}),
        block_rule(
            "image",
            {**IMAGE_SOURCE, "title": plain(2000)},
            "alt_text",
            extra=one_of("image_url", "slack_file"),
        ),
        block_rule(
            "input",
            {
                "label": plain(2000),
                "element": INPUTS,
                "hint": plain(2000),
                "optional": Flag(),
                "dispatch_action": Flag(),
            },
            "label",
            "element",
        ),
        ("rich_text", BlockRule(RICH_TEXT)),
        block_rule("markdown", {"text": String(12_000)}, "text", surfaces=frozenset({MESSAGE})),
        block_rule(
            "table",
            {
                "rows": Array(ROW, least=1, most=100),
                "column_settings": Array(
                    Object({"align": Choice(("left", "center", "right")), "is_wrapped": Flag()}),
                    most=20,
                ),
            },
            "rows",
            extra=rows_are_even,
            surfaces=MESSAGE_AND_HOME,
        ),
        block_rule(
            "data_table",
            {
                "caption": String(),
                "rows": Array(ROW, least=2, most=101),
                "page_size": Number(least=1, most=100, whole=True),
                "row_header_column_index": Number(least=0, most=19, whole=True),
            },
            "caption",
            "rows",
            extra=data_table_is_even,
            surfaces=MESSAGE_AND_HOME,
        ),
        block_rule(
            "data_visualization",
            {"title": String(50), "chart": CHART},
            "title",
            "chart",
            surfaces=frozenset({MESSAGE}),
        ),
        block_rule(
            "alert",
            {
                "text": text(200),
                "level": Choice(("default", "info", "warning", "error", "success")),
            },
            "text",
            surfaces=frozenset({MODAL}),
        ),
        block_rule(
            "video",
            {
                "alt_text": String(2000),
                "title": plain(199),
                "title_url": HTTPS,
                "description": plain(200),
                "video_url": HTTPS,
                "thumbnail_url": URL,
                "author_name": String(49),
                "provider_name": String(49),
                "provider_icon_url": URL,
            },
            "alt_text",
            "title",
            "video_url",
            "thumbnail_url",
        ),
        block_rule(
            "file",
            {"external_id": ID, "source": Choice(("remote",))},
            "external_id",
            "source",
            surfaces=frozenset({MESSAGE}),
        ),
        block_rule(
            "context_actions",
            {"elements": Array(elements(("feedback_buttons", "icon_button")), least=1, most=5)},
            "elements",
            surfaces=frozenset({MESSAGE}),
        ),
    ]
)

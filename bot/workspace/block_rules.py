"""The table of blocks and views, with their limits and where they may stand. `validate` applies it.

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

# --- rich text, checked lightly ---------------------------------------------------------------

STYLE: Mapping[str, Rule] = {
    "style": Object({n: Flag() for n in ("bold", "italic", "strike", "code", "underline")})
}
INLINE = Tagged(
    {
        "text": typed("text", {"text": String(), **STYLE}, "text"),
        "link": typed("link", {"url": URL, "text": String(), "unsafe": Flag(), **STYLE}, "url"),
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
            "rich_text_preformatted",
            {"elements": Array(INLINE), "language": String(255), **BORDER},
            "elements",
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

# --- blocks -----------------------------------------------------------------------------------

MESSAGE, MODAL, HOME = "message", "modal", "home"
EVERYWHERE = frozenset({MESSAGE, MODAL, HOME})


@dataclass(frozen=True)
class BlockRule:
    """What a block must be, and where it may stand."""

    rule: Object
    surfaces: frozenset[str] = EVERYWHERE


def _block(
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


CONTEXT_ELEMENTS = Tagged(
    {"image": IMAGE_ELEMENT, "mrkdwn": mrkdwn_text(2000), "plain_text": plain_text(2000)}
)
BLOCKS: Mapping[str, BlockRule] = dict(
    [
        _block(
            "section",
            {
                "text": text(3000),
                "fields": Array(text(2000), least=1, most=10),
                "accessory": elements(("button", "image", "overflow", *ONE_CHOICE, *MANY_CHOICE)),
                "expand": Flag(),
            },
            extra=section_says_something,
        ),
        _block(
            "header",
            {"text": plain(150), "level": Number(least=1, most=4, whole=True)},
            "text",
        ),
        _block("context", {"elements": Array(CONTEXT_ELEMENTS, least=1, most=10)}, "elements"),
        _block(
            "actions",
            {"elements": Array(elements(("button", "overflow", *ONE_CHOICE)), 1, 25)},
            "elements",
        ),
        _block("divider", {}),
        _block(
            "image",
            {**IMAGE_SOURCE, "title": plain(2000)},
            "alt_text",
            extra=one_of("image_url", "slack_file"),
        ),
        _block(
            "input",
            {
                "label": plain(2000),
                "element": elements(
                    ("plain_text_input", "number_input", *ONE_CHOICE, *MANY_CHOICE)
                ),
                "hint": plain(2000),
                "optional": Flag(),
                "dispatch_action": Flag(),
            },
            "label",
            "element",
        ),
        ("rich_text", BlockRule(RICH_TEXT)),
        _block("markdown", {"text": String(12_000)}, "text", surfaces=frozenset({MESSAGE})),
        _block(
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
            surfaces=frozenset({MESSAGE, HOME}),
        ),
        _block(
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
            surfaces=frozenset({MESSAGE, HOME}),
        ),
        _block(
            "data_visualization",
            {"title": String(50), "chart": CHART},
            "title",
            "chart",
            surfaces=frozenset({MESSAGE}),
        ),
        _block(
            "alert",
            {
                "text": text(200),
                "level": Choice(("default", "info", "warning", "error", "success")),
            },
            "text",
            surfaces=frozenset({MODAL}),
        ),
    ]
)


def blocks_on(surface: str) -> Tagged:
    """Any block that may stand on this surface."""
    return Tagged({kind: b.rule for kind, b in BLOCKS.items() if surface in b.surfaces})


# --- views ------------------------------------------------------------------------------------

VIEW_COMMON: Mapping[str, Rule] = {
    "private_metadata": String(3000, least=0),
    "callback_id": String(255, least=0),
    "external_id": String(255, least=0),
}
VIEWS: Mapping[str, Object] = {
    "modal": typed(
        "modal",
        {
            **VIEW_COMMON,
            "title": plain(24),
            "submit": plain(24),
            "close": plain(24),
            "blocks": Array(blocks_on(MODAL), least=1, most=100),
            "clear_on_close": Flag(),
            "notify_on_close": Flag(),
        },
        "title",
        "blocks",
    ),
    "home": typed("home", {**VIEW_COMMON, "blocks": Array(blocks_on(HOME), most=100)}, "blocks"),
}
MESSAGE_BLOCKS = Array(blocks_on(MESSAGE), most=50)

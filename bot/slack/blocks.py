"""Block builders, Slack's limits, and every identifier that Slack sends back to us.

Only the blocks that we use. Text that a person typed goes through `escape` or `code`, and every
mrkdwn object is verbatim, so that nothing typed can mention, link or notify anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Block = dict[str, Any]
Element = dict[str, Any]

# action_id and callback_id; the block_id (and action_id) of an input of the form is its field.
STOP = "stop_experiment"
SHOW_TRIALS = "show_trials"
FORM = "tune_form"
FORM_SECTIONS = "form_sections"
FORM_YAML = "yaml"
# Actions after which the form is drawn again: other sections, or other defaults.
FORM_REBUILDS = (FORM_SECTIONS, "method", "algorithm_name")

# Slack's limits, in characters or items (the reference pages of Block Kit).
MAX_SECTION = 3000
MAX_HEADER = 150
MAX_CONTEXT = 10
MAX_BUTTON = 75
MAX_VALUE = 2000
MAX_INPUT = 3000
MAX_LABEL = 2000
MAX_PLACEHOLDER = 150
MAX_OPTION = 75
MAX_TITLE = 24
MAX_MESSAGE_TEXT = 4000
MAX_MESSAGE = 12_000  # not documented: msg_blocks_too_long begins at about 13,200
MAX_TABLE_ROWS = 100
MAX_CHART_POINTS = 20
MAX_CHART_LABEL = 20
MAX_CHART_TITLE = 50
MAX_CONFIRM_TITLE = 100
MAX_CONFIRM_TEXT = 300
MAX_CONFIRM_BUTTON = 30


def clip(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str) -> str:
    """Text for mrkdwn in which nothing is a mention, a link or a date."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str, limit: int = 120) -> str:
    """What somebody typed, as inline code on one line: no formatting inside has any effect."""
    line = " ".join(clip(text, limit).split()).replace("`", "ˋ")
    return f"`{escape(line)}`" if line else "``"


def mrkdwn(text: str, limit: int = MAX_SECTION) -> Element:
    """A text object; `text` is escaped already, and not empty."""
    return {"type": "mrkdwn", "text": _clip_escaped(text, limit), "verbatim": True}


def _clip_escaped(text: str, limit: int) -> str:
    """Like `clip`, but never through an entity or a `<...>`."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    for opening, closing in (("&", ";"), ("<", ">")):
        begun = cut.rfind(opening)
        if begun > cut.rfind(closing):
            cut = cut[:begun]
    return cut + "…"


def plain(text: str, limit: int) -> Element:
    """A text object in which no formatting has any effect."""
    return {"type": "plain_text", "text": clip(text, limit) or " ", "emoji": True}


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text, MAX_HEADER)}


def section(text: str) -> Block:
    return {"type": "section", "text": mrkdwn(text), "expand": True}


def context(*elements: Element) -> Block:
    return {"type": "context", "elements": list(elements[:MAX_CONTEXT])}


def divider() -> Block:
    return {"type": "divider"}


def actions(elements: Iterable[Element]) -> Block:
    return {"type": "actions", "elements": list(elements)}


def button(
    text: str, action_id: str, value: str, *, style: str = "", confirm: Element | None = None
) -> Element:
    """A button; `style` is "primary", "danger" or ""."""
    made: Element = {
        "type": "button",
        "text": plain(text, MAX_BUTTON),
        "action_id": action_id,
        "value": clip(value, MAX_VALUE),
    }
    return made | ({"style": style} if style else {}) | ({"confirm": confirm} if confirm else {})


def confirm(title: str, text: str, *, yes: str, no: str) -> Element:
    """The dialog between a dangerous button and its effect."""
    return {
        "title": plain(title, MAX_CONFIRM_TITLE),
        "text": plain(text, MAX_CONFIRM_TEXT),
        "confirm": plain(yes, MAX_CONFIRM_BUTTON),
        "deny": plain(no, MAX_CONFIRM_BUTTON),
        "style": "danger",
    }


def preformatted(text: str) -> Block:
    """Text to copy, exactly as it is (rich text knows no markup, so nothing is escaped)."""
    return {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text or " "}]}
        ],
    }


def cell(value: object, text: str) -> Element:
    """A cell of a table: numbers sort as numbers, where a column has nothing else."""
    shown = text or "–"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"type": "raw_number", "value": value, "text": shown}
    return {"type": "raw_text", "text": shown}


def data_table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Element]], *, page_size: int = 10
) -> Block:
    """A sortable table; one per message, `rows` not empty and within the limits."""
    heads = [cell(None, column) for column in columns]
    return {
        "type": "data_table",
        "caption": caption,
        "rows": [heads, *(list(row) for row in rows)],
        "page_size": page_size,
    }


def line_chart(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
) -> Block:
    """A native chart (messages only): 1 to 20 different labels, a value for each in each series."""
    return {
        "type": "data_visualization",
        "title": clip(title, MAX_CHART_TITLE),
        "chart": {
            "type": "line",
            "series": [
                {
                    "name": clip(name, MAX_CHART_LABEL),
                    "data": [
                        {"label": label, "value": value}
                        for label, value in zip(labels, values, strict=True)
                    ],
                }
                for name, values in series.items()
            ],
            "axis_config": {
                "categories": list(labels),
                "x_label": clip(x_label, MAX_CHART_TITLE),
                "y_label": clip(y_label, MAX_CHART_TITLE),
            },
        },
    }


def option(value: str, text: str) -> Element:
    return {"text": plain(text, MAX_OPTION), "value": value}


def text_input(
    action_id: str, initial: str = "", *, placeholder: str = "", multiline: bool = False
) -> Element:
    """A line (or several lines) of text; `initial` is within MAX_INPUT."""
    made: Element = {"type": "plain_text_input", "action_id": action_id, "multiline": multiline}
    if initial:
        made["initial_value"] = initial
    if placeholder:
        made["placeholder"] = plain(placeholder, MAX_PLACEHOLDER)
    return made


def select(action_id: str, options: Mapping[str, str], initial: str = "") -> Element:
    """A menu of at most 100 choices, `{value: text}`."""
    made: Element = {
        "type": "static_select",
        "action_id": action_id,
        "options": [option(value, text) for value, text in options.items()],
    }
    if (chosen := clip(initial, MAX_OPTION)) in options:
        made["initial_option"] = option(chosen, options[chosen])
    return made


def checkboxes(action_id: str, options: Mapping[str, str], initial: Iterable[str] = ()) -> Element:
    """At most 10 boxes to tick, `{value: text}`."""
    made: Element = {
        "type": "checkboxes",
        "action_id": action_id,
        "options": [option(value, text) for value, text in options.items()],
    }
    if ticked := [option(value, options[value]) for value in options if value in set(initial)]:
        made["initial_options"] = ticked
    return made


def form_input(
    block_id: str,
    label: str,
    element: Element,
    *,
    hint: str = "",
    optional: bool = True,
    dispatch: bool = False,
) -> Block:
    """An input of a form; `dispatch` tells us about every change."""
    made: Block = {
        "type": "input",
        "block_id": block_id,
        "label": plain(label, MAX_LABEL),
        "element": element,
        "optional": optional,
        "dispatch_action": dispatch,
    }
    return made | ({"hint": plain(hint, MAX_LABEL)} if hint else {})


def modal(
    title: str,
    blocks: Sequence[Block],
    *,
    callback_id: str = "",
    submit: str = "",
    close: str = "Close",
    metadata: str = "",
) -> dict[str, Any]:
    """A view. A view with inputs needs `submit`."""
    view: dict[str, Any] = {
        "type": "modal",
        "title": plain(title, MAX_TITLE),
        "close": plain(close, MAX_TITLE),
        "blocks": list(blocks),
    }
    if callback_id:
        view["callback_id"] = callback_id
    if submit:
        view["submit"] = plain(submit, MAX_TITLE)
    if metadata:
        view["private_metadata"] = metadata
    return view

"""Builders of small correct blocks and views, for tests of what Slack takes and refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def plain(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    return {"type": "mrkdwn", "text": text}


def options(count: int, text: str = "x", value: str = "") -> list[Json]:
    return [{"text": plain(text), "value": value or str(n)} for n in range(count)]


def section(**fields: Any) -> Json:
    return {"type": "section", **(fields or {"text": mrkdwn()})}


def button(**fields: Any) -> Json:
    return {"type": "button", "text": plain(), **fields}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def select(**fields: Any) -> Json:
    return {"type": "static_select", "options": options(2), **fields}


def multi_select(**fields: Any) -> Json:
    return {"type": "multi_static_select", "options": options(2), **fields}


def group(count: int = 1, label: str = "x") -> Json:
    return {"label": plain(label), "options": options(count)}


def grouped(groups: list[Json]) -> Json:
    return {"type": "static_select", "option_groups": groups}


def dispatch(word: str) -> Json:
    return {"trigger_actions_on": [word]}


def text_input(**fields: Any) -> Json:
    return {"type": "plain_text_input", **fields}


def number_input(**fields: Any) -> Json:
    return {"type": "number_input", "is_decimal_allowed": True, **fields}


def an_input(element: Json | None = None, **fields: Any) -> Json:
    return {"type": "input", "label": plain(), "element": element or text_input(), **fields}


def confirm(**fields: Any) -> Json:
    texts = {name: plain() for name in ("title", "text", "confirm", "deny")}
    return {**texts, **fields}


def cell(text: str = "x") -> Json:
    return {"type": "raw_text", "text": text}


def raw_number() -> Json:
    return {"type": "raw_number", "value": 1, "text": "1"}


def rich() -> Json:
    inline = [{"type": "text", "text": "x"}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": inline}]}


def table(rows: int = 1, columns: int = 1, text: str = "x") -> Json:
    return {"type": "table", "rows": [[cell(text)] * columns for _ in range(rows)]}


def data_table(rows: int = 2, columns: int = 1, text: str = "x", **fields: Any) -> Json:
    return {**table(rows, columns, text), "type": "data_table", "caption": "c", **fields}


def chart(
    series: int = 1,
    points: int = 1,
    label: str = "",
    *,
    kind: str = "line",
    value: float | None = 1,
    names: Sequence[str] = (),
    categories: Sequence[str] | None = None,
    point: Json | None = None,
    title: str = "t",
    **axis: Any,
) -> Json:
    """A chart; the names replace the series', the categories those of the points, and `point` is
    added to each.
    """
    labels = [label or f"c{n}" for n in range(points)]
    data = [{"label": name, "value": value, **(point or {})} for name in labels]
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {
            "type": kind,
            "series": [
                {"name": name, "data": data} for name in names or [f"s{n}" for n in range(series)]
            ],
            "axis_config": {
                "categories": labels if categories is None else list(categories),
                **axis,
            },
        },
    }


def pie(segments: int, value: float = 1, label: str = "x") -> Json:
    shares = [{"label": label, "value": value} for _ in range(segments)]
    return {
        "type": "data_visualization",
        "title": "t",
        "chart": {"type": "pie", "segments": shares},
    }


def card(**fields: Any) -> Json:
    return {"type": "card", **(fields or {"title": mrkdwn()})}


def carousel(cards: int) -> Json:
    return {"type": "carousel", "elements": [card()] * cards}


def container(*children: Json, **fields: Any) -> Json:
    inside = list(children) or [section()]
    return {"type": "container", "title": plain(), "child_blocks": inside, **fields}


def task(status: str = "complete", **fields: Any) -> Json:
    return {"type": "task_card", "task_id": "1", "title": "t", "status": status, **fields}


def plan(*tasks: Json) -> Json:
    return {"type": "plan", "title": "t", "tasks": list(tasks)}


def video(**fields: Any) -> Json:
    urls = {name: "https://a/b" for name in ("video_url", "thumbnail_url")}
    return {"type": "video", "alt_text": "x", "title": plain(), **urls, **fields}


def feedback(text: str = "x", value: str = "x") -> Json:
    one = {"text": plain(text), "value": value}
    return {"type": "feedback_buttons", "positive_button": one, "negative_button": one}


def icon(**fields: Any) -> Json:
    return {"type": "icon_button", "icon": "trash", "text": plain(), **fields}


def context_actions(*elements: Json) -> Json:
    return {"type": "context_actions", "elements": list(elements)}


def modal(*blocks: Json, **fields: Any) -> Json:
    return {
        "type": "modal",
        "title": plain(),
        "submit": plain(),
        "blocks": list(blocks) or [section()],
        **fields,
    }


def home(*blocks: Json) -> Json:
    return {"type": "home", "blocks": list(blocks)}

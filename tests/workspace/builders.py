"""Builders of small correct blocks and views, for tests of what Slack takes and refuses."""

from __future__ import annotations

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


def table(rows: int = 1, columns: int = 1, text: str = "x") -> Json:
    return {"type": "table", "rows": [[cell(text)] * columns for _ in range(rows)]}


def data_table(rows: int = 2, columns: int = 1, text: str = "x", **fields: Any) -> Json:
    return {**table(rows, columns, text), "type": "data_table", "caption": "c", **fields}


def chart(series: int = 1, points: int = 1, label: str = "", **fields: Any) -> Json:
    labels = [label or f"c{n}" for n in range(points)]
    data = [{"label": name, "value": n} for n, name in enumerate(labels)]
    return {
        "type": "data_visualization",
        "title": "t",
        "chart": {
            "type": "line",
            "series": [{"name": f"s{n}", "data": data} for n in range(series)],
            "axis_config": {"categories": labels},
        },
        **fields,
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

"""The second opinion on payloads: a JSON Schema made from @slack/types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastjsonschema

from bot.workspace.validate import Complaint, check_message, check_view

SCHEMA_FOLDER = Path(__file__).parent / "schema"
SCHEMA = json.loads((SCHEMA_FOLDER / "slack-types.json").read_text())
_check = fastjsonschema.compile(SCHEMA)


def complaints_about(payload: Mapping[str, Any]) -> tuple[Complaint, ...]:
    """What our validator says about {"view": ...} or a message."""
    return check_view(payload["view"]) if "view" in payload else check_message(payload)


def schema_accepts(payload: Mapping[str, Any]) -> bool:
    """Whether the schema accepts this view, or the blocks of this message."""
    view = payload.get("view")
    if isinstance(view, dict) and isinstance(view.get("blocks"), list):
        # In a view the schema takes blocks of any type, so they are shown to it by themselves.
        payload = {"view": {**view, "blocks": []}, "blocks": view["blocks"]}
    try:
        _check({name: payload[name] for name in ("view", "blocks") if name in payload})
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True

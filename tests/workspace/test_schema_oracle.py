"""A JSON Schema made from @slack/types accepts whatever our table accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from bot.workspace.validate import check_message, check_view
from tests.workspace.test_validate import MESSAGE_LIMITS, VIEW_LIMITS

HERE = Path(__file__).parent
PAYLOADS = HERE.parent / "browser" / "payloads"
accepts = fastjsonschema.compile(json.loads((HERE / "schema/slack-types.json").read_text()))

# What the table accepts and the schema refuses, and why.
EXCEPTIONS: Mapping[str, str] = {
    '"data_visualization"': "@slack/types 3.2.0 does not have the block yet",
    '"subtext"': "@slack/types 3.2.0 does not have this field of a card",
}


def examples() -> dict[str, dict[str, Any]]:
    """Payloads that the table accepts."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(PAYLOADS.glob("*.json")):
        payload = json.loads(path.read_text())
        is_view = "type" in payload
        found[path.stem] = {"view": payload} if is_view else {"blocks": payload.get("blocks", [])}
    found |= {name: {"blocks": good} for name, (good, _, _) in MESSAGE_LIMITS.items()}
    return found | {f"view: {name}": {"view": good} for name, (good, _, _) in VIEW_LIMITS.items()}


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_the_table_accepts_the_schema_accepts(name: str) -> None:
    payload = EXAMPLES[name]
    is_view = "view" in payload
    ours = check_view(payload["view"]) if is_view else check_message({**payload, "text": "x"})
    assert ours == ()
    try:
        accepts(payload)
        refused = False
    except fastjsonschema.JsonSchemaValueException:
        refused = True
    assert refused == any(part in json.dumps(payload) for part in EXCEPTIONS)

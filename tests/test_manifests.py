"""The Slack app manifest: what Slack takes, and what the bot needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SOURCE = (ROOT / "bot" / "slack" / "app.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "manifests" / "slack-app.yaml").read_text())
    return loaded


def test_it_declares_exactly_the_commands_that_the_bot_answers(manifest: dict[str, Any]) -> None:
    declared = {each["command"] for each in manifest["features"]["slash_commands"]}
    assert declared == set(re.findall(r'@app\.command\("([^"]+)"\)', SOURCE))


def test_it_asks_for_no_scope_that_the_bot_does_not_use(manifest: dict[str, Any]) -> None:
    scopes = manifest["oauth_config"]["scopes"]
    assert set(scopes["bot"]) == {"commands", "chat:write", "channels:history", "groups:history"}
    assert "user" not in scopes


def test_socket_mode_and_interactivity_are_on(manifest: dict[str, Any]) -> None:
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"]["is_enabled"] is True


def test_texts_are_within_the_limits_of_slacks_schema(manifest: dict[str, Any]) -> None:
    shown = manifest["display_information"]
    assert 1 <= len(shown["name"]) <= 35
    assert 1 <= len(shown["description"]) <= 140
    assert 175 <= len(shown["long_description"]) <= 4000
    assert re.fullmatch(r"#[0-9a-f]{6}", shown["background_color"])
    assert 1 <= len(manifest["features"]["bot_user"]["display_name"]) <= 80
    for command in manifest["features"]["slash_commands"]:
        assert re.fullmatch(r"/[a-z-]{1,31}", command["command"])
        assert 1 <= len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000

"""The Slack app manifest: what Slack takes, and what the bot needs."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

ROOT = Path(__file__).parent.parent
SOURCE = (ROOT / "bot" / "slack" / "app.py").read_text(encoding="utf-8")


class Part(BaseModel):
    """A part of Slack's manifest schema 2.0.0 (slackapi/manifest-schema, July 2026), as far as we
    use it: its fields, types and limits, and no others.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class DisplayInformation(Part):
    name: str = Field(min_length=1, max_length=35)
    description: str = Field(min_length=1, max_length=140)
    long_description: str = Field(min_length=175, max_length=4000)
    background_color: str = Field(pattern=r"^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$")


class AppHome(Part):
    home_tab_enabled: bool
    messages_tab_enabled: bool
    messages_tab_read_only_enabled: bool


class BotUser(Part):
    display_name: str = Field(min_length=1, max_length=80)
    always_online: bool


class SlashCommand(Part):
    command: str = Field(pattern="^/", min_length=2, max_length=32)
    description: str = Field(min_length=1, max_length=2000)
    usage_hint: str = Field(min_length=1, max_length=1000)
    should_escape: bool


class Features(Part):
    app_home: AppHome
    bot_user: BotUser
    slash_commands: list[SlashCommand] = Field(min_length=1, max_length=50)


Scope = Annotated[str, Field(max_length=50)]


class Scopes(Part):
    bot: list[Scope] = Field(max_length=255)


class OAuth(Part):
    scopes: Scopes


class Interactivity(Part):
    is_enabled: bool


class AppSettings(Part):
    interactivity: Interactivity
    socket_mode_enabled: bool
    org_deploy_enabled: bool
    token_rotation_enabled: bool


class Manifest(Part):
    display_information: DisplayInformation
    features: Features
    oauth_config: OAuth
    settings: AppSettings


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


def test_it_fits_slacks_schema(manifest: dict[str, Any]) -> None:
    Manifest.model_validate(manifest)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("display_information.name", "katib-tune: tune language models in Slack"),
        ("display_information.long_description", "Short."),
        ("display_information.background_color", "#2e405"),
        ("features.slash_commands.0.command", "katib-tune"),
        ("features.slash_commands.0.usage_hint", ""),
        ("features.slash_commands.0.hint", "unknown field"),
        ("settings.socket_mode_enabled", "yes"),
        ("oauth_config.scopes.bot", "commands"),
    ],
)
def test_what_slack_refuses_is_refused(manifest: dict[str, Any], path: str, value: object) -> None:
    broken = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    target: Any = broken
    for name in parents:
        target = target[int(name) if name.isdecimal() else name]
    target[last] = value
    with pytest.raises(ValidationError) as refused:
        Manifest.model_validate(broken)
    assert [".".join(map(str, each["loc"])) for each in refused.value.errors()] == [path]

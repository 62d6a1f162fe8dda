"""Settings come from the environment, are checked, and stand in the README."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import TuneError
from bot.settings import Settings, load, variable


def test_a_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATIB_TUNE_POLL_INTERVAL_S", "7.5")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    settings = load()
    assert settings.poll_interval_s == 7.5
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "xoxb-1"


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATIB_TUNE_PORT", "1234")
    assert load(port=4321).port == 4321
    assert load(port=None).port == 1234


def test_a_file_beside_you_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KATIB_TUNE_PORT=4000\nSLACK_APP_TOKEN=\n")
    monkeypatch.chdir(tmp_path)
    settings = load()
    assert settings.port == 4000
    assert settings.slack_app_token is None  # an empty line of the example file is not a token


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATIB_TUNE_PORT", "http")
    with pytest.raises(TuneError, match=r"KATIB_TUNE_PORT is 'http'"):
        load()


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret-part")
    monkeypatch.setenv("KATIB_TUNE_WORKSPACE_TOKEN", "secret-part")
    assert "secret-part" not in repr(load())


def test_every_setting_has_a_variable_and_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert variable(name).isupper()
        assert field.description

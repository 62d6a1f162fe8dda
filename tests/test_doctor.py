"""The doctor against a workspace: every finding is one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from bot.doctor import examine
from bot.settings import Settings
from tests.harness import RunningWorkspace

MANIFEST: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent.parent / "manifests" / "slack-app.yaml").read_text()
)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(tmp_path / "workspace", MANIFEST)
    yield running
    running.stop()


def settings(workspace: RunningWorkspace, state: Path, **changes: str) -> Settings:
    tokens = {"slack_bot_token": workspace.bot_token, "slack_app_token": workspace.app_token}
    return Settings(
        slack_api_url=workspace.api_url,
        state_dir=state / "state",
        **{name: SecretStr(value) for name, value in (tokens | changes).items()},
    )


def wrong(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().out.splitlines()
    return "\n".join(line for line in lines if line.startswith("WRONG"))


def test_nothing_is_wrong_with_the_tokens_of_a_workspace(
    workspace: RunningWorkspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examine(settings(workspace, tmp_path)) == 0
    assert wrong(capsys) == ""


def test_without_slack_tokens_it_says_what_runs_without_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    assert examine(Settings(state_dir=tmp_path)) == 0
    assert "`serve` needs SLACK_BOT_TOKEN" in capsys.readouterr().out


def test_a_wrong_bot_token_is_named(
    workspace: RunningWorkspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examine(settings(workspace, tmp_path, slack_bot_token="xoxb-of-another-app")) == 1
    said = wrong(capsys)
    assert "invalid_auth" in said
    assert "another-app" not in said, "a token is never shown"


def test_exchanged_tokens_are_recognised(
    workspace: RunningWorkspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exchanged = {
        "slack_bot_token": workspace.app_token,
        "slack_app_token": workspace.bot_token,
    }
    assert examine(settings(workspace, tmp_path, **exchanged)) == 1
    assert "exchanged" in wrong(capsys)


def test_a_missing_scope_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = deepcopy(MANIFEST)
    manifest["oauth_config"]["scopes"]["bot"].remove("channels:history")
    running = RunningWorkspace(tmp_path / "workspace", manifest)
    try:
        assert examine(settings(running, tmp_path)) == 1
        assert "channels:history" in wrong(capsys)
    finally:
        running.stop()


def test_a_folder_that_cannot_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert examine(Settings(state_dir=tmp_path / "file" / "state")) == 1
    assert "file" in wrong(capsys)

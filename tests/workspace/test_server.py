"""Starting, stopping, starting again: ports, folders, tokens, and what is there afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from threading import Semaphore
from typing import Any
from urllib.parse import urlsplit

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.workspace.refusals import PortTaken, StateTaken, StateUnreadable
from bot.workspace.timing import Clock, Timing
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST

TUNING = "C0TUNING"
WAIT_S = 60
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "Sunny"}}


def client_of(running: RunningWorkspace) -> WebClient:
    return WebClient(running.bot_token, base_url=running.api_url)


def test_messages_threads_and_tokens_survive_a_restart(tmp_path: Path) -> None:
    first = RunningWorkspace(tmp_path, MANIFEST)
    client = client_of(first)
    metadata = {"event_type": "card", "event_payload": {"id": 7}}
    root = client.chat_postMessage(
        channel=TUNING, text="root", blocks=[SECTION], metadata=metadata
    )["ts"]
    client.chat_postMessage(channel=TUNING, text="reply", thread_ts=root)
    client.reactions_add(channel=TUNING, timestamp=root, name="tada")
    client.chat_update(channel=TUNING, ts=root, text="edited")
    client.chat_postMessage(channel="U0GRACE", text="direct")
    client.conversations_join(channel="C0GENERAL")
    before = first.messages(), first.thread(TUNING, root), first.state()["channels"]
    first.stop()

    second = RunningWorkspace(tmp_path, MANIFEST)
    assert second.bot_token == first.bot_token and second.app_token == first.app_token
    assert (second.messages(), second.thread(TUNING, root), second.state()["channels"]) == before
    assert [m["text"] for m in second.messages("D0GRACE", user="U0GRACE")] == ["direct"]
    second.stop()


def test_timestamps_rise_over_a_restart_even_if_the_clock_goes_back(tmp_path: Path) -> None:
    first = RunningWorkspace(tmp_path, MANIFEST, timing=Timing(clock=Clock(lambda: 2000.0)))
    client = client_of(first)
    old = [client.chat_postMessage(channel=TUNING, text="x")["ts"] for _ in range(3)]
    client.chat_delete(channel=TUNING, ts=old[-1])
    first.stop()
    second = RunningWorkspace(tmp_path, MANIFEST, timing=Timing(clock=Clock(lambda: 1000.0)))
    new = client_of(second).chat_postMessage(channel=TUNING, text="x")["ts"]
    second.stop()
    assert old == ["0000002000.000000", "0000002000.000001", "0000002000.000002"]
    assert new == "0000002000.000003"


def test_two_workspaces_never_share_a_folder(tmp_path: Path) -> None:
    first = RunningWorkspace(tmp_path, MANIFEST)
    with pytest.raises(StateTaken, match="Another workspace is running on the state folder"):
        RunningWorkspace(tmp_path, MANIFEST)
    first.stop()
    RunningWorkspace(tmp_path, MANIFEST).stop()


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} on 127.0.0.1 is taken"):
            RunningWorkspace(tmp_path, MANIFEST, port=port)
    RunningWorkspace(tmp_path, MANIFEST, port=port).stop()


@pytest.mark.parametrize(
    ("name", "content"),
    [("workspace.sqlite3", b"no database at all" * 100), ("tokens.json", b"{")],
)
def test_a_damaged_folder_is_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StateUnreadable, match="cannot be used"):
        RunningWorkspace(tmp_path, MANIFEST)
    (tmp_path / name).unlink()
    RunningWorkspace(tmp_path, MANIFEST).stop()


def test_state_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "workspace.sqlite3")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateUnreadable, match=r"a newer version wrote it \(format 99\)"):
        RunningWorkspace(tmp_path, MANIFEST)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnreadable, match="cannot be used"):
        RunningWorkspace(tmp_path / "file" / "state", MANIFEST)


def test_secrets_and_messages_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path / "state", MANIFEST)
    client_of(running).chat_postMessage(channel=TUNING, text="x")
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").iterdir()}
    assert modes["tokens.json"] == 0o600
    assert {mode for name, mode in modes.items() if "sqlite" in name} == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    running.stop()


def test_each_folder_has_tokens_of_its_own(tmp_path: Path) -> None:
    one = RunningWorkspace(tmp_path / "one", MANIFEST)
    two = RunningWorkspace(tmp_path / "two", MANIFEST)
    assert one.bot_token != two.bot_token and one.signing_secret != two.signing_secret
    one.stop()
    two.stop()


def test_an_app_finds_its_way_back_after_a_restart(tmp_path: Path) -> None:
    first = RunningWorkspace(tmp_path, MANIFEST)
    app = App(client=client_of(first))

    @app.command("/weather")
    def weather(ack: Any) -> None:
        ack("Sunny")

    connected = Semaphore(0)

    def on_frame(_: Any, message: Any, __: Any = None) -> None:
        if message.get("type") == "hello":
            connected.release()

    handler = SocketModeHandler(app, first.app_token)
    handler.client.message_listeners.append(on_frame)
    handler.connect()
    assert connected.acquire(timeout=WAIT_S)
    first.stop()
    second = RunningWorkspace(tmp_path, MANIFEST, port=urlsplit(first.url).port or 0)
    try:
        assert connected.acquire(timeout=WAIT_S)
        # The SDK may replace its first new link by a second one; what went to the first is lost.
        assert second.wait_for(lambda: second.command("/weather").get("response"))
    finally:
        handler.close()
        second.stop()


SERVE = """
import json, sys
from pathlib import Path
from bot.workspace.server import serve
serve(port=0, state_dir=Path(sys.argv[1]), manifests=[json.loads(sys.argv[2])],
      ready=lambda told: print(json.dumps(told), flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_announces_itself_and_ends_cleanly_at_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-W", "error", "-c", SERVE, str(tmp_path), json.dumps(MANIFEST)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["api_url"] == f"{told['url']}/api/"
        client = WebClient(told["bot_token"], base_url=told["api_url"])
        assert client.chat_postMessage(channel=TUNING, text="x")["ok"]
        assert told["app_token"].startswith("xapp-") and told["signing_secret"]
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path), json.dumps(MANIFEST)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        client = WebClient(told["bot_token"], base_url=told["api_url"])
        sent = [client.chat_postMessage(channel=TUNING, text=str(n))["ts"] for n in range(10)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    again = RunningWorkspace(tmp_path, MANIFEST)
    assert [m["ts"] for m in again.messages()] == sent
    again.stop()

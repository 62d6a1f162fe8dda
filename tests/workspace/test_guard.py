"""The page's token: what opens the people's endpoints, and what does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.workspace.person import Person, PersonRefused
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST

OURS = {"Content-Type": "application/json", "X-Workspace-Client": "1"}
MESSAGE = json.dumps({"channel": "C0TUNING", "text": "hello"})


def ask(
    workspace: RunningWorkspace, path: str, headers: Mapping[str, str], body: str | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """GET, or POST with a body; no redirect is followed."""
    connection = HTTPConnection("127.0.0.1", urlsplit(workspace.url).port)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read(), dict(response.headers)
    finally:
        connection.close()


def cookie_of(workspace: RunningWorkspace) -> dict[str, str]:
    """What a browser sends that has opened the page's address."""
    parts = urlsplit(workspace.page_url)
    _, _, headers = ask(workspace, f"{parts.path}?{parts.query}", {})
    (morsel,) = SimpleCookie(headers["Set-Cookie"]).values()
    return {"Cookie": f"{morsel.key}={morsel.value}"}


def error(body: bytes) -> Any:
    answer = json.loads(body)
    assert answer["ok"] is False
    return answer["error"]


def test_the_printed_address_gives_a_cookie_and_leaves_the_token_behind(
    workspace: RunningWorkspace,
) -> None:
    status, _, headers = ask(workspace, f"/?a=1&token={workspace.token}", {})
    assert status == 303 and headers["Location"] == "/?a=1"
    (morsel,) = SimpleCookie(headers["Set-Cookie"]).values()
    assert morsel.key == f"workspace-{urlsplit(workspace.url).port}"
    assert morsel["httponly"] and morsel["samesite"] == "Strict" and morsel["path"] == "/"
    assert workspace.token not in morsel.value
    cookie = {"Cookie": f"{morsel.key}={morsel.value}"}
    assert ask(workspace, "/ui/state", cookie)[0] == 200
    assert ask(workspace, "/ui/message", {**OURS, **cookie}, MESSAGE)[0] == 200


def test_a_permalink_can_carry_the_token_too(workspace: RunningWorkspace) -> None:
    status, _, headers = ask(workspace, f"/archives/C0TUNING/p1?token={workspace.token}", {})
    assert status == 303 and headers["Location"] == "/archives/C0TUNING/p1"
    assert "Set-Cookie" in headers


@pytest.mark.parametrize("token", ["", "wrong", "%FF", "%C3%A9"])
def test_a_wrong_token_in_the_address_gives_no_cookie(
    workspace: RunningWorkspace, token: str
) -> None:
    status, _, headers = ask(workspace, f"/?token={token}", {})
    assert status == 303 and headers["Location"] == "/" and "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/", "/archives/C0TUNING/p1", "/static/app.js"])
def test_the_page_itself_is_for_everybody(workspace: RunningWorkspace, path: str) -> None:
    assert ask(workspace, path, {})[0] == 200


PEOPLES = ["state", "messages?channel=C0TUNING", "events", "inspector", "control", "files?ids=F1"]


@pytest.mark.parametrize("path", PEOPLES)
def test_without_the_token_nothing_of_the_workspace_is_read(
    workspace: RunningWorkspace, path: str
) -> None:
    status, body, _ = ask(workspace, f"/ui/{path}", {})
    assert status == 401 and "the terminal printed" in error(body)


@pytest.mark.parametrize("path", ["message", "command", "action", "control", "file", "nothing"])
def test_without_the_token_nothing_is_done(workspace: RunningWorkspace, path: str) -> None:
    assert ask(workspace, f"/ui/{path}", OURS, MESSAGE)[0] == 401
    assert workspace.messages() == []


def test_a_wrong_token_and_those_of_apps_do_not_open(workspace: RunningWorkspace) -> None:
    for token in ("", "wrong", "é", workspace.bot_token, workspace.app_token):
        headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
        assert ask(workspace, "/ui/state", headers)[0] == 401
    assert ask(workspace, f"/ui/state?token={workspace.token}", {})[0] == 401
    assert ask(workspace, "/ui/state", workspace.headers)[0] == 200
    with pytest.raises(PersonRefused, match="the terminal printed"):
        Person(workspace.url, token="wrong").state()


def test_the_cookie_of_another_start_does_not_open(tmp_path: Path) -> None:
    first = RunningWorkspace(tmp_path, MANIFEST)
    cookie, port = cookie_of(first), urlsplit(first.url).port or 0
    assert ask(first, "/ui/state", cookie)[0] == 200
    first.stop()
    second = RunningWorkspace(tmp_path, MANIFEST, port=port)
    assert second.token != first.token
    assert ask(second, "/ui/state", cookie)[0] == 401
    second.stop()
    third = RunningWorkspace(tmp_path, MANIFEST, port=port, token=first.token)
    assert ask(third, "/ui/state", cookie)[0] == 200, "a token that is set stays"
    third.stop()


def test_a_token_with_any_characters_opens(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path, MANIFEST, token="a b&c=d;é#")
    try:
        assert ask(running, "/ui/state", cookie_of(running))[0] == 200
    finally:
        running.stop()


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
@pytest.mark.parametrize("path", ["/ui/state", "/files-pri/T0LOCAL-F1/a.png"])
def test_a_page_of_another_origin_is_refused_even_with_the_cookie(
    workspace: RunningWorkspace, origin: str, path: str
) -> None:
    headers = {**cookie_of(workspace), "Origin": origin}
    status, body, _ = ask(workspace, path, headers)
    assert status == 403 and "another origin" in error(body)


def test_our_own_origin_may_ask(workspace: RunningWorkspace) -> None:
    headers = {**cookie_of(workspace), "Origin": workspace.url}
    assert ask(workspace, "/ui/state", headers)[0] == 200


def test_a_wrong_host_is_refused_even_with_the_token(workspace: RunningWorkspace) -> None:
    headers = {**workspace.headers, "Host": "evil.example"}
    assert ask(workspace, "/ui/state", headers)[0] == 403
    assert ask(workspace, f"/?token={workspace.token}", {"Host": "evil.example"})[0] == 403


@pytest.mark.parametrize("name", ["localhost", "[::1]"])
def test_another_name_of_this_machine_gets_a_cookie_of_its_own(
    workspace: RunningWorkspace, name: str
) -> None:
    host = {"Host": f"{name}:{urlsplit(workspace.url).port}"}
    assert "Set-Cookie" in ask(workspace, f"/?token={workspace.token}", host)[2]


def test_apps_need_no_page_token(workspace: RunningWorkspace) -> None:
    status, body, _ = ask(
        workspace, "/api/auth.test", {"Authorization": f"Bearer {workspace.bot_token}"}
    )
    assert status == 200 and json.loads(body)["ok"]
    assert ask(workspace, "/response/guess", {}, "{}")[0] == 404


def test_a_file_opens_with_the_cookie_and_not_without(workspace: RunningWorkspace) -> None:
    path = "/files-pri/T0LOCAL-F0/a.png"
    assert ask(workspace, path, {})[0] == 401
    assert ask(workspace, path, cookie_of(workspace))[0] == 404

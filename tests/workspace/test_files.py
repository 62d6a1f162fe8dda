"""Files through the real slack_sdk: upload v2, the delay until they are usable, who may load
them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.workspace.files import SIZE_LIMIT, safe_name
from bot.workspace.images import image_of
from bot.workspace.person import HEADERS
from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace import pictures
from tests.workspace.conftest import MANIFEST, SCOPES, Clock

TUNING, GENERAL = "C0TUNING", "C0GENERAL"
READY_S = 60.0
WAIT_S = 20
SCOPES_WITH_FILES = [*SCOPES, "files:read", "files:write"]


def manifest(name: str, *scopes: str) -> dict[str, Any]:
    return {
        **MANIFEST,
        "display_information": {"name": name},
        "oauth_config": {"scopes": {"bot": list(scopes)}},
    }


@pytest.fixture
def workspace(tmp_path: Path, clock: Clock) -> Iterator[RunningWorkspace]:
    """Two apps with files, the second with files:write alone."""
    timing = Timing(clock=clock, file_ready_s=READY_S, tick_s=0.01, has_rate_limits=False)
    running = RunningWorkspace(
        tmp_path / "state",
        manifest("painter", *SCOPES_WITH_FILES),
        manifest("writer", "files:write", "chat:write"),
        timing=timing,
    )
    yield running
    running.stop()


def error(client: WebClient, method: str, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, params=arguments)
    return str(refused.value.response["error"])


def second(workspace: RunningWorkspace) -> WebClient:
    return WebClient(workspace.apps[1]["bot_token"], base_url=workspace.api_url)


def load(url: str, token: str = "") -> tuple[int, bytes, dict[str, str]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return response.status, response.read(), dict(response.headers)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read(), dict(refused.headers)


def send(url: str, content: bytes) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content)) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def image_block(**slack_file: str) -> dict[str, Any]:
    return {"type": "image", "alt_text": "a plot", "slack_file": slack_file}


def post_blocks(client: WebClient, *blocks: dict[str, Any]) -> Any:
    return client.chat_postMessage(channel=TUNING, text="x", blocks=list(blocks))


# --- upload v2 ------------------------------------------------------------------------------------


def test_a_file_is_shared_into_a_channel_with_its_comment(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    answer = client.files_upload_v2(
        filename="best.png",
        content=pictures.png(30, 20),
        title="Best so far",
        alt_txt="a rising line",
        channel=TUNING,
        initial_comment="Look",
    )
    file = answer["file"]
    assert (file["name"], file["title"], file["alt_txt"]) == (
        "best.png",
        "Best so far",
        "a rising line",
    )
    assert file["mimetype"] == file["filetype"] == ""
    (message,) = workspace.messages()
    assert (message["text"], message["user"], message["upload"]) == ("Look", "U0BOT", False)
    assert [f["id"] for f in message["files"]] == [file["id"]]
    assert message["files"][0]["mimetype"] == "" and "original_w" not in message["files"][0]
    clock.advance(READY_S)
    (shown,) = client.conversations_history(channel=TUNING)["messages"][0]["files"]
    assert (shown["mimetype"], shown["filetype"], shown["pretty_type"]) == (
        "image/png",
        "png",
        "PNG",
    )
    assert (shown["original_w"], shown["original_h"], shown["alt_txt"]) == (30, 20, "a rising line")
    known = client.files_info(file=file["id"])["file"]
    assert known["channels"] == [TUNING]
    assert known["shares"] == {"public": {TUNING: [{"ts": message["ts"]}]}}


def test_files_go_into_a_thread_several_in_one_message(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    root = client.chat_postMessage(channel=TUNING, text="root")["ts"]
    answer = client.files_upload_v2(
        file_uploads=[
            {"filename": "a.txt", "content": "one", "title": "A"},
            {"filename": "b.csv", "content": "x,y"},
        ],
        channel=TUNING,
        thread_ts=root,
    )
    assert [f["title"] for f in answer["files"]] == ["A", "b.csv"]
    _, reply = workspace.thread(TUNING, root)
    assert [f["name"] for f in reply["files"]] == ["a.txt", "b.csv"]
    shares = client.files_info(file=answer["files"][0]["id"])["file"]["shares"]
    assert shares["public"][TUNING] == [{"ts": reply["ts"], "thread_ts": root}]


def test_the_asynchronous_client_uploads_as_well(workspace: RunningWorkspace) -> None:
    client = AsyncWebClient(workspace.bot_token, base_url=workspace.api_url)
    upload = client.files_upload_v2(filename="a.gif", content=pictures.gif(), channel=TUNING)
    answer = asyncio.run(upload)
    assert answer["file"]["name"] == "a.gif"
    assert workspace.messages()[0]["files"][0]["id"] == answer["file"]["id"]


def test_blocks_come_along_unless_there_is_a_comment(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    def upload(**more: Any) -> Any:
        return client.files_upload_v2(filename="a.txt", content="x", channel=TUNING, **more)

    blocks = json.dumps([{"type": "divider"}])
    upload(blocks=blocks)
    upload(blocks=blocks, initial_comment="Look")
    first, commented = workspace.messages()
    assert first["blocks"][0]["type"] == "divider" and "blocks" not in commented
    markdown = json.dumps([{"type": "markdown", "text": "**x**"}])
    with pytest.raises(SlackApiError, match="internal_error"):
        upload(blocks=markdown)
    with pytest.raises(SlackApiError, match="invalid_blocks"):
        upload(blocks=json.dumps([{"type": "nothing"}]))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"length": 3}, "invalid_arguments"),
        ({"filename": "a"}, "invalid_arguments"),
        ({"filename": "a", "length": "many"}, "invalid_arguments"),
        ({"filename": "a", "length": 0}, "missing_argument"),
        ({"filename": "a", "length": SIZE_LIMIT + 1}, "storage_limit_reached"),
        ({"filename": "a", "length": 3, "alt_txt": "x" * 1001}, "alt_txt_too_large"),
        ({"filename": "a", "length": 2**20 + 1, "snippet_type": "python"}, "snippet_too_large"),
    ],
)
def test_an_upload_that_cannot_begin_is_refused(
    client: WebClient, arguments: dict[str, Any], code: str
) -> None:
    assert error(client, "files.getUploadURLExternal", **arguments) == code


def test_an_upload_of_the_largest_size_may_begin(client: WebClient) -> None:
    assert client.files_getUploadURLExternal(filename="a", length=SIZE_LIMIT)["upload_url"]


def begin(client: WebClient, content: bytes = b"abc") -> tuple[str, str]:
    answer = client.files_getUploadURLExternal(filename="a.txt", length=len(content))
    return str(answer["file_id"]), str(answer["upload_url"])


def test_an_upload_url_takes_the_promised_bytes_once(client: WebClient) -> None:
    _, url = begin(client)
    assert send(url, b"too many") == 400
    assert send(url, b"abc") == 200
    assert send(url, b"abc") == 404
    assert send(url + "x", b"abc") == 404


def test_an_upload_may_come_as_a_form(client: WebClient, workspace: RunningWorkspace) -> None:
    file, url = begin(client)
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as response:
        assert response.status == 200
    answer = client.files_completeUploadExternal(files=[{"id": file}])
    assert load(answer["files"][0]["url_private"], workspace.bot_token)[1] == b"abc"


def test_an_upload_that_cannot_be_completed_is_refused(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    method = "files.completeUploadExternal"
    file, url = begin(client)
    whole = json.dumps([{"id": file}])
    assert error(client, method) == "invalid_arguments"
    assert error(client, method, files="[") == "invalid_arguments"
    assert error(client, method, files="[{}]") == "invalid_arguments"
    assert error(client, method, files='[{"id": "F9"}]') == "file_not_found"
    assert error(client, method, files=whole) == "file_not_found", "the bytes have not come"
    send(url, b"abc")
    assert error(second(workspace), method, files=whole) == "file_not_found", "another app's"
    assert error(client, method, files=whole, channel_id="C9") == "channel_not_found"
    assert error(client, method, files=whole, channel_id="#tuning") == "channel_not_found"
    assert error(client, method, files=whole, channel_id=GENERAL) == "not_in_channel"
    assert error(client, method, files=whole, channels="C0TUNING,C9") == "invalid_channel"
    late = {"channel_id": TUNING, "thread_ts": "1.000001"}
    assert error(client, method, files=whole, **late) == "thread_not_found"
    root = client.chat_postMessage(channel=TUNING, text="root")["ts"]
    two = {"channels": f"{TUNING},U0ADA", "thread_ts": root}
    assert error(client, method, files=whole, **two) == "invalid_arguments"
    client.files_completeUploadExternal(files=[{"id": file}], channels=[TUNING, "U0ADA"])
    assert [len(workspace.messages(c)) for c in (TUNING, "D0ADA")] == [2, 1]
    assert error(client, method, files=whole) == "file_not_found", "it is completed"


# --- ready ----------------------------------------------------------------------------------------


def test_a_file_in_an_image_block_is_refused_until_it_is_ready(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    file = client.files_upload_v2(filename="a.png", content=pictures.png())["file"]
    block = image_block(id=file["id"])
    with pytest.raises(SlackApiError) as refused:
        post_blocks(client, block)
    answer = refused.value.response
    assert answer["error"] == "invalid_blocks"
    assert answer["errors"] == ["invalid slack file [json-pointer:/blocks/0/slack_file]"]
    clock.advance(READY_S)
    ts = post_blocks(client, block)["ts"]
    post_blocks(client, image_block(url=file["url_private"]))
    post_blocks(client, image_block(url=file["permalink"]))
    client.chat_update(channel=TUNING, ts=ts, text="x", blocks=[block, block])
    context = {"type": "context", "elements": [block]}
    post_blocks(client, context)
    assert len(workspace.messages()) == 4


def test_a_file_that_slack_does_not_draw_is_refused_in_an_image_block(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    svg = client.files_upload_v2(filename="a.svg", content="<svg/>")["file"]["id"]
    lie = client.files_upload_v2(filename="lie.png", content="no picture")["file"]["id"]
    other = second(workspace).files_upload_v2(filename="b.png", content=pictures.png())
    clock.advance(READY_S)
    for wrong in ({"id": svg}, {"id": lie}, {"id": "F9"}, {"id": other["file"]["id"]}):
        with pytest.raises(SlackApiError, match="invalid_blocks"):
            post_blocks(client, image_block(**wrong))
    with pytest.raises(SlackApiError, match="invalid_blocks"):
        post_blocks(client, image_block(url="https://files.slack.com/files-pri/T0LOCAL-F9/a.png"))


def test_a_view_shows_a_file_when_it_is_ready(client: WebClient, clock: Clock) -> None:
    file = client.files_upload_v2(filename="a.png", content=pictures.png())["file"]
    view = {"type": "home", "blocks": [image_block(id=file["id"])]}
    with pytest.raises(SlackApiError) as refused:
        client.views_publish(user_id="U0ADA", view=view)
    answer = refused.value.response
    assert answer["error"] == "invalid_arguments"
    assert answer["errors"] == ["invalid slack file [json-pointer:/view/blocks/0/slack_file]"]
    clock.advance(READY_S)
    client.views_publish(user_id="U0ADA", view=view)


def test_a_fault_makes_a_file_slow(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    workspace.control(fault={"kind": "slow_file", "seconds": 30})
    slow = client.files_upload_v2(filename="a.png", content=pictures.png())["file"]["id"]
    usual = client.files_upload_v2(filename="b.png", content=pictures.png())["file"]["id"]
    clock.advance(READY_S)
    assert client.files_info(file=usual)["file"]["mimetype"] == "image/png"
    assert client.files_info(file=slow)["file"]["mimetype"] == ""
    clock.advance(30)
    assert client.files_info(file=slow)["file"]["mimetype"] == "image/png"


def test_pages_see_a_file_come_to_life(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    client.files_upload_v2(filename="a.png", content=pictures.png(), channel=TUNING)
    events = workspace.person().events(timeout_s=WAIT_S)
    clock.advance(READY_S)
    name, data = next(events)
    assert name == "message_changed" and data["message"]["files"][0]["mimetype"] == "image/png"
    events.close()


def test_files_and_their_readiness_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    def start() -> tuple[RunningWorkspace, WebClient]:
        timing = Timing(clock=clock, file_ready_s=READY_S, tick_s=0.01, has_rate_limits=False)
        running = RunningWorkspace(tmp_path, manifest("painter", *SCOPES_WITH_FILES), timing=timing)
        return running, WebClient(running.bot_token, base_url=running.api_url)

    running, client = start()
    upload = client.files_upload_v2(filename="a.png", content=pictures.png(), channel=TUNING)
    running.stop()
    running, client = start()
    known = client.files_info(file=upload["file"]["id"])["file"]
    assert known["mimetype"] == ""
    clock.advance(READY_S)
    known = client.files_info(file=upload["file"]["id"])["file"]
    assert known["mimetype"] == "image/png"
    assert load(known["url_private"], running.bot_token)[1] == pictures.png()
    running.stop()


# --- listing, deleting ----------------------------------------------------------------------------


def test_files_are_listed_in_numbered_pages_newest_first(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    for name in ("a.txt", "b.txt", "c.png"):
        content = pictures.png() if name == "c.png" else "x"
        client.files_upload_v2(filename=name, content=content, channel=TUNING)
    second(workspace).files_upload_v2(filename="theirs.txt", content="x")
    first = client.files_list(count=2)
    assert [f["name"] for f in first["files"]] == ["c.png", "b.txt"]
    assert first["paging"] == {"count": 2, "total": 3, "page": 1, "pages": 2}
    assert [f["name"] for f in client.files_list(count=2, page=2)["files"]] == ["a.txt"]
    assert [f["name"] for f in client.files_list(types="images")["files"]] == ["c.png"]
    assert client.files_list(user="U0ADA")["files"] == []
    assert client.files_list(channel=GENERAL)["files"] == []
    assert client.files_list(ts_to="1")["files"] == []
    assert error(client, "files.list", types="paintings") == "unknown_type"
    assert error(client, "files.list", ts_from="soon") == "invalid_arguments"


def test_a_deleted_file_leaves_a_tombstone(client: WebClient, workspace: RunningWorkspace) -> None:
    file = client.files_upload_v2(filename="a.txt", content="x", channel=TUNING)["file"]
    assert error(second(workspace), "files.delete", file=file["id"]) == "cant_delete_file"
    mine = upload_as_person(workspace, "mine.txt", b"x", channel=TUNING)["file"]
    assert error(client, "files.delete", file=mine["id"]) == "cant_delete_file"
    client.files_delete(file=file["id"])
    assert error(client, "files.info", file=file["id"]) == "file_deleted"
    assert error(client, "files.delete", file=file["id"]) == "file_deleted"
    assert workspace.messages()[0]["files"] == [{"id": file["id"], "mode": "tombstone"}]
    assert load(file["url_private"], workspace.bot_token)[0] == 404
    assert error(client, "files.info", file="F9") == "file_not_found"


# --- who may load them ----------------------------------------------------------------------------


def test_apps_load_with_files_read_what_they_may_see(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    file = client.files_upload_v2(filename="a b.png", content=pictures.png())["file"]
    url = file["url_private"]
    status, content, headers = load(url, workspace.bot_token)
    assert (status, content) == (200, pictures.png())
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''a%20b.png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert load(file["url_private_download"], workspace.token)[2]["Content-Disposition"].startswith(
        "attachment"
    )
    assert load(url)[0] == 401
    assert load(url, "xoxb-wrong")[0] == 401
    assert load(url, workspace.app_token)[0] == 401
    assert load(url, workspace.apps[1]["bot_token"])[0] == 403, "it has no files:read"
    private = second(workspace).files_upload_v2(filename="b.png", content=pictures.png())["file"]
    assert load(private["url_private"], workspace.bot_token)[0] == 404
    assert load(url.replace("a%20b.png", "other.png"), workspace.bot_token)[0] == 404


@pytest.mark.parametrize("name", ["evil.html", "evil.svg", "evil.xhtml", "evil.js"])
def test_what_a_browser_would_run_is_only_ever_downloaded(
    client: WebClient, workspace: RunningWorkspace, name: str
) -> None:
    content = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    file = client.files_upload_v2(filename=name, content=content)["file"]
    _, _, headers = load(file["url_private"], workspace.token)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\plot.png", "plot.png"),
        ('a"b\r\nX: y.txt', "abX y.txt"),
        ("..", "file"),
        ("zażółć 图.png", "zażółć 图.png"),
    ],
)
def test_a_name_can_do_no_harm(given: str, kept: str) -> None:
    assert safe_name(given) == kept


@pytest.mark.parametrize("kind", ["png", "gif", "jpg"])
def test_the_size_of_a_picture_is_read_from_its_header(kind: str) -> None:
    make = {"png": pictures.png, "gif": pictures.gif, "jpg": pictures.jpeg}[kind]
    image = image_of(make(640, 48))
    assert image is not None and (image.kind, image.width, image.height) == (kind, 640, 48)
    for cut in range(len(make())):
        image_of(make()[:cut])


# --- people ---------------------------------------------------------------------------------------


def upload_as_person(
    workspace: RunningWorkspace, name: str, content: bytes, *, user: str = "U0ADA", **more: Any
) -> Any:
    body = {"user": user, "name": name, "content": base64.b64encode(content).decode(), **more}
    return ask_page(workspace, "file", body)


def ask_page(workspace: RunningWorkspace, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{workspace.url}/ui/{path}",
        json.dumps(body).encode(),
        {**HEADERS, **workspace.headers},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            return json.load(refused) | {"status": refused.code}


def files_of(workspace: RunningWorkspace, *ids: str, user: str = "U0ADA") -> list[str]:
    query = urllib.parse.urlencode({"user": user, "ids": ",".join(ids)})
    url = f"{workspace.url}/ui/files?{query}"
    request = urllib.request.Request(url, headers=workspace.headers)
    with urllib.request.urlopen(request) as response:
        return [file["id"] for file in json.load(response)["files"]]


def test_a_person_shares_a_file_in_a_channel_or_a_thread(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    large = pictures.png() + b"\0" * (5 * 1024 * 1024)
    file = upload_as_person(workspace, "a.png", large, channel=TUNING, text="Look")["file"]
    (message,) = workspace.messages()
    assert (message["text"], message["user"], message["upload"]) == ("Look", "U0ADA", True)
    assert client.files_info(file=file["id"])["file"]["user"] == "U0ADA"
    assert load(file["url_private"], workspace.bot_token)[1] == large
    in_thread = {"channel": TUNING, "thread_ts": message["ts"]}
    upload_as_person(workspace, "b.txt", b"x", **in_thread)
    assert workspace.thread(TUNING, message["ts"])[1]["files"][0]["name"] == "b.txt"


def test_a_file_without_a_channel_is_its_owners_alone(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    mine = upload_as_person(workspace, "a.txt", b"x")["file"]["id"]
    bots = client.files_upload_v2(filename="b.png", content=pictures.png())["file"]["id"]
    assert workspace.messages() == []
    assert files_of(workspace, mine, bots, "F9") == [mine, bots]
    assert files_of(workspace, mine, bots, user="U0GRACE") == [bots]
    assert error(client, "files.info", file=mine) == "file_not_found"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"content": "eA=="}, 400, "name must be text"),
        ({"name": "a", "content": "?"}, 400, "content must be base64."),
        ({"name": "a", "content": "eA==", "channel": "C9"}, 404, "no channel 'C9'"),
        ({"name": "a", "content": "eA==", "thread_ts": "1.0"}, 400, "needs a channel"),
        (
            {"name": "a", "content": "eA==", "channel": TUNING, "thread_ts": "1.0"},
            404,
            "no such thread",
        ),
    ],
)
def test_a_wrong_upload_is_refused_with_a_sentence(
    workspace: RunningWorkspace, body: dict[str, Any], status: int, words: str
) -> None:
    answer = ask_page(workspace, "file", body)
    assert answer["status"] == status and words in answer["error"]
    assert workspace.messages() == []


def test_a_file_over_the_limit_is_refused_with_a_sentence(workspace: RunningWorkspace) -> None:
    answer = upload_as_person(workspace, "a.bin", b"\0" * (SIZE_LIMIT + 1))
    assert answer["status"] == 413 and answer["error"] == "A file may have at most 50 MB."


def test_a_revoked_token_loads_no_file(client: WebClient, workspace: RunningWorkspace) -> None:
    file = client.files_upload_v2(filename="a.txt", content="x", channel=TUNING)["file"]
    assert load(file["url_private"], workspace.bot_token)[0] == 200
    client.auth_revoke()
    assert load(file["url_private"], workspace.bot_token)[0] == 401
    assert load(file["url_private"], workspace.app_token)[0] == 401

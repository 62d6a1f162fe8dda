"""The addresses of files: where apps send bytes to, and where apps and pages load them from."""

from __future__ import annotations

import functools
from collections.abc import Callable
from urllib.parse import quote

from aiohttp import BodyPartReader, StreamReader, web

from bot.workspace import recording, sharing
from bot.workspace.files import SHOWN_IN_BLOCKS, SIZE_LIMIT, File
from bot.workspace.people import TEAM_ID
from bot.workspace.workspace import Workspace

_CHUNK_BYTES = 256 * 1024


def routes(workspace: Workspace, is_person: Callable[[web.Request], bool]) -> list[web.RouteDef]:
    """Every route of files but those of the page; `is_person` knows the page's requests."""
    show = functools.partial(_download, workspace, is_person)
    return [
        web.post("/upload/v1/{ticket}", functools.partial(recording.upload, workspace, _upload)),
        web.get(f"/files-pri/{TEAM_ID}-{{file}}/{{name}}", show),
        web.get(f"/files-pri/{TEAM_ID}-{{file}}/download/{{name}}", show),
    ]


def upload_url(workspace: Workspace, file: File) -> str:
    """A new address that takes the bytes of this file once, without a token."""
    return f"{workspace.url}/upload/v1/{workspace.files.new_ticket(file)}"


async def _upload(workspace: Workspace, request: web.Request) -> web.Response:
    """Takes raw bytes, or a form with one file in it."""
    file = workspace.files.ticketed(request.match_info["ticket"])
    if file is None:
        return web.Response(status=404, text="This upload URL is unknown, or has been used.")
    try:
        content = await _content(request)
    except ValueError as error:
        return web.Response(status=413, text=str(error))
    if len(content) != file.size:
        words = f"{len(content)} bytes came, but files.getUploadURLExternal was told {file.size}."
        return web.Response(status=400, text=words)
    workspace.files.receive(file, content)
    return web.Response(text=f"OK - {len(content)}")


async def _content(request: web.Request) -> bytes:
    if request.content_type != "multipart/form-data":
        return await _all_of(request.content)
    part = await (await request.multipart()).next()
    return await _all_of(part) if isinstance(part, BodyPartReader) else b""


async def _all_of(source: StreamReader | BodyPartReader) -> bytes:
    content = bytearray()
    while True:
        if isinstance(source, BodyPartReader):
            chunk = await source.read_chunk(_CHUNK_BYTES)
        else:
            chunk = await source.read(_CHUNK_BYTES)
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > SIZE_LIMIT:
            raise ValueError(f"A file may have at most {SIZE_LIMIT} bytes.")


async def _download(
    workspace: Workspace, is_person: Callable[[web.Request], bool], request: web.Request
) -> web.StreamResponse:
    """Gives the bytes to the page, and to apps with files:read that may see the file."""
    file = workspace.files.get(request.match_info["file"])
    if not is_person(request):
        header = request.headers.get("Authorization", "")
        known = workspace.token_of(header.removeprefix("Bearer ").strip())
        if known is None or known[0] != "bot" or known[1].app.app_id in workspace.revoked:
            text = "The token of an installed app's bot is needed, or that of the page."
            return web.Response(status=401, text=text)
        caller = known[1]
        if "files:read" not in caller.app.scopes:
            return web.Response(status=403, text="missing_scope: files:read is needed.")
        if file is not None and not sharing.app_may_see(workspace, caller.app, file):
            file = None
    if file is None or not file.is_uploaded or file.name != request.match_info["name"]:
        return web.Response(status=404, text="There is no such file.")
    is_inline = file.mimetype in SHOWN_IN_BLOCKS and "/download/" not in request.path
    headers = {
        # Nothing but pictures of known kinds is given a type that a browser would act on.
        "Content-Type": file.mimetype if is_inline else "application/octet-stream",
        "Content-Disposition": f"{'inline' if is_inline else 'attachment'}; "
        f"filename*=UTF-8''{quote(file.name)}",
        "Cache-Control": "private, max-age=3600",
    }
    return web.FileResponse(workspace.files.path(file), headers=headers)

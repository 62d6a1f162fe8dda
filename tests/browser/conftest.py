"""Chromium, a workspace of its own for each test, and a small app in it that is not ours."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright
from slack_sdk import WebClient

from bot.workspace.timing import Timing
from tests.browser.sample_app import MANIFEST, SampleApp
from tests.harness import RunningWorkspace

CHROMIUM_FLAGS = [
    "--no-sandbox",  # the tests run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAPTOP = {"width": 1280, "height": 860}

ARTIFACTS = Path(__file__).parent.parent / "artifacts"

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium of the system; Playwright brings only the driver."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """Without rate limits: many tests post more in a second than Slack takes."""
    timing = Timing(has_rate_limits=False)
    running = RunningWorkspace(tmp_path / "workspace", MANIFEST, timing=timing)
    yield running
    running.stop()


@pytest.fixture
def slack(workspace: RunningWorkspace) -> WebClient:
    """What a bot posts with."""
    return WebClient(workspace.bot_token, base_url=workspace.api_url)


@pytest.fixture
def no_rate_limits(workspace: RunningWorkspace) -> None:
    """For a test that posts more at once than Slack takes."""
    workspace.control(has_rate_limits=False)


@pytest.fixture
def app(workspace: RunningWorkspace, slack: WebClient) -> Iterator[SampleApp]:
    running = SampleApp(slack, workspace.app_token)
    yield running
    running.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages of a test logged as errors or warnings."""
    return []


@pytest.fixture
def open_page(
    browser: Browser,
    workspace: RunningWorkspace,
    complaints: list[str],
    request: pytest.FixtureRequest,
) -> Iterator[OpenPage]:
    """Opens the page of the workspace, as often as wanted; no page may log an error. How each
    page looks at the end of the test is kept in ARTIFACTS.
    """
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def broken(error: Error) -> None:
        complaints.append(str(error))

    def open_one(
        path: str = "/", *, url: str = workspace.page_url, ready: str = "#composer", **options: Any
    ) -> Page:
        context = browser.new_context(**{"viewport": LAPTOP, **options})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", broken)
        page.goto(_address(url, path))
        page.wait_for_selector(ready)
        return page

    yield open_one
    for number, context in enumerate(contexts):
        for page in context.pages:
            page.screenshot(path=ARTIFACTS / f"{_file_name(request.node.nodeid)}-{number}.png")
        context.close()
    assert complaints == []


def _file_name(nodeid: str) -> str:
    return re.sub(r"[^\w\[\]-]+", "-", nodeid.removeprefix("tests/browser/"))[:150]


def _address(page_url: str, path: str) -> str:
    """Another place of the workspace whose page has this address, with its token."""
    known, wanted = urlsplit(page_url), urlsplit(path)
    query = "&".join(part for part in (wanted.query, known.query) if part)
    return urlunsplit(known._replace(path=wanted.path, query=query, fragment=wanted.fragment))


@pytest.fixture
def browser_page(open_page: OpenPage) -> Page:
    """The page as a newcomer on a laptop sees it."""
    return open_page()

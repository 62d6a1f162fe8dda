"""A page without the token of this start: it says where to get it, and asks for nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.sample_app import MANIFEST
from tests.harness import RunningWorkspace

PHONE = {"width": 390, "height": 844}
SENTENCE = "Open the address that the terminal printed"
FIELD = "#token"

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def refusals(complaints: list[str], open_page: OpenPage) -> Iterator[None]:
    """The browser itself reports requests that are refused, or that nobody answers."""
    yield
    for text in [text for text in complaints if "401" in text or "CONNECTION_REFUSED" in text]:
        complaints.remove(text)


@pytest.fixture
def stranger(open_page: OpenPage, workspace: RunningWorkspace) -> Page:
    """A page that was opened without the token."""
    return open_page(url=workspace.url, ready=FIELD)


def paste(page: Page, text: str) -> None:
    page.fill(FIELD, text)
    page.get_by_role("button", name="Open").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_without_the_token_says_where_to_get_it(
    open_page: OpenPage, workspace: RunningWorkspace, scheme: str
) -> None:
    page = open_page(url=workspace.url, ready=FIELD, color_scheme=scheme, viewport=PHONE)
    expect(page.get_by_role("heading", level=1)).to_have_text(SENTENCE)
    expect(page.locator(FIELD)).to_be_focused()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth === innerWidth")


def test_the_pasted_token_or_address_opens_the_workspace_where_one_wanted_to_be(
    open_page: OpenPage, workspace: RunningWorkspace
) -> None:
    for pasted in (workspace.token, workspace.page_url):
        page = open_page("/#C0GENERAL", url=workspace.url, ready=FIELD)
        paste(page, pasted)
        expect(page.get_by_role("heading", level=1)).to_contain_text("general")
        expect(page).to_have_url(f"{workspace.url}/#C0GENERAL")
        page.reload()
        expect(page.locator("#composer")).to_be_visible()


def test_a_wrong_token_is_said_to_be_wrong(stranger: Page) -> None:
    paste(stranger, "not-the-token")
    expect(stranger.get_by_role("alert")).to_contain_text("This is not the token")
    expect(stranger.locator(FIELD)).to_be_focused()
    expect(stranger.locator(FIELD)).to_have_attribute("aria-invalid", "true")
    assert violations(stranger) == []
    paste(stranger, " ")
    expect(stranger.get_by_role("alert")).to_contain_text("Paste the token, or the whole address.")


def requests_in_a_minute(page: Page) -> list[str]:
    """What a page asks the workspace for by itself in the next minute of its clock."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(60_000)
    last = page.evaluate("fetch('/static/icon.svg').then(answer => answer.url)")
    return [url for url in asked if url != last]


@pytest.mark.parametrize("place", ["/", "/#inspector"])
def test_an_open_page_says_so_when_the_workspace_has_a_new_token(
    open_page: OpenPage, workspace: RunningWorkspace, tmp_path: Path, place: str
) -> None:
    page = open_page(place, ready=".channel, .inspector")
    page.clock.install()
    workspace.stop()
    expect(page.get_by_text("Connection lost")).to_be_visible()
    port = int(workspace.url.rsplit(":", 1)[1])
    again = RunningWorkspace(tmp_path / "workspace", MANIFEST, port=port)
    expect(page.get_by_role("heading", level=1)).to_have_text(SENTENCE)
    assert requests_in_a_minute(page) == []
    paste(page, again.token)
    wanted = "Inspector" if "inspector" in place else "tuning"
    expect(page.get_by_role("heading", level=1)).to_contain_text(wanted)
    page.context.close()
    again.stop()

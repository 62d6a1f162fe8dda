"""The page's token: the printed address opens the page, and nothing else does."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.harness import RunningWorkspace

LOCKED = "Open the address that the terminal printed"

pytestmark = pytest.mark.browser


@pytest.fixture
def locked(open_page: OpenPage, workspace: RunningWorkspace, complaints: list[str]) -> Page:
    """The page as somebody sees it who has typed the address without the token."""
    page = open_page(url=workspace.url, ready=".locked")
    complaints.clear()  # the browser's own words about the 401
    return page


def test_the_token_does_not_stay_in_the_address(
    browser_page: Page, workspace: RunningWorkspace
) -> None:
    expect(browser_page).to_have_url(re.compile(rf"^{workspace.url}/(#.*)?$"))
    browser_page.reload()
    expect(browser_page.locator("#composer")).to_be_visible()
    assert browser_page.evaluate("document.cookie") == "", "no script reads the cookie"


def test_a_place_in_the_workspace_is_kept_over_the_token(open_page: OpenPage) -> None:
    page = open_page("/#C0GENERAL")
    expect(page).to_have_url(re.compile("/#C0GENERAL$"))


def test_without_the_token_the_page_says_what_to_open(
    locked: Page, workspace: RunningWorkspace, complaints: list[str]
) -> None:
    expect(locked.get_by_role("heading", name=LOCKED)).to_be_visible()
    assert violations(locked) == []
    locked.get_by_role("textbox").fill("wrong")
    locked.get_by_role("button", name="Open").click()
    expect(locked.get_by_role("alert")).to_contain_text("not the token")
    locked.get_by_role("textbox").fill(workspace.page_url)
    locked.get_by_role("button", name="Open").click()
    expect(locked.locator("#composer")).to_be_visible()
    complaints.clear()

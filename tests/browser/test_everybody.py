"""The page for everybody: screen readers, phones, dark rooms; and what it may load."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from slack_sdk import WebClient

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.sample_app import PAYLOADS, SampleApp, payload
from tests.browser.steps import article, open_form, post
from tests.harness import RunningWorkspace

STATIC = Path(__file__).parents[2] / "bot" / "workspace" / "static"
PHONE = {"width": 375, "height": 740}
NOT_POSTED = {"modal", "modal_inputs"}  # these are views

pytestmark = pytest.mark.browser


def post_everything(slack: WebClient) -> str:
    """All payloads, and a thread; returns the ts of its root."""
    for path in sorted(PAYLOADS.glob("*.json")):
        if path.stem not in NOT_POSTED:
            post(slack, **payload(path.stem))
    root = post(slack, text="a root")
    post(slack, text="a reply with <https://example.org|a link>", thread_ts=root)
    return root


@pytest.mark.usefixtures("no_rate_limits")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_anywhere(
    open_page: OpenPage, slack: WebClient, app: SampleApp, scheme: str
) -> None:
    root = post_everything(slack)
    page = open_page(color_scheme=scheme)
    expect(article(page, "a root")).to_be_visible()
    found = {"channel": violations(page)}
    page.locator(f"article[data-ts='{root}']").get_by_role("button", name="1 reply").click()
    expect(page.locator("#thread-composer")).to_be_focused()
    found["thread"] = violations(page)
    page.fill("#composer", "/")
    expect(page.get_by_role("listbox")).to_be_visible()
    found["commands"] = violations(page)
    dialog = open_form(page, app)
    dialog.get_by_label("Name").fill("bad name")
    dialog.get_by_role("button", name="Start").click()
    expect(dialog.locator(".field-error")).to_be_visible()
    found["form"] = violations(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Stop").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found["confirm"] = violations(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="general").click()
    expect(page.locator(".offers")).to_be_visible()
    page.get_by_role("button", name="You are").click()
    found["empty channel"] = violations(page)
    assert {where: what for where, what in found.items() if what} == {}


@pytest.mark.usefixtures("no_rate_limits")
def test_on_a_phone_everything_fits_and_the_sides_cover(
    open_page: OpenPage, slack: WebClient, app: SampleApp
) -> None:
    root = post_everything(slack)
    page = open_page(viewport=PHONE)
    expect(article(page, "a root")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    widths = page.locator("article").evaluate_all("all => all.map(one => one.scrollWidth)")
    assert max(widths) <= PHONE["width"]
    assert violations(page) == []
    expect(page.get_by_role("navigation", name="Channels")).to_be_hidden()
    page.get_by_role("button", name="Channels").click()
    page.get_by_role("link", name="tuning", exact=True).click()
    expect(page.get_by_role("navigation", name="Channels")).to_be_hidden()
    page.locator(f"article[data-ts='{root}']").get_by_role("button", name="1 reply").click()
    thread = page.get_by_role("complementary", name="Thread")
    box = thread.bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, PHONE["width"])
    page.get_by_role("button", name="Close thread").click()
    dialog = open_form(page, app)
    box = dialog.get_by_role("button", name="Start").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= PHONE["height"]


def test_the_page_has_no_inline_script_and_its_vendored_files_are_what_their_table_says() -> None:
    index = (STATIC / "index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|\bon\w+=|\bstyle=", index) == []
    table = (STATIC / "vendor" / "README.md").read_text("utf-8")
    stated = dict(re.findall(r"^\| `(\w+\.js)` .*`([0-9a-f]{64})` \|$", table, re.MULTILINE))
    scripts = (STATIC / "vendor").glob("*.js")
    assert stated == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in scripts}


@pytest.mark.usefixtures("no_rate_limits")
def test_nothing_is_loaded_from_elsewhere(
    open_page: OpenPage, slack: WebClient, workspace: RunningWorkspace
) -> None:
    post_everything(slack)
    image = {"type": "image", "image_url": "https://example.org/x.png", "alt_text": "a picture"}
    post(slack, text="a picture", blocks=[image])
    page = open_page("/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    expect(page.get_by_role("link", name="a picture")).to_be_visible()
    assert [url for url in asked if not url.startswith((workspace.url, "data:"))] == []

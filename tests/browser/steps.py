"""What people and apps do again and again in these tests."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect
from slack_sdk import WebClient

from tests.browser.sample_app import SampleApp

CHANNEL = "C0TUNING"


def article(page: Page, text: str) -> Locator:
    return page.locator("article", has_text=text)


def send(page: Page, line: str, box: str = "#composer") -> None:
    page.fill(box, line)
    page.press(box, "Enter")


def post(slack: WebClient, **message: Any) -> str:
    """Posts as the app and returns the message's ts."""
    return str(slack.chat_postMessage(channel=CHANNEL, **message)["ts"])


def become(page: Page, name: str) -> None:
    page.get_by_role("button", name="You are").click()
    page.get_by_role("menuitemradio", name=name).click()
    expect(page.get_by_role("button", name=f"You are {name}")).to_be_visible()


def open_thread(page: Page, ts: str) -> None:
    page.locator(f"article[data-ts='{ts}']").hover()
    page.locator(f"article[data-ts='{ts}']").get_by_role("button", name="Reply in thread").click()
    expect(page.locator("#thread-composer")).to_be_focused()


def open_form(page: Page, app: SampleApp, words: str = "form") -> Locator:
    send(page, f"/sample {words}")
    app.next("command")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog

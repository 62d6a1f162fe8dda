"""An app's Home on the page, and the shortcuts of the apps."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from tests.browser.axe import violations
from tests.browser.sample_app import SampleApp, payload, text_input
from tests.browser.steps import CHANNEL, article, post, send

pytestmark = pytest.mark.browser


def section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def publish(slack: WebClient, *blocks: dict[str, object]) -> None:
    slack.views_publish(user_id="U0ADA", view={"type": "home", "blocks": list(blocks)})


def open_home(page: Page) -> None:
    page.get_by_role("navigation", name="Channels").get_by_role("link", name="Sample").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sample")


def test_the_home_is_drawn_as_it_was_published_and_anew_when_it_changes(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    open_home(browser_page)
    assert app.next("home")["tab"] == "home"
    expect(browser_page.get_by_text("Sample has not published a Home for you.")).to_be_visible()
    publish(slack, section("*3* searches run"))
    expect(browser_page.locator(".home b")).to_have_text("3")
    publish(slack, section("*4* searches run"))
    expect(browser_page.locator(".home b")).to_have_text("4")
    assert violations(browser_page) == []
    browser_page.reload()
    expect(browser_page.locator(".home b")).to_have_text("4")


def test_an_element_of_the_home_tells_the_app_which_view_it_is_in(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    actions = payload("context_actions")["blocks"][:1] + payload("card")["blocks"]
    publish(slack, text_input("note", "Note"), *actions)
    open_home(browser_page)
    app.next("home")
    browser_page.get_by_label("Note").fill("typed")
    browser_page.get_by_role("button", name="Reuse").click()
    body = app.next("action")
    assert body["container"]["type"] == "view"
    assert body["view"]["type"] == "home"
    assert body["view"]["state"]["values"]["note"]["v"]["value"] == "typed"


def test_the_messages_tab_is_the_conversation_with_the_app(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    open_home(browser_page)
    app.next("home")
    browser_page.get_by_role("link", name="Messages").click()
    send(browser_page, "hello, app")
    expect(article(browser_page, "hello, app")).to_be_visible()
    slack.chat_postMessage(channel="U0ADA", text="hello, Ada")
    expect(article(browser_page, "hello, Ada")).to_be_visible()
    tabs = browser_page.get_by_role("navigation", name="Tabs of Sample")
    expect(tabs.get_by_role("link", name="Messages")).to_have_attribute("aria-current", "page")
    assert app.next("home")["tab"] == "messages"
    tabs.get_by_role("link", name="Home").click()
    expect(tabs.get_by_role("link", name="Home")).to_have_attribute("aria-current", "page")


# ---------------------------------------------------------------- shortcuts


def test_a_shortcut_on_a_message_names_it(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    ts = post(slack, text="a search")
    message = article(browser_page, "a search")
    message.hover()
    more = message.get_by_role("button", name="More message actions")
    more.click()
    browser_page.get_by_role("menuitem", name="Fork this search").click()
    body = app.next("shortcut")
    assert (body["type"], body["callback_id"]) == ("message_action", "fork")
    assert (body["channel"]["id"], body["message"]["ts"]) == (CHANNEL, ts)
    expect(more).to_be_focused()


def test_a_global_shortcut_is_in_the_composers_menu(browser_page: Page, app: SampleApp) -> None:
    browser_page.get_by_role("button", name="Attach a file, or run a shortcut").click()
    browser_page.get_by_role("menuitem", name="Start a search").click()
    body = app.next("shortcut")
    assert (body["type"], body["callback_id"]) == ("shortcut", "start_search")


def test_a_global_shortcut_is_found_by_the_words_of_its_name(
    browser_page: Page, app: SampleApp
) -> None:
    browser_page.fill("#composer", "/sea")
    expect(browser_page.get_by_role("option")).to_have_count(1)
    expect(browser_page.get_by_role("option")).to_contain_text("Start a search")
    browser_page.press("#composer", "Enter")
    assert app.next("shortcut")["callback_id"] == "start_search"
    expect(browser_page.locator("#composer")).to_have_value("")


def test_a_shortcut_whose_app_does_not_answer_says_so(browser_page: Page) -> None:
    browser_page.fill("#composer", "/start")
    browser_page.press("#composer", "Enter")
    expect(browser_page.locator(".toast")).to_contain_text("dispatch_failed")


def test_the_link_of_a_message_is_copied_from_its_menu(
    browser_page: Page, slack: WebClient
) -> None:
    ts = post(slack, text="a search")
    article(browser_page, "a search").hover()
    browser_page.get_by_role("button", name="More message actions").click()
    browser_page.get_by_role("menuitem", name="Copy link to message").click()
    expect(browser_page.locator(".toast")).to_contain_text("Link copied")
    copied = browser_page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"/archives/{CHANNEL}/p{ts.replace('.', '')}")

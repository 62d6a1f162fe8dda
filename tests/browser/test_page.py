"""Messages, channels, commands and threads of the workspace's page, as people use them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from tests.browser.conftest import OpenPage
from tests.browser.sample_app import MANIFEST, SampleApp
from tests.browser.steps import CHANNEL, article, become, open_thread, post, send
from tests.harness import RunningWorkspace

pytestmark = pytest.mark.browser


def test_what_a_person_writes_appears_once_and_is_shown_as_written(browser_page: Page) -> None:
    send(browser_page, "a *bold* <b>word</b> & more")
    expect(browser_page.locator("article")).to_have_count(1)
    expect(browser_page.locator("article b", has_text="bold")).to_be_visible()
    expect(browser_page.locator("article")).to_contain_text("<b>word</b> & more")
    expect(browser_page.locator("#composer")).to_have_value("")


def test_shift_enter_makes_a_new_line_instead_of_sending(browser_page: Page) -> None:
    browser_page.fill("#composer", "one")
    browser_page.press("#composer", "Shift+Enter")
    browser_page.keyboard.type("two")
    browser_page.press("#composer", "Enter")
    expect(browser_page.locator("article .text-body")).to_have_js_property("innerText", "one\ntwo")


def test_messages_of_one_hand_are_grouped_under_one_name(
    browser_page: Page, slack: WebClient
) -> None:
    for text in ("first", "second", "third"):
        post(slack, text=text)
    expect(browser_page.locator("article")).to_have_count(3)
    expect(browser_page.locator("article .author")).to_have_count(1)
    expect(browser_page.locator(".divider.day")).to_have_text("Today")
    expect(browser_page.locator("article .app")).to_have_text("APP")


@pytest.mark.usefixtures("no_rate_limits")
def test_an_edited_message_changes_in_place_and_nothing_scrolls(
    browser_page: Page, slack: WebClient
) -> None:
    ts = post(slack, text="state: running")
    for number in range(40):
        post(slack, text=f"line {number}")
    log = browser_page.locator("[role=log]")
    expect(article(browser_page, "line 39")).to_be_in_viewport()
    log.evaluate("box => { box.scrollTop = 0 }")
    browser_page.wait_for_function("document.querySelector('[role=log]').scrollTop === 0")
    slack.chat_update(channel=CHANNEL, ts=ts, text="state: done")
    expect(browser_page.locator(f"article[data-ts='{ts}']")).to_contain_text("state: done")
    assert log.evaluate("box => box.scrollTop") == 0


@pytest.mark.usefixtures("no_rate_limits")
def test_the_list_follows_its_end_only_while_somebody_is_there(
    browser_page: Page, slack: WebClient
) -> None:
    for number in range(40):
        post(slack, text=f"line {number}")
    expect(article(browser_page, "line 39")).to_be_in_viewport()
    browser_page.locator("[role=log]").evaluate("box => { box.scrollTop = 0 }")
    browser_page.wait_for_function("document.querySelector('[role=log]').scrollTop === 0")
    post(slack, text="news")
    browser_page.get_by_role("button", name="New messages").click()
    expect(article(browser_page, "news")).to_be_in_viewport()


@pytest.mark.usefixtures("no_rate_limits")
def test_older_messages_are_read_when_scrolled_to(open_page: OpenPage, slack: WebClient) -> None:
    for number in range(130):
        post(slack, text=f"line {number}.")
    page = open_page()
    expect(article(page, "line 129.")).to_be_in_viewport()
    for shown in (50, 100, 130):
        expect(page.locator("article")).to_have_count(shown)
        page.locator("[role=log]").evaluate("box => { box.scrollTop = 0 }")
    expect(page.get_by_text("This is the very beginning")).to_be_attached()


def test_a_deleted_message_goes(browser_page: Page, slack: WebClient) -> None:
    ts = post(slack, text="a mistake")
    expect(article(browser_page, "a mistake")).to_be_visible()
    slack.chat_delete(channel=CHANNEL, ts=ts)
    expect(article(browser_page, "a mistake")).to_have_count(0)


def test_an_ephemeral_message_is_seen_by_one_person_who_can_dismiss_it(
    open_page: OpenPage, slack: WebClient
) -> None:
    ada, grace = open_page(), open_page()
    become(grace, "Grace Hopper")
    slack.chat_postEphemeral(channel=CHANNEL, user="U0ADA", text="psst")
    post(slack, text="for all")
    expect(article(ada, "psst")).to_contain_text("Only visible to you")
    expect(article(grace, "for all")).to_be_visible()
    expect(article(grace, "psst")).to_have_count(0)
    ada.get_by_role("button", name="Dismiss message").click()
    expect(article(ada, "psst")).to_have_count(0)
    ada.reload()
    expect(article(ada, "for all")).to_be_visible()
    expect(article(ada, "psst")).to_have_count(0)


def test_a_menu_switches_who_i_am(browser_page: Page) -> None:
    become(browser_page, "Grace Hopper")
    send(browser_page, "hello from Grace")
    expect(article(browser_page, "hello from Grace").locator(".author")).to_have_text(
        "Grace Hopper"
    )


def test_a_channel_with_news_is_marked_until_it_is_opened(
    browser_page: Page, slack: WebClient
) -> None:
    browser_page.get_by_role("link", name="general").click()
    expect(browser_page.get_by_role("heading", level=1)).to_contain_text("general")
    post(slack, text="news for <@U0ADA>")
    expect(browser_page.get_by_role("link", name="You are mentioned")).to_be_visible()
    expect(browser_page).to_have_title(re.compile("^•"))
    browser_page.get_by_role("navigation").get_by_role("link", name="tuning").click()
    expect(browser_page.locator(".badge")).to_have_count(0)
    expect(browser_page.get_by_role("separator", name="New messages")).to_be_visible()


def test_a_first_direct_message_appears_in_the_sidebar(
    browser_page: Page, slack: WebClient
) -> None:
    slack.chat_postMessage(channel="U0ADA", text="just for you")
    browser_page.get_by_role("link", name="Sample Unread messages").click()
    expect(article(browser_page, "just for you")).to_be_visible()


def test_a_mention_reaches_the_app_as_slack_writes_it(browser_page: Page, app: SampleApp) -> None:
    send(browser_page, "@sample how are you?")
    assert app.next("mention")["text"] == "<@U0BOT> how are you?"
    expect(browser_page.locator("article .mention")).to_be_visible()


def test_an_empty_channel_says_what_the_apps_can_do(browser_page: Page) -> None:
    expect(browser_page.locator(".beginning")).to_contain_text("to see what the apps here can do")
    expect(browser_page.locator(".offers")).to_contain_text("/sample")
    expect(browser_page.locator(".offers")).to_contain_text("Answers, or opens a form")


def test_over_a_restart_of_the_workspace_nothing_is_missing_and_nothing_is_double(
    browser_page: Page,
    slack: WebClient,
    workspace: RunningWorkspace,
    tmp_path: Path,
    complaints: list[str],
) -> None:
    post(slack, text="before")
    expect(article(browser_page, "before")).to_be_visible()
    workspace.stop()
    expect(browser_page.get_by_text("Connection lost")).to_be_visible()
    port = int(workspace.url.rsplit(":", 1)[1])
    again = RunningWorkspace(tmp_path / "workspace", MANIFEST, port=port, token=workspace.token)
    post(slack, text="after")
    expect(article(browser_page, "after")).to_have_count(1)
    expect(article(browser_page, "before")).to_have_count(1)
    expect(browser_page.get_by_text("Connection lost")).to_have_count(0)
    browser_page.context.close()
    again.stop()
    refused = [text for text in complaints if "ERR_CONNECTION_REFUSED" in text]
    for text in refused:  # the browser's own words while there was nobody to connect to
        complaints.remove(text)


# ---------------------------------------------------------------- commands


def test_a_slash_shows_the_commands_and_tab_completes(browser_page: Page, app: SampleApp) -> None:
    browser_page.fill("#composer", "/")
    options = browser_page.get_by_role("option")
    expect(options).to_have_count(3)
    expect(options.first).to_contain_text("[form | words]")
    expect(options.first).to_contain_text("Answers, or opens a form")
    browser_page.press("#composer", "ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    browser_page.press("#composer", "ArrowUp")
    browser_page.press("#composer", "Tab")
    expect(browser_page.locator("#composer")).to_have_value("/sample ")
    browser_page.keyboard.type("hello")
    browser_page.press("#composer", "Enter")
    assert app.next("command")["text"] == "hello"
    expect(article(browser_page, "You said hello")).to_contain_text("Only visible to you")


def test_enter_completes_first_and_sends_then(browser_page: Page, app: SampleApp) -> None:
    browser_page.fill("#composer", "/sa")
    browser_page.press("#composer", "Enter")
    expect(browser_page.locator("#composer")).to_have_value("/sample ")
    browser_page.press("#composer", "Enter")
    assert app.next("command")["text"] == ""


def test_up_brings_back_what_was_sent(browser_page: Page, app: SampleApp) -> None:
    for words in ("red", "blue"):
        send(browser_page, f"/sample {words}")
        app.next("command")
    box = browser_page.locator("#composer")
    for key, text in (
        ("ArrowUp", "/sample blue"),
        ("ArrowUp", "/sample red"),
        ("ArrowDown", "/sample blue"),
        ("ArrowDown", ""),
    ):
        box.press(key)
        expect(box).to_have_value(text)


def test_a_command_without_its_app_fails_with_slacks_words_and_is_kept(browser_page: Page) -> None:
    send(browser_page, "/sample nobody home")
    expect(browser_page.locator(".toast")).to_contain_text(
        '/sample failed with the error "dispatch_failed"'
    )
    expect(browser_page.locator("#composer")).to_have_value("/sample nobody home")


def test_an_unknown_command_is_refused(browser_page: Page) -> None:
    send(browser_page, "/nonsense")
    expect(browser_page.locator(".toast")).to_contain_text("/nonsense is not a valid command")


def test_commands_do_not_work_in_threads(browser_page: Page, slack: WebClient) -> None:
    ts = post(slack, text="root")
    open_thread(browser_page, ts)
    send(browser_page, "/sample hello", "#thread-composer")
    expect(browser_page.locator(".toast")).to_contain_text(
        "/sample is not supported in threads. Sorry!"
    )
    expect(browser_page.locator("#thread-composer")).to_have_value("/sample hello")


# ---------------------------------------------------------------- threads


def test_a_thread_opens_takes_replies_and_counts_them(browser_page: Page, slack: WebClient) -> None:
    ts = post(slack, text="the root")
    open_thread(browser_page, ts)
    thread = browser_page.get_by_role("complementary", name="Thread")
    send(browser_page, "a reply", "#thread-composer")
    expect(thread.locator("article", has_text="a reply")).to_have_count(1)
    post(slack, text="the app replies", thread_ts=ts)
    expect(thread.locator("article", has_text="the app replies")).to_have_count(1)
    expect(browser_page.get_by_role("button", name="2 replies")).to_be_visible()
    expect(browser_page.locator("main article")).to_have_count(1)
    browser_page.keyboard.press("Escape")
    expect(thread).to_have_count(0)
    browser_page.get_by_role("button", name="2 replies").click()
    expect(thread.locator("article")).to_have_count(3)


def test_a_permalink_opens_the_thread_at_the_reply(open_page: OpenPage, slack: WebClient) -> None:
    root = post(slack, text="the root")
    reply = post(slack, text="the reply", thread_ts=root)
    link = slack.chat_getPermalink(channel=CHANNEL, message_ts=reply)["permalink"]
    page = open_page(link[link.index("/archives/") :])
    thread = page.get_by_role("complementary", name="Thread")
    expect(thread.locator(f"article.target[data-ts='{reply}']")).to_be_visible()


def test_a_permalink_in_a_message_opens_inside_the_page(
    browser_page: Page, slack: WebClient
) -> None:
    root = post(slack, text="the root")
    post(slack, text="the reply", thread_ts=root)
    link = slack.chat_getPermalink(channel=CHANNEL, message_ts=root)["permalink"]
    post(slack, text=f"started: <{link}|to the thread>")
    browser_page.get_by_role("link", name="to the thread").click()
    thread = browser_page.get_by_role("complementary", name="Thread")
    expect(thread.locator("article", has_text="the reply")).to_be_visible()

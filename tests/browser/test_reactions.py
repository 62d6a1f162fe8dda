"""Reactions on the page: what people and apps add, and take away."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.steps import CHANNEL, article, become, post

pytestmark = pytest.mark.browser


def add(page: Page, text: str, emoji: str) -> None:
    message = article(page, text)
    message.hover()
    message.locator(".toolbar").get_by_role("button", name="Add reaction").click()
    page.get_by_role("menuitem", name=emoji, exact=True).click()


def test_a_reaction_is_picked_counted_and_taken_back(browser_page: Page, slack: WebClient) -> None:
    post(slack, text="a search")
    add(browser_page, "a search", "rocket")
    pill = browser_page.locator(".reaction[data-name=rocket]")
    expect(pill).to_have_attribute("aria-pressed", "true")
    expect(pill).to_have_attribute("title", "You reacted with :rocket:")
    expect(pill.locator(".count")).to_have_text("1")
    assert violations(browser_page) == []
    pill.click()
    expect(pill).to_have_count(0)


def test_a_reaction_of_others_is_joined_by_its_pill(open_page: OpenPage, slack: WebClient) -> None:
    ts = post(slack, text="a search")
    slack.reactions_add(channel=CHANNEL, timestamp=ts, name="eyes")
    ada, grace = open_page(), open_page()
    become(grace, "Grace Hopper")
    pill = grace.locator(".reaction[data-name=eyes]")
    expect(pill).to_have_attribute("aria-pressed", "false")
    pill.click()
    expect(pill).to_have_attribute("title", "You and Sample reacted with :eyes:")
    theirs = ada.locator(".reaction[data-name=eyes]")
    expect(theirs).to_have_attribute("title", "Sample and Grace Hopper reacted with :eyes:")
    expect(theirs.locator(".count")).to_have_text("2")


def test_a_reaction_is_added_with_the_keyboard_alone(browser_page: Page, slack: WebClient) -> None:
    post(slack, text="a search")
    expect(article(browser_page, "a search")).to_be_visible()
    article(browser_page, "a search").get_by_role("link").first.focus()
    browser_page.keyboard.press("Tab")
    button = browser_page.locator(".toolbar").get_by_role("button", name="Add reaction")
    expect(button).to_be_focused()
    browser_page.keyboard.press("Enter")
    browser_page.keyboard.press("ArrowRight")
    browser_page.keyboard.press("Enter")
    expect(browser_page.locator(".reaction[data-name=eyes]")).to_be_visible()
    expect(button).to_be_focused()

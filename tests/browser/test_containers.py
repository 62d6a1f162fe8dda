"""Blocks that hold others, and what stands under an answer: what they show and what they send."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from tests.browser.sample_app import SampleApp, payload
from tests.browser.steps import post

pytestmark = pytest.mark.browser


def test_what_is_typed_in_a_container_is_sent_and_outlives_its_folding(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    post(slack, **payload("container"))
    browser_page.get_by_label("Learning rate").fill("2e-5..4e-4")
    browser_page.locator("[data-block-id=rank] select").select_option("16")
    summary = browser_page.locator("summary", has_text="Search space")
    summary.click()
    expect(browser_page.get_by_label("Learning rate")).to_be_hidden()
    summary.click()
    expect(browser_page.get_by_label("Learning rate")).to_have_value("2e-5..4e-4")
    browser_page.get_by_role("button", name="Start").click()
    body = app.next("action")
    assert body["actions"][0]["block_id"] == "go"
    assert body["state"]["values"]["lr"]["v"]["value"] == "2e-5..4e-4"
    assert body["state"]["values"]["rank"]["v"]["selected_option"]["value"] == "16"


def test_a_container_starts_as_the_app_says(browser_page: Page, slack: WebClient) -> None:
    post(slack, **payload("container"))
    log = browser_page.get_by_text("step 400, loss 0.41")
    expect(log).to_be_hidden()
    browser_page.locator("summary", has_text="minilm-7").press("Enter")
    expect(log).to_be_visible()


def test_a_carousel_turns_with_its_arrows(browser_page: Page, slack: WebClient) -> None:
    post(slack, **payload("carousel"))
    last = browser_page.locator(".carousel .card-title", has_text="Gemma on summaries")
    expect(last).not_to_be_in_viewport()
    expect(browser_page.get_by_role("button", name="Previous cards")).to_be_hidden()
    forward = browser_page.get_by_role("button", name="Next cards")
    forward.click()  # one turn is four fifths of what is seen, more than these cards need
    expect(last).to_be_in_viewport()
    expect(forward).to_be_hidden()
    browser_page.get_by_role("button", name="Previous cards").click()
    expect(browser_page.get_by_role("button", name="Previous cards")).to_be_hidden()
    expect(last).not_to_be_in_viewport()
    expect(forward).to_be_visible()


def test_a_button_of_a_card_in_a_carousel_names_its_card(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    post(slack, **payload("carousel"))
    browser_page.locator("[data-block-id=c2]").get_by_role("button", name="Reuse").click()
    action = app.next("action")["actions"][0]
    assert (action["block_id"], action["action_id"]) == ("c2", "reuse2")


def test_feedback_stays_pressed_and_an_icon_button_sends_its_value(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    post(slack, **payload("context_actions"))
    good = browser_page.get_by_role("button", name="Mark this answer as good")
    bad = browser_page.get_by_role("button", name="Bad answer")
    good.click()
    action = app.next("action")["actions"][0]
    assert (action["type"], action["value"]) == ("feedback_buttons", "good")
    expect(good).to_have_attribute("aria-pressed", "true")
    bad.click()
    app.next("action")
    expect(good).to_have_attribute("aria-pressed", "false")
    expect(bad).to_have_attribute("aria-pressed", "true")
    browser_page.get_by_role("button", name="Delete the answer").click()
    assert app.next("action")["actions"][0]["value"] == "answer-1"


def test_feedback_that_the_app_does_not_take_is_not_pressed(
    browser_page: Page, slack: WebClient
) -> None:
    post(slack, **payload("context_actions"))
    bad = browser_page.get_by_role("button", name="Bad answer")
    bad.click()
    expect(browser_page.get_by_role("img", name="The app did not answer")).to_be_visible()
    expect(bad).to_have_attribute("aria-pressed", "false")


def test_a_button_that_is_not_for_me_is_not_shown(browser_page: Page, slack: WebClient) -> None:
    elements = [
        {
            "type": "button",
            "action_id": user,
            "text": {"type": "plain_text", "text": f"For {user}"},
            "visible_to_user_ids": [user],
        }
        for user in ("U0ADA", "U0GRACE")
    ]
    post(slack, text="two buttons", blocks=[{"type": "actions", "elements": elements}])
    expect(browser_page.get_by_role("button", name="For U0ADA")).to_be_visible()
    expect(browser_page.get_by_role("button", name="For U0GRACE")).to_have_count(0)

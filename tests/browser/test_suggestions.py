"""Menus that ask the app for their options while a person types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from bot.workspace.timing import Timing
from tests.browser.sample_app import MANIFEST, SampleApp, payload
from tests.browser.steps import open_form, post
from tests.harness import RunningWorkspace

pytestmark = pytest.mark.browser


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """One that does not wait long for an app."""
    timing = Timing(ack_deadline_s=0.8, has_rate_limits=False)
    running = RunningWorkspace(tmp_path / "workspace", MANIFEST, timing=timing)
    yield running
    running.stop()


def test_the_app_is_asked_once_the_letters_are_enough(browser_page: Page, app: SampleApp) -> None:
    dialog = open_form(browser_page, app, "inputs")
    model = dialog.get_by_role("combobox", name="Model")
    model.click()
    expect(dialog.locator(".suggest-words")).to_have_text("Type at least 3 letters")
    model.press_sequentially("minilm", delay=20)
    expect(dialog.get_by_role("option")).to_have_text(["minilm-l6", "minilm-l12"])
    body = app.next("options")
    assert (body["action_id"], body["block_id"], body["value"]) == ("v", "model", "minilm")
    assert app.seen.empty()


def test_an_option_is_chosen_with_the_keys_and_submitted(
    browser_page: Page, app: SampleApp
) -> None:
    dialog = open_form(browser_page, app, "inputs")
    dialog.get_by_label("Link").fill("https://example.org/")
    model = dialog.get_by_role("combobox", name="Model")
    model.fill("minilm")
    options = dialog.get_by_role("option")
    expect(options).to_have_count(2)
    expect(model).to_have_attribute(
        "aria-activedescendant", str(options.nth(0).get_attribute("id"))
    )
    model.press("ArrowDown")
    expect(model).to_have_attribute(
        "aria-activedescendant", str(options.nth(1).get_attribute("id"))
    )
    model.press("Enter")
    expect(options).to_have_count(0)
    expect(model).to_have_value("minilm-l12")
    app.next("options")
    dialog.get_by_role("button", name="Send").click()
    values = app.next("inputs")["state"]["values"]
    assert values["model"]["v"]["selected_option"]["value"] == "minilm-l12"


def test_escape_shuts_the_list_and_leaves_the_form_and_the_choice(
    browser_page: Page, app: SampleApp
) -> None:
    dialog = open_form(browser_page, app, "inputs")
    model = dialog.get_by_role("combobox", name="Model")
    model.fill("distil")
    dialog.get_by_role("option").click()
    expect(model).to_have_value("distilbert")
    model.fill("qwen")
    expect(dialog.get_by_role("option")).to_have_text(["qwen3-0.6b"])
    model.press("Escape")
    expect(dialog.get_by_role("option")).to_have_count(0)
    expect(model).to_have_value("distilbert")
    expect(dialog).to_be_visible()


def test_several_are_chosen_up_to_the_most_and_taken_back(
    browser_page: Page, app: SampleApp
) -> None:
    dialog = open_form(browser_page, app, "inputs")
    sets = dialog.get_by_role("combobox", name="Data sets")
    sets.click()
    dialog.get_by_role("option", name="minilm-l6").click()
    dialog.get_by_role("option", name="distilbert").click()
    expect(dialog.locator(".suggest-words")).to_have_text("You can choose at most 2")
    expect(dialog.locator(".chip")).to_have_text(["minilm-l6", "distilbert"])
    sets.press("Backspace")
    expect(dialog.locator(".chip")).to_have_text(["minilm-l6"])
    dialog.get_by_role("button", name="Remove minilm-l6").click()
    expect(dialog.locator(".chip")).to_have_count(0)


def test_no_option_and_no_answer_are_said_in_words(browser_page: Page, app: SampleApp) -> None:
    dialog = open_form(browser_page, app, "inputs")
    model = dialog.get_by_role("combobox", name="Model")
    model.fill("nothing like it")
    expect(dialog.locator(".suggest-words")).to_have_text("No matches")
    model.fill("silence")
    expect(dialog.locator(".suggest-words")).to_have_text("Searching…")
    expect(dialog.locator(".suggest-words")).to_contain_text("could not be loaded")


def test_a_choice_in_a_message_is_told_to_the_app(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    post(slack, **payload("elements"))
    box = browser_page.locator("input[data-action-id=model]")
    box.fill("qw")
    browser_page.get_by_role("option", name="qwen3-0.6b").click()
    app.next("options")
    chosen = app.next("action")["actions"][0]["selected_option"]
    assert chosen == {"text": {"type": "plain_text", "text": "qwen3-0.6b"}, "value": "qwen3-0.6b"}
    expect(box).to_have_value("qwen3-0.6b")

"""Modals, buttons and menus of the page: what an app shows, and what it is sent."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from tests.browser.sample_app import SampleApp, form, payload, text_input
from tests.browser.steps import open_form, post

pytestmark = pytest.mark.browser


def test_a_form_sends_every_kind_of_value(browser_page: Page, app: SampleApp) -> None:
    dialog = open_form(browser_page, app)
    dialog.get_by_label("Name").fill("my-experiment")
    dialog.get_by_label("Algorithm").select_option(label="grid")
    assert app.next("action")["actions"][0]["selected_option"]["value"] == "grid"
    dialog.get_by_label("Full").check()
    dialog.get_by_label("Trials").fill("12")
    dialog.locator("summary").click()
    dialog.get_by_label("dense").check()
    dialog.get_by_label("Early stopping").check()
    dialog.get_by_label("At").fill("09:30")
    dialog.get_by_label("Owner").select_option(label="Grace Hopper")
    dialog.get_by_role("button", name="Start").click()
    values = app.next("submission")["state"]["values"]
    sent = {block: next(iter(actions.values())) for block, actions in values.items()}
    assert sent["name"]["value"] == "my-experiment"
    assert sent["algorithm"]["selected_option"]["value"] == "grid"
    assert sent["method"]["selected_option"]["value"] == "full"
    assert sent["max_trial_count"]["value"] == "12"
    chosen = [option["value"] for option in sent["modules"]["selected_options"]]
    assert chosen == ["query", "value", "dense"]
    assert [option["value"] for option in sent["options"]["selected_options"]] == ["early"]
    assert sent["day"]["selected_date"] == "2026-12-01"
    assert sent["time"]["selected_time"] == "09:30"
    assert sent["owner"]["selected_user"] == "U0GRACE"
    assert sent["channel"]["selected_conversation"] == "C0TUNING"
    assert sent["yaml"]["value"].startswith("learning_rate:")
    expect(dialog).to_have_count(0)
    expect(browser_page.locator("#composer")).to_be_focused()


def test_an_error_of_the_app_stands_under_its_field_and_keeps_what_was_typed(
    browser_page: Page, app: SampleApp
) -> None:
    dialog = open_form(browser_page, app)
    name = dialog.get_by_label("Name")
    name.fill("bad name")
    dialog.get_by_label("Trials").fill("7")
    dialog.get_by_role("button", name="Start").click()
    app.next("submission")
    expect(dialog.get_by_role("alert")).to_have_text("Use dashes instead of spaces")
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_value("bad name")
    expect(dialog.get_by_label("Trials")).to_have_value("7")


@pytest.mark.parametrize(
    ("label", "value", "sentence"),
    [
        ("Name", "", "Please complete this required field."),
        ("Trials", "many", "Please enter a number."),
        ("Trials", "2.5", "Please enter a whole number."),
        ("Trials", "0", "Must be 1 or more."),
        ("Trials", "101", "Must be 100 or less."),
    ],
)
def test_what_slack_itself_refuses_never_reaches_the_app(
    browser_page: Page, app: SampleApp, label: str, value: str, sentence: str
) -> None:
    dialog = open_form(browser_page, app)
    dialog.get_by_label(label).fill(value)
    dialog.get_by_role("button", name="Start").click()
    expect(dialog.locator(".field-error")).to_have_text(sentence)
    expect(dialog.get_by_label(label)).to_be_focused()
    assert app.seen.empty()


def test_an_update_of_the_view_keeps_typed_values_by_their_ids(
    browser_page: Page, app: SampleApp, slack: WebClient
) -> None:
    dialog = open_form(browser_page, app, "two")
    dialog.get_by_label("Name").fill("typed")
    dialog.get_by_label("Note").fill("typed too")
    slack.views_update(
        view_id=app.view_id,
        view=form(
            text_input("name", "Name", initial_value="new"),
            text_input("other", "Note", initial_value="new"),
            title="Updated",
        ),
    )
    expect(dialog.get_by_role("heading", name="Updated")).to_be_visible()
    expect(dialog.get_by_label("Name")).to_have_value("typed")
    expect(dialog.get_by_label("Note")).to_have_value("new")


def test_a_pushed_view_lies_on_top_and_gives_back_the_one_below(
    browser_page: Page, app: SampleApp
) -> None:
    dialog = open_form(browser_page, app, "two")
    dialog.get_by_label("Name").fill("more")
    dialog.get_by_role("button", name="Start").click()
    app.next("submission")
    expect(dialog.get_by_role("heading", name="More")).to_be_visible()
    browser_page.keyboard.press("Escape")
    expect(dialog.get_by_role("heading", name="A form")).to_be_visible()
    expect(dialog.get_by_label("Name")).to_have_value("more")
    browser_page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(browser_page.locator("#composer")).to_be_focused()


# ---------------------------------------------------------------- buttons and menus


def test_a_button_with_a_confirm_asks_first(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    ts = post(slack, **payload("actions"))
    stop = browser_page.get_by_role("button", name="Stop")
    stop.click()
    dialog = browser_page.get_by_role("dialog", name="Stop this Experiment?")
    expect(dialog).to_contain_text("Its 4 finished trials are kept.")
    dialog.get_by_role("button", name="Keep going").click()
    expect(dialog).to_have_count(0)
    expect(stop).to_be_focused()
    assert app.seen.empty()
    stop.click()
    dialog.get_by_role("button", name="Stop").click()
    body = app.next("action")
    assert body["actions"][0]["action_id"] == "stop"
    assert body["actions"][0]["value"] == "stop"
    assert body["message"]["ts"] == ts
    assert body["user"]["id"] == "U0ADA"
    expect(dialog).to_have_count(0)


def test_every_element_of_a_message_tells_the_app(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    post(slack, **payload("actions"))
    browser_page.get_by_role("button", name="More actions").click()
    browser_page.get_by_role("menuitem", name="Mute the thread").click()
    assert app.next("action")["actions"][0]["selected_option"]["value"] == "mute"
    browser_page.locator("[data-action-id=day]").fill("2026-12-24")
    assert app.next("action")["actions"][0]["selected_date"] == "2026-12-24"
    browser_page.locator("[data-action-id=who]").select_option(label="Grace Hopper")
    body = app.next("action")
    assert body["actions"][0]["selected_user"] == "U0GRACE"
    assert body["state"]["values"]["a"]["day"]["selected_date"] == "2026-12-24"


def test_enter_in_a_field_that_dispatches_sends_it(
    browser_page: Page, slack: WebClient, app: SampleApp
) -> None:
    post(slack, **payload("input"))
    browser_page.get_by_label("A note for the record").fill("because")
    browser_page.get_by_label("A note for the record").press("Enter")
    assert app.next("action")["actions"][0]["value"] == "because"


def test_a_button_whose_app_does_not_answer_says_so(browser_page: Page, slack: WebClient) -> None:
    post(slack, **payload("actions"))
    browser_page.get_by_role("button", name="Show trials").click()
    expect(browser_page.get_by_role("img", name="The app did not answer")).to_be_visible()


def test_a_menu_is_walked_with_the_arrow_keys(browser_page: Page, slack: WebClient) -> None:
    post(slack, **payload("actions"))
    more = browser_page.get_by_role("button", name="More actions")
    more.press("Enter")
    items = browser_page.get_by_role("menuitem")
    expect(items.nth(0)).to_be_focused()
    browser_page.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_be_focused()
    browser_page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    expect(more).to_be_focused()

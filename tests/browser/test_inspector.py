"""The inspector of the page: what apps and workspace say to each other, as it happens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.sample_app import MANIFEST, SampleApp
from tests.browser.steps import CHANNEL, become, post
from tests.harness import RunningWorkspace

PHONE = {"width": 390, "height": 844}
ADDRESS = "/#inspector"
READY = ".inspector .seen"

pytestmark = pytest.mark.browser


@pytest.fixture
def inspector(open_page: OpenPage) -> Page:
    """The page of a newcomer, at the inspector."""
    return open_page(ADDRESS, ready=READY)


def rows(page: Page, text: str | re.Pattern[str] = "") -> Locator:
    return page.locator(".entry", has_text=text)


def open_row(page: Page, text: str) -> Locator:
    """Opens the latest row with this text by the keyboard; returns it."""
    row = rows(page, text).last
    button = row.locator("[data-n]")
    button.focus()
    button.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    return row


def wrong_blocks(slack: WebClient) -> None:
    """A message that the validator refuses: a header that is too long."""
    header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
    with pytest.raises(SlackApiError, match="invalid_blocks"):
        slack.chat_postMessage(channel=CHANNEL, text="wrong", blocks=[header])


def test_the_sidebar_leads_to_the_inspector_and_back(browser_page: Page) -> None:
    link = browser_page.get_by_role("link", name="Inspector")
    link.click()
    expect(browser_page).to_have_url(re.compile("/#inspector$"))
    expect(browser_page).to_have_title(re.compile("^Inspector"))
    expect(browser_page.get_by_role("heading", name="Inspector")).to_be_focused()
    expect(link).to_have_attribute("aria-current", "page")
    browser_page.get_by_role("link", name="tuning", exact=True).click()
    expect(browser_page.locator("#composer")).to_be_focused()
    browser_page.go_back()
    expect(browser_page.get_by_role("heading", name="Inspector")).to_be_visible()


def test_before_anything_happens_it_says_what_will_stand_here(inspector: Page) -> None:
    expect(inspector.locator(".empty")).to_contain_text("Nothing has been seen yet")
    expect(inspector.locator(".counts")).to_have_text("0 entries")


def test_a_call_appears_as_it_happens_with_app_outcome_and_time(
    inspector: Page, slack: WebClient
) -> None:
    post(slack, text="hello")
    row = rows(inspector, "chat.postMessage")
    expect(row).to_have_count(1)
    expect(row.locator(".app-name")).to_have_text("Sample")
    expect(row.locator(".outcome")).to_have_text("ok")
    expect(row.locator(".when")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    expect(row.locator(".ms")).to_have_text(re.compile(r"^[\d.]+ ms$"))


def test_a_command_shows_as_an_envelope_with_what_the_app_was_sent(
    inspector: Page, app: SampleApp, workspace: RunningWorkspace
) -> None:
    workspace.command("/sample words")
    row = rows(inspector, "slash_commands")
    expect(row.locator(".outcome")).to_have_text("ok")
    opened = open_row(inspector, "slash_commands")
    request = opened.get_by_role("region", name="Request")
    expect(request.locator("[data-pointer='/text']")).to_contain_text('"words"')
    answer = opened.get_by_role("region", name="Answer")
    expect(answer).to_contain_text("You said `words`")


def test_a_refused_message_names_what_the_validator_says_and_where(
    inspector: Page, slack: WebClient
) -> None:
    wrong_blocks(slack)
    expect(rows(inspector, "invalid_blocks").locator(".outcome")).to_contain_text("complaint")
    row = open_row(inspector, "invalid_blocks")
    complaints = row.get_by_role("region", name="What the validator says")
    expect(complaints).to_contain_text("must be less than 151 characters")
    expect(complaints.locator("code").first).to_have_text("/blocks/0/text/text")
    marked = row.locator(".marked[data-pointer='/blocks/0/text/text']")
    expect(marked).to_contain_text("must be less than 151 characters")
    expect(marked).to_be_visible()


def test_a_row_folds_again_and_its_json_can_be_copied_and_folded(
    inspector: Page, slack: WebClient
) -> None:
    post(slack, text="hello", blocks=[{"type": "divider"}])
    row = open_row(inspector, "chat.postMessage")
    request = row.get_by_role("region", name="Request")
    expect(request.locator("[data-pointer='/blocks']")).to_contain_text("divider")
    request.get_by_role("button", name="Copy").click()
    copied = json.loads(inspector.evaluate("navigator.clipboard.readText()"))
    assert (copied["text"], copied["blocks"]) == ("hello", [{"type": "divider"}])
    request.locator("summary", has_text="blocks").click()
    expect(request.locator("[data-pointer='/blocks/0']")).to_have_count(0)
    row.locator("[data-n]").press("Enter")
    expect(row.get_by_role("region", name="Request")).to_have_count(0)


def test_arrow_keys_walk_through_the_rows(inspector: Page, slack: WebClient) -> None:
    for method in ("one.unknown", "two.unknown", "three.unknown"):
        with pytest.raises(SlackApiError, match="unknown_method"):
            slack.api_call(method)
    expect(rows(inspector)).to_have_count(3)
    newest = rows(inspector, "three.unknown").locator("[data-n]")
    expect(newest).to_have_attribute("tabindex", "0")
    newest.focus()
    newest.press("ArrowUp")
    expect(rows(inspector, "two.unknown").locator("[data-n]")).to_be_focused()
    inspector.keyboard.press("Home")
    expect(rows(inspector, "one.unknown").locator("[data-n]")).to_be_focused()
    inspector.keyboard.press("End")
    expect(newest).to_be_focused()


def test_filters_show_a_kind_a_text_or_only_what_failed(
    inspector: Page, slack: WebClient, app: SampleApp, workspace: RunningWorkspace
) -> None:
    workspace.command("/sample words")
    post(slack, text="a needle")
    wrong_blocks(slack)
    expect(rows(inspector, "invalid_blocks")).to_have_count(1)
    inspector.get_by_label("Kind").select_option("envelope")
    expect(rows(inspector)).to_have_count(1)
    expect(rows(inspector)).to_contain_text("slash_commands")
    inspector.get_by_label("Kind").select_option("")
    inspector.get_by_label("Only failures").check()
    expect(rows(inspector)).to_have_count(1)
    expect(rows(inspector)).to_contain_text("invalid_blocks")
    inspector.get_by_label("Only failures").uncheck()
    inspector.get_by_label("Text", exact=True).fill("needle")
    expect(rows(inspector)).to_have_count(1)
    expect(inspector.locator(".counts")).to_have_text(re.compile(r"^1 of \d+ entries$"))
    inspector.get_by_label("Text", exact=True).fill("haystack")
    expect(inspector.locator(".empty")).to_contain_text("Nothing passes the filter")
    inspector.get_by_label("Text", exact=True).fill("")
    inspector.get_by_label("App", exact=True).select_option(label="Sample")
    expect(rows(inspector, "needle")).to_have_count(0)
    expect(rows(inspector, "slash_commands")).to_have_count(1)


def test_a_pause_keeps_the_table_still_and_counts_what_comes(
    inspector: Page, slack: WebClient
) -> None:
    post(slack, text="before")
    expect(rows(inspector, "chat.postMessage")).to_have_count(1)
    inspector.get_by_role("button", name="Pause").click()
    post(slack, text="meanwhile")
    expect(inspector.locator(".inspector .about")).to_have_text("Paused, 1 new entry")
    expect(rows(inspector, "chat.postMessage")).to_have_count(1)
    inspector.get_by_role("button", name="Resume").click()
    expect(rows(inspector, "chat.postMessage")).to_have_count(2)


def test_clearing_empties_the_page_but_not_the_workspace(inspector: Page, slack: WebClient) -> None:
    post(slack, text="old")
    expect(rows(inspector, "chat.postMessage")).to_have_count(1)
    inspector.get_by_role("button", name="Clear", exact=True).click()
    expect(inspector.locator(".empty")).to_contain_text("Nothing has been seen yet")
    post(slack, text="new")
    expect(rows(inspector, "chat.postMessage")).to_have_count(1)
    inspector.reload()
    expect(rows(inspector, "chat.postMessage")).to_have_count(2)


def test_unknown_methods_and_connections_are_counted(
    inspector: Page, slack: WebClient, app: SampleApp
) -> None:
    for _ in range(2):
        with pytest.raises(SlackApiError, match="unknown_method"):
            slack.api_call("chat.scribble")
    inspector.get_by_role("tab", name="Limits and apps").click()
    panel = inspector.get_by_role("tabpanel")
    expect(panel.locator(".unknown-methods")).to_contain_text("chat.scribble")
    expect(panel.locator(".unknown-methods")).to_contain_text("2 calls")
    expect(panel.locator(".connections")).to_contain_text("Sample")
    expect(panel.locator(".connections")).to_contain_text("1 socket")


def test_messages_that_come_meanwhile_are_unread_and_people_can_be_switched(
    inspector: Page, slack: WebClient
) -> None:
    post(slack, text="news for <@U0ADA>")
    expect(inspector.get_by_role("link", name="tuning You are mentioned")).to_be_visible()
    become(inspector, "Grace Hopper")
    expect(inspector.get_by_role("heading", name="Inspector")).to_be_visible()
    expect(rows(inspector, "chat.postMessage")).to_have_count(1)


def test_when_the_workspace_comes_back_the_inspector_begins_again_by_itself(
    inspector: Page,
    slack: WebClient,
    workspace: RunningWorkspace,
    tmp_path: Path,
    complaints: list[str],
) -> None:
    post(slack, text="before")
    expect(rows(inspector, "chat.postMessage")).to_have_count(1)
    workspace.stop()
    expect(inspector.get_by_text("Connection lost")).to_be_visible()
    port = int(workspace.url.rsplit(":", 1)[1])
    again = RunningWorkspace(tmp_path / "workspace", MANIFEST, port=port, token=workspace.token)
    expect(inspector.get_by_text("Connection lost")).to_have_count(0)
    expect(inspector.locator(".empty")).to_contain_text("Nothing has been seen yet")
    post(slack, text="after")
    expect(rows(inspector, "chat.postMessage")).to_have_count(1)
    inspector.context.close()
    again.stop()
    for text in [text for text in complaints if "ERR_CONNECTION_REFUSED" in text]:
        complaints.remove(text)  # the browser's own words while there was nobody to connect to


def call_often(slack: WebClient, count: int) -> None:
    for number in range(count):
        slack.api_call("auth.test", json={"number": number})


def test_of_many_entries_only_those_in_sight_are_drawn_and_the_newest_are_shown(
    inspector: Page, slack: WebClient
) -> None:
    call_often(slack, 300)
    expect(inspector.locator(".counts")).to_have_text("300 entries")
    assert rows(inspector).count() < 80
    expect(inspector.locator("[data-n='300']")).to_be_in_viewport()
    expect(inspector.locator("[data-n='1']")).to_have_count(0)
    inspector.locator("[data-n='300']").press("Home")
    expect(inspector.locator("[data-n='1']")).to_be_in_viewport()


def test_whoever_reads_is_not_carried_away_by_what_comes(inspector: Page, slack: WebClient) -> None:
    call_often(slack, 60)
    expect(inspector.locator(".counts")).to_have_text("60 entries")
    inspector.locator("[data-n='60']").press("Home")
    first = inspector.locator("[data-n='1']")
    before = first.bounding_box()
    post(slack, text="news")
    newer = inspector.get_by_role("button", name="Newer")
    expect(newer).to_be_visible()
    assert first.bounding_box() == before
    newer.click()
    expect(rows(inspector, "chat.postMessage")).to_be_in_viewport()


def test_on_a_phone_limits_and_faults_open_over_the_table_and_give_the_focus_back(
    open_page: OpenPage,
) -> None:
    page = open_page(ADDRESS, ready=READY, viewport=PHONE)
    side = page.get_by_role("complementary", name="State and faults")
    expect(side).to_have_count(0)
    opener = page.get_by_role("button", name="Faults")
    opener.click()
    expect(side.get_by_role("tab", name="Faults")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(side.get_by_role("tab", name="Limits and apps")).to_be_focused()
    expect(side.get_by_role("heading", name="Connections")).to_be_visible()
    page.keyboard.press("Escape")
    expect(side).to_have_count(0)
    expect(opener).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [None, PHONE], ids=["laptop", "phone"])
def test_axe_finds_nothing_and_everything_fits(
    open_page: OpenPage,
    slack: WebClient,
    app: SampleApp,
    workspace: RunningWorkspace,
    scheme: str,
    size: dict[str, int] | None,
) -> None:
    options: dict[str, Any] = {"viewport": size} if size else {}
    page = open_page(ADDRESS, ready=READY, color_scheme=scheme, **options)
    workspace.command("/sample words")
    wrong_blocks(slack)
    expect(rows(page, "invalid_blocks")).to_have_count(1)
    found = {"table": violations(page)}
    open_row(page, "invalid_blocks")
    found["row"] = violations(page)
    assert page.evaluate("document.documentElement.scrollWidth === innerWidth")
    if size:
        page.get_by_role("button", name="Faults").click()
    found["faults"] = violations(page)
    page.get_by_role("tab", name="Limits and apps").click()
    found["limits"] = violations(page)
    assert {where: what for where, what in found.items() if what} == {}

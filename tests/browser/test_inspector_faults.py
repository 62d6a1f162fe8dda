"""The faults panel of the inspector: trouble made by hand, and how an app meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.workspace.timing import Timing
from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.sample_app import MANIFEST, SampleApp
from tests.browser.steps import CHANNEL, post
from tests.harness import RunningWorkspace

pytestmark = pytest.mark.browser


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """A workspace that does not wait long for acknowledgements."""
    running = RunningWorkspace(tmp_path / "workspace", MANIFEST, timing=Timing(ack_deadline_s=0.3))
    yield running
    running.stop()


@pytest.fixture
def inspector(open_page: OpenPage) -> Page:
    page = open_page("/#inspector", ready=".inspector .seen")
    expect(page.locator(".empty h2")).to_be_visible()
    return page


def form(page: Page, title: str) -> Locator:
    """The form of a kind of fault, opened."""
    fault = page.locator("details.fault", has_text=title)
    fault.locator("summary").click()
    return fault


def toast(page: Page) -> Locator:
    return page.locator(".toast.info")


def test_a_storm_of_429_comes_as_often_as_asked_and_is_gone_then(
    inspector: Page, slack: WebClient
) -> None:
    fault = form(inspector, "Too many calls")
    fault.get_by_label("Method").fill("chat.postMessage")
    fault.get_by_label("Retry-After").fill("7")
    fault.get_by_label("Times").fill("2")
    fault.get_by_role("button", name="Start").click()
    sentence = "Each of the next 2 calls of chat.postMessage answers 429 with Retry-After 7 s."
    expect(toast(inspector)).to_contain_text(sentence)
    active = inspector.locator(".active li")
    expect(active).to_contain_text("2 times left")
    with pytest.raises(SlackApiError, match="ratelimited") as refused:
        slack.chat_postMessage(channel=CHANNEL, text="refused")
    assert refused.value.response.headers["Retry-After"] == "7"
    expect(active).to_contain_text("1 time left")
    expect(inspector.locator(".entry .outcome.slow")).to_have_text("ratelimited")
    with pytest.raises(SlackApiError, match="ratelimited"):
        slack.chat_postMessage(channel=CHANNEL, text="refused")
    expect(active).to_have_count(0)
    post(slack, text="through")


def test_a_fault_without_an_end_stays_until_all_are_cleared(
    inspector: Page, slack: WebClient
) -> None:
    fault = form(inspector, "Failure before the work")
    fault.get_by_label("Until it is cleared").check()
    expect(fault.get_by_label("Times")).to_be_disabled()
    fault.get_by_role("button", name="Start").click()
    expect(toast(inspector)).to_contain_text("Every call answers 503, and nothing has been done.")
    expect(inspector.locator(".active li")).to_contain_text("Until cleared")
    expect(inspector.get_by_role("tab", name="Faults 1 on")).to_be_visible()
    assert violations(inspector) == []
    for _ in range(2):
        with pytest.raises(SlackApiError):
            slack.chat_postMessage(channel=CHANNEL, text="lost")
    inspector.get_by_role("button", name="Clear all").click()
    expect(toast(inspector).filter(has_text="All faults are cleared.")).to_be_visible()
    expect(inspector.locator(".active")).to_have_count(0)
    post(slack, text="through")


def test_a_lost_acknowledgement_makes_a_command_fail_as_in_slack(
    inspector: Page, app: SampleApp, workspace: RunningWorkspace
) -> None:
    fault = form(inspector, "Lost acknowledgement")
    fault.get_by_label("What").select_option("slash_commands")
    fault.get_by_role("button", name="Start").click()
    expect(toast(inspector)).to_contain_text("The next slash command is delivered")
    assert not workspace.command("/sample words")["delivered"]
    assert app.next("command")["text"] == "words"
    expect(inspector.locator(".entry .outcome.bad")).to_have_text("operation_timeout")
    assert workspace.command("/sample again")["delivered"]


def test_the_clock_moves_ahead_and_says_by_how_much(inspector: Page) -> None:
    inspector.get_by_role("button", name="+ 5 h").click()
    expect(toast(inspector)).to_contain_text("The workspace's clock is now 5 h ahead.")
    inspector.get_by_role("button", name="+ 30 min").click()
    expect(toast(inspector).last).to_contain_text("The workspace's clock is now 5 h 30 min ahead.")
    clock = inspector.get_by_role("region", name="Clock")
    expect(clock).to_contain_text("The workspace's clock is 5 h 30 min ahead.")


def test_rate_limits_show_how_much_is_used_and_can_be_switched_off(
    inspector: Page, slack: WebClient
) -> None:
    post(slack, text="one")
    inspector.get_by_role("tab", name="Limits and apps").click()
    limits = inspector.locator(".limit", has_text="chat.postMessage")
    expect(limits.filter(has_text="#tuning")).to_contain_text("1 of 10, per channel")
    inspector.get_by_role("tab", name="Faults").click()
    switch = inspector.get_by_role("switch")
    expect(switch).to_be_checked()
    switch.click()
    expect(toast(inspector)).to_contain_text("Rate limits are off.")
    expect(switch).not_to_be_checked()
    for number in range(12):  # more than the burst of a channel
        post(slack, text=f"line {number}")
    switch.click()
    expect(toast(inspector).last).to_contain_text("Rate limits are on.")


def test_sockets_are_told_to_disconnect_with_the_reason_that_was_chosen(
    inspector: Page, app: SampleApp, workspace: RunningWorkspace
) -> None:
    inspector.get_by_label("Reason").select_option("refresh_requested")
    inspector.get_by_role("button", name="Disconnect all sockets").click()
    expect(toast(inspector)).to_contain_text(
        "All sockets are told to disconnect: refresh_requested."
    )
    expect(inspector.locator(".entry", has_text="disconnect").first).to_be_visible()

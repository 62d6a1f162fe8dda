"""Several people and several apps in the page: who is who, and what runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.sample_app import MANIFEST, SampleApp
from tests.browser.steps import become
from tests.harness import RunningWorkspace

SCOPES = [
    "channels:manage",
    "channels:read",
    "im:write",
    "chat:write",
    "groups:read",
    "groups:write",
]
SAMPLE = {**MANIFEST, "oauth_config": {"scopes": {"bot": [*SCOPES, "commands", "users:read"]}}}
PHONE = {"width": 390, "height": 844}
OTHER: dict[str, Any] = {
    "display_information": {"name": "Weather"},
    "features": {
        "app_home": {"messages_tab_enabled": False},
        "slash_commands": [{"command": "/weather", "description": "Rain or shine"}],
    },
    "oauth_config": {"scopes": {"bot": ["commands"]}},
    "settings": {"interactivity": {"is_enabled": True}, "socket_mode_enabled": True},
}

pytestmark = pytest.mark.browser


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(tmp_path / "workspace", SAMPLE, OTHER)
    yield running
    running.stop()


def test_the_menu_says_who_is_owner_member_and_guest(browser_page: Page) -> None:
    button = browser_page.get_by_role("button", name="You are Ada Lovelace")
    expect(button).to_contain_text("Owner")
    button.click()
    people = browser_page.get_by_role("menuitemradio")
    expect(people.filter(has_text="Ada Lovelace")).to_contain_text("Owner")
    expect(people.filter(has_text="Grace Hopper")).to_contain_text("Member")
    expect(people.filter(has_text="Guest").last).to_contain_text("Guest")
    assert violations(browser_page) == []
    browser_page.keyboard.press("Escape")
    become(browser_page, "Grace Hopper")
    expect(browser_page.get_by_role("button", name="You are Grace Hopper")).to_contain_text(
        "Member"
    )


def test_owners_and_guests_are_marked_where_they_write(
    browser_page: Page, workspace: RunningWorkspace
) -> None:
    for user in ("U0ADA", "U0GRACE", "U0GUEST"):
        workspace.message(f"from {user}", user=user)
    for user, marks in (("U0ADA", ["Owner"]), ("U0GRACE", []), ("U0GUEST", ["Guest"])):
        message = browser_page.locator("article", has_text=f"from {user}")
        expect(message.locator(".role")).to_have_text(marks)
    assert violations(browser_page) == []


def test_each_app_says_in_the_sidebar_whether_it_is_connected(
    open_page: OpenPage, app: SampleApp
) -> None:
    page = open_page()
    apps = page.get_by_role("navigation").get_by_role("link")
    expect(apps.filter(has_text="Sample")).to_have_accessible_name("Sample connected")
    expect(apps.filter(has_text="Weather")).to_have_accessible_name("Weather not connected")
    assert violations(page) == []


def test_an_apps_entry_leads_to_its_own_address(browser_page: Page) -> None:
    entry = browser_page.get_by_role("link", name="Weather not connected")
    entry.click()
    expect(browser_page).to_have_url(re.compile("/#home/A0WEATHER$"))
    expect(entry).to_have_attribute("aria-current", "page")
    expect(browser_page.get_by_role("heading", level=1)).to_contain_text("Weather")
    expect(browser_page.get_by_role("link", name="tuning", exact=True)).not_to_have_attribute(
        "aria-current", "page"
    )
    browser_page.go_back()
    expect(browser_page.locator("#composer")).to_be_visible()


def test_the_address_of_an_app_that_is_not_installed_shows_a_channel(open_page: OpenPage) -> None:
    page = open_page("/#home/A0NOBODY")
    expect(page.get_by_role("heading", level=1)).to_contain_text("tuning")


def test_the_messages_of_an_app_are_unread_at_its_entry_which_leads_to_them(
    browser_page: Page, slack: WebClient
) -> None:
    slack.chat_postMessage(channel="U0ADA", text="for you")
    browser_page.get_by_role("link", name="Sample Unread messages not connected").click()
    expect(browser_page.locator("article", has_text="for you")).to_be_visible()
    entry = browser_page.get_by_role("link", name="Sample not connected")
    expect(entry).to_have_attribute("aria-current", "page")


def test_each_command_says_whose_it_is(browser_page: Page) -> None:
    browser_page.fill("#composer", "/")
    commands = browser_page.get_by_role("option")
    expect(commands.filter(has_text="/weather")).to_contain_text("Rain or shine · Weather")
    expect(commands.filter(has_text="/sample")).to_contain_text("Sample")


def test_a_private_channel_has_a_lock_and_is_seen_by_its_members_only(
    open_page: OpenPage, slack: WebClient
) -> None:
    ada, grace = open_page(), open_page()
    become(grace, "Grace Hopper")
    created = slack.conversations_create(name="secret", is_private=True)["channel"]
    slack.conversations_invite(channel=created["id"], users="U0ADA")
    link = ada.get_by_role("link", name="Private secret")
    link.click()
    heading = ada.get_by_role("heading", level=1)
    expect(heading).to_have_accessible_name("Private secret")
    expect(grace.get_by_role("link", name="tuning", exact=True)).to_be_visible()
    expect(grace.get_by_role("link", name="secret")).to_have_count(0)
    assert violations(ada) == []
    slack.conversations_kick(channel=created["id"], user="U0ADA")
    expect(link).to_have_count(0)
    expect(heading).to_contain_text("tuning")


def test_an_archived_channel_is_marked_and_can_only_be_read(
    open_page: OpenPage, slack: WebClient
) -> None:
    page = open_page()
    channel = slack.conversations_create(name="old")["channel"]["id"]
    root = slack.chat_postMessage(channel=channel, text="a root")["ts"]
    page.get_by_role("link", name="old").click()
    expect(page.locator("#composer")).to_be_visible()
    slack.conversations_archive(channel=channel)
    expect(page.locator(".read-only")).to_have_text(
        "#old is archived: it can be read, but nobody can write in it."
    )
    expect(page.locator("#composer")).to_have_count(0)
    expect(page.get_by_role("link", name="old Archived")).to_be_visible()
    expect(page.locator(".topbar .tag")).to_have_text("Archived")
    open_thread_by_address(page, channel, root)
    expect(page.get_by_role("complementary", name="Thread").locator(".read-only")).to_be_visible()
    assert violations(page) == []
    slack.conversations_unarchive(channel=channel)
    expect(page.locator("#composer")).to_be_visible()


def open_thread_by_address(page: Page, channel: str, root: str) -> None:
    page.evaluate("address => { location.hash = address }", f"{channel}/{root}")
    expect(page.get_by_role("complementary", name="Thread")).to_contain_text("a root")


def test_a_guest_sees_only_the_channels_they_are_in(open_page: OpenPage, slack: WebClient) -> None:
    page = open_page("/#C0GENERAL")
    expect(page.get_by_role("heading", level=1)).to_contain_text("general")
    become(page, "Guest")
    expect(page.get_by_role("heading", level=1)).to_contain_text("tuning")
    channels = page.get_by_role("navigation").get_by_role("link")
    expect(channels.filter(has_text="general")).to_have_count(0)
    slack.conversations_kick(channel="C0TUNING", user="U0GUEST")
    expect(page.get_by_role("heading", name="You are in no channel yet")).to_be_visible()
    assert violations(page) == []
    slack.conversations_invite(channel="C0TUNING", users="U0GUEST")
    expect(page.locator("#composer")).to_be_visible()


def test_on_a_phone_a_picked_app_puts_the_sidebar_away(open_page: OpenPage) -> None:
    page = open_page(viewport=PHONE)
    page.get_by_role("button", name="Channels").click()
    page.get_by_role("link", name="Weather not connected").click()
    expect(page.get_by_role("navigation", name="Channels")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Weather")


def test_the_sidebar_follows_an_app_that_comes_and_goes(
    open_page: OpenPage, workspace: RunningWorkspace, slack: WebClient
) -> None:
    page = open_page()
    entry = page.get_by_role("navigation").get_by_role("link").filter(has_text="Sample")
    expect(entry).to_have_accessible_name("Sample not connected")
    app = SampleApp(slack, workspace.app_token)
    expect(entry).to_have_accessible_name("Sample connected")
    app.close()
    expect(entry).to_have_accessible_name("Sample not connected")

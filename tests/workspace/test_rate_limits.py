"""Rate limits: how many calls go through, what the next one hears, and when it may come again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.workspace.limits import (
    CHANNEL,
    POSTS,
    RATES,
    TIER_1,
    TIER_2,
    TIER_3,
    TIER_4,
    Limits,
    Rate,
    rate_of,
)
from bot.workspace.methods import METHODS
from bot.workspace.timing import Clock, Timing
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST

TUNING = "C0TUNING"
GENERAL = "C0GENERAL"
APP = "A0WEATHER"


class Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limits(time: Time) -> Limits:
    return Limits(time, is_on=True)


def taken(limits: Limits, method: str, channel: str = "", *, app: str = APP) -> int:
    """How many calls go through before one is refused."""
    return next(n for n in range(1000) if limits.take(app, method, channel))


# --- the rates ------------------------------------------------------------------------------------

BY_TIER = {  # slack.md A6-A8
    "tier_2": "conversations.list chat.startStream usergroups.users.list bookmarks.add pins.add",
    "tier_3": "chat.update chat.delete chat.scheduleMessage conversations.replies chat.unfurl "
    "conversations.info conversations.join conversations.open files.delete reactions.add "
    "apps.connections.open apps.manifest.validate",
    "tier_4": "views.open views.update views.push views.publish chat.postEphemeral "
    "chat.appendStream conversations.members files.getUploadURLExternal "
    "files.completeUploadExternal files.info users.info",
    "special": "auth.test",
}
PER_MINUTE = {"tier_1": 1, "tier_2": 20, "tier_3": 50, "tier_4": 100}


@pytest.mark.parametrize(
    ("method", "tier"), [(m, tier) for tier, methods in BY_TIER.items() for m in methods.split()]
)
def test_a_method_has_slacks_tier(method: str, tier: str) -> None:
    assert rate_of(method).name == tier


@pytest.mark.parametrize("rate", [TIER_1, TIER_2, TIER_3, TIER_4], ids=lambda rate: rate.name)
def test_a_tier_allows_what_slack_promises_and_no_more(rate: Rate) -> None:
    assert rate.per_minute == rate.burst == PER_MINUTE[rate.name]


def test_every_method_of_the_workspace_has_a_tier_of_its_own() -> None:
    assert set(METHODS) - set(RATES) == set()


def test_a_method_without_a_known_tier_is_tier_3() -> None:
    assert rate_of("stars.add") is TIER_3


# --- counting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["apps.uninstall", "users.list", "chat.update", "users.info"])
def test_after_its_burst_a_method_waits_for_the_next_token(
    limits: Limits, time: Time, method: str
) -> None:
    rate = rate_of(method)
    assert taken(limits, method) == rate.burst
    wait_s = limits.take(APP, method)
    assert wait_s == -(-60 // rate.burst)  # rounded up
    time.now += 60 / rate.per_minute
    assert taken(limits, method) == 1
    time.now += 3600
    assert taken(limits, method) == rate.burst, "never more than the burst is saved up"


def test_what_is_refused_is_not_counted(limits: Limits, time: Time) -> None:
    assert taken(limits, "apps.uninstall") == 1
    for _ in range(100):
        assert limits.take(APP, "apps.uninstall") == 60
    time.now += 60
    assert limits.take(APP, "apps.uninstall") == 0


def test_methods_and_apps_do_not_use_up_each_others_rates(limits: Limits) -> None:
    assert taken(limits, "users.list") == 20
    assert taken(limits, "conversations.list") == 20
    assert taken(limits, "users.list", app="A0OTHER") == 20


def test_a_channel_takes_a_short_burst_and_then_one_message_a_second(
    limits: Limits, time: Time
) -> None:
    assert taken(limits, "chat.postMessage", TUNING) == CHANNEL.burst == 10
    assert limits.take(APP, "chat.postMessage", TUNING) == 1
    assert limits.take(APP, "chat.postMessage", GENERAL) == 0, "another channel is not concerned"
    time.now += 1
    assert taken(limits, "chat.postMessage", TUNING) == 1


def test_all_channels_together_take_several_hundred_messages_a_minute(limits: Limits) -> None:
    sent = 0
    while not limits.take(APP, "chat.postMessage", f"C{sent}"):
        sent += 1
    assert sent == POSTS.burst == 300
    assert limits.take(APP, "chat.postMessage", "CNEW") == 1


def test_switched_off_nothing_is_refused_or_counted(limits: Limits) -> None:
    limits.is_on = False
    assert not any(limits.take(APP, "apps.uninstall") for _ in range(10))
    limits.is_on = True
    assert limits.table() == []


def test_the_table_says_what_is_used_and_forgets_what_is_free_again(
    limits: Limits, time: Time
) -> None:
    for _ in range(10):
        limits.take(APP, "chat.postMessage", TUNING)
    workspace, channel = limits.table()
    assert channel == {
        "app": APP,
        "method": "chat.postMessage",
        "key": TUNING,
        "tier": "per_channel",
        "used": 10,
        "limit": 10,
        "retry_after_s": 1,
    }
    assert (workspace["key"], workspace["used"], workspace["retry_after_s"]) == ("", 10, 0)
    time.now += 10
    assert limits.table() == []


# --- on the wire ----------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    """It stands still, so that a slow machine gets no token back meanwhile."""
    return Clock(lambda: 1_800_000_000.0)


def refused(client: WebClient, method: str, **arguments: Any) -> SlackApiError | None:
    """The refusal for too many calls, if that is what this call meets."""
    try:
        client.api_call(method, json=arguments)
    except SlackApiError as error:
        return error if error.response.status_code == 429 else None
    return None


def test_a_call_too_many_is_answered_with_429_and_retry_after(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    for _ in range(20):
        client.users_list()
    limited = refused(client, "users.list")
    assert limited is not None
    assert limited.response.data == {"ok": False, "error": "ratelimited"}
    assert limited.response.headers["Retry-After"] == "3"
    entry = workspace.recorded(name="users.list")[-1]
    assert (entry["ok"], entry["status"], entry["error"]) == (False, 429, "ratelimited")
    clock.advance(3)
    client.users_list()


def test_a_channel_is_one_channel_whatever_it_is_called(client: WebClient) -> None:
    for name in ("#tuning", "tuning", TUNING) * 3:
        client.chat_postMessage(channel=name, text="x")
    client.chat_postMessage(channel=TUNING, text="x")
    assert all(
        refused(client, "chat.postMessage", channel=n, text="x") for n in ("#tuning", TUNING)
    )


def test_a_person_and_their_direct_message_are_one_channel(client: WebClient) -> None:
    im = client.chat_postMessage(channel="U0ADA", text="x")["channel"]
    for name in ("U0ADA", im, im) * 3:
        client.chat_postMessage(channel=name, text="x")
    assert refused(client, "chat.postMessage", channel="U0ADA", text="x")
    assert not refused(client, "chat.postMessage", channel="U0GRACE", text="x")


@pytest.mark.parametrize("channel", ["nowhere", "", "#", "C0NONE"])
def test_a_channel_that_is_not_there_has_no_rate(client: WebClient, channel: str) -> None:
    for _ in range(12):
        assert not refused(client, "chat.postMessage", channel=channel, text="x")


def test_wrong_calls_count_too(client: WebClient) -> None:
    for _ in range(50):
        assert not refused(client, "reactions.add", channel=TUNING)
    assert refused(client, "reactions.add", channel=TUNING)


def test_the_sdks_own_retry_gets_through(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path, MANIFEST)
    client = WebClient(
        running.bot_token,
        base_url=running.api_url,
        retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=3)],
    )
    for _ in range(11):
        assert client.chat_postMessage(channel=TUNING, text="x")["ok"]
    assert len(running.messages()) == 11
    running.stop()


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(tmp_path, MANIFEST, timing=Timing(has_rate_limits=False))
    yield running
    running.stop()


def test_a_workspace_can_do_without_limits_and_get_them_later(lenient: RunningWorkspace) -> None:
    client = WebClient(lenient.bot_token, base_url=lenient.api_url)
    for _ in range(25):
        client.users_list()
    assert lenient.control(has_rate_limits=True)["has_rate_limits"] is True
    assert next(n for n in range(100) if refused(client, "users.list")) == 20

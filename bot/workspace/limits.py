"""Slack's rate limits: how often an app may call a method, and post to a channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rate:
    """`burst` calls at once, and `per_minute` in the long run."""

    name: str
    per_minute: float
    burst: int


# Slack's promise is "at least so many a minute"; we allow no more.
TIER_1 = Rate("tier_1", 1, 1)
TIER_2 = Rate("tier_2", 20, 20)
TIER_3 = Rate("tier_3", 50, 50)
TIER_4 = Rate("tier_4", 100, 100)
# Slack: "hundreds of requests per minute".
SPECIAL = Rate("special", 300, 300)
# Slack: one message a second in a channel, "short bursts over 1" allowed, without a number. Ten is
# a start message with a handful of replies: what an app does for one act of a person, and no more.
CHANNEL = Rate("per_channel", 60, 10)
# Slack: "several hundred messages per minute" in the whole workspace.
POSTS = Rate("workspace", 300, 300)

POST = "chat.postMessage"

_METHODS: Mapping[Rate, str] = {
    TIER_1: "apps.uninstall",
    TIER_2: """
        bookmarks.add bookmarks.edit bookmarks.remove chat.startStream chat.stopStream
        conversations.archive conversations.close conversations.create conversations.list
        conversations.rename conversations.setPurpose conversations.setTopic
        conversations.unarchive emoji.list files.upload
        pins.add pins.list pins.remove reactions.list reactions.remove usergroups.list
        usergroups.users.list users.list
    """,
    TIER_3: """
        apps.connections.open apps.manifest.validate auth.revoke blocks.validate bookmarks.list
        bots.info chat.delete chat.deleteScheduledMessage chat.meMessage chat.scheduleMessage
        chat.scheduledMessages.list chat.unfurl chat.update conversations.history
        conversations.info conversations.invite conversations.join conversations.kick
        conversations.leave conversations.mark conversations.open conversations.replies
        files.delete files.list
        reactions.add reactions.get team.info users.conversations users.getPresence
        users.lookupByEmail
    """,
    TIER_4: """
        api.test chat.appendStream chat.postEphemeral conversations.members
        files.completeUploadExternal files.getUploadURLExternal files.info users.info
        users.profile.get views.open views.publish views.push views.update
    """,
    SPECIAL: "auth.test chat.getPermalink",
    POSTS: POST,
}
RATES: Mapping[str, Rate] = {
    method: rate for rate, methods in _METHODS.items() for method in methods.split()
}


def rate_of(method: str) -> Rate:
    """How often an app may call a method; tier 3 if Slack's tier is not known here."""
    return RATES.get(method, TIER_3)


@dataclass
class _Bucket:
    """Tokens that calls take and time gives back."""

    rate: Rate
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        """Gives back what the time since `at` is worth."""
        gained = max(0.0, now - self.at) * self.rate.per_minute / 60
        self.tokens = min(self.rate.burst, self.tokens + gained)
        self.at = now

    @property
    def wait_s(self) -> float:
        """Seconds until there is a token."""
        # A hair less than one is one: sums of floats come no nearer.
        return max(0.0, 1 - 1e-6 - self.tokens) * 60 / self.rate.per_minute


class Limits:
    """What every app has used of its rates. `is_on` may be switched at any time."""

    def __init__(self, now: Callable[[], float], *, is_on: bool) -> None:
        self._now = now
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}
        self.is_on = is_on

    def take(self, app_id: str, method: str, channel: str = "") -> int:
        """Counts a call; `channel` is the id of the channel that is posted to.

        Returns:
            0 if it may go through, else the whole seconds to wait (Retry-After); then nothing was
            counted.
        """
        if not self.is_on:
            return 0
        self._forget_the_full()
        due = [self._bucket((app_id, method, ""), rate_of(method))]
        if channel:
            due.append(self._bucket((app_id, method, channel), CHANNEL))
        wait_s = max(bucket.wait_s for bucket in due)
        if wait_s > 0:
            return math.ceil(wait_s)
        for bucket in due:
            bucket.tokens -= 1
        return 0

    def table(self) -> list[dict[str, Any]]:
        """Every rate of which something is used, as the inspector shows it."""
        self._forget_the_full()
        return [
            {
                "app": app_id,
                "method": method,
                "key": channel,
                "tier": bucket.rate.name,
                "used": math.ceil(bucket.rate.burst - bucket.tokens),
                "limit": bucket.rate.burst,
                "retry_after_s": math.ceil(bucket.wait_s),
            }
            for (app_id, method, channel), bucket in self._buckets.items()
        ]

    def _bucket(self, key: tuple[str, str, str], rate: Rate) -> _Bucket:
        return self._buckets.setdefault(key, _Bucket(rate, rate.burst, self._now()))

    def _forget_the_full(self) -> None:
        for key, bucket in list(self._buckets.items()):
            bucket.fill(self._now())
            if bucket.tokens >= bucket.rate.burst:
                del self._buckets[key]

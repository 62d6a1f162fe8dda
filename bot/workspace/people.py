"""Who and what is in the workspace at the start: its people, its channels, its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.workspace.installed_app import InstalledApp

TEAM_ID = "T0LOCAL"
TEAM_NAME = "Local workspace"
TEAM_DOMAIN = "local"
SLACKBOT = "USLACKBOT"


@dataclass(frozen=True)
class Person:
    """A member of the workspace, human or bot. `bot_id` and `app_id` are "" for people."""

    id: str
    name: str
    real_name: str
    color: str
    is_owner: bool = False
    is_guest: bool = False
    bot_id: str = ""
    app_id: str = ""
    email: str = ""

    @property
    def role(self) -> str:
        """owner, member, guest or bot."""
        if self.is_bot:
            return "bot"
        return "owner" if self.is_owner else "guest" if self.is_guest else "member"

    @property
    def is_bot(self) -> bool:
        """Whether no human acts as this member."""
        return bool(self.bot_id) or self.id == SLACKBOT


@dataclass(frozen=True)
class Channel:
    """A conversation. A direct message has no name: `im_user` has it with the bot `im_bot`.

    A group direct message is private and an mpim. `created` and the other times are in seconds
    since the epoch.
    """

    id: str
    name: str
    created: int
    im_user: str = ""
    im_bot: str = ""
    is_private: bool = False
    is_archived: bool = False
    creator: str = ""
    topic: str = ""
    purpose: str = ""
    is_mpim: bool = False
    topic_by: str = ""
    topic_at: int = 0
    purpose_by: str = ""
    purpose_at: int = 0

    @property
    def kind(self) -> str:
        """channel (public), group (private), im or mpim, as events and scopes have it."""
        if self.is_im:
            return "im"
        return "mpim" if self.is_mpim else "group" if self.is_private else "channel"

    @property
    def is_im(self) -> bool:
        """Whether this is a direct message."""
        return bool(self.im_user)


PEOPLE = (
    Person("U0ADA", "ada", "Ada Lovelace", "8d3daf", is_owner=True, email="ada@local.example"),
    Person("U0GRACE", "grace", "Grace Hopper", "2b7a78", email="grace@local.example"),
    Person("U0GUEST", "guest", "Guest", "9a5b13", is_guest=True, email="guest@elsewhere.example"),
    Person(SLACKBOT, "slackbot", "Slackbot", "757575"),
)
CHANNELS = (("C0GENERAL", "general"), ("C0TUNING", "tuning"))
# Guests are members of what they have been invited to, and see nothing else.
GUEST_CHANNEL = "C0TUNING"
# The app's bot is a member of this channel from the start, so that nobody has to invite it.
BOT_CHANNEL = "C0TUNING"


def bot_person(app: InstalledApp) -> Person:
    """The app's bot as a member."""
    return Person(
        app.bot_user_id,
        app.bot_name,
        app.name,
        "1264a3",
        bot_id=app.bot_id,
        app_id=app.app_id,
    )


def user_object(person: Person, *, with_email: bool = False) -> dict[str, Any]:
    """Slack's user object; the address is only for apps that may have it."""
    profile = {
        "real_name": person.real_name,
        "display_name": person.name,
        "real_name_normalized": person.real_name,
        "display_name_normalized": person.name,
        "title": "",
        "phone": "",
        "status_text": "",
        "status_emoji": "",
        "status_expiration": 0,
        "team": TEAM_ID,
    }
    if person.is_bot:
        profile |= {"bot_id": person.bot_id, "api_app_id": person.app_id}
    if person.email and with_email:
        profile["email"] = person.email
    return {
        "id": person.id,
        "team_id": TEAM_ID,
        "name": person.name,
        "deleted": False,
        "color": person.color,
        "real_name": person.real_name,
        "tz": "Etc/UTC",
        "tz_label": "Coordinated Universal Time",
        "tz_offset": 0,
        "profile": profile,
        "is_admin": person.is_owner,
        "is_owner": person.is_owner,
        "is_primary_owner": person.is_owner,
        "is_restricted": person.is_guest,
        "is_ultra_restricted": False,
        # Slack says false here for its own Slackbot.
        "is_bot": bool(person.bot_id),
        "is_app_user": False,
        "updated": 0,
    }

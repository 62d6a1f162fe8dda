"""The user groups of the workspace: one, so that apps can try who is in it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.workspace.people import TEAM_ID


@dataclass(frozen=True)
class UserGroup:
    """People who are mentioned together, as `@handle`."""

    id: str
    handle: str
    name: str
    users: tuple[str, ...]

    @property
    def body(self) -> dict[str, object]:
        """Slack's user group object, without the list of its users."""
        return {
            "id": self.id,
            "team_id": TEAM_ID,
            "is_usergroup": True,
            "is_subteam": True,
            "name": self.name,
            "description": "",
            "handle": self.handle,
            "is_external": False,
            "date_create": 0,
            "date_update": 0,
            "date_delete": 0,
            "auto_type": None,
            "auto_provision": False,
            "enterprise_subteam_id": "",
            "created_by": self.users[0],
            "updated_by": self.users[0],
            "deleted_by": None,
            "prefs": {"channels": [], "groups": []},
            "user_count": len(self.users),
        }


GROUPS = (UserGroup("S0MLTEAM", "ml-team", "ML team", ("U0ADA", "U0GRACE")),)

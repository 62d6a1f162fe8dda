"""Every Web API method of the workspace, by name."""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace import (
    api_apps,
    api_channels,
    api_chat,
    api_conversations,
    api_files,
    api_people,
    api_pins,
    api_reactions,
    api_scheduled,
    api_views,
)
from bot.workspace.api_parts import Method

METHODS: Mapping[str, Method] = {
    **api_apps.METHODS,
    **api_people.METHODS,
    **api_chat.METHODS,
    **api_views.METHODS,
    **api_files.METHODS,
    **api_conversations.METHODS,
    **api_channels.METHODS,
    **api_reactions.METHODS,
    **api_pins.METHODS,
    **api_scheduled.METHODS,
}

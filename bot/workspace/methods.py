"""Every Web API method of the workspace, by name."""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace import (
    api_channels,
    api_chat,
    api_conversations,
    api_files,
    api_people,
    api_views,
)
from bot.workspace.api_parts import Method

METHODS: Mapping[str, Method] = {
    **api_people.METHODS,
    **api_chat.METHODS,
    **api_views.METHODS,
    **api_files.METHODS,
    **api_conversations.METHODS,
    **api_channels.METHODS,
}

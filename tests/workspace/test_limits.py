"""Every limit of Slack: at the limit it passes, beyond it is refused; and no row is missing."""

from __future__ import annotations

import pytest

from bot.workspace.validate import check_message, check_view
from tests.workspace.limits import MESSAGE_LIMITS, VIEW_LIMITS


@pytest.mark.parametrize("name", MESSAGE_LIMITS)
def test_a_message_at_the_limit_passes_and_beyond_is_refused(name: str) -> None:
    good, bad, complaint = MESSAGE_LIMITS[name]
    assert [str(c) for c in check_message({"blocks": good})] == []
    assert complaint in [str(c) for c in check_message({"blocks": bad})]


@pytest.mark.parametrize("name", VIEW_LIMITS)
def test_a_view_at_the_limit_passes_and_beyond_is_refused(name: str) -> None:
    good, bad, complaint = VIEW_LIMITS[name]
    assert [str(c) for c in check_view(good)] == []
    assert complaint in [str(c) for c in check_view(bad)]

"""Channels, namespaces and contexts."""

from __future__ import annotations

import pytest

from bot.engines.katib_places import Place, Places, read_channels
from bot.errors import TuneError
from tests.experiments import wanted

TEAM = Place("team-a")
PLACES = Places(Place("default"), {"C0123": TEAM, "C0456": Place("team-b", "other")})


def test_channels_are_read_with_their_namespaces_and_contexts() -> None:
    text = "C0123=team-a, C0456=team-b@arn:aws:eks:eu:1:cluster/other"
    assert read_channels(text, "here") == {
        "C0123": Place("team-a", "here"),
        "C0456": Place("team-b", "arn:aws:eks:eu:1:cluster/other"),
    }
    assert read_channels("") == {}


@pytest.mark.parametrize("entry", ["team-a", "general=team-a", "C0123=", "C0123=Team A", "=x"])
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    with pytest.raises(TuneError, match="KATIB_TUNE_CHANNELS") as error:
        read_channels(f"C0999=ok,{entry}")
    assert entry.split()[0] in error.value.message
    assert "C0123ABCD=team-a" in error.value.hint


def test_a_channel_without_a_place_of_its_own_has_the_default_one() -> None:
    assert PLACES.of("C0123") == TEAM
    assert PLACES.of("C0999") == PLACES.of(None) == Place("default")
    assert PLACES.all == (Place("default"), TEAM, Place("team-b", "other"))


def test_another_namespace_than_the_channels_is_refused() -> None:
    [refused] = PLACES.refusal(wanted(namespace="team-b"), "C0123")
    assert refused.field == "namespace"
    assert "`team-b`" in refused.message and "`team-a`" in refused.message
    assert not list(PLACES.refusal(wanted(namespace="team-a"), "C0123"))
    assert not list(PLACES.refusal(wanted(), "C0123"))

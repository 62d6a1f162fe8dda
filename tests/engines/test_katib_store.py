"""A copy keeps the newest version of everything, in whatever order news come."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.engines.katib_store import REMEMBERED, Store
from bot.engines.katib_wire import Meta, Object

NEWS = tuple[Object | None, Object | None]


def obj(name: str, version: int, uid: str = "", *, going: bool = False) -> Object:
    at = datetime(2026, 11, 24, tzinfo=UTC) if going else None
    return Object(
        Meta(name=name, uid=uid or name, resource_version=str(version), deletion_timestamp=at)
    )


class Watched(Store[Object]):
    """A store that writes down what it tells."""

    def __init__(self) -> None:
        self.told: list[NEWS] = []
        super().__init__(lambda before, after: self.told.append((before, after)))

    def fill(self, *objects: Object, version: int = 0) -> None:
        dropped = self.listing()
        for each in objects:
            self.listed(each, dropped)
        self.complete({each.metadata.uid for each in objects}, str(version), dropped)


@pytest.fixture
def store() -> Watched:
    return Watched()


def test_a_change_is_told_once_though_it_comes_from_the_write_and_from_the_watch(
    store: Watched,
) -> None:
    first, second = obj("a", 1), obj("a", 2)
    store.came(first)
    store.put(second)
    store.came(obj("a", 2))
    assert store.told == [(None, first), (first, second)]
    assert store.get("a") is second


def test_an_older_version_replaces_nothing(store: Watched) -> None:
    store.came(obj("a", 9))
    store.put(obj("a", 10))
    store.came(obj("a", 8))
    assert store.get("a") == obj("a", 10), "numbers, not texts, are compared"


def test_what_is_deleted_is_told_with_what_it_was(store: Watched) -> None:
    store.came(obj("a", 1))
    store.went(obj("a", 2))
    assert store.told[-1] == (obj("a", 1), None)
    assert store.values() == []


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back(store: Watched) -> None:
    store.came(obj("a", 1))
    store.went(obj("a", 3))
    store.put(obj("a", 2))
    assert store.get("a") is None


def test_what_we_deleted_stays_away_while_its_finalizers_run(store: Watched) -> None:
    store.came(obj("a", 1))
    store.drop("a", "a")
    store.came(obj("a", 2, going=True))
    store.fill(obj("a", 2, going=True), version=2)
    assert store.get("a") is None
    store.went(obj("a", 3))
    assert store.told == [(None, obj("a", 1)), (obj("a", 1), None)]


def test_another_object_of_that_name_comes_in_while_the_old_one_is_remembered(
    store: Watched,
) -> None:
    store.came(obj("a", 1, "old"))
    store.drop("a", "old")
    store.put(obj("a", 5, "new"))
    store.went(obj("a", 4, "old"))
    assert store.get("a") == obj("a", 5, "new")


def test_a_successor_is_told_as_a_deletion_and_a_creation(store: Watched) -> None:
    old, new = obj("a", 1, "old"), obj("a", 5, "new")
    store.fill(old)
    store.fill(new)
    assert store.told == [(None, old), (old, None), (None, new)]


def test_to_drop_a_name_does_not_touch_another_object_of_that_name(store: Watched) -> None:
    store.came(obj("a", 5, "new"))
    store.drop("a", "old")
    assert store.get("a") == obj("a", 5, "new")


@pytest.mark.parametrize("seen_first", [True, False])
def test_what_left_the_selection_can_come_back(store: Watched, seen_first: bool) -> None:
    store.came(obj("a", 1))
    if seen_first:  # the watch was quicker than the answer to our write
        store.went(obj("a", 2))
        store.drop("a", "a")
    else:
        store.drop("a", "a")
        store.went(obj("a", 2))
    store.came(obj("a", 3))
    assert store.get("a") == obj("a", 3)


def test_what_we_took_back_is_not_lost_when_its_leaving_is_seen_late(store: Watched) -> None:
    store.came(obj("a", 1))
    store.drop("a", "a")
    store.put(obj("a", 3))
    store.went(obj("a", 2))
    assert store.get("a") == obj("a", 3)


def test_a_list_removes_what_it_does_not_have(store: Watched) -> None:
    store.fill(obj("a", 1), obj("b", 2), version=2)
    store.fill(obj("b", 2), version=9)
    assert store.values() == [obj("b", 2)]
    assert store.told[-1] == (obj("a", 1), None)


def test_a_list_that_is_older_than_our_write_does_not_remove_it(store: Watched) -> None:
    store.put(obj("a", 8))
    store.fill(version=7)
    assert store.get("a") == obj("a", 8)


def test_what_came_back_while_the_watch_was_cut_is_found_by_the_list(store: Watched) -> None:
    store.came(obj("a", 1))
    store.drop("a", "a")
    store.fill(obj("a", 7), version=8)
    assert store.get("a") == obj("a", 7)


def test_what_we_dropped_during_a_list_is_not_brought_back_by_it(store: Watched) -> None:
    store.came(obj("a", 1))
    dropped = store.listing()
    store.drop("a", "a")
    store.listed(obj("a", 1), dropped)
    store.complete({"a"}, "1", dropped)
    assert store.get("a") is None
    store.went(obj("a", 2))
    store.came(obj("a", 3))
    assert store.get("a") == obj("a", 3)


def test_a_handler_may_read_and_write_the_store() -> None:
    def copy(before: Object | None, after: Object | None) -> None:
        if after and after.metadata.name == "a":
            store.put(obj("b", 2))

    store: Store[Object] = Store(copy)
    store.came(obj("a", 1))
    assert [each.metadata.name for each in store.values()] == ["a", "b"]


def test_only_so_many_deletions_are_remembered(store: Watched) -> None:
    for number in range(REMEMBERED + 1):
        store.went(obj(f"n-{number}", 5))
    store.put(obj("n-0", 1))
    store.put(obj("n-1", 1))
    assert [each.metadata.name for each in store.values()] == ["n-0"]

"""A mirror follows a server that cuts, forgets, refuses and stays silent at chosen moments."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engines.katib_watch import PAGE, Mirror, pause_s
from bot.engines.katib_wire import KatibExperiment, Meta
from bot.engines.kube import EXPERIMENTS, Kube
from bot.engines.kube_session import Patience
from tests.engines.api_server import CUT, END, Server, experiment, kube_of, status

PATH = EXPERIMENTS.path("ml")
PATIENCE = Patience(connect_s=5, read_s=5, watch_s=5)
SILENCE_S = 0.3
LONG_S = 10.0


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


Start = Callable[..., Mirror[KatibExperiment]]


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Start]:
    """Starts a mirror that never pauses."""
    kubes: list[Kube] = []
    mirrors: list[Mirror[KatibExperiment]] = []

    def started(*, patience: Patience = PATIENCE, **more: Any) -> Mirror[KatibExperiment]:
        kubes.append(kube_of(server, tmp_path, patience))
        more = {"pause_s": lambda failures: 0.005, **more}
        mirrors.append(Mirror(kubes[-1], PATH, KatibExperiment, **more))
        mirrors[-1].start()
        return mirrors[-1]

    yield started
    for mirror in mirrors:
        mirror.close()
    for kube in kubes:
        kube.close()


def until(condition: Callable[[], object], what: str) -> None:
    """Waits until it holds."""
    end = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < end, f"not within {LONG_S} s: {what}"
        time.sleep(0.005)


def names(mirror: Mirror[KatibExperiment]) -> list[str]:
    return sorted(each.metadata.name for each in mirror.values())


def test_it_lists_in_pages_and_then_only_watches(server: Server, start: Start) -> None:
    for number in range(2 * PAGE + 1):
        server.put(f"e-{number}", silently=True)
    mirror = start(label="katib-tune/experiment")
    assert mirror.wait(LONG_S)
    assert len(mirror.values()) == 2 * PAGE + 1
    assert [query.get("continue") for query in server.lists] == [None, str(PAGE), str(2 * PAGE)]
    assert {query["labelSelector"] for query in server.lists} == {"katib-tune/experiment"}
    server.put("later")
    until(lambda: mirror.get("later"), "the event")
    assert len(server.lists) == 3
    assert server.watches == [
        {
            "labelSelector": "katib-tune/experiment",
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(2 * PAGE + 1),
        }
    ]


def test_every_change_is_told_with_before_and_after(server: Server, start: Start) -> None:
    told: list[tuple[str | None, str | None]] = []

    def version(obj: KatibExperiment | None) -> str | None:
        return obj.metadata.resource_version if obj else None

    server.put("a", silently=True)
    mirror = start(changed=lambda before, after: told.append((version(before), version(after))))
    mirror.wait(LONG_S)
    server.put("a")
    server.remove("a")
    until(lambda: len(told) == 3, "three changes")
    assert told == [(None, "1"), ("1", "2"), ("2", None)]


@pytest.mark.parametrize("ending", [CUT, END], ids=["cut", "ended"])
def test_a_watch_that_ends_goes_on_from_the_last_version_without_a_list(
    server: Server, start: Start, ending: object
) -> None:
    server.put("a", silently=True)
    mirror = start()
    mirror.wait(LONG_S)
    server.put("b")
    server.events.put(ending)
    server.put("c")
    until(lambda: names(mirror) == ["a", "b", "c"], "c")
    assert len(server.lists) == 1
    assert [query["resourceVersion"] for query in server.watches] == ["1", "2"]
    assert mirror.error is None


def test_a_bookmark_moves_the_version_from_which_it_goes_on(server: Server, start: Start) -> None:
    mirror = start()
    mirror.wait(LONG_S)
    meta = {"resourceVersion": "77", "creationTimestamp": None}
    server.tell("BOOKMARK", {"kind": "Experiment", "metadata": meta})
    server.events.put(CUT)
    until(lambda: len(server.watches) == 2, "the second watch")
    assert server.watches[1]["resourceVersion"] == "77"
    assert names(mirror) == []


@pytest.mark.parametrize("by", ["event", "answer"])
def test_a_version_that_is_forgotten_leads_to_a_new_list(
    server: Server, start: Start, by: str
) -> None:
    server.put("a", silently=True)
    server.put("b", silently=True)
    mirror = start()
    mirror.wait(LONG_S)
    until(lambda: server.watches, "the watch")
    server.remove("a", silently=True)
    server.put("c", silently=True)
    expired = status(410, "Expired", "too old resource version")
    if by == "event":
        server.tell("ERROR", expired)
    else:
        server.watch_refusals.put((410, json.dumps(expired).encode()))
        server.events.put(CUT)
    until(lambda: names(mirror) == ["b", "c"], "what a new list has")
    until(lambda: len(server.watches) == (2 if by == "event" else 3), "the next watch")
    assert len(server.lists) == 2
    assert mirror.error is None


def test_a_page_that_is_forgotten_begins_the_list_again(server: Server, start: Start) -> None:
    for number in range(PAGE + 1):
        server.put(f"e-{number}", silently=True)
    expired = json.dumps(status(410, "Expired")).encode()

    def once() -> None:
        server.refusals.put((410, expired))
        server.between_pages = lambda: None

    server.between_pages = once
    mirror = start()
    until(lambda: len(mirror.values()) == PAGE + 1 and mirror.wait(0.01), "the list")
    assert len(server.lists) == 4


def test_an_error_is_known_at_once_and_gone_when_it_is_over(server: Server, start: Start) -> None:
    forbidden = json.dumps(status(403, "Forbidden", 'experiments.kubeflow.org is forbidden: User '
                                  '"bot" cannot list resource "experiments" in API group '
                                  '"kubeflow.org" in the namespace "ml"')).encode()  # fmt: skip
    server.refusals.put((403, forbidden))
    hold = threading.Event()
    mirror = start(pause_s=lambda failures: float(not hold.wait(LONG_S)))
    begun = time.monotonic()
    assert mirror.wait(LONG_S) is False
    assert time.monotonic() - begun < LONG_S / 2
    assert mirror.error is not None
    assert "`bot` may not list `experiments.kubeflow.org`" in mirror.error.message
    hold.set()
    until(lambda: mirror.error is None, "the error's end")
    assert mirror.wait(LONG_S) is True


def test_a_watch_that_is_refused_is_an_error_and_needs_no_new_list(
    server: Server, start: Start
) -> None:
    server.put("a", silently=True)
    for _ in range(3):
        server.watch_refusals.put((500, json.dumps(status(500, "InternalError")).encode()))
    mirror = start()
    until(lambda: len(server.watches) == 4, "the fourth watch")
    until(lambda: mirror.error is None, "the error's end")
    assert len(server.lists) == 1
    assert names(mirror) == ["a"]


def test_an_api_server_that_is_away_is_an_error_and_what_is_known_stays(
    server: Server, start: Start
) -> None:
    server.put("a", silently=True)
    mirror = start()
    mirror.wait(LONG_S)
    server.stop()
    until(lambda: mirror.error, "the error")
    assert "cannot be reached" in str(mirror.error)
    assert names(mirror) == ["a"]


def test_a_watch_that_stays_silent_is_opened_again_without_an_error(
    server: Server, start: Start
) -> None:
    mirror = start(patience=Patience(watch_s=SILENCE_S))
    mirror.wait(LONG_S)
    until(lambda: len(server.watches) >= 2, "the second watch")
    assert mirror.error is None
    assert len(server.lists) == 1


def test_failures_in_a_row_are_paused_for_longer_and_longer(server: Server, start: Start) -> None:
    for _ in range(4):
        server.refusals.put((500, b"{}"))
    paused: list[int] = []

    def pause(failures: int) -> float:
        paused.append(failures)
        return 0.0

    mirror = start(pause_s=pause)
    until(lambda: mirror.wait(0.01), "the list")
    assert paused == [1, 2, 3, 4]


def test_a_busy_api_server_is_left_alone_for_as_long_as_it_asks(
    server: Server, start: Start
) -> None:
    busy = {**status(429, "TooManyRequests"), "details": {"retryAfterSeconds": 1}}
    server.refusals.put((429, json.dumps(busy).encode()))
    begun = time.monotonic()
    mirror = start()
    until(lambda: mirror.wait(0.01), "the list")
    assert time.monotonic() - begun >= 1


def test_a_watch_that_ends_at_once_each_time_counts_as_a_failure(
    server: Server, start: Start
) -> None:
    paused: list[int] = []

    def pause(failures: int) -> float:
        paused.append(failures)
        return 0.0

    for _ in range(3):
        server.events.put(END)
    start(pause_s=pause)
    until(lambda: len(server.watches) == 4, "the fourth watch")
    assert paused == [1, 2, 3]


def test_a_pause_grows_and_has_an_end() -> None:
    longest = {failures: max(pause_s(failures) for _ in range(200)) for failures in (1, 3, 5, 50)}
    assert longest[1] <= 0.5 < longest[5] <= 8
    assert longest[50] <= 30


def test_an_object_that_cannot_be_read_does_not_hide_the_others(
    server: Server, start: Start
) -> None:
    server.put("a", silently=True)
    server.objects["broken"] = {**experiment("broken", 2), "spec": {"maxTrialCount": "many"}}
    server.version = 2
    mirror = start()
    mirror.wait(LONG_S)
    assert names(mirror) == ["a"]
    server.tell("MODIFIED", {**experiment("broken", 3), "spec": []})
    server.put("b")
    until(lambda: names(mirror) == ["a", "b"], "b")
    assert len(server.watches) == 1


def test_an_answer_that_is_no_json_is_an_error_that_says_so(server: Server, start: Start) -> None:
    server.refusals.put((200, b"<html>Please log in</html>"))
    mirror = start(pause_s=lambda failures: LONG_S)
    assert mirror.wait(LONG_S) is False
    assert "something else than JSON" in str(mirror.error)


def test_our_own_write_is_there_at_once_and_is_not_undone_by_older_news(
    server: Server, start: Start
) -> None:
    server.put("a", silently=True)
    mirror = start()
    mirror.wait(LONG_S)
    ours = KatibExperiment(Meta(name="a", uid="a", resource_version="9", labels={"by": "us"}))
    mirror.put(ours)
    assert mirror.get("a") is ours
    server.put("a", labels={"by": "them"})
    server.put("b")
    until(lambda: mirror.get("b"), "b")
    assert mirror.get("a") is ours
    mirror.drop("a", "a")
    assert mirror.get("a") is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_is_seen_and_it_begins_again(server: Server, start: Start) -> None:
    faults = iter([True])

    def changed(before: object, after: object) -> None:
        if next(faults, False):
            raise ZeroDivisionError

    server.put("a", silently=True)
    errors: list[object] = []

    def pause(failures: int) -> float:
        errors.append(mirror.error)
        return 0.0

    hold = threading.Event()
    mirror = start(changed=changed, pause_s=lambda n: (hold.wait(LONG_S), pause(n))[1])
    hold.set()
    until(lambda: mirror.error is None and mirror.wait(0.01), "the list")
    assert "by a fault of the bot's" in str(errors[0])
    server.put("b")
    until(lambda: names(mirror) == ["a", "b"], "b")


def test_to_close_ends_a_thread_that_waits_for_news(server: Server, start: Start) -> None:
    mirror = start()
    mirror.wait(LONG_S)
    until(lambda: server.watches, "the watch")
    begun = time.monotonic()
    mirror.close()
    assert time.monotonic() - begun < 2
    assert f"watch {PATH}" not in {thread.name for thread in threading.enumerate()}
    mirror.close()

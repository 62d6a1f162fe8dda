"""The inspector's entries as values: the pure modules of the page, asked in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.sample_app import MANIFEST
from tests.harness import RunningWorkspace

pytestmark = pytest.mark.browser

ROWS = "/static/inspector-rows.js"


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page for all: nothing here leaves a trace in it."""
    running = RunningWorkspace(tmp_path_factory.mktemp("workspace"), MANIFEST)
    opened = browser.new_page()
    opened.goto(running.page_url)
    yield opened
    opened.close()
    running.stop()


def call(page: Page, function: str, *arguments: Any, module: str = ROWS) -> Any:
    """What a function of a module of the page answers; a Map comes as pairs."""
    script = """async ([module, name, given]) => {
        const answer = (await import(module))[name](...given);
        return answer instanceof Map ? [...answer] : answer;
    }"""
    return page.evaluate(script, [module, function, list(arguments)])


def entry(n: int, **fields: Any) -> dict[str, Any]:
    """One entry as GET /ui/inspector answers it."""
    return {
        "n": n,
        "at": 1_790_000_000 + n,
        "kind": "call",
        "app": "A0SAMPLE",
        "name": "chat.postMessage",
        "ok": True,
        "status": 200,
        "error": "",
        "ms": 2.5,
        "complaints": [],
        "request": {},
        "answer": {"ok": True},
        **fields,
    }


def numbers(entries: list[dict[str, Any]]) -> list[int]:
    return [one["n"] for one in entries]


def test_an_entry_that_waited_is_read_again_and_takes_the_place_of_its_former_self(
    page: Page,
) -> None:
    known = [entry(1), entry(2, ms=None), entry(3)]
    assert call(page, "sinceOf", known) == 1
    merged = call(page, "merged", known, [entry(2, ms=40), entry(4)], False)
    assert numbers(merged) == [1, 2, 3, 4]
    assert merged[1]["ms"] == 40
    assert call(page, "sinceOf", merged) == 4


def test_a_workspace_that_counts_from_one_again_forgets_what_was_before(page: Page) -> None:
    known = [entry(n) for n in range(1, 6)]
    again = [entry(1, at=1_800_000_000)]
    assert call(page, "merged", known, again, True) == again
    assert call(page, "merged", known, [], True) == []
    # The same workspace after a lost connection: it keeps fewer entries than the page.
    assert numbers(call(page, "merged", known, [entry(5), entry(6)], True)) == [*range(1, 7)]


def test_only_the_latest_two_thousand_entries_are_kept(page: Page) -> None:
    kept = call(page, "merged", [entry(n) for n in range(1, 1999)], [entry(5000)] * 3, False)
    assert len(kept) == 1999
    kept = call(page, "merged", kept, [entry(n) for n in range(6000, 6100)], False)
    assert (len(kept), kept[-1]["n"]) == (2000, 6099)


@pytest.mark.parametrize(
    ("fields", "words", "level"),
    [
        ({}, "ok", "good"),
        ({"ms": None}, "waiting", "pending"),
        ({"ok": False, "error": "invalid_blocks"}, "invalid_blocks", "bad"),
        ({"ok": False, "error": "ratelimited", "status": 429}, "ratelimited", "slow"),
        ({"ok": False, "status": 503}, "status 503", "bad"),
        ({"kind": "http"}, "ok, 200", "good"),
    ],
)
def test_the_outcome_stands_in_words(
    page: Page, fields: dict[str, Any], words: str, level: str
) -> None:
    outcome = call(page, "outcomeOf", entry(1, **fields))
    assert outcome == {"words": words, "level": level}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [1, 2, 3, 4]),
        ({"kind": "envelope"}, [2]),
        ({"app": "A0OTHER"}, [3]),
        ({"onlyFailures": True}, [3]),
        ({"text": "users"}, [4]),
        ({"text": "HELLO"}, [1]),
        ({"text": "users", "app": "A0OTHER"}, []),
    ],
)
def test_the_filter_knows_kind_app_text_and_failures(
    page: Page, wanted: dict[str, Any], found: list[int]
) -> None:
    entries = [
        entry(1, request={"text": "Hello"}),
        entry(2, kind="envelope", name="interactive block_actions", ms=None, ok=False),
        entry(3, app="A0OTHER", ok=False, error="not_in_channel"),
        entry(4, name="users.list"),
    ]
    everything = {"kind": "", "app": "", "text": "", "onlyFailures": False}
    assert numbers(call(page, "chosen", entries, everything | wanted)) == found


def test_a_complaint_is_taken_apart_into_words_and_pointer(page: Page) -> None:
    given = entry(
        1,
        complaints=[
            "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
            "no pointer at all",
        ],
    )
    assert call(page, "complaintsOf", given) == [
        {"words": "must be less than 3001 characters", "pointer": "/blocks/0/text/text"},
        {"words": "no pointer at all", "pointer": None},
    ]


def test_complaints_stand_at_their_place_or_at_the_nearest_one_that_exists(
    page: Page,
) -> None:
    request = {"blocks": [{"type": "section", "a/b": 1}]}
    complaints = [
        {"words": "wrong", "pointer": "/blocks/0/a~1b"},
        {"words": "missing", "pointer": "/blocks/0/text/text"},
        {"words": "elsewhere", "pointer": "/view"},
        {"words": "nowhere", "pointer": None},
    ]
    assert call(page, "marksOf", request, complaints) == [
        ["/blocks/0/a~1b", ["wrong"]],
        ["/blocks/0", ["missing (/text/text)"]],
        ["", ["elsewhere (/view)"]],
    ]


def test_json_inside_a_form_encoded_call_is_read(page: Page) -> None:
    given = {"text": "[not json", "blocks": '[{"type": "divider"}]', "limit": 3}
    read = call(page, "unpacked", given)
    assert read == {"text": "[not json", "blocks": [{"type": "divider"}], "limit": 3}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (10, "10 s"), (70, "1 min 10 s"), (18_000, "5 h"), (19_811, "5 h 30 min")],
)
def test_spans_of_time_are_written_with_their_two_largest_units(
    page: Page, seconds: int, words: str
) -> None:
    assert call(page, "span", seconds) == words


@pytest.mark.parametrize(
    ("ms", "words"),
    [(None, "…"), (0.42, "0.4 ms"), (41.2, "41 ms"), (3021, "3021 ms"), (12_345, "12.3 s")],
)
def test_durations_are_as_exact_as_they_are_read(page: Page, ms: float | None, words: str) -> None:
    assert call(page, "duration", ms) == words


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            {"kind": "ratelimited", "on": "chat.update", "times": 1, "seconds": 5},
            "The next call of chat.update answers 429 with Retry-After 5 s",
        ),
        (
            {"kind": "drop_ack", "on": "slash_commands", "times": None},
            "Every slash command is delivered, but the acknowledgement is lost",
        ),
        (
            {"kind": "error", "on": "*", "app": "A0SAMPLE", "times": 3},
            "Each of the next 3 calls from A0SAMPLE answers 503, and nothing has been done",
        ),
        (
            {"kind": "slow_file", "on": "*", "times": 2, "seconds": 10},
            "Each of the next 2 files can be used after 10 s",
        ),
    ],
)
def test_a_fault_is_told_in_one_sentence(page: Page, fault: dict[str, Any], sentence: str) -> None:
    script = """async fault =>
        (await import('/static/inspector-faults.js')).sentenceOf(fault, id => id)"""
    assert page.evaluate(script, fault) == sentence


@pytest.mark.parametrize(
    "pasted",
    ["abc-123", "  abc-123\n", "http://127.0.0.1:3000/?token=abc-123", "…/?x=1&token=abc-123#C0"],
)
def test_the_page_token_is_found_in_whatever_was_pasted(page: Page, pasted: str) -> None:
    assert call(page, "tokenIn", pasted, module="/static/locked.js") == "abc-123"

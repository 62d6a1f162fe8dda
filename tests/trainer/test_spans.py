"""The best span of a window, and SQuAD's comparison of answers, against examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.spans import best_span, exact_match, f1, normalised


def test_the_best_span_has_the_highest_sum_and_does_not_end_before_it_begins() -> None:
    start, end = np.array([9.0, 1, 5, 2, 0, 9]), np.array([9.0, 7, 1, 4, 0, 9])
    # Tokens 1 to 4: (1, 1) has 8, (2, 3) has 9; (2, 1) would have 12.
    assert best_span(start, end, range(1, 5), 30) == (9.0, 2, 3)
    assert best_span(start, end, range(1, 5), 1) == (8.0, 1, 1)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 5))
def test_the_best_span_is_that_of_a_search_through_all(seed: int, size: int, longest: int) -> None:
    chance = np.random.default_rng(seed)
    start, end = chance.normal(size=(2, size + 4))
    inside = range(2, 2 + size)
    spans = [(start[i] + end[j], i, j) for i in inside for j in inside if 0 <= j - i < longest]
    assert best_span(start, end, inside, longest) == max(spans)


def test_answers_are_compared_without_case_punctuation_articles_and_spaces() -> None:
    assert normalised("  The  U.S. Army, and a theory!") == "us army and theory"


@pytest.mark.parametrize(
    ("found", "actual", "exact", "overlap"),
    [
        ("the Eiffel Tower", ["Eiffel tower."], 1, 1),
        ("Eiffel", ["Eiffel tower"], 0, 2 * 1 / (1 + 2)),
        ("in Paris in May", ["Paris", "in May 1990"], 0, 2 * 2 / (4 + 3)),
        ("no no no", ["no"], 0, 2 * 1 / (3 + 1)),
        ("Rome", ["Paris"], 0, 0),
        ("", ["Paris"], 0, 0),
        ("Paris", [], 0, 0),
        ("", [], 1, 1),
        ("the", [], 1, 1),
    ],
)
def test_answers_score_as_in_squads_script(
    found: str, actual: list[str], exact: float, overlap: float
) -> None:
    assert exact_match(found, actual) == exact
    assert f1(found, actual) == pytest.approx(overlap)

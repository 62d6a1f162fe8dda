"""Entities in tags of every usual scheme, and their scores, against examples worked by hand."""

from __future__ import annotations

import pytest

from trainer.entities import entities, entity_scores, is_scheme


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O B-LOC", [("PER", 0, 1), ("LOC", 3, 3)]),  # IOB2
        ("B-PER B-PER I-PER", [("PER", 0, 0), ("PER", 1, 2)]),
        ("I-PER I-PER O I-LOC", [("PER", 0, 1), ("LOC", 3, 3)]),  # IOB1
        ("I-PER B-PER I-PER", [("PER", 0, 0), ("PER", 1, 2)]),
        ("I-PER I-LOC", [("PER", 0, 0), ("LOC", 1, 1)]),  # a type that changes begins anew
        ("B-PER I-LOC I-LOC", [("PER", 0, 0), ("LOC", 1, 2)]),
        ("B-PER I-PER E-PER S-LOC", [("PER", 0, 2), ("LOC", 3, 3)]),  # BIOES
        ("S-PER S-PER O B-PER E-PER", [("PER", 0, 0), ("PER", 1, 1), ("PER", 3, 4)]),
        ("B-PER E-PER I-PER", [("PER", 0, 1), ("PER", 2, 2)]),
        ("E-PER O E-LOC", [("PER", 0, 0), ("LOC", 2, 2)]),
        ("B-PER I-PER L-PER U-LOC U-LOC", [("PER", 0, 2), ("LOC", 3, 3), ("LOC", 4, 4)]),  # BILOU
        ("B-event-time I-event-time", [("event-time", 0, 1)]),
    ],
)
def test_entities_are_read_as_conlleval_reads_them(
    tags: str, expected: list[tuple[str, int, int]]
) -> None:
    assert entities(tags.split()) == expected


def test_an_entity_counts_only_with_its_type_and_both_its_ends() -> None:
    actual = ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    found = ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    # The example of seqeval's README: one of two is right.
    assert entity_scores(split(found), split(actual)) == dict.fromkeys(
        ("precision", "recall", "f1"), 0.5
    )


def test_precision_and_recall_differ_where_more_is_said_than_there_is() -> None:
    actual = ["B-PER I-PER O O O O B-LOC"]
    found = ["B-PER I-PER B-PER O B-ORG O B-PER"]
    # 4 said, 2 there, 1 right.
    assert entity_scores(split(found), split(actual)) == pytest.approx(
        {"precision": 1 / 4, "recall": 1 / 2, "f1": 2 * 1 / (4 + 2)}
    )


def test_an_entity_does_not_reach_into_the_next_text() -> None:
    assert entity_scores(split(["B-PER", "I-PER"]), split(["B-PER", "I-PER"]))["recall"] == 1
    assert entities(["B-PER"]) + entities(["I-PER"]) == [("PER", 0, 0)] * 2


def test_where_nothing_is_said_or_there_the_scores_are_0() -> None:
    none = {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert entity_scores(split(["O O"]), split(["O O"])) == none
    assert entity_scores(split(["O O"]), split(["B-PER O"])) == none


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("O B-PER I-PER", True),
        ("B-NP I-NP", True),
        ("S-X E-X U-Y L-Y", True),
        ("NOUN VERB", False),
        ("O PER", False),
        ("O", False),
        ("O B-PER X", False),
    ],
)
def test_tags_mark_entities_if_all_have_a_prefix(names: str, expected: bool) -> None:
    assert is_scheme(names.split()) is expected


def split(lines: list[str]) -> list[list[str]]:
    return [line.split() for line in lines]

"""Options that apps have suggested for external selects: a person can choose only what was offered.

They live in memory, as what is typed into a page does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

PLACES_REMEMBERED = 1000
OPTIONS_REMEMBERED = 1000

Option = dict[str, Any]
Element = tuple[str, str]


def message_place(channel: str, ts: str) -> str:
    """The name of a message as a place where options are offered; a view's is its id."""
    return f"{channel}/{ts}"


class Offers:
    """For each person and place the options that each element (block_id, action_id) has offered,
    by value. Of two with one value the later counts, and the oldest are forgotten first.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], dict[Element, dict[str, Option]]] = OrderedDict()

    def put(self, person: str, place: str, element: Element, options: Sequence[Option]) -> None:
        """Keeps what an element has just offered."""
        elements = self._kept.setdefault((person, place), {})
        self._kept.move_to_end((person, place))
        known = elements.setdefault(element, {})
        for option in options:
            known.pop(option["value"], None)
            known[option["value"]] = option
        for value in list(known)[: max(0, len(known) - OPTIONS_REMEMBERED)]:
            del known[value]
        while len(self._kept) > PLACES_REMEMBERED:
            self._kept.popitem(last=False)

    def of(self, person: str, place: str) -> Mapping[Element, Sequence[Option]]:
        """What the elements of a place have offered this person."""
        elements = self._kept.get((person, place), {})
        return {element: list(options.values()) for element, options in elements.items()}

"""What may stand on a surface: the blocks of a message, and the two kinds of view."""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace.block_rules import HOME, MESSAGE, MODAL, SIMPLE_BLOCKS, BlockRule
from bot.workspace.card_rules import NESTING_BLOCKS
from bot.workspace.element_rules import plain
from bot.workspace.rules import Array, Flag, Object, Rule, String, Tagged, typed

BLOCKS: Mapping[str, BlockRule] = {**SIMPLE_BLOCKS, **NESTING_BLOCKS}


def blocks_on(surface: str) -> Tagged:
    """Any block that may stand on this surface."""
    return Tagged({kind: b.rule for kind, b in BLOCKS.items() if surface in b.surfaces})


# --- views ------------------------------------------------------------------------------------

VIEW_COMMON: Mapping[str, Rule] = {
    "private_metadata": String(3000, least=0),
    "callback_id": String(255, least=0),
    "external_id": String(255, least=0),
}
VIEWS: Mapping[str, Object] = {
    "modal": typed(
        "modal",
        {
            **VIEW_COMMON,
            "title": plain(24),
            "submit": plain(24),
            "close": plain(24),
            "blocks": Array(blocks_on(MODAL), least=1, most=100),
            "clear_on_close": Flag(),
            "notify_on_close": Flag(),
        },
        "title",
        "blocks",
    ),
    "home": typed("home", {**VIEW_COMMON, "blocks": Array(blocks_on(HOME), most=100)}, "blocks"),
}
MESSAGE_BLOCKS = Array(blocks_on(MESSAGE), most=50)

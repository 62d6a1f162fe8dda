"""What a person can do with an element of a block: find it, what it holds at first, what may be
put in (pure).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.workspace.block_rules import RICH_TEXT
from bot.workspace.card_rules import CHILDREN, SEVERAL, walk
from bot.workspace.refusals import UiRefused
from bot.workspace.rules import Complaints

Json = dict[str, Any]
Blocks = Sequence[Mapping[str, Any]]

_TEXT = ("value", "initial_value")
_ONE = ("selected_option", "initial_option")
_MANY = ("selected_options", "initial_options")
# Element type -> its key in state values, and the key of what it holds at first.
STATE_KEYS: Mapping[str, tuple[str, str]] = {
    "plain_text_input": _TEXT,
    "number_input": _TEXT,
    "static_select": _ONE,
    "external_select": _ONE,
    "radio_buttons": _ONE,
    "checkboxes": _MANY,
    "multi_static_select": _MANY,
    "multi_external_select": _MANY,
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "email_text_input": _TEXT,
    "url_text_input": _TEXT,
    "rich_text_input": ("rich_text_value", "initial_value"),
    # Nothing can be in it at first.
    "file_input": ("files", ""),
}
# How values of these keys are written.
_WRITTEN: Mapping[str, tuple[str, str]] = {
    "selected_date": (r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "YYYY-MM-DD"),
    "selected_time": (r"([01]\d|2[0-3]):[0-5]\d", "HH:mm"),
}
_OPTION_KEYS = ("selected_option", "selected_options")


def elements_of(block: Mapping[str, Any]) -> Iterator[Json]:
    """The elements of a block that have an action_id."""
    several = block.get(SEVERAL.get(block["type"], ""), [])
    for element in (block.get("accessory"), block.get("element"), *several):
        if element is not None and element["type"] != "image":
            yield element


def with_ids(blocks: Blocks, new_id: Iterator[str]) -> list[Json]:
    """The blocks with a block_id and an action_id wherever the app gave none, as Slack does."""

    def named(element: Mapping[str, Any]) -> Json:
        interactive = element["type"] != "image"
        return {"action_id": next(new_id), **element} if interactive else dict(element)

    out = []
    for block in blocks:
        full: Json = {"block_id": next(new_id), **block}
        for name in ("accessory", "element"):
            if name in full:
                full[name] = named(full[name])
        several = SEVERAL.get(full["type"], "")
        if several in full:
            full[several] = [named(element) for element in full[several]]
        inside = CHILDREN.get(full["type"], "")
        if inside in full:
            full[inside] = with_ids(full[inside], new_id)
        out.append(full)
    return out


def find_element(blocks: Blocks, block_id: str, action_id: str) -> tuple[Json, Json]:
    """The block and the element with these ids; UiRefused if there is none."""
    for _, block in walk(blocks, ""):
        if block["block_id"] == block_id:
            for element in elements_of(block):
                if element["action_id"] == action_id:
                    return dict(block), element
    raise UiRefused(f"There is nothing with action {action_id!r} in block {block_id!r} here.")


def offered(element: Mapping[str, Any]) -> list[Json]:
    """The options of a menu, a group of buttons or an overflow."""
    groups = element.get("option_groups", [])
    return [*element.get("options", []), *(o for group in groups for o in group["options"])]


def _is_many(kind: str) -> bool:
    return kind in ("checkboxes", "file_input") or kind.startswith("multi_")


def initial_entry(element: Mapping[str, Any], current: str = "") -> Json:
    """The state value of an element that nobody has touched; `current` as for state_values."""
    kind = element["type"]
    key, initial = STATE_KEYS[kind]
    empty: Any = [] if _is_many(kind) else None
    if current and element.get("default_to_current_conversation"):
        empty = [current] if _is_many(kind) else current
    return {"type": kind, key: element.get(initial, empty)}


def state_values(blocks: Blocks, before: Mapping[str, Any], *, current: str = "") -> Json:
    """State values of these blocks: what an element held `before` under the same ids and type,
    else its initial value. `current` is the conversation that the person looks at ("" for none).
    """
    values: Json = {}
    for _, block in walk(blocks, ""):
        for element in elements_of(block):
            if element["type"] in STATE_KEYS:
                held = before.get(block["block_id"], {}).get(element["action_id"])
                entry = held if _still_fits(element, held) else initial_entry(element, current)
                values.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return values


def _still_fits(element: Mapping[str, Any], held: Mapping[str, Any] | None) -> bool:
    """Whether what an element held before can be held by this one."""
    kind = element["type"]
    if held is None or held["type"] != kind:
        return False
    key, _ = STATE_KEYS[kind]
    if key not in _OPTION_KEYS or "external" in kind or not held[key]:
        return True
    chosen = held[key] if isinstance(held[key], list) else [held[key]]
    return {o["value"] for o in chosen} <= {o["value"] for o in offered(element)}


def entered(
    blocks: Blocks,
    given: Mapping[str, Any],
    before: Mapping[str, Any],
    offers: Mapping[tuple[str, str], Sequence[Json]],
) -> Json:
    """State values after a person has put in `given`; UiRefused if that cannot be put in.

    `offers` are the options that external selects, by block_id and action_id, have suggested.
    """
    values = state_values(blocks, before)
    for block_id, actions in given.items():
        for action_id, entry in actions.items():
            _, element = find_element(blocks, block_id, action_id)
            if element["type"] not in STATE_KEYS:
                raise UiRefused(
                    f"Nothing can be put into {action_id!r}: it is a {element['type']}."
                )
            known = _known(element, values[block_id][action_id])
            known += offers.get((block_id, action_id), ())
            values[block_id][action_id] = entry_for(element, entry, known)
    return values


def _known(element: Mapping[str, Any], held: Mapping[str, Any]) -> list[Json]:
    """The options that a person can choose: of an external select those which it has at first or
    holds.
    """
    if "external" not in element["type"]:
        return offered(element)
    key, initial = STATE_KEYS[element["type"]]
    if key == "selected_option":
        return [option for option in (element.get(initial), held[key]) if option]
    return [*element.get(initial, []), *held[key]]


def entry_for(
    element: Mapping[str, Any], given: Mapping[str, Any], options: Sequence[Json]
) -> Json:
    """The state value of an element that a person set; UiRefused for a choice that is not among
    the options.
    """
    kind = element["type"]
    key, _ = STATE_KEYS[kind]
    value = given.get(key)
    if given.get("type", kind) != kind:
        raise UiRefused(f"{element['action_id']!r} is a {kind}, not a {given['type']}.")
    if value is not None and not isinstance(value, _value_type(key)):
        raise UiRefused(f"{key} of {element['action_id']!r} cannot be {value!r}.")
    if key in _OPTION_KEYS:
        value = _choose(element, value, options)
    if key == "files":
        value = [_named_file(element, file) for file in given.get(key) or ()]
    if value:
        _refuse_unwritten(element, key, value)
    return {"type": kind, key: None if value == "" else value}


def _named_file(element: Mapping[str, Any], file: Any) -> Json:
    """A file by its id, however the page named it."""
    file_id = file.get("id") if isinstance(file, dict) else file
    if not isinstance(file_id, str):
        raise UiRefused(f"A file of {element['action_id']!r} cannot be {file!r}.")
    return {"id": file_id}


def _refuse_unwritten(element: Mapping[str, Any], key: str, value: Any) -> None:
    """UiRefused for a value that Slack's client could not have made."""
    name = repr(element["action_id"])
    pattern, written = _WRITTEN.get(key, ("", ""))
    if pattern and not re.fullmatch(pattern, value):
        raise UiRefused(f"{key} of {name} must be written {written}, not {value!r}.")
    most = element.get("max_selected_items")
    if most is not None and len(value) > most:
        raise UiRefused(f"At most {most} can be chosen in {name}, not {len(value)}.")
    if key == "rich_text_value":
        out: Complaints = []
        RICH_TEXT.check(value, "", out)
        if out:
            raise UiRefused(f"{name} holds no rich text: {out[0]}.")


def _value_type(key: str) -> type:
    if key in ("selected_option", "rich_text_value"):
        return dict
    if key == "selected_date_time":
        return int
    return list if key.endswith("s") else str


def _choose(element: Mapping[str, Any], chosen: Any, options: Sequence[Json]) -> Any:
    """The offered options that have the chosen values, whole, as Slack sends them."""
    if chosen is None:
        return None
    by_value = {option["value"]: option for option in options}
    several = chosen if isinstance(chosen, list) else [chosen]
    for option in several:
        if option.get("value") not in by_value:
            words = f"{option.get('value')!r} is not offered by {element['action_id']!r}"
            raise UiRefused(f"{words}: {', '.join(by_value)}.")
    whole = [by_value[option["value"]] for option in several]
    return whole if isinstance(chosen, list) else whole[0]


def response_menus(blocks: Blocks) -> Iterator[tuple[str, Json]]:
    """The menus of a form that ask for a response URL, each with its block_id."""
    for _, block in walk(blocks, ""):
        if block["type"] == "input" and block["element"].get("response_url_enabled"):
            yield block["block_id"], block["element"]


def input_blocks(blocks: Blocks) -> set[str]:
    """Ids of the blocks that can show an error."""
    return {block["block_id"] for _, block in walk(blocks, "") if block["type"] == "input"}

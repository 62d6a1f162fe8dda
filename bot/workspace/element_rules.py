"""The table of elements and composition objects: buttons, menus, inputs, options, confirmations.

Limits are Slack's published ones; where sources differ the stricter is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.workspace.rules import (
    Array,
    Choice,
    Complaint,
    Complaints,
    Flag,
    Number,
    Object,
    Rule,
    String,
    Tagged,
    one_of,
    typed,
)

ID = String(255)
URL = String(3000, pattern=r"[a-z][a-z0-9+.-]*:\S+")
USERS = Array(ID, least=1)
# --- composition objects ---------------------------------------------------------------------


def plain(most: int) -> Rule:
    """A plain_text object."""
    return Tagged({"plain_text": plain_text(most)}, "must be a valid enum value")


def text(most: int) -> Rule:
    """A plain_text or mrkdwn object."""
    kinds = {"plain_text": plain_text(most), "mrkdwn": mrkdwn_text(most)}
    return Tagged(kinds, "must be a valid enum value")


def plain_text(most: int) -> Object:
    """A plain_text object, as a rule without a choice of kinds."""
    return typed("plain_text", {"text": String(most), "emoji": Flag()}, "text")


def mrkdwn_text(most: int) -> Object:
    """A mrkdwn object, as a rule without a choice of kinds."""
    return typed("mrkdwn", {"text": String(most), "verbatim": Flag()}, "text")


CONFIRM = Object(
    {
        "title": plain(100),
        "text": text(300),
        "confirm": plain(30),
        "deny": plain(30),
        "style": Choice(("primary", "danger")),
    },
    ("title", "text", "confirm", "deny"),
)


def option(label: Rule, **more: Rule) -> Object:
    """One option of a menu or a group of buttons."""
    return Object({"text": label, "value": String(150), **more}, ("text", "value"))


OPTION = option(plain(75), description=plain(75))
RICH_OPTION = option(text(75), description=plain(75))
LINK_OPTION = option(plain(75), description=plain(75), url=URL)
OPTION_GROUP = Object(
    {"label": plain(75), "options": Array(OPTION, least=1, most=100)}, ("label", "options")
)
OPTIONS: Mapping[str, Rule] = {
    "options": Array(OPTION, least=1, most=100),
    "option_groups": Array(OPTION_GROUP, least=1, most=100),
}
SLACK_FILE = Object({"id": String(255), "url": String(3000)}, extra=(one_of("id", "url"),))
DISPATCH = Object(
    {"trigger_actions_on": Array(Choice(("on_enter_pressed", "on_character_entered")), 1, 2)}
)
CONVERSATION_FILTER = Object(
    {
        "include": Array(Choice(("im", "mpim", "private", "public")), least=1),
        "exclude_external_shared_channels": Flag(),
        "exclude_bot_users": Flag(),
    }
)

# --- elements --------------------------------------------------------------------------------

INTERACTIVE: Mapping[str, Rule] = {"action_id": ID, "confirm": CONFIRM}
FOCUS: Mapping[str, Rule] = {"focus_on_load": Flag()}
SELECT: Mapping[str, Rule] = {**INTERACTIVE, **FOCUS, "placeholder": plain(150)}
MULTI: Mapping[str, Rule] = {**SELECT, "max_selected_items": Number(least=1, whole=True)}
TYPED_IN: Mapping[str, Rule] = {
    "action_id": ID,
    **FOCUS,
    "placeholder": plain(150),
    "dispatch_action_config": DISPATCH,
}
RESPONSE_URL: Mapping[str, Rule] = {"response_url_enabled": Flag()}
CONVERSATIONS: Mapping[str, Rule] = {
    "default_to_current_conversation": Flag(),
    "filter": CONVERSATION_FILTER,
}


def _offered(value: Mapping[str, object]) -> list[object]:
    groups = value.get("option_groups", [])
    listed = value.get("options", [])
    assert isinstance(groups, list) and isinstance(listed, list)
    return [*listed, *(option for group in groups for option in group["options"])]


def initial_options_are_offered(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """What is chosen at first must be one of the options, word for word."""
    offered = _offered(value)
    if "initial_option" in value and value["initial_option"] not in offered:
        out.append(Complaint("must match one of the options", f"{at}/initial_option"))
    chosen = value.get("initial_options", [])
    assert isinstance(chosen, list)
    for index, item in enumerate(chosen):
        if item not in offered:
            out.append(Complaint("must match one of the options", f"{at}/initial_options/{index}"))


def menu_has_options(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """Options or groups of them, not both, and the initial ones among them."""
    before = len(out)
    one_of("options", "option_groups")(value, at, out)
    if len(out) == before:
        initial_options_are_offered(value, at, out)


def initial_value_fits(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """min_length <= max_length, and the initial text within them."""
    low, high = value.get("min_length", 0), value.get("max_length", 3000)
    initial = value.get("initial_value")
    assert isinstance(low, int) and isinstance(high, int)
    if low > high:
        out.append(Complaint(f"must be less than or equal to {high}", f"{at}/min_length"))
    elif isinstance(initial, str) and initial and not low <= len(initial) <= high:
        words = f"must be between {low} and {high} characters"
        out.append(Complaint(words, f"{at}/initial_value"))


DECIMAL = String(pattern=r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
DATE = String(pattern=r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
TIME = String(pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]")


def numbers_fit(value: Mapping[str, object], at: str, out: Complaints) -> None:
    """Whole numbers if decimals are not allowed; min_value <= initial_value <= max_value."""
    given = {k: str(value[k]) for k in ("min_value", "initial_value", "max_value") if k in value}
    if not value.get("is_decimal_allowed"):
        for name, number in given.items():
            if "." in number:
                out.append(Complaint("must be an integer", f"{at}/{name}"))
    in_order = [float(number) for number in given.values()]
    if in_order != sorted(in_order):
        out.append(Complaint("min_value, initial_value and max_value must be in this order", at))


def _select(kind: str, initial: str, rule: Rule, **more: Rule) -> Object:
    return typed(kind, {**SELECT, initial: rule, **more})


def _multi(kind: str, initial: str, rule: Rule, **more: Rule) -> Object:
    return typed(kind, {**MULTI, initial: Array(rule, least=1, most=100), **more})


BUTTON = typed(
    "button",
    {
        **INTERACTIVE,
        "text": plain(75),
        "url": URL,
        "value": String(2000),
        "style": Choice(("primary", "danger")),
        "accessibility_label": String(75),
        "agent_prompt": String(4000),
        "agent_prompt_display": String(75),
        "visible_to_user_ids": USERS,
    },
    "text",
)
FEEDBACK = Object(
    {"text": plain(75), "value": String(2000), "accessibility_label": String(75)},
    ("text", "value"),
)
IMAGE_SOURCE: Mapping[str, Rule] = {
    "image_url": URL,
    "slack_file": SLACK_FILE,
    "alt_text": String(2000),
}
IMAGE_ELEMENT = typed("image", IMAGE_SOURCE, "alt_text", extra=one_of("image_url", "slack_file"))
ELEMENTS: Mapping[str, Object] = {
    "button": BUTTON,
    "image": IMAGE_ELEMENT,
    "static_select": typed(
        "static_select", {**SELECT, **OPTIONS, "initial_option": OPTION}, extra=menu_has_options
    ),
    "multi_static_select": typed(
        "multi_static_select",
        {**MULTI, **OPTIONS, "initial_options": Array(OPTION, least=1, most=100)},
        extra=menu_has_options,
    ),
    "external_select": _select(
        "external_select",
        "initial_option",
        OPTION,
        min_query_length=Number(least=0, whole=True),
    ),
    "multi_external_select": _multi(
        "multi_external_select",
        "initial_options",
        OPTION,
        min_query_length=Number(least=0, whole=True),
    ),
    "users_select": _select("users_select", "initial_user", ID),
    "multi_users_select": _multi("multi_users_select", "initial_users", ID),
    "channels_select": _select("channels_select", "initial_channel", ID, **RESPONSE_URL),
    "multi_channels_select": _multi("multi_channels_select", "initial_channels", ID),
    "conversations_select": _select(
        "conversations_select", "initial_conversation", ID, **RESPONSE_URL, **CONVERSATIONS
    ),
    "multi_conversations_select": _multi(
        "multi_conversations_select", "initial_conversations", ID, **CONVERSATIONS
    ),
    "radio_buttons": typed(
        "radio_buttons",
        {
            **INTERACTIVE,
            **FOCUS,
            "options": Array(RICH_OPTION, least=1, most=10),
            "initial_option": RICH_OPTION,
        },
        "options",
        extra=initial_options_are_offered,
    ),
    "checkboxes": typed(
        "checkboxes",
        {
            **INTERACTIVE,
            **FOCUS,
            "options": Array(RICH_OPTION, least=1, most=10),
            "initial_options": Array(RICH_OPTION, least=1, most=10),
        },
        "options",
        extra=initial_options_are_offered,
    ),
    "overflow": typed(
        "overflow", {**INTERACTIVE, "options": Array(LINK_OPTION, least=1, most=5)}, "options"
    ),
    "datepicker": typed("datepicker", {**SELECT, "initial_date": DATE}),
    "timepicker": typed(
        "timepicker",
        {
            **SELECT,
            "initial_time": TIME,
            "timezone": String(255),
        },
    ),
    "datetimepicker": typed(
        "datetimepicker",
        {
            **INTERACTIVE,
            **FOCUS,
            "initial_date_time": Number(least=1_000_000_000, most=9_999_999_999, whole=True),
        },
    ),
    "email_text_input": typed(
        "email_text_input", {**TYPED_IN, "initial_value": String(3000, pattern=r"\S+@\S+")}
    ),
    "url_text_input": typed("url_text_input", {**TYPED_IN, "initial_value": URL}),
    "file_input": typed(
        "file_input",
        {
            "action_id": ID,
            "filetypes": Array(String(255), least=1),
            "max_files": Number(least=1, most=10, whole=True),
        },
    ),
    "feedback_buttons": typed(
        "feedback_buttons",
        {"action_id": ID, "positive_button": FEEDBACK, "negative_button": FEEDBACK},
        "positive_button",
        "negative_button",
    ),
    "icon_button": typed(
        "icon_button",
        {
            **INTERACTIVE,
            "icon": Choice(("trash",)),
            "text": plain(75),
            "value": String(2000),
            "accessibility_label": String(75),
            "visible_to_user_ids": USERS,
        },
        "icon",
        "text",
    ),
    "plain_text_input": typed(
        "plain_text_input",
        {
            **TYPED_IN,
            "initial_value": String(3000, least=0),
            "multiline": Flag(),
            "min_length": Number(least=0, most=3000, whole=True),
            "max_length": Number(least=1, most=3000, whole=True),
        },
        extra=initial_value_fits,
    ),
    "number_input": typed(
        "number_input",
        {
            **TYPED_IN,
            "is_decimal_allowed": Flag(),
            "initial_value": DECIMAL,
            "min_value": DECIMAL,
            "max_value": DECIMAL,
        },
        "is_decimal_allowed",
        extra=numbers_fit,
    ),
}
MODAL_ONLY_ELEMENTS = frozenset({"number_input", "file_input", "rich_text_input"})
TEXT_INPUTS = ("plain_text_input", "number_input", "email_text_input", "url_text_input")

ONE_CHOICE = (
    "static_select",
    "external_select",
    "users_select",
    "channels_select",
    "conversations_select",
    "radio_buttons",
    "checkboxes",
    "datepicker",
    "timepicker",
)
MANY_CHOICE = (
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_channels_select",
    "multi_conversations_select",
)


def elements(kinds: Iterable[str]) -> Tagged:
    """Any of these elements."""
    return Tagged({kind: ELEMENTS[kind] for kind in kinds})

"""The form: spec data as a view, and a submitted view as spec data. Pure.

A block's id is its TuneSpec field. What is shown but was neither typed nor changed is a default:
it is not read back, so that defaults go on following the model, the method and the algorithm.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from bot import prior, spec
from bot.errors import SpecError, TuneError
from bot.slack import blocks as b
from bot.slack import fields
from bot.slack.blocks import FORM, FORM_REBUILDS, FORM_SECTIONS, FORM_YAML, Block
from bot.spec import Frozen, TuneSpec

__all__ = [
    "FORM",
    "FORM_REBUILDS",
    "FORM_SECTIONS",
    "FormContext",
    "again",
    "banner_of",
    "checking",
    "context_of",
    "field_errors",
    "loading",
    "read",
    "read_spec",
    "started",
    "view",
    "with_sections",
]

TITLE = "Start an Experiment"
BANNER = "banner"
MAX_ERRORS = 15
SHIPPED = {"model_uri": "default", "dataset": "default"}
# The texts of defaults that never change.
STATIC = {name: fields.show(name, value) for name, value in {**fields.DEFAULTS, **SHIPPED}.items()}


class FormContext(Frozen):
    """What a form remembers between two payloads, in its private_metadata.

    `typed` are the fields that hold something typed, `too_long` those whose value does not fit
    into an input.
    """

    channel: str
    user: str
    sections: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()
    too_long: tuple[str, ...] = ()


def loading() -> dict[str, Any]:
    """The small view that is opened at once, while the trigger lives."""
    return b.modal(TITLE, [b.section("⏳ One moment …")])


def checking() -> dict[str, Any]:
    """What a submitted form shows until it is known whether the Experiment starts."""
    text = "⏳ *Checking and starting …*\nYou may close this: the channel will show it."
    return b.modal(TITLE, [b.section(text)])


def started(name: str, permalink: str | None) -> dict[str, Any]:
    """What a submitted form shows when the Experiment exists."""
    link = f"<{permalink}|Follow it in its thread.>" if permalink else "Its card is in the channel."
    return b.modal(TITLE, [b.section(f"🚀 *{name}* is started.\n{link}")])


def view(
    data: Mapping[str, Any],
    *,
    context: FormContext,
    errors: Mapping[str, str] | None = None,
    banner: str = "",
) -> dict[str, Any]:
    """The form, filled with spec data as typed (not checked) and defaults for the rest.

    Args:
        errors: sentences by field, shown under their inputs. banner: a sentence on top.
    """
    filled = _filled(data)
    typed = {field: fields.show(field, filled[field]) for field in data if field in spec.FIELDS}
    return _drawn(typed, context, errors or {}, banner)


def with_sections(submitted: Mapping[str, Any]) -> dict[str, Any]:
    """The same form after a change of its sections, method or algorithm; what was typed stays."""
    ticked = _state(submitted).get(FORM_SECTIONS, "")
    context = context_of(submitted).model_copy(update={"sections": tuple(ticked.split())})
    return _drawn(_typed(submitted), context, {}, "")


def again(submitted: Mapping[str, Any], error: TuneError) -> dict[str, Any]:
    """The form as it was submitted, with what was wrong at its fields and in a banner."""
    errors: dict[str, str] = {}
    others: list[str] = []
    for each in error.all if isinstance(error, SpecError) else (error,):
        if each.field in spec.FIELDS and not _pasted(submitted):
            errors[each.field] = f"{errors.get(each.field, '')} {each}".strip()
        else:
            others.append(str(each))
    named = [f"`{field}`: {sentence}" for field, sentence in errors.items()]
    banner = " ".join(["Not started.", *others, *named])
    return _drawn(_typed(submitted), context_of(submitted), errors, banner)


def banner_of(shown: Mapping[str, Any]) -> str:
    """What a form says is wrong, as one message for whoever closed it meanwhile."""
    said = [
        str(block["text"]["text"])
        for block in shown["blocks"]
        if str(block.get("block_id", "")).startswith(BANNER)
    ]
    return "\n".join(said)


def context_of(submitted: Mapping[str, Any]) -> FormContext:
    """The context of a form that came back.

    Raises:
        TuneError: it is not one that we made.
    """
    try:
        return FormContext.model_validate_json(str(submitted.get("private_metadata", "")))
    except ValidationError as error:
        raise TuneError("This form is from another time.", hint="Open a new one.") from error


def read(submitted: Mapping[str, Any]) -> dict[str, Any]:
    """Spec data from a submitted form: what was typed or changed, or the pasted YAML.

    Raises:
        SpecError: what cannot be parsed, by field.
    """
    if pasted := _pasted(submitted):
        return _read_yaml(pasted)
    typed = _typed(submitted)
    data: dict[str, Any] = {}
    errors: list[SpecError] = []
    for field, text in typed.items():
        try:
            data[field] = fields.read(field, text)
        except SpecError as error:
            errors += error.all
    errors += [_too_long(field) for field in context_of(submitted).too_long if field not in typed]
    if errors:
        raise SpecError.of(errors)
    return _with_shipped(data)


def read_spec(submitted: Mapping[str, Any]) -> TuneSpec:
    """The spec that a submitted form asks for, completed and named.

    Raises:
        SpecError: what cannot be run, by field.
    """
    data = prior.complete(read(submitted))
    if not data.get("name"):
        data["name"] = prior.suggest_name(data, _suffix(submitted))
    return spec.read(data)


def field_errors(error: SpecError, submitted: Mapping[str, Any]) -> dict[str, str]:
    """The errors by visible block, for an ack; {} if one has no block there: then use `again`."""
    errors: dict[str, str] = {}
    for each in error.all:
        field = FORM_YAML if _pasted(submitted) else each.field
        # Slack shows them as plain text, in which a backtick is a backtick.
        sentence = re.sub("`([^`]*)`", r"“\1”", str(each))
        errors[field] = f"{errors.get(field, '')} {sentence}".strip()
    if not errors.keys() <= _inputs(submitted).keys():
        return {}
    return {field: b.clip(text, b.MAX_SECTION) for field, text in errors.items()}


# Drawing


def _drawn(
    typed: Mapping[str, str], context: FormContext, errors: Mapping[str, str], banner: str
) -> dict[str, Any]:
    """The form for typed texts; everything else shows its default."""
    filled = _filled(_readable(typed))
    texts = {field: fields.show(field, filled[field]) for field in spec.FIELDS} | dict(typed)
    too_long = tuple(
        field for field, text in texts.items()
        if len(text) > b.MAX_INPUT or (field in context.too_long and field not in typed)
    )  # fmt: skip
    texts |= dict.fromkeys(too_long, "")
    errors = {**{field: str(_too_long(field)) for field in too_long}, **errors}
    errors = dict(list(errors.items())[:MAX_ERRORS])  # a view has 100 blocks; the banner names all
    opened = tuple(
        name for name, labels in fields.SECTIONS.items()
        if name in context.sections or any(f in typed or f in errors for f in labels)
    )  # fmt: skip
    kept = context.model_copy(
        update={"typed": tuple(typed), "sections": opened, "too_long": too_long}
    )
    hints = fields.hints(filled)

    def drawn(labels: Mapping[str, str]) -> Iterator[Block]:
        for field, words in labels.items():
            yield _input(field, words, texts[field], hints[field], is_typed=field in typed)
            if field in errors:
                wrong = b.section(f"⚠️ {b.escape(errors[field])}")
                yield {**wrong, "block_id": f"{BANNER}:{field}"}

    shown = [*_top(banner), *drawn(fields.ALWAYS), _section_boxes(opened)]
    for name in opened:
        shown += [b.header(fields.SECTION_TITLES[name]), *drawn(fields.SECTIONS[name])]
    shown += [b.divider(), _yaml_input(typed.get(FORM_YAML, ""))]
    return b.modal(
        TITLE, shown, callback_id=FORM, submit="Start", close="Cancel",
        metadata=kept.model_dump_json(exclude_defaults=True),
    )  # fmt: skip


def _input(field: str, words: str, text: str, hint: str, *, is_typed: bool) -> Block:
    element = fields.element(field, text, _action_id(field, text, is_typed))
    # NB: a custom objective has no model and no dataset, so their defaults may be cleared.
    optional = not STATIC[field] or field in SHIPPED
    return b.form_input(
        field, fields.label(field, words), element,
        hint="" if hint == f"{words}." else hint,
        optional=optional, dispatch=field in FORM_REBUILDS,
    )  # fmt: skip


def _top(banner: str) -> list[Block]:
    hello = "Start at once, or change what you like: every value here is a sensible default."
    if not banner:
        return [b.context(b.mrkdwn(hello))]
    return [{**b.section(f"⚠️ {b.escape(banner)}"), "block_id": BANNER}]


def _action_id(field: str, text: str, is_typed: bool) -> str:
    """The field; with a digest for a default that is computed.

    Slack keeps what an input holds while block_id and action_id stay, and shows its new initial
    value when the action_id is another: so a changed default is seen, and typed text is safe.
    """
    if is_typed or text in (STATIC.get(field), ""):
        return field
    return f"{field}.{_digest(text)}"


def _section_boxes(opened: Iterable[str]) -> Block:
    boxes = b.checkboxes(FORM_SECTIONS, fields.SECTION_TITLES, opened)
    hint = "A section that holds something you typed stays open."
    return b.form_input(FORM_SECTIONS, "Show more", boxes, hint=hint, dispatch=True)


def _yaml_input(text: str) -> Block:
    element = b.text_input(FORM_YAML, text, placeholder="model_uri: default", multiline=True)
    hint = "As /katib-best shows it. When it is filled, it counts instead of the fields."
    return b.form_input(FORM_YAML, "Or paste a spec (YAML)", element, hint=hint)


def _filled(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with a value for every field: what is known about tuning, else the spec's default."""
    known = {name: value for name, value in data.items() if name in spec.FIELDS}
    completed = prior.complete(_with_shipped(known))
    return {**fields.DEFAULTS, **completed}


def _with_shipped(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the shipped model and dataset where none is named and one is needed."""
    if data.get("objective_function") or data.get("objective_image"):
        return dict(data)
    from_s3 = spec.has_data_in_s3(data)
    shipped = {k: v for k, v in SHIPPED.items() if not (from_s3 and k == "dataset")}
    return {**shipped, **{k: v for k, v in data.items() if v or k not in shipped}}


def _readable(typed: Mapping[str, str]) -> dict[str, Any]:
    """Spec data of the texts that can be parsed; the others are shown as they are."""
    data: dict[str, Any] = {}
    for field, text in typed.items():
        try:
            if field in spec.FIELDS:
                data[field] = fields.read(field, text)
        except SpecError:
            continue
    return data


def _too_long(field: str) -> SpecError:
    return SpecError(
        f"`{field}` is longer than a field of a form, which takes {b.MAX_INPUT} characters.",
        hint="Shorten it here, or start it with `katib-tune tune -f FILE`.",
        field=field,
    )


# Reading


def _typed(submitted: Mapping[str, Any]) -> dict[str, str]:
    """The texts that were typed or changed, in the order of the form."""
    before, context = _inputs(submitted), context_of(submitted)
    return {
        field: text
        for field, text in _state(submitted).items()
        if field != FORM_SECTIONS
        and text.strip()
        and (field in context.typed or text != before[field])
    }


def _state(submitted: Mapping[str, Any]) -> dict[str, str]:
    """What every input holds now, as text."""
    values = submitted.get("state", {}).get("values", {})
    return {
        field: _text(next(iter(values[field].values()))) if field in values else initial
        for field, initial in _inputs(submitted).items()
    }


def _inputs(submitted: Mapping[str, Any]) -> dict[str, str]:
    """What every input held when the form was drawn, as text, by block id."""
    return {
        str(block["block_id"]): _text(block["element"], "initial_")
        for block in submitted["blocks"]
        if block["type"] == "input"
    }


def _text(element: Mapping[str, Any], initial: str = "") -> str:
    """The text of an input, as drawn (its `initial_` keys) or as submitted."""
    kind = element["type"]
    if kind == "static_select":
        option = element.get("initial_option" if initial else "selected_option")
        return str(option["value"]) if option else ""
    if kind == "checkboxes":
        options = element.get("initial_options" if initial else "selected_options") or ()
        return " ".join(str(option["value"]) for option in options)
    return str(element.get(f"{initial}value") or "")


def _pasted(submitted: Mapping[str, Any]) -> str:
    return _state(submitted).get(FORM_YAML, "").strip()


def _read_yaml(text: str) -> dict[str, Any]:
    try:
        return spec.data_from_yaml(text)
    except SpecError as error:
        raise SpecError(error.message, hint=error.hint, field=FORM_YAML) from error


def _suffix(submitted: Mapping[str, Any]) -> str:
    """Four characters that are the same whenever this form is read: pressing twice starts once."""
    return _digest(str(submitted.get("id", "")))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:4]

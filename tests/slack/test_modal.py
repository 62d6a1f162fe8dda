"""The form: filled from spec data, read back as spec data, with nothing lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from bot import prior, spec
from bot.errors import EngineError, SpecError, TuneError
from bot.slack import blocks, command, fields, modal
from bot.spec import TuneSpec
from bot.workspace.validate import check_view
from tests.experiments import wanted
from tests.specs import SPECS

CONTEXT = modal.FormContext(channel="C0TUNING", user="U0ADA")
NASTY = "<!channel> <@U0ADA> & *bold* `code` 🎉 "


def state(element: Mapping[str, Any], text: str | None) -> dict[str, Any]:
    """What Slack says of one input: what it was drawn with, unless somebody changed it."""
    if element["type"] == "plain_text_input":
        value = element.get("initial_value") if text is None else text or None
        return {"type": element["type"], "value": value}
    if element["type"] == "checkboxes":
        options = element.get("initial_options", [])
        if text is not None:
            options = [o for o in element["options"] if o["value"] in text.split()]
        return {"type": element["type"], "selected_options": options}
    option = element.get("initial_option")
    if text is not None:
        option = next(o for o in element["options"] if o["value"] == text)
    return {"type": element["type"], "selected_option": option}


def submitted(view: Mapping[str, Any], **typed: str) -> dict[str, Any]:
    """The view as Slack sends it back, with `typed` in its inputs."""
    values = {
        block["block_id"]: {
            block["element"]["action_id"]: state(
                block["element"], typed.pop(block["block_id"], None)
            )
        }
        for block in view["blocks"]
        if block["type"] == "input"
    }
    assert not typed, f"no such inputs: {typed}"
    return json.loads(json.dumps({**view, "id": "V123", "state": {"values": values}}))  # type: ignore[no-any-return]


def form(data: Mapping[str, Any] | None = None, **typed: str) -> dict[str, Any]:
    """A form, opened with `data`, in which somebody typed."""
    return submitted(modal.view(data or {}, context=CONTEXT), **typed)


def reopened(view: Mapping[str, Any], **typed: str) -> dict[str, Any]:
    """A view that we drew again, as Slack sends it back."""
    return submitted(view, **typed)


def inputs(view: Mapping[str, Any]) -> dict[str, Any]:
    return {b["block_id"]: b["element"] for b in view["blocks"] if b["type"] == "input"}


def shown(view: Mapping[str, Any]) -> str:
    return json.dumps(view, ensure_ascii=False)


# Nothing is lost


@settings(max_examples=60, deadline=None)
@given(SPECS)
def test_spec_to_form_to_spec_loses_nothing(asked: TuneSpec) -> None:
    data = spec.to_data(asked)
    back = modal.read_spec(form(data))
    assert back == spec.read(prior.complete(data))
    # What was asked for stays asked for (an engine refuses only what was), except for nothing.
    assert {field for field, value in data.items() if value not in (None, [], {})} <= (
        back.model_fields_set
    )


def test_a_completed_spec_comes_back_as_it_was() -> None:
    asked = wanted(gpu=2, env_per_trial={"A": "1"}, early_stopping="medianstop", seed=0)
    assert modal.read_spec(form(spec.to_data(asked))) == asked


def test_start_at_once_is_a_sensible_run() -> None:
    asked = modal.read_spec(form())
    assert asked == spec.read(
        {**prior.complete({"model_uri": "default", "dataset": "default"}), "name": asked.name}
    )
    assert asked.name.startswith("minilm-movie-reviews-")


def test_the_same_submission_has_the_same_name() -> None:
    assert modal.read_spec(form()).name == modal.read_spec(form()).name


def test_every_field_of_the_spec_can_be_reached() -> None:
    everything = modal.view(
        {}, context=CONTEXT.model_copy(update={"sections": tuple(fields.SECTIONS)})
    )
    reached = [field for field in inputs(everything) if field in spec.FIELDS]
    assert sorted(reached) == sorted(spec.FIELDS) and len(reached) == len(set(reached))


def test_the_few_that_matter_come_first_and_the_rest_is_folded() -> None:
    assert list(inputs(modal.view({}, context=CONTEXT))) == [
        *fields.ALWAYS, blocks.FORM_SECTIONS, blocks.FORM_YAML,
    ]  # fmt: skip


def test_each_input_says_its_word_and_what_it_is_for() -> None:
    view = modal.view({}, context=CONTEXT)
    by_id = {block.get("block_id"): block for block in view["blocks"]}
    assert by_id["max_trial_count"]["label"]["text"] == "Trials in all (max_trial_count)"
    assert by_id["split"]["hint"]["text"] == "Rows to train on, e.g. train[:1000]."
    assert "MiniLM" in by_id["training_parameters"]["hint"]["text"]


def test_what_has_a_default_must_be_filled_but_for_model_and_dataset() -> None:
    view = modal.view({}, context=CONTEXT)
    optional = {b["block_id"] for b in view["blocks"] if b["type"] == "input" and b["optional"]}
    assert {"name", "model_uri", "dataset", "eval_split", "seed", "yaml"} <= optional
    assert not {"max_trial_count", "method", "objective_type"} & optional


# What was typed


def test_what_was_typed_in_the_line_is_in_the_form() -> None:
    line = "form org/model on imdb learning_rate=1e-5..1e-4:log trials=4 gpu=1 for=2h"
    data = command.parse_tune(line).data
    view = modal.view(data, context=CONTEXT)
    assert inputs(view)["model_uri"]["initial_value"] == "org/model"
    assert "learning_rate=1e-05..0.0001:log" in inputs(view)["training_parameters"]["initial_value"]
    assert inputs(view)["max_duration_seconds"]["initial_value"] == "2h"
    assert inputs(view)["gpu"]["initial_value"] == "1"
    back = modal.read(submitted(view))
    assert {k: back[k] for k in data if k != "training_parameters"} == {
        k: v for k, v in data.items() if k != "training_parameters"
    }


def test_what_is_typed_in_the_form_is_read() -> None:
    asked = modal.read_spec(
        form(
            name="mine",
            model_uri=" org/model ",
            training_parameters="learning_rate=1e-5..1e-3:log\nnum_train_epochs=1..3",
            lora_config="r=8,16",
            algorithm_name="random",
            max_trial_count="4",
            max_duration_seconds="1h30m",
        )
    )
    assert (asked.name, asked.model_uri, asked.max_duration_seconds) == ("mine", "org/model", 5400)
    assert set(asked.searched) == {"learning_rate", "num_train_epochs", "r"}
    assert (asked.algorithm_name, asked.max_trial_count) == ("random", 4)


def test_a_default_that_was_left_alone_follows_the_method() -> None:
    asked = modal.read_spec(form(method="full"))
    assert asked.lora_config == {} and set(asked.searched) == {"learning_rate"}


def test_a_cleared_input_is_its_default() -> None:
    asked = modal.read_spec(form({"gpu": 2, "max_trial_count": 4}, gpu="", max_trial_count=""))
    assert (asked.gpu, asked.max_trial_count) == (0, 10)


def test_a_pasted_spec_counts_instead_of_the_fields() -> None:
    asked = wanted(max_trial_count=7)
    assert modal.read_spec(form(yaml=spec.to_yaml(asked), max_trial_count="3")) == asked


def test_a_pasted_spec_without_a_name_gets_one() -> None:
    pasted = "model_uri: org/model\ndataset: imdb\n"
    assert modal.read_spec(form(yaml=pasted)).name.startswith("model-imdb-")


# Sections


def test_a_section_opens_when_it_is_ticked_and_keeps_what_was_typed() -> None:
    opened = modal.with_sections(form(max_trial_count="ten", form_sections="resources"))
    assert "gpu" in inputs(opened) and "namespace" not in inputs(opened)
    assert inputs(opened)["max_trial_count"]["initial_value"] == "ten"
    assert blocks.FORM_SECTIONS in inputs(opened)


def test_a_section_that_holds_something_typed_opens_by_itself_and_stays_open() -> None:
    view = modal.view({"gpu": 2}, context=CONTEXT)
    assert inputs(view)["gpu"]["initial_value"] == "2"
    again = modal.with_sections(submitted(view, form_sections=""))
    assert inputs(again)["gpu"]["initial_value"] == "2"
    assert "cpu" in inputs(again)


def test_a_closed_section_is_gone_when_it_holds_nothing() -> None:
    opened = modal.with_sections(form(form_sections="resources cluster"))
    closed = modal.with_sections(reopened(opened, form_sections="cluster"))
    assert "gpu" not in inputs(closed) and "namespace" in inputs(closed)


def test_another_method_shows_its_own_defaults_in_fresh_inputs() -> None:
    before = modal.view({}, context=CONTEXT)
    after = modal.with_sections(submitted(before, method="full"))
    old, new = inputs(before)["training_parameters"], inputs(after)["training_parameters"]
    assert old["initial_value"] != new["initial_value"]
    # Slack keeps what an input holds as long as its ids stay.
    assert old["action_id"] != new["action_id"]
    assert "initial_value" not in inputs(after)["lora_config"]
    assert inputs(after)["model_uri"]["action_id"] == inputs(before)["model_uri"]["action_id"]


def test_drawing_it_again_and_again_changes_nothing() -> None:
    first = form({"gpu": 2, "seed": 3}, training_parameters="learning_rate=1e-5..1e-3:log")
    second = submitted(modal.with_sections(first))
    third = submitted(modal.with_sections(second))
    assert modal.read_spec(first) == modal.read_spec(second) == modal.read_spec(third)
    assert modal.with_sections(second) == modal.with_sections(third)


# What is wrong


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("max_trial_count", "ten", "whole number, not “ten”"),
        ("max_trial_count", "0", "at least 1"),
        ("seed", "1.5", "whole number"),
        ("max_duration_seconds", "soon", "90s, 30m or 2h, not “soon”"),
        ("training_parameters", "learning_rate=1e-3..1e-5", "above the upper end"),
        ("training_parameters", "learnin_rate=1e-5..1e-3", "learning_rate"),
        ("lora_config", "r=8 16", "16"),
        ("name", "Not Good", "a-z"),
        ("yaml", "a: [", "no YAML"),
        ("yaml", "max_trial_count: 5\nmodel: x", "model"),
    ],
)
def test_an_error_is_a_sentence_under_its_field(field: str, text: str, said: str) -> None:
    view = form(**{field: text})
    with pytest.raises(SpecError) as refused:
        modal.read_spec(view)
    errors = modal.field_errors(refused.value, view)
    assert list(errors) == [field] and said in errors[field]


def test_all_errors_are_told_at_once() -> None:
    view = form(max_trial_count="ten", seed="x", max_duration_seconds="soon")
    with pytest.raises(SpecError) as refused:
        modal.read_spec(view)
    assert set(modal.field_errors(refused.value, view)) == {
        "max_trial_count", "seed", "max_duration_seconds",
    }  # fmt: skip


def test_an_error_of_a_hidden_field_opens_its_section_and_keeps_what_was_typed() -> None:
    view = form(max_trial_count="4")
    error = SpecError("There are no GPUs here.", field="gpu")
    assert modal.field_errors(error, view) == {}
    again = modal.again(view, error)
    assert "There are no GPUs here." in shown(again) and "gpu" in inputs(again)
    assert inputs(again)["max_trial_count"]["initial_value"] == "4"
    assert "`gpu`" in modal.banner_of(again) and "no GPUs" in modal.banner_of(again)
    assert modal.read_spec(reopened(again)).max_trial_count == 4


def test_an_error_of_no_field_is_a_banner() -> None:
    again = modal.again(form(), EngineError("The disk is full.", hint="Free some space."))
    assert modal.banner_of(again) == "⚠️ Not started. The disk is full. Free some space."
    assert check_view(again) == ()


def test_an_error_in_what_was_pasted_is_told_with_the_paste_kept() -> None:
    pasted = "model_uri: default\ndataset: default\ngpu: 8\n"
    view = form(yaml=pasted)
    again = modal.again(view, SpecError("There are no GPUs here.", field="gpu"))
    assert inputs(again)["yaml"]["initial_value"] == pasted
    assert "There are no GPUs here." in modal.banner_of(again)


def test_what_does_not_fit_into_an_input_is_never_cut_silently() -> None:
    source = "def objective(parameters):\n" + "    pass\n" * 600
    data = {
        "objective_function": "objective", "objective_source": source,
        "objective_metric_name": "result", "parameters": {"a": {"min": 1, "max": 2}},
    }  # fmt: skip
    view = modal.view(data, context=CONTEXT)
    assert "longer than a field of a form" in shown(view)
    for drawn in (view, modal.with_sections(submitted(view))):
        with pytest.raises(SpecError) as refused:
            modal.read_spec(submitted(drawn))
        assert refused.value.field == "objective_source"
    short = "def objective(parameters): return 1.0"
    assert modal.read_spec(submitted(view, objective_source=short)).objective_source == short


def test_a_form_that_we_did_not_make_is_refused() -> None:
    with pytest.raises(TuneError, match="another time"):
        modal.context_of({"private_metadata": '{"channel": 5}'})


def test_the_context_comes_back() -> None:
    context = modal.context_of(form({"gpu": 1}))
    assert (context.channel, context.user, context.typed) == ("C0TUNING", "U0ADA", ("gpu",))


# Slack's limits


def test_slack_takes_every_view() -> None:
    everything = {field: NASTY * 70 for field in spec.FIELDS} | {
        field: {f"p{n}": NASTY for n in range(500)} for field in spec.HYPERPARAMETER_FIELDS
    }
    data = {"name": "x" * 40, "model_uri": NASTY, "dataset": NASTY * 50}
    every = {field: fields.DEFAULTS[field] for field in spec.FIELDS}
    error = SpecError.of(SpecError(NASTY * 80, field=field) for field in (*spec.FIELDS, "", "?"))
    views = [
        modal.loading(),
        modal.checking(),
        modal.started("x" * 40, "https://team.slack.example/" + "p" * 300),
        modal.started("x" * 40, None),
        modal.view({}, context=CONTEXT),
        modal.view(data, context=CONTEXT, banner=NASTY * 80),
        modal.view(everything, context=CONTEXT),
        modal.view(every, context=CONTEXT, errors=dict.fromkeys(spec.FIELDS, NASTY * 80)),
        modal.again(form(data), error),
        modal.with_sections(form(data, form_sections=" ".join(fields.SECTIONS))),
    ]
    for view in views:
        assert check_view(view) == ()
        assert "<!channel" not in shown([b for b in view["blocks"] if b["type"] == "section"])


def test_a_choice_that_does_not_exist_is_shown_and_refused() -> None:
    view = form({"algorithm_name": "bayes"})
    with pytest.raises(SpecError) as refused:
        modal.read_spec(view)
    assert "“bayes” is not known" in modal.field_errors(refused.value, view)["algorithm_name"]

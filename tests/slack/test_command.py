"""The typed line: what it means, what is said of a wrong one, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import prior
from bot.errors import NotFoundError, SpecError
from bot.hyperparameters import LORA, OWN, TRAINING
from bot.slack import command, verbs
from bot.slack.command import LineError, TuneCommand, parse_tune
from bot.slack.verbs import Words
from bot.spec import FIELDS, TuneSpec, read, to_data
from bot.status import ExperimentCondition, ExperimentStatus
from tests.experiments import trial
from tests.guide import CUSTOM, LLAMA, SOURCE
from tests.specs import HYPERPARAMETER, OWN_NAMES, SPECS


def data(text: str) -> dict[str, Any]:
    asked = parse_tune(f"default on default {text}")
    return {k: v for k, v in asked.data.items() if k not in ("model_uri", "dataset")}


def value(text: str) -> Any:
    """What a single word of the line puts into its field."""
    (found,) = data(text).values()
    return found


def refusal(text: str, **kinds: Any) -> LineError:
    with pytest.raises(LineError) as caught:
        parse_tune(text, **kinds)
    return caught.value


def completed(text: str, read_file: Callable[[str], str] | None = None) -> TuneSpec:
    return read(prior.complete(parse_tune(text, read_file=read_file).data))


# Verbs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", TuneCommand("form")),
        ("  \u00a0 ", TuneCommand("form")),
        ("form", TuneCommand("form", text="form")),
        ("help", TuneCommand("help", text="help")),
        ("HELP me", TuneCommand("help", text="HELP me")),
        ("list", TuneCommand("list", text="list")),
        ("list 3", TuneCommand("list", page=3, text="list 3")),
        ("status llama", TuneCommand("status", words=Words("llama"), text="status llama")),
        ("stop “llama”", TuneCommand("stop", words=Words("llama"), text="stop “llama”")),
        ("watch llama", TuneCommand("watch", words=Words("llama"), text="watch llama")),
    ],
)
def test_a_verb_says_what_is_wanted(text: str, expected: TuneCommand) -> None:
    assert parse_tune(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extend llama 20", Words("llama", count=20)),
        ("extend llama trials=20", Words("llama", count=20)),
        ("Extend max_trial_count = 20 llama", Words("llama", count=20)),
        ("parallel llama 4", Words("llama", count=4)),
        ("parallel llama parallel=4", Words("llama", count=4)),
        ("retry llama-abc12345", Words(trial="llama-abc12345")),
        ("retry llama 3", Words("llama", "3")),
        ("retry llama “llama-baseline”", Words("llama", "llama-baseline")),
        ("logs llama-3", Words(trial="llama-3")),
        ("logs llama 3", Words("llama", "3")),
    ],
)
def test_the_words_behind_a_verb_are_a_name_a_trial_and_a_number(text: str, words: Words) -> None:
    assert parse_tune(text).words == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("watch", "`watch` takes the name of one Experiment."),
        ("extend llama", "the name of one Experiment and a number, not `llama`."),
        ("extend llama ten", "max_trial_count is a whole number of at least 1, not `ten`."),
        ("extend llama trials=0", "max_trial_count is a whole number of at least 1, not `0`."),
        ("extend llama parallel=4", "`parallel=` is not what this verb takes."),
        ("parallel llama -2", "parallel_trial_count is a whole number of at least 1, not `-2`."),
        ("extend llama 20 30", "the name of one Experiment and a number, not `llama 20 30`."),
        ("retry", "the name of one Experiment and a trial's number, or a trial's name."),
        ("logs a b c", "or a trial's name, not `a b c`."),
        ("logs “llama 3", "A quote is never closed"),
    ],
)
def test_a_verb_says_what_it_takes_and_what_it_got(text: str, said: str) -> None:
    error = refusal(text)
    assert said in error.message
    assert error.hint or "quote" in said


@pytest.mark.parametrize("usage", verbs.USAGES.values(), ids=lambda usage: usage.written)
def test_a_verb_can_be_typed_as_it_is_written_in_help(usage: verbs.Usage) -> None:
    asked = parse_tune(usage.written.replace("…", ""))
    assert verbs.USAGES[asked.verb] is usage
    given = {field for field in ("name", "trial", "count") if getattr(asked.words, field)}
    assert given == set(usage.takes)


def test_a_verb_is_known_even_if_its_words_cannot_be_read() -> None:
    assert command.verb("extend") == "extend"
    assert command.verb("‘extend’ on default") == "tune"
    assert command.verb("“extend") == "tune"


@pytest.mark.parametrize(
    ("text", "number"),
    [("x-abc12345", 1), ("abc12345", 1), ("1", 1), ("#1", 1), ("baseline", 0), ("x-baseline", 0)],
)
def test_a_trial_is_found_by_its_name_its_end_or_its_number(text: str, number: int) -> None:
    trials = (trial(0), trial(1))
    named = ("x-baseline", "x-abc12345")
    trials = tuple(t.model_copy(update={"name": n}) for t, n in zip(trials, named, strict=True))
    status = ExperimentStatus(condition=ExperimentCondition.RUNNING, trials=trials)
    assert verbs.find_trial("x", status, text).number == number
    with pytest.raises(NotFoundError) as unknown:
        verbs.find_trial("x", status, "7")
    assert str(unknown.value) == "`x` has no trial `7`. It has trials 0 to 1."


def test_the_experiment_is_found_from_a_trials_name() -> None:
    assert next(verbs.experiment_names("llama-8b-abc12345")) == "llama-8b"
    assert list(verbs.experiment_names("a-b-retry-1")) == ["a-b-retry", "a-b", "a"]
    assert list(verbs.experiment_names("llama")) == []


@pytest.mark.parametrize(
    ("text", "form"),
    [("", True), ("form a", True), ("Form", True), ("form=1", False), ("a", False)],
)
def test_no_words_or_form_open_the_form(text: str, form: bool) -> None:
    assert command.wants_form(text) is form


def test_a_form_is_filled_with_what_was_typed_and_may_lack_the_rest() -> None:
    asked = parse_tune("form trials=3")
    assert (asked.verb, asked.data) == ("form", {"max_trial_count": 3})


def test_what_could_be_read_survives_an_error() -> None:
    error = refusal("form default on default trials=3 parallel=two")
    assert error.data == {"model_uri": "default", "dataset": "default", "max_trial_count": 3}


@pytest.mark.parametrize("text", ["stop", "status", "stop a b", "list x", "list 0"])
def test_a_verb_without_what_it_takes_is_refused(text: str) -> None:
    assert text.split()[0] in refusal(text).message


def test_a_quoted_verb_is_a_model() -> None:
    assert parse_tune('"list" on imdb').data == {"model_uri": "list", "dataset": "imdb"}


@pytest.mark.parametrize(
    ("text", "query"),
    [("", ""), (" llama ", "llama"), ("“my data”", "my data"), ('"', '"'), ("a  b", "a b")],
)
def test_best_takes_a_name_a_model_or_a_dataset(text: str, query: str) -> None:
    assert command.parse_best(text) == query


# Values


@pytest.mark.parametrize(
    ("word", "space"),
    [
        ("learning_rate=1e-5..5e-4:log",
         {"parameter_type": "double", "min": 1e-5, "max": 5e-4, "distribution": "logUniform"}),
        ("learning_rate=1e-5..1e-3", {"parameter_type": "double", "min": 1e-5, "max": 1e-3}),
        ("learning_rate=1e-5 .. 1e-3 :log",
         {"parameter_type": "double", "min": 1e-5, "max": 1e-3, "distribution": "logUniform"}),
        ("weight_decay=0..0.1:step=0.01",
         {"parameter_type": "double", "min": 0, "max": 0.1, "step": 0.01}),
        ("weight_decay=0..1", {"parameter_type": "double", "min": 0, "max": 1}),
        ("weight_decay=-.5..1", {"parameter_type": "double", "min": -0.5, "max": 1}),
        ("weight_decay=0..1:int", {"parameter_type": "int", "min": 0, "max": 1}),
        ("r=8..32", {"parameter_type": "int", "min": 8, "max": 32}),
        ("r=8..32:log",
         {"parameter_type": "int", "min": 8, "max": 32, "distribution": "logUniform"}),
        ("r=8..32:step=8:int", {"parameter_type": "int", "min": 8, "max": 32, "step": 8}),
        ("r=8..32:double", {"parameter_type": "double", "min": 8, "max": 32}),
        ("num_train_epochs=0.5..3", {"parameter_type": "double", "min": 0.5, "max": 3}),
        ("lora.new=1..3", {"parameter_type": "int", "min": 1, "max": 3}),
        ("r=8,16,32", {"parameter_type": "discrete", "list": [8, 16, 32]}),
        ("r=8, 16 ,32", {"parameter_type": "discrete", "list": [8, 16, 32]}),
        ("r=8,16:categorical", {"parameter_type": "categorical", "list": [8, 16]}),
        ("bf16=true,False", {"parameter_type": "categorical", "list": [True, False]}),
        ("max_grad_norm=1,none", {"parameter_type": "categorical", "list": [1, None]}),
        ("bias=none,all", {"parameter_type": "categorical", "list": ["none", "all"]}),
        ("optim=“a b”,'c'", {"parameter_type": "categorical", "list": ["a b", "c"]}),
        ("target_modules=[q],[q,v]",
         {"parameter_type": "categorical", "list": ['["q"]', '["q", "v"]']}),
        ('r={"min": 1, "max": 4}', {"min": 1, "max": 4}),
    ],
)  # fmt: skip
def test_a_range_or_a_list_is_searched(word: str, space: dict[str, Any]) -> None:
    (found,) = value(word).values()
    assert found == space
    assert [type(item) for item in found.values()] == [type(item) for item in space.values()]


@pytest.mark.parametrize(
    ("word", "fixed"),
    [
        ("num_train_epochs=3", 3),
        ("num_train_epochs=3.0", 3.0),
        ("learning_rate=1e-5", 1e-5),
        ("bf16=TRUE", True),
        ("save_strategy=no", "no"),
        ("bias=none", "none"),
        ("bias=null", None),
        ("max_steps=none", None),
        ("run_name=“it's”", "it's"),
        ("run_name='a “b”'", "a “b”"),
        (r'run_name="a \"b\" \\ \n \u00e9 \d"', 'a "b" \\ \n é \\d'),
        ("run_name=2026-11", "2026-11"),
        ("target_modules=[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("accelerator_config={“split_batches”: true, x: [1, {}]}",
         {"split_batches": True, "x": [1, {}]}),
    ],
)  # fmt: skip
def test_any_other_value_is_fixed(word: str, fixed: Any) -> None:
    (found,) = value(word).values()
    assert found == fixed
    assert type(found) is type(fixed)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("trials=10", {"max_trial_count": 10}),
        ("trials = 10", {"max_trial_count": 10}),
        ("max_trial_count=10", {"max_trial_count": 10}),
        ("parallel=2", {"parallel_trial_count": 2}),
        ("failed=0", {"max_failed_trial_count": 0}),
        ("algorithm=random", {"algorithm_name": "random"}),
        ("algorithm=tpe(gamma=0.25, n_EI_candidates=24)",
         {"algorithm_name": "tpe",
          "algorithm_settings": {"gamma": "0.25", "n_EI_candidates": "24"}}),
        ("algorithm_name=tpe ( gamma = 0.25 )",
         {"algorithm_name": "tpe", "algorithm_settings": {"gamma": "0.25"}}),
        ("algorithm=tpe()", {"algorithm_name": "tpe"}),
        ('algorithm_settings={"gamma": 0.25}', {"algorithm_settings": {"gamma": 0.25}}),
        ("early_stopping=medianstop(min_trials_required=3)",
         {"early_stopping": "medianstop", "early_stopping_settings": {"min_trials_required": "3"}}),
        ("objective=eval_loss", {"objective_metric_name": "eval_loss"}),
        ("objective=minimize:eval_loss",
         {"objective_type": "minimize", "objective_metric_name": "eval_loss"}),
        ("objective_type=Minimize", {"objective_type": "minimize"}),
        ("goal=0.9", {"objective_goal": 0.9}),
        ("deadline=90s", {"trial_active_deadline_seconds": 90}),
        ("deadline=90", {"trial_active_deadline_seconds": 90}),
        ("for=30m", {"max_duration_seconds": 1800}),
        ("for=2h", {"max_duration_seconds": 7200}),
        ("for=1h30m", {"max_duration_seconds": 5400}),
        ("for=2d", {"max_duration_seconds": 172800}),
        ("max_duration_seconds=1.5h", {"max_duration_seconds": 5400}),
        ("seed=1", {"seed": 1}),
        ("training.seed=1", {"training_parameters": {"seed": 1}}),
        ("workers=2 procs=4", {"num_workers": 2, "num_procs_per_worker": 4}),
        ("gpu=0 cpu=4", {"gpu": 0, "cpu": "4"}),
        ("memory=10Gi storage_size=10G", {"memory": "10Gi", "storage_size": "10G"}),
        ("method=LoRA", {"method": "lora"}),
        ("retain_trials=yes", {"retain_trials": True}),
        ("eval_split=validation[:400]", {"eval_split": "validation[:400]"}),
        ("split=train[10%:20%]", {"split": "train[10%:20%]"}),
        ("num_labels=none", {"num_labels": None}),
        ("env.A=1.50 env.B='x y'", {"env_per_trial": {"A": "1.50", "B": "x y"}}),
        ("env_per_trial={A: b}", {"env_per_trial": {"A": "b"}}),
        ("packages_to_install=peft,“numpy>=1,<2”",
         {"packages_to_install": ["peft", "numpy>=1,<2"]}),
        ("packages_to_install=[peft, torch]", {"packages_to_install": ["peft", "torch"]}),
        ("pip_index_url=<https://a.example/simple>", {"pip_index_urls": ["https://a.example/simple"]}),
        ("pip_index_urls=https://a.example/?x=1&amp;y", {"pip_index_urls": ["https://a.example/?x=1&y"]}),
        ("text_column=<http://body.py|body.py>", {"text_column": "body.py"}),
        ("columns.text=review columns.label='the stars'",
         {"columns": {"text": "review", "label": "the stars"}}),
        ("transformer_type=causallm", {"transformer_type": "AutoModelForCausalLM"}),
        ("transformer_type=AutoModelForMaskedLM", {"transformer_type": "AutoModelForMaskedLM"}),
        ("packing=true loss_on=ALL", {"packing": True, "loss_on": "all"}),
        ("quantization=4bit trust_remote_code=yes",
         {"quantization": "4bit", "trust_remote_code": True}),
        ("max_length=64", {"max_length": 64}),
        ("max_length=64..256",
         {"training_parameters": {"max_length": {"parameter_type": "int", "min": 64, "max": 256}}}),
        ("prompt_template=chat,alpaca frozen_layers=2 train_fraction=0.5",
         {"training_parameters": {
             "prompt_template": {"parameter_type": "categorical", "list": ["chat", "alpaca"]},
             "frozen_layers": 2, "train_fraction": 0.5}}),
        ("training.new_field=1 lora.new_field=a",
         {"training_parameters": {"new_field": 1}, "lora_config": {"new_field": "a"}}),
        ("training_parameters={learning_rate: 0.1} r=8",
         {"training_parameters": {"learning_rate": 0.1}, "lora_config": {"r": 8}}),
    ],
)  # fmt: skip
def test_a_word_puts_its_value_into_its_field(word: str, expected: dict[str, Any]) -> None:
    assert data(word) == expected


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_is_a_word(field: str) -> None:
    word = next(word for word in command.words() if word.name == field)
    assert word.description == FIELDS[field].description
    for name in (field, *word.short):
        with pytest.raises(LineError, match="has no value"):
            parse_tune(f"default on default {name}=")


@pytest.mark.parametrize("name", sorted({**TRAINING, **OWN, **LORA}))
def test_every_hyperparameter_is_a_word(name: str) -> None:
    typed = "training.seed" if name == "seed" else name
    is_bool = {**TRAINING, **OWN, **LORA}[name] in ("bool", "switch")
    found = data(f"{typed}=true,false" if is_bool else f"{typed}=1,2")
    assert list(found) == ["lora_config" if name in LORA else "training_parameters"]


def test_bf16_may_be_left_to_the_hardware() -> None:
    assert data("bf16=auto") == {"training_parameters": {"bf16": "auto"}}
    assert data("bf16=true") == {"training_parameters": {"bf16": True}}
    for text in ("bf16=maybe", "bf16=1", "bf16=0..1"):
        with pytest.raises(LineError, match="`bf16`: expected true, false or auto, not"):
            data(text)


@pytest.mark.parametrize("text", ["max_length=64...256", "max_length=long", "max_length=0.5"])
def test_a_length_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LineError) as caught:
        data(text)
    assert "`max_length`" in str(caught.value)


def test_model_and_dataset_may_be_quoted_and_named() -> None:
    expected = {"model_uri": "my model", "dataset": "data.csv"}
    assert parse_tune("“my model” ON <http://data.csv|data.csv>").data == expected
    assert parse_tune("dataset=data.csv model_uri='my model'").data == expected


def test_settings_may_stand_before_the_model() -> None:
    assert parse_tune("trials=3 default on imdb").data["dataset"] == "imdb"


def test_a_line_may_be_broken_and_hold_odd_spaces() -> None:
    assert parse_tune("default\u00a0on\tdefault\n trials=\u200b3").data["max_trial_count"] == 3


# Custom objectives


def test_a_custom_objective_has_parameters_of_its_own_names() -> None:
    asked = parse_tune(
        "objective_image=a/b:1 objective_command='python f.py' x=1..3 learning_rate=1"
    )
    assert asked.data["parameters"]["learning_rate"] == 1
    assert asked.data["parameters"]["x"]["parameter_type"] == "int"
    assert asked.data["objective_command"] == ["python", "f.py"]


def test_a_file_and_its_function_become_source_and_name() -> None:
    expected = {
        "objective_function": "objective",
        "objective_source": SOURCE,
        "parameters": {"a": 1},
    }
    files = {"a/objective.py": SOURCE}
    for text in ("objective_file=a/objective.py:objective a=1", "a/objective.py:objective a=1"):
        assert parse_tune(text, read_file=files.__getitem__).data == expected


def test_files_are_not_read_where_that_is_not_allowed() -> None:
    assert "files are not read here" in refusal("f.py:f x=1..2").message


def test_a_file_that_cannot_be_read_is_a_sentence() -> None:
    def read_file(path: str) -> str:
        raise FileNotFoundError(2, "No such file", path)

    assert "`f.py` cannot be read" in refusal("f.py:f x=1..2", read_file=read_file).message


def test_a_parameter_that_looks_like_a_slip_of_a_word_is_asked_about() -> None:
    line = "objective_image=a objective_command=b trails=3"
    assert "is it `trials`" in refusal(line).message
    again = parse_tune(line.replace("trails", "parameters.trails"))
    assert again.data["parameters"] == {"trails": 3}


# Errors

WRONG: dict[str, tuple[str, str, str]] = {
    # text: (the word that is pointed at, words of the message, the corrected line)
    "default on default trials=ten": ("trials=ten", "a whole number, not `ten`", ""),
    "default on default trials=1.5": ("trials=1.5", "a whole number, not `1.5`", ""),
    "default on default trails=10": ("trails=10", "no such word", "default on default trials=10"),
    "default on default max-trial-count=1": (
        "max-trial-count=1", "no such word", "default on default max_trial_count=1",
    ),
    "default on default lerning_rate=1": (
        "lerning_rate=1", "no such word", "default on default learning_rate=1",
    ),
    "default on default zzz=1": ("zzz=1", "no such word", ""),
    "default on default trials=1 trials=2": (
        "trials=2", "twice: `trials=1` and `trials=2`", "default on default trials=1",
    ),
    "default on default trials=1 max_trial_count=2 seed=1": (
        "max_trial_count=2", "twice", "default on default trials=1 seed=1",
    ),
    "default on default model_uri=x": ("model_uri=x", "twice", "default on default"),
    "default on default seed= trials=10": ("seed=", "`seed` has no value", ""),
    "default on default seed=": ("seed=", "a whole number is expected", ""),
    "default on default trials 10 seed=1": (
        "trials 10", "`trials` needs a value", "default on default trials=10 seed=1",
    ),
    "default on default trials": ("trials", "`trials` needs a value", ""),
    "default on default foo": ("foo", "`foo` has no place here", ""),
    "default on default learning_rate=1e-3..1e-5:log": (
        "learning_rate=1e-3..1e-5:log", "lower end 1e-3 is above the upper end 1e-5",
        "default on default learning_rate=1e-5..1e-3:log",
    ),
    "default on default learning_rate=1e-5...1e-3": (
        "learning_rate=1e-5...1e-3", "two dots", "default on default learning_rate=1e-5..1e-3",
    ),
    "default on default learning_rate=1e-5…1e-3:log": (
        "learning_rate=1e-5…1e-3:log", "two dots",
        "default on default learning_rate=1e-5..1e-3:log",
    ),
    "default on default r=8–32": ("r=8–32", "two dots", "default on default r=8..32"),
    "default on default r=8-32": ("r=8-32", "two dots", "default on default r=8..32"),
    "default on default r=8..32:lag": ("r=8..32:lag", "`:lag` is not known", ""),
    "default on default r=8..32:step=x": ("r=8..32:step=x", "`:step=x` is not known", ""),
    "default on default r=8,16:log": (
        "r=8,16:log", "belongs to a range", "default on default r=8,16",
    ),
    "default on default r=8,,16": ("r=8,,16", "a value is missing", ""),
    "default on default r=8, seed=1": ("r=8,", "a value is missing", ""),
    "default on default learning_rate=fast": ("learning_rate=fast", "a number, a range", ""),
    "default on default fp16=1": ("fp16=1", "true or false, not `1`", ""),
    "default on default optim=1..2": ("optim=1..2", "not a range", ""),
    "default on default optim=“a”b": ("optim=“a”b", "behind a closing quote", ""),
    "default on default x=“a seed=1": ("x=“a", "A quote is never closed", ""),
    "default on default r=[8 seed=1": ("r=[8", "A bracket is never closed: `]`", ""),
    "default on default accelerator_config={a}": ("accelerator_config={a}", "`a` has no value", ""),
    "default on default method=lor": (
        "method=lor", "one of lora, full", "default on default method=lora",
    ),
    "default on default method=half": ("method=half", "one of lora, full, not `half`", ""),
    "default on default retain_trials=maybe": ("retain_trials=maybe", "true or false", ""),
    "default on default goal=high": ("goal=high", "a number, not `high`", ""),
    "default on default for=soon": ("for=soon", "a duration such as 90s", ""),
    "default on default algorithm=tpe(gamma)": ("algorithm=tpe(gamma)", "not `gamma`", ""),
    "default on default objective_file=f.py": ("objective_file=f.py", "a file and a function", ""),
    "default": ("", "The dataset is missing", "default on default"),
    "model_uri=default": ("", "The dataset is missing", "model_uri=default dataset=default"),
    "default on": ("on", "The dataset is missing", "default on default"),
    "default on trials=1": ("on", "The dataset is missing", "default on default trials=1"),
    "on imdb": ("on", "The model is missing", "default on imdb"),
    "default imdb": ("imdb", "`on` is missing before `imdb`", "default on imdb"),
    "dataset=imdb": ("", "The model is missing", "model_uri=default dataset=imdb"),
    "trials=10": ("", "model and the dataset are missing", "default on default trials=10"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=WRONG)
def test_an_error_points_at_the_word_and_gives_the_corrected_line(
    text: str, expected: tuple[str, str, str]
) -> None:
    word, words, corrected = expected
    error = refusal(text)
    assert error.also == ()
    assert words in error.message
    assert error.text[slice(*error.span)] == word
    assert error.corrected == corrected
    if corrected:
        parse_tune(corrected)


def test_two_errors_are_told_at_once_and_corrected_together() -> None:
    error = refusal("default on default trails=10 lerning_rate=1e-5..1e-3")
    assert [each.message.split("`")[1] for each in error.all] == ["trails", "lerning_rate"]
    assert error.corrected == "default on default trials=10 learning_rate=1e-5..1e-3"


def test_a_line_that_would_still_be_wrong_is_not_offered() -> None:
    assert refusal("default on default trails=ten").corrected == ""
    assert refusal("default on default trails=1 gpu=x").corrected == ""


def test_an_unknown_word_suggests_the_nearest_or_says_where_to_look() -> None:
    assert refusal("default on default trails=1").hint == "Did you mean `trials`?"
    assert "training.zzz=" in refusal("default on default zzz=1").hint


def test_the_word_is_marked_in_a_code_block() -> None:
    assert refusal("default on default trials=ten").pointed == (
        "```\ndefault on default trials=ten\n                   ^^^^^^^^^^\n```"
    )
    assert command.point("a `b` c", "b") == "```\na 'b' c\n   ^\n```"


def test_a_long_line_is_shown_around_the_word() -> None:
    block = command.point("x" * 500 + " trials=ten " + "y" * 500, "trials=ten")
    _, shown, marks, _ = block.split("\n")
    assert len(shown) < 100
    assert shown[marks.index("^") : marks.rindex("^") + 1] == "trials=ten"


def test_an_error_about_no_word_marks_nothing() -> None:
    assert refusal("trials=10").pointed == ""


@pytest.mark.parametrize("quotes", ["{}", '"{}"', '"{}'])
def test_a_token_in_a_wrong_line_is_never_shown(quotes: str) -> None:
    typed = "model_access_token=" + quotes.format("hf_abcdef")
    error = refusal(f"default on default trials=ten trials=1 {typed}")
    shown = [error.text, error.pointed, error.corrected, *map(str, error.all)]
    assert not any("hf_abc" in text for text in shown)


def test_the_name_of_a_secret_is_shown() -> None:
    assert "hub/token" in refusal("default on default model_access_token=hub/token gpu=x").text


def test_an_error_of_the_spec_points_at_its_word_too() -> None:
    asked = parse_tune("default on default memory=x r=8..8 trials=3")
    with pytest.raises(SpecError) as caught:
        read({**asked.data, "name": "A"})
    error = command.locate(caught.value, asked)
    words = {
        each.field: each.text[slice(*each.span)]
        for each in error.all
        if isinstance(each, LineError)
    }
    assert words == {"name": "", "memory": "memory=x", "lora_config": "r=8..8"}


# The form's hyperparameters


def test_hyperparameters_of_the_form_are_words_in_lines() -> None:
    text = "learning_rate=1e-5..1e-3:log\n\nnum_train_epochs=2 new_field=x\ntraining.seed=1"
    assert command.parse_hyperparameters(text, "training_parameters") == {
        "learning_rate": {
            "parameter_type": "double", "min": 1e-5, "max": 1e-3, "distribution": "logUniform",
        },
        "num_train_epochs": 2,
        "new_field": "x",
        "seed": 1,
    }  # fmt: skip
    assert command.parse_hyperparameters("", "lora_config") == {}


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("r=8", "training_parameters", "belongs to `lora_config`"),
        ("rr=8 lora_alfa=1", "lora_config", "Did you mean `lora_alpha`?"),
        ("learning_rate", "training_parameters", "needs a value"),
        ("8..16", "lora_config", "has no place here"),
        ("lora.r=8", "training_parameters", "belongs to `lora_config`"),
        ("trials=fast x=", "parameters", "`x` has no value"),
        ("r=8 r=16", "lora_config", "twice"),
    ],
)
def test_a_wrong_hyperparameter_of_the_form_is_said_of_its_field(
    text: str, field: str, words: str
) -> None:
    with pytest.raises(LineError) as caught:
        command.parse_hyperparameters(text, field)
    assert words in str(caught.value)
    assert caught.value.field == field


PROPERTY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@PROPERTY
@given(
    field=st.sampled_from(["training_parameters", "lora_config", "parameters"]),
    typed=st.dictionaries(
        st.one_of(OWN_NAMES, st.sampled_from(sorted({**TRAINING, **LORA}))), HYPERPARAMETER
    ),
)
def test_hyperparameters_shown_in_the_form_are_read_back(field: str, typed: dict[str, Any]) -> None:
    asked = read({**_FRAME[field], field: {**typed, "some": {"list": [1, 2]}}})
    shown = command.show_hyperparameters(getattr(asked, field), field)
    again = read({**_FRAME[field], field: command.parse_hyperparameters(shown, field)})
    assert repr(to_data(again)) == repr(to_data(asked))


_TRAINED = {"name": "a", "model_uri": "m", "dataset": "d"}
_FRAME: dict[str, dict[str, Any]] = {
    "training_parameters": _TRAINED,
    "lora_config": _TRAINED,
    "parameters": {
        "name": "a",
        "objective_function": "f",
        "objective_source": "s",
        "objective_metric_name": "result",
    },
}


# Round trips


@PROPERTY
@given(asked=SPECS)
def test_a_spec_as_a_line_gives_the_spec_again(asked: TuneSpec) -> None:
    line = command.line(asked)
    again = read(parse_tune(line).data)
    assert again == asked
    assert repr(sorted(to_data(again).items())) == repr(sorted(to_data(asked).items()))
    assert command.line(again) == line


@PROPERTY
@given(asked=SPECS)
def test_the_line_survives_slack(asked: TuneSpec) -> None:
    line = command.line(asked)
    sent = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert read(parse_tune(sent).data) == asked


@PROPERTY
@given(text=st.text(st.sampled_from("ab=.:,[]{}()\"'“” \n1-…<>&|%ontrials"), max_size=40))
def test_no_text_does_more_than_refuse(text: str) -> None:
    try:
        parse_tune(text)
    except LineError as error:
        assert all(each.message for each in error.all)
        assert error.pointed.count("```") in (0, 2)


# The README's examples


def test_the_guides_llama_example_is_the_experiment_that_katibs_client_sends() -> None:
    spec = completed(LLAMA)
    space = {
        name: (value.parameter_type, str(value.min), str(value.max), value.distribution)
        for name, value in spec.searched.items()
    }
    assert space == {
        "learning_rate": ("double", "1e-05", "5e-05", "uniform"),
        "r": ("int", "8", "32", "uniform"),
    }
    assert (spec.objective_metric_name, spec.objective_type) == ("train_loss", "minimize")
    assert (spec.algorithm_name, spec.algorithm_settings) == ("random", {})
    assert (spec.max_trial_count, spec.parallel_trial_count) == (10, 2)
    assert (spec.num_workers, spec.num_procs_per_worker) == (2, 2)
    assert (spec.gpu, spec.cpu, spec.memory) == (2, "4", "10G")
    assert (spec.name, spec.namespace, spec.split) == ("llama", "kubeflow", "train[:1000]")
    asked = parse_tune(LLAMA).data
    assert asked["training_parameters"] | {"learning_rate": 0} == {
        "learning_rate": 0, "num_train_epochs": 3, "output_dir": "results", "save_strategy": "no",
    }  # fmt: skip
    assert asked["lora_config"] | {"r": 0} == {
        "r": 0, "lora_alpha": 8, "lora_dropout": 0.1, "bias": "none",
    }  # fmt: skip


def test_the_guides_custom_objective_is_typed_in_one_line() -> None:
    spec = completed(CUSTOM, read_file={"objective.py": SOURCE}.__getitem__)
    a, b = spec.parameters["a"], spec.parameters["b"]
    assert (a.parameter_type, a.min, a.max) == ("int", 10, 20)
    assert (b.parameter_type, b.min, b.max) == ("double", 0.1, 0.2)
    assert (spec.objective_function, spec.objective_source) == ("objective", SOURCE)
    assert (spec.objective_metric_name, spec.objective_type) == ("result", "maximize")
    assert (spec.max_trial_count, spec.cpu, spec.model_uri) == (12, "2", "")

"""Hypothesis strategies: tune specs of every kind, with awkward texts and numbers in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bot.hyperparameters import LORA, OWN, TRAINING
from bot.spec import FIELDS, TuneSpec, choices, read

# Quotes of all kinds, what Slack escapes or decorates, and what YAML or the line could misread.
AWKWARD = st.sampled_from(
    [
        *["", " ", "none", "null", "true", "on", "1e5", "8,16", "1..2", "a..b", "a:log", "[a]"],
        *["{a: 1}", "(", '"', "'", "it's", "“”", "’", "\\", "\\n", "\\u0041", "a\nb\n", "\ta"],
        *["a=b", "&amp;", "<", "<http://a|b>", "x\u00a0y", "\u200b", "日本語", "🚀", "`", "```"],
        *["q_proj,v_proj", "a#b", "- a"],
    ]
)
TEXT = st.one_of(AWKWARD, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
FILLED = TEXT.filter(bool)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
NUMBER = st.one_of(st.integers(-(10**9), 10**9), FLOAT)
SCALAR = st.one_of(st.none(), st.booleans(), NUMBER, TEXT)
PLAIN = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            TEXT.filter(lambda key: key not in ("parameter_type", "min", "max", "list")),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["int", "double"]))
    ends = (
        st.integers(1, 10**6)
        if kind == "int"
        else st.one_of(st.integers(1, 100), st.floats(1e-9, 1e9))
    )
    low, high = sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True)))
    scale = draw(st.sampled_from([{}, {"distribution": "logUniform"}, {"step": high - low}]))
    return {"parameter_type": kind, "min": low, "max": high, **scale}


@st.composite
def choices_of(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["discrete", "categorical"]))
    items = NUMBER if kind == "discrete" else SCALAR
    return {
        "parameter_type": kind,
        "list": draw(st.lists(items, min_size=2, max_size=4, unique_by=str)),
    }


SPACES = st.one_of(ranges(), choices_of())
HYPERPARAMETER = st.one_of(SPACES, PLAIN)
OWN_NAMES = st.one_of(
    st.sampled_from(["a", "b", "lr", "trails", "seed", "gpu", "r", "learning_rate", "on", "x.y"]),
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True),
)


def hyperparameters(known: dict[str, Any] | Any) -> st.SearchStrategy[dict[str, Any]]:
    names = st.one_of(st.sampled_from(sorted(known)), OWN_NAMES)
    return st.dictionaries(names, HYPERPARAMETER, max_size=4)


COUNTS = (
    "num_labels",
    "max_length",
    "num_workers",
    "num_procs_per_worker",
    "gpu",
    "seed",
    "max_duration_seconds",
    "trial_active_deadline_seconds",
)
TEXTS = (
    "split",
    "eval_split",
    "test_split",
    "text_column",
    "label_column",
    "namespace",
    "storage_class",
)
ANY_SPEC: dict[str, st.SearchStrategy[Any]] = {
    **{field: st.integers(1, 10**6) for field in COUNTS},
    **{field: FILLED for field in TEXTS},
    **{field: st.sampled_from(choices(field)) for field in FIELDS if choices(field)},
    "storage_access_modes": st.lists(st.sampled_from(choices("storage_access_modes")), max_size=3),
    "model_access_token": st.sampled_from(["hub-token/token", "a/b"]),
    **{
        field: st.booleans()
        for field in FIELDS
        if isinstance(FIELDS[field].default, bool)
    },
    "columns": st.dictionaries(st.sampled_from(["text", "label", "answers"]), FILLED, max_size=2),
    "objective_goal": FLOAT,
    "objective_metric_name": st.sampled_from(["eval_loss", "eval_accuracy", "train_loss", "f1"]),
    "additional_metric_names": st.lists(st.sampled_from(["loss", "eval_f1"]), unique=True),
    "max_trial_count": st.integers(100, 1000),
    "parallel_trial_count": st.integers(1, 10),
    "max_failed_trial_count": st.integers(0, 10),
    "cpu": st.sampled_from(["4", "500m"]),
    "memory": st.sampled_from(["10G", "10Gi", "1.5Gi"]),
    "storage_size": st.sampled_from(["10Gi"]),
    "env_per_trial": st.dictionaries(st.sampled_from(["A", "HF_HOME", "_x"]), TEXT, max_size=2),
    "packages_to_install": st.lists(FILLED, max_size=3),
    "pip_index_urls": st.lists(st.sampled_from(["https://a.example/simple", "https://b.example"])),
    "early_stopping": st.sampled_from([None, "medianstop"]),
}  # fmt: skip
ALGORITHMS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"algorithm_name": "random"},
        {"algorithm_name": "tpe", "algorithm_settings": {"gamma": "0.25"}},
        {"algorithm_settings": {"n_ei_candidates": "24"}},
        {"algorithm_name": "sobol", "algorithm_settings": {}},
        {"algorithm_name": "bayesianoptimization", "algorithm_settings": {"acq_func": "EI"}},
        {"early_stopping": "medianstop", "early_stopping_settings": {"start_step": "2"}},
    ]
)
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


@st.composite
def trainer_specs(draw: st.DrawFn) -> TuneSpec:
    data = draw(st.fixed_dictionaries({}, optional=ANY_SPEC)) | draw(ALGORITHMS)
    data |= {"name": draw(NAMES), "model_uri": draw(FILLED), "dataset": draw(FILLED)}
    data["training_parameters"] = {
        **draw(hyperparameters({**TRAINING, **OWN})),
        "learning_rate": draw(SPACES),
    }
    if data.get("method") != "full":
        data["lora_config"] = draw(hyperparameters(LORA))
    return read(data)


@st.composite
def custom_specs(draw: st.DrawFn) -> TuneSpec:
    data = {"name": draw(NAMES), "objective_metric_name": "result"} | draw(ALGORITHMS)
    data["parameters"] = {
        **draw(st.dictionaries(OWN_NAMES, HYPERPARAMETER, max_size=4)),
        "a": draw(SPACES),
    }
    function = {
        "objective_function": "f",
        "objective_source": "def f(p):\n    return {'x': \"1\"}\n",
    }
    image = {
        "objective_image": "ghcr.io/a/b:1",
        "objective_command": draw(st.lists(FILLED, min_size=1, max_size=3)),
    }
    return read(data | draw(st.sampled_from([function, image])))


SPECS = st.one_of(trainer_specs(), custom_specs())

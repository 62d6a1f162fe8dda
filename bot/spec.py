"""TuneSpec: everything that was asked of one Experiment, checked, frozen, and as YAML.

One flat list of fields. A field's name is the word to type, the key in YAML, the id of its block
in the form and the row in the README; its description is the help text in all four.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from bot import algorithms
from bot.errors import SpecError

Number = int | float
Scalar = bool | int | float | str | None
Plain = Scalar | list[Any] | dict[str, Any]
TransformerType = Literal[
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForQuestionAnswering",
    "AutoModelForCausalLM",
    "AutoModelForMaskedLM",
    "AutoModelForImageClassification",
]
ParameterType = Literal["double", "int", "discrete", "categorical"]
Strategy = Literal["min", "max", "latest"]
AccessMode = Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]

MAX_NAME_LENGTH = 40  # Katib's webhook
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
ENDPOINT = re.compile(r"https?://[^\s/@?#]+/?")
BUCKET = re.compile(r"[A-Za-z0-9][-\w.]*")
SECRET = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+")
PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # it stands in ${trialParameters.NAME}
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The validation context of a spec that runs already: it was checked when it was asked for, and a
# check that came later, or a count that was raised since, must not make its record unreadable.
STORED: Mapping[str, Any] = {"stored": True}


class Frozen(BaseModel):
    """A value: no unknown fields, no changes after it was made, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Parameter(Frozen):
    """A searched hyperparameter: its type and feasible space, in Katib's words."""

    parameter_type: ParameterType
    min: Number | None = None
    max: Number | None = None
    step: Number | None = None
    list: tuple[Scalar, ...] | None = None
    distribution: Literal["uniform", "logUniform"] = "uniform"

    @model_validator(mode="before")
    @classmethod
    def _infer_the_type(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "parameter_type" in data:
            return data
        return {"parameter_type": _inferred(data), **data}

    @property
    def is_range(self) -> bool:
        return self.parameter_type in ("double", "int")

    @property
    def size(self) -> float:
        """How many values there are; infinite for a double without a step."""
        if not self.is_range:
            return len(self.list or ())
        step = self.step or (1 if self.parameter_type == "int" else 0)
        if not step or self.min is None or self.max is None:
            return math.inf
        # NB: 0.3 / 0.1 is 2.999…, so half a billionth of a step is forgiven.
        return math.floor((self.max - self.min) / step + 1e-9) + 1


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _inferred(data: Mapping[str, Any]) -> ParameterType:
    if isinstance(data.get("list"), (list, tuple)):
        return "discrete" if all(map(_is_number, data["list"])) else "categorical"
    ends = (data.get("min"), data.get("max"), data.get("step") or 1)
    return "int" if all(isinstance(end, int) for end in ends) else "double"


def is_searched(value: object) -> bool:
    """Whether the (plain or checked) value of a hyperparameter is a feasible space."""
    keys = set(value) if isinstance(value, Mapping) else set()
    return isinstance(value, Parameter) or bool(keys & {"parameter_type", "min", "max", "list"})


def _kind(value: object) -> str:
    return "searched" if is_searched(value) else "fixed"


Hyperparameter = Annotated[
    Annotated[Parameter, Tag("searched")] | Annotated[Plain, Tag("fixed")], Discriminator(_kind)
]
Hyperparameters = Mapping[str, Hyperparameter]


def _words(value: object) -> object:
    """A tuple field may be given as one text: commas or spaces separate; "" is none."""
    if not isinstance(value, str):
        return value
    return tuple(re.split(r"[,\s]+", value.strip())) if value.strip() else ()


def _texts(value: object) -> object:
    """Settings and environment values are texts, whatever YAML made of them."""
    if not isinstance(value, Mapping):
        return value
    return {key: str(item).lower() if isinstance(item, bool) else str(item)
            for key, item in value.items()}  # fmt: skip


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Texts = Annotated[Mapping[str, str], BeforeValidator(_texts)]


def _field(group: str, description: str, default: Any, **limits: Any) -> Any:
    if isinstance(default, dict):
        return Field(
            default_factory=lambda: dict(default),
            description=description,
            json_schema_extra={"group": group},
            **limits,
        )
    return Field(default, description=description, json_schema_extra={"group": group}, **limits)


class TuneSpec(Frozen):
    """What was asked. Made by `read` (mappings, forms) or `from_yaml`; always valid, but for one in
    a record (STORED), which was when it was asked for.

    Raises:
        SpecError: from every constructor, with `field` set and all errors in `.all`.
    """

    name: str = _field("Experiment", "Name of the Experiment: a-z, 0-9 and -, up to 40.", "")

    model_uri: str = _field(
        "Model",
        "Hub id, folder, `package:NAME/path`, `s3://bucket/key`, `default` or `smollm2`.",
        "",
    )
    transformer_type: TransformerType = _field(
        "Model", "Class that loads the model.", "AutoModelForSequenceClassification"
    )
    num_labels: int | None = _field("Model", "Number of classes; else from the data.", None, ge=1)
    model_access_token: str | None = _field(
        "Model", "Secret with the hub token, as `secret/key`; never the token itself.", None
    )
    max_length: int = _field("Model", "Tokens per text; longer ones are cut.", 128, ge=1)
    method: Literal["lora", "full"] = _field("Model", "Train LoRA adapters or all weights.", "lora")
    quantization: Literal["4bit", "8bit"] | None = _field(
        "Model", "Load the model's weights in 4 or 8 bits, under LoRA adapters (QLoRA).", None
    )
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2", "flex_attention"] | None = (
        _field("Model", "How attention is computed; else as the model says, mostly sdpa.", None)
    )
    trust_remote_code: bool = _field(
        "Model", "Run the Python code that comes with the model; only if you trust its authors.",
        False,
    )  # fmt: skip

    dataset: str = _field("Dataset", "Hub id, file, folder, or `default`.", "")
    split: str = _field("Dataset", "Rows to train on, e.g. `train[:1000]`.", "train")
    eval_split: str | None = _field(
        "Dataset", "Held-out rows; else `validation`, else a fixed part of the split.", None
    )
    test_split: str | None = _field(
        "Dataset", "Rows that no trial sees; the winner can be scored on them.", None
    )
    streaming: bool = _field("Dataset", "Read rows while training, not all of them before.", False)
    columns: Texts = _field(
        "Dataset", "What is in which column, e.g. `columns.question=ask`; else found.", {}
    )
    text_column: str | None = _field("Dataset", "Column with the text; else found.", None)
    label_column: str | None = _field("Dataset", "Column with the label; else found.", None)
    loss_on: Literal["completion", "all"] | None = _field(
        "Dataset", "Tokens of instructions and chats that count; else the completion's.", None
    )
    packing: bool = _field("Dataset", "Fill every row with several short texts.", False)
    dataset_access_token: str | None = _field(
        "Dataset", "Secret with the hub token, as `secret/key`.", None
    )
    s3_endpoint_url: str | None = _field("Dataset", "S3-compatible storage: its address.", None)
    s3_bucket_name: str | None = _field("Dataset", "Bucket of the dataset.", None)
    s3_file_key: str | None = _field("Dataset", "Key (prefix) of the dataset.", None)
    s3_region_name: str | None = _field("Dataset", "Region of the bucket.", None)
    s3_access_key: str | None = _field("Dataset", "Secret with the access key, `secret/key`.", None)
    s3_secret_key: str | None = _field("Dataset", "Secret with the secret key, `secret/key`.", None)

    training_parameters: Hyperparameters = _field(
        "Hyperparameters", "Fields of TrainingArguments and ours, each fixed or searched.", {}
    )
    lora_config: Hyperparameters = _field(
        "Hyperparameters", "Fields of LoraConfig, each fixed or searched.", {}
    )
    parameters: Hyperparameters = _field(
        "Hyperparameters", "Parameters of a custom objective, by its own names.", {}
    )
    known_good_trial: bool = _field(
        "Hyperparameters", "Run the known-good configuration as trial 0.", True
    )

    objective_metric_name: str = _field(
        "Objective", "Metric to optimise; a held-out one unless you say otherwise.", "eval_accuracy"
    )
    objective_type: Literal["minimize", "maximize"] = _field(
        "Objective", "Direction of the objective.", "maximize"
    )
    objective_goal: float | None = _field("Objective", "Stop when this value is reached.", None)
    objective_strategy: Strategy | None = _field(
        "Objective", "Which reported value counts; else the best one (min or max).", None
    )
    additional_metric_names: Words = _field("Objective", "Further metrics to collect.", ())
    objective_function: str | None = _field(
        "Objective", "Custom objective: name of the Python function.", None
    )
    objective_source: str | None = _field(
        "Objective", "Custom objective: Python source that defines the function.", None
    )
    objective_image: str | None = _field("Objective", "Custom objective: image of a trial.", None)
    objective_command: tuple[str, ...] = _field(
        "Objective", "Custom objective: command in the image, `${trialParameters.NAME}` inside.", ()
    )

    algorithm_name: str = _field("Search", "Search algorithm.", "multivariate-tpe")
    algorithm_settings: Texts = _field("Search", "Settings of the algorithm.", {})
    early_stopping: str | None = _field("Search", "Early-stopping rule, e.g. `medianstop`.", None)
    early_stopping_settings: Texts = _field("Search", "Settings of the early-stopping rule.", {})
    seed: int | None = _field("Search", "Seed of the search and the training.", None, ge=0)

    max_trial_count: int = _field("Budget", "Trials in all.", 10, ge=1)
    parallel_trial_count: int = _field("Budget", "Trials at the same time.", 2, ge=1)
    max_failed_trial_count: int = _field("Budget", "Failed trials that end it.", 3, ge=0)
    max_duration_seconds: int | None = _field("Budget", "Wall-clock budget in seconds.", None, ge=1)
    trial_active_deadline_seconds: int | None = _field(
        "Budget", "A trial that takes longer is ended, in seconds.", None, ge=1
    )
    retry_out_of_memory: bool = _field(
        "Budget", "A trial that runs out of memory goes on once with half the batch.", False
    )
    save_best: bool = _field(
        "Budget", "Keep each trial's best weights, for `python -m trainer export`.", False
    )
    checkpoints: bool = _field(
        "Budget", "Save checkpoints, from which an interrupted trial goes on.", True
    )

    num_workers: int = _field("Resources", "Pods of a trial; 1 is not distributed.", 1, ge=1)
    num_procs_per_worker: int = _field("Resources", "Processes in each pod.", 1, ge=1)
    cpu: str | None = _field("Resources", "CPUs per worker, e.g. `4`.", None)
    memory: str | None = _field("Resources", "Memory per worker, e.g. `10Gi`.", None)
    gpu: int = _field("Resources", "GPUs per worker.", 0, ge=0)
    storage_size: str = _field("Resources", "Size of the volume for model and data.", "10Gi")
    storage_class: str | None = _field("Resources", "Storage class of that volume.", None)
    storage_access_modes: Annotated[
        tuple[AccessMode, ...],
        BeforeValidator(_words),
    ] = _field("Resources", "Access modes of that volume.", ("ReadWriteOnce", "ReadOnlyMany"))

    namespace: str | None = _field("Cluster", "Kubernetes namespace.", None)
    env_per_trial: Texts = _field(
        "Cluster", "Environment of each trial and of the job that fetches.", {}
    )
    packages_to_install: Words = _field("Cluster", "Packages to install before a trial.", ())
    pip_index_urls: Words = _field("Cluster", "Package indexes; the first is the main one.", ())
    retain_trials: bool = _field("Cluster", "Keep the resources of finished trials.", False)
    metrics_collector: Literal["StdOut", "File", "TensorFlowEvent", "Push"] = _field(
        "Cluster", "How metrics are collected.", "StdOut"
    )
    resume_policy: Literal["Never", "LongRunning", "FromVolume"] = _field(
        "Cluster", "Whether a finished Experiment can be extended.", "Never"
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_other_spellings(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        if "pip_index_url" in data:
            data.setdefault("pip_index_urls", data.pop("pip_index_url"))
        if isinstance(data.get("cpu"), (int, float)):
            data["cpu"] = str(data["cpu"])
        return data

    @model_validator(mode="after")
    def _refuse_what_cannot_run(self, info: ValidationInfo) -> TuneSpec:
        if info.context != STORED and (found := tuple(problems(self))):
            raise SpecError.of(found)
        return self

    @property
    def s3_uri(self) -> str:
        """Bucket and key of a dataset in S3, for people; "" for any other dataset."""
        names = (self.s3_bucket_name, (self.s3_file_key or "").lstrip("/"))
        return f"s3://{'/'.join(filter(None, names))}" if self.s3_bucket_name else ""

    @property
    def is_custom(self) -> bool:
        """Whether the trials run a custom objective instead of the trainer."""
        return bool(self.objective_function or self.objective_image)

    @property
    def strategy(self) -> Strategy:
        """The strategy that counts: the one asked for, else the best reported value."""
        return self.objective_strategy or ("min" if self.objective_type == "minimize" else "max")

    @property
    def searched(self) -> dict[str, Parameter]:
        """Every searched hyperparameter by name, in the order in which it was asked for."""
        return {
            name: value
            for group in (self.training_parameters, self.lora_config, self.parameters)
            for name, value in group.items()
            if isinstance(value, Parameter)
        }


FIELDS = TuneSpec.model_fields


def group(field: str) -> str:
    """The heading under which a field is shown in the form and in the README."""
    extra = FIELDS[field].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["group"])


def read(data: Mapping[str, Any]) -> TuneSpec:
    """A checked spec from plain data (YAML, a form, a record).

    Raises:
        SpecError: every wrong field, the first one in front.
    """
    unknown = [key for key in data if key not in FIELDS and key != "pip_index_url"]
    if unknown:
        raise SpecError.of(
            SpecError(
                f"There is no field `{key}`.",
                hint=algorithms.nearest(str(key), dict(FIELDS)),
                field=str(key),
            )
            for key in unknown
        )
    try:
        return TuneSpec.model_validate(dict(data))
    except ValidationError as error:
        raise SpecError.of(_type_errors(error)) from error


def _type_errors(error: ValidationError) -> Iterator[SpecError]:
    seen = set()
    for item in error.errors():
        path = [str(part) for part in item["loc"] if not str(part).startswith("function-")]
        field = path[0] if path else ""
        name = path[1] if field in HYPERPARAMETER_FIELDS and len(path) > 1 else field
        if name in seen:
            continue
        seen.add(name)
        # NB: the end of a range may be an int or a float; pydantic's first complaint is about int.
        kind = "float_type" if name != field and "int" in item["type"] else item["type"]
        yield SpecError(_sentence(name, {**item, "type": kind}), field=field)


def _sentence(name: str, item: Any) -> str:
    received = item["input"]
    shown = f"`{received}`" if isinstance(received, (str, int, float)) else f"{received!r}"
    expected = {
        "literal_error": "one of " + str(item.get("ctx", {}).get("expected", "")),
        "int_parsing": "a whole number",
        "int_from_float": "a whole number",
        "int_type": "a whole number",
        "float_parsing": "a number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "string_type": "a text",
        "greater_than_equal": f"at least {item.get('ctx', {}).get('ge')}",
    }.get(item["type"], item["msg"])
    return f"`{name}` must be {expected}, not {shown[:80]}."


HYPERPARAMETER_FIELDS = ("training_parameters", "lora_config", "parameters")
TRAINER_FIELDS = (
    "model_uri", "dataset", "training_parameters", "lora_config", "quantization",
    "attn_implementation",
    "trust_remote_code", "test_split", "streaming", "columns", "loss_on", "packing",
    "retry_out_of_memory", "save_best",
)  # fmt: skip
METRIC = re.compile(r"[\w|-]+")


def problems(spec: TuneSpec) -> Iterator[SpecError]:
    """Everything that Katib's webhook or a search service would refuse, early or late."""
    yield from _identity(spec)
    yield from _source(spec)
    yield from _objective(spec)
    for field in HYPERPARAMETER_FIELDS:
        for name, value in getattr(spec, field).items():
            if not PARAMETER_NAME.fullmatch(name):
                yield SpecError(
                    f"A hyperparameter's name has letters, digits, _, - and ., not `{name}`.",
                    field=field,
                )
            if isinstance(value, Parameter):
                yield from _parameter(name, value, field)
    yield from _counts(spec)
    yield from _search(spec)
    yield from _cluster(spec)


def _identity(spec: TuneSpec) -> Iterator[SpecError]:
    if not spec.name:
        yield SpecError("An Experiment needs a `name`.", field="name")
    elif len(spec.name) > MAX_NAME_LENGTH:
        yield SpecError(
            f"`name` may have {MAX_NAME_LENGTH} characters, "
            f"`{spec.name[:60]}` has {len(spec.name)}.",
            hint="Shorten it.",
            field="name",
        )
    elif not NAME.fullmatch(spec.name):
        yield SpecError(
            f"`name` is made of a-z, 0-9 and -, from a letter on, not `{spec.name}`.",
            hint="For example `llama-imdb`.",
            field="name",
        )


S3_FIELDS = ("s3_endpoint_url", "s3_bucket_name", "s3_file_key")
S3_PREFIX = "s3://"
S3_OPTIONS = ("s3_region_name", "s3_access_key", "s3_secret_key")
SECRET_FIELDS = ("model_access_token", "dataset_access_token", "s3_access_key", "s3_secret_key")


def _source(spec: TuneSpec) -> Iterator[SpecError]:
    if not spec.is_custom:
        for field in ("model_uri", "dataset"):
            from_s3 = field == "dataset" and has_data_in_s3(spec.__dict__)
            if not getattr(spec, field) and not from_s3:
                yield SpecError(
                    f"`{field}` is missing.", hint="`default` names the shipped one.", field=field
                )
    yield from _s3(spec)
    for field in SECRET_FIELDS:
        value = getattr(spec, field)
        if value and not SECRET.fullmatch(value):
            yield SpecError(
                f"`{field}` names a Secret and its key (`hub-token/token`).",
                hint="The token itself never goes into a spec: what you typed is not shown here.",
                field=field,
            )


def has_data_in_s3(data: Mapping[str, Any]) -> bool:
    """Whether spec data name a dataset in S3; an address alone may be a model's."""
    is_models = str(data.get("model_uri") or "").startswith(S3_PREFIX)
    return any(data.get(field) for field in (S3_FIELDS[1:] if is_models else S3_FIELDS))


def _s3(spec: TuneSpec) -> Iterator[SpecError]:
    given = [field for field in (*S3_FIELDS, *S3_OPTIONS) if getattr(spec, field)]
    is_data = has_data_in_s3(spec.__dict__)
    if not given:
        return
    if spec.is_custom:
        yield SpecError(f"A custom objective takes no `{given[0]}`.", field=given[0])
        return
    keys = S3_OPTIONS[1:] if any(field in given for field in S3_OPTIONS[1:]) else ()
    is_models = spec.model_uri.startswith(S3_PREFIX) and not is_data
    for field in (*(S3_FIELDS[:1] if is_models else S3_FIELDS), *keys):
        if field not in given:
            yield SpecError(f"`{given[0]}` also needs `{field}`.", field=field)
    if spec.dataset and is_data:
        yield SpecError(
            f"The data come from one place, not from `{spec.dataset}` and from S3.", field="dataset"
        )
    if spec.s3_endpoint_url and not ENDPOINT.fullmatch(spec.s3_endpoint_url):
        # NB: not shown: people put `key:secret@` into addresses.
        yield SpecError(
            "`s3_endpoint_url` is an address of http or https, without keys in it.",
            hint="For example https://s3.eu-central-1.amazonaws.com or http://minio.data:9000.",
            field="s3_endpoint_url",
        )
    if spec.s3_bucket_name and not BUCKET.fullmatch(spec.s3_bucket_name):
        yield SpecError(
            f"`s3_bucket_name` is a bucket's name alone, not `{spec.s3_bucket_name}`.",
            hint="What follows the bucket is `s3_file_key`.",
            field="s3_bucket_name",
        )


def _objective(spec: TuneSpec) -> Iterator[SpecError]:
    metric = spec.objective_metric_name
    if not METRIC.fullmatch(metric):
        yield SpecError(
            f"A metric's name is made of letters, digits, _ and -, not `{metric}`.",
            field="objective_metric_name",
        )
    if metric in spec.additional_metric_names:
        yield SpecError(
            f"`{metric}` is the objective already.",
            hint="Leave it out of `additional_metric_names`.",
            field="additional_metric_names",
        )
    yield from _custom_objective(spec)


def _custom_objective(spec: TuneSpec) -> Iterator[SpecError]:
    if spec.objective_function and spec.objective_image:
        yield SpecError(
            "A custom objective is a function or an image, not both.", field="objective_function"
        )
    if bool(spec.objective_function) != bool(spec.objective_source):
        missing = "objective_source" if spec.objective_function else "objective_function"
        yield SpecError(f"A Python objective also needs `{missing}`.", field=missing)
    if bool(spec.objective_image) != bool(spec.objective_command):
        missing = "objective_command" if spec.objective_image else "objective_image"
        yield SpecError(f"An objective in an image also needs `{missing}`.", field=missing)
    if spec.is_custom:
        # NB: the default is the trainer's metric; nobody knows what a custom objective prints.
        if "objective_metric_name" not in spec.model_fields_set:
            yield SpecError(
                "A custom objective needs `objective_metric_name`, the metric that it prints.",
                hint="For example objective_metric_name=result.",
                field="objective_metric_name",
            )
        for field in TRAINER_FIELDS:
            if getattr(spec, field):
                yield SpecError(f"A custom objective takes no `{field}`.", field=field)
    elif spec.parameters:
        name = next(iter(spec.parameters))
        yield SpecError(
            f"`{name}` is no hyperparameter of the trainer, and there is no custom objective.",
            field="parameters",
        )
    elif spec.method == "full" and spec.lora_config:
        name = next(iter(spec.lora_config))
        yield SpecError(
            f"`{name}` belongs to LoRA, and `method` is full.",
            hint="Leave it out, or take method=lora.",
            field="lora_config",
        )


def _parameter(name: str, value: Parameter, field: str) -> Iterator[SpecError]:
    found = _range_problem(name, value) if value.is_range else _list_problem(name, value)
    if found:
        message, hint = found
        yield SpecError(message, hint=hint, field=field)


def _range_problem(name: str, value: Parameter) -> tuple[str, str] | None:
    if value.min is None or value.max is None or value.list is not None:
        return f"`{name}` needs `min` and `max`, and no list.", "Write it as 1e-5..1e-3."
    if value.min > value.max:
        return (
            f"`{name}`: the lower end {value.min} is above the upper end {value.max}.",
            f"Write it as {value.max}..{value.min}.",
        )
    if value.min == value.max:
        return f"`{name}`: {value.min}..{value.max} is one value.", f"Write {name}={value.min}."
    if value.distribution == "logUniform" and value.min <= 0:
        return f"`{name}`: a log scale begins above 0, not at {value.min}.", "Raise the lower end."
    whole = all(isinstance(end, int) for end in (value.min, value.max, value.step or 1))
    if value.parameter_type == "int" and not whole:
        return f"`{name}` is an int: its ends and step are whole numbers.", "Leave out `:int`."
    if value.step is not None and value.distribution == "logUniform":
        return f"`{name}`: a log scale has no steps.", "Leave out `:log` or `:step`."
    if value.step is not None and not 0 < value.step <= value.max - value.min:
        return f"`{name}`: the step {value.step} does not fit into the range.", "Make it smaller."
    return None


def _list_problem(name: str, value: Parameter) -> tuple[str, str] | None:
    if value.min is not None or value.max is not None or value.step is not None:
        return f"`{name}` is a list: it has no `min`, `max` or `step`.", ""
    if value.distribution != "uniform":
        return f"`{name}` is a list: a list has no scale.", "Leave out `:log`."
    choices = value.list or ()
    if len(choices) < 2:
        return f"`{name}` needs at least two values to choose from.", f"Fix it: {name}=VALUE."
    if len({str(choice) for choice in choices}) < len(choices):
        return f"`{name}` lists a value twice.", ""
    if value.parameter_type == "discrete" and not all(map(_is_number, choices)):
        return f"`{name}` is discrete: its values are numbers.", "Make it categorical."
    return None


def _counts(spec: TuneSpec) -> Iterator[SpecError]:
    for field in ("parallel_trial_count", "max_failed_trial_count"):
        value = getattr(spec, field)
        # NB: the default is not something that was asked: it follows max_trial_count down.
        if value > spec.max_trial_count and field in spec.model_fields_set:
            yield SpecError(
                f"`{field}` is {value}, more than `max_trial_count` ({spec.max_trial_count}).",
                field=field,
            )


def _search(spec: TuneSpec) -> Iterator[SpecError]:
    yield from algorithms.problems(
        spec.algorithm_name, spec.algorithm_settings, algorithms.ALGORITHMS, "algorithm_name"
    )
    if spec.early_stopping:
        yield from algorithms.problems(
            spec.early_stopping,
            spec.early_stopping_settings,
            algorithms.EARLY_STOPPING,
            "early_stopping",
        )
    elif spec.early_stopping_settings:
        yield SpecError("Settings of which rule?", field="early_stopping_settings")
    if not spec.searched:
        yield SpecError(
            "Nothing is searched: no hyperparameter has a range or a list.",
            hint="For example learning_rate=1e-5..1e-3:log.",
            field="parameters" if spec.is_custom else "training_parameters",
        )
    elif rule := SEARCH_RULES.get(spec.algorithm_name):
        yield from rule(spec)


def _grid(spec: TuneSpec) -> Iterator[SpecError]:
    endless = [name for name, value in spec.searched.items() if math.isinf(value.size)]
    for name in endless:
        yield SpecError(
            f"`{name}`: grid needs a step for a range of doubles.",
            hint=f"Write {name}=0..0.1:step=0.01, or a list.",
            field="algorithm_name",
        )
    points = math.prod(value.size for value in spec.searched.values())
    if not endless and spec.max_trial_count > points:
        yield SpecError(
            f"`max_trial_count` is {spec.max_trial_count}, but the grid has {int(points)} points.",
            hint=f"Write max_trial_count={int(points)}.",
            field="max_trial_count",
        )


def _cmaes(spec: TuneSpec) -> Iterator[SpecError]:
    ranges = [name for name, value in spec.searched.items() if value.is_range]
    if len(ranges) < 2:
        yield SpecError(
            f"`cmaes` needs two or more int or double ranges, there is {len(ranges)}.",
            field="algorithm_name",
        )


def algorithm_settings(spec: TuneSpec) -> dict[str, str]:
    """The algorithm's settings, the required ones at their defaults where they were left out.

    The default of hyperband's `r_l` is the maximum of its resource.
    """
    settings = algorithms.with_defaults(spec.algorithm_name, spec.algorithm_settings)
    resource = spec.searched.get(settings.get("resource_name", ""))
    if spec.algorithm_name == "hyperband" and resource and resource.max is not None:
        settings.setdefault("r_l", str(resource.max))
    return settings


def _hyperband(spec: TuneSpec) -> Iterator[SpecError]:
    settings = algorithm_settings(spec)
    resource = settings["resource_name"]
    ceiling = spec.searched.get(resource)
    if ceiling is None:
        yield SpecError(
            f"hyperband's resource `{resource}` must be a searched hyperparameter.",
            hint=f"Add {resource}=1..9.",
            field="algorithm_settings",
        )
    elif "r_l" not in settings:
        yield SpecError(
            "hyperband needs `r_l`, the most of its resource.",
            hint="Write algorithm=hyperband(r_l=9).",
            field="algorithm_settings",
        )
    else:
        yield from _hyperband_width(spec, settings)


def _hyperband_width(spec: TuneSpec, settings: Mapping[str, str]) -> Iterator[SpecError]:
    try:
        width = algorithms.hyperband_width(settings)
    except ValueError:  # the settings' own error was yielded before
        return
    asked = f"hyperband with r_l={settings['r_l']} and eta={settings['eta']}"
    if spec.max_trial_count < width:
        yield SpecError(
            f"{asked} begins with {width} trials, `max_trial_count` is {spec.max_trial_count}.",
            hint=f"Write max_trial_count={width}, or take a smaller r_l.",
            field="max_trial_count",
        )
    elif spec.parallel_trial_count < width:
        yield SpecError(
            f"{asked} runs {width} trials at the same time, `parallel_trial_count` is "
            f"{spec.parallel_trial_count}.",
            hint=f"Write parallel_trial_count={width}.",
            field="parallel_trial_count",
        )


def _pbt(spec: TuneSpec) -> Iterator[SpecError]:
    for name, value in spec.searched.items():
        if value.parameter_type == "double" and value.step is None:
            yield SpecError(
                f"`{name}`: pbt needs a step for a range of doubles.", field="algorithm_name"
            )


SEARCH_RULES = {"grid": _grid, "cmaes": _cmaes, "hyperband": _hyperband, "pbt": _pbt}


def _cluster(spec: TuneSpec) -> Iterator[SpecError]:
    for field in ("cpu", "memory", "storage_size"):
        value = getattr(spec, field)
        if value is not None and not QUANTITY.fullmatch(value):
            yield SpecError(
                f"`{field}` is an amount like `4`, `500m`, `10G` or `10Gi`, not `{value}`.",
                field=field,
            )
    for name in spec.env_per_trial:
        if not ENV_NAME.fullmatch(name):
            yield SpecError(
                f"`{name}` is no name of an environment variable.", field="env_per_trial"
            )


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but `1e-5` is a number, as everybody who writes a learning rate expects."""


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what `_Loader` would take for a number."""


for _yaml in (_Loader, _Dumper):
    _yaml.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"),
        list("-+0123456789"),
    )


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Source as it was written; what is not printable, or ends a line for YAML only, escaped."""
    block = "\n" in text and text.replace("\n", "").isprintable()
    style = "|" if block else None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_data(spec: TuneSpec) -> dict[str, Any]:
    """Plain data of what was set: `read(to_data(spec)) == spec`."""
    data = spec.model_dump(mode="json", exclude_unset=True)
    for field in HYPERPARAMETER_FIELDS:
        for name, value in getattr(spec, field).items():
            if isinstance(value, Parameter):
                data[field][name] = value.model_dump(mode="json", exclude_defaults=True)
            else:
                data[field][name] = value
    return data


def to_yaml(spec: TuneSpec) -> str:
    """The spec as YAML that `from_yaml` and `tune -f` take."""
    return dump(to_data(spec))


def dump(data: Mapping[str, Any]) -> str:
    """Plain spec data as YAML, in the order of the fields."""
    order = list(FIELDS)
    ordered = dict(sorted(data.items(), key=lambda item: order.index(item[0])))
    return yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str) -> TuneSpec:
    """Read a spec from YAML.

    Raises:
        SpecError: no YAML, no mapping, or a spec that cannot be run.
    """
    return read(data_from_yaml(text))


def data_from_yaml(text: str) -> dict[str, Any]:
    """The fields in a YAML text, not yet checked.

    Raises:
        SpecError: no YAML, or no mapping of fields.
    """
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise SpecError(f"This is no YAML{where}: {getattr(error, 'problem', error)}.") from error
    if not isinstance(data, dict):
        raise SpecError(
            f"A spec is a list of `field: value` lines, not {type(data).__name__}.",
            hint="For example `model_uri: default`.",
        )
    return {str(key): value for key, value in data.items()}


def choices(field: str) -> tuple[str, ...]:
    """The values that a field with fixed choices takes; () for any other field."""
    annotation = FIELDS[field].annotation
    parts = (annotation, *get_args(annotation))  # also inside `X | None` and `tuple[X, ...]`
    literal = next((part for part in parts if get_origin(part) is Literal), None)
    return tuple(str(value) for value in get_args(literal))

"""What the trial program would refuse of a spec, said before anything starts (pure).

Engines ask it of a spec that is to run. What runs already is never asked again: Experiments of
others may be scored by metrics that our trial program does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bot import algorithms, tasks
from bot.errors import SpecError
from bot.hyperparameters import LIMITS, OWN
from bot.spec import Parameter, TuneSpec

WITH_END = re.compile(r":\d+\]$")


def problems(spec: TuneSpec) -> Iterator[SpecError]:
    """Everything that a trial of this spec would refuse; nothing of a custom objective."""
    if spec.is_custom:
        return
    yield from _metrics(spec)
    yield from _direction(spec)
    yield from _only_for_some(spec)
    yield from _own_hyperparameters(spec)
    yield from _length(spec)
    yield from _model(spec)
    yield from _data(spec)
    yield from _streaming(spec)


def _metrics(spec: TuneSpec) -> Iterator[SpecError]:
    known = tasks.metrics_of(spec.transformer_type)
    asked = [(spec.objective_metric_name, "objective_metric_name")]
    asked += [(name, "additional_metric_names") for name in spec.additional_metric_names]
    for name, field in asked:
        if name not in known:
            yield SpecError(
                f"`{name}` is no metric of {spec.transformer_type}.",
                hint=_nearest(name, known),
                field=field,
            )


def _nearest(metric: str, known: tuple[str, ...]) -> str:
    held_out = f"eval_{metric.removeprefix('eval_')}"
    return algorithms.nearest(held_out if held_out in known else metric, list(known))


def _direction(spec: TuneSpec) -> Iterator[SpecError]:
    metric, asked = spec.objective_metric_name, spec.objective_type
    right = tasks.direction(metric)
    is_clear = metric.startswith("eval_") or metric.endswith("loss")
    if is_clear and metric in tasks.metrics_of(spec.transformer_type) and asked != right:
        better = "lower" if right == "minimize" else "higher"
        yield SpecError(
            f"`objective_type` is {asked}, and a {better} `{metric}` is better: that would look "
            "for the worst trial.",
            hint=f"Write objective={right}:{metric}.",
            field="objective_type",
        )


def _only_for_some(spec: TuneSpec) -> Iterator[SpecError]:
    kind = spec.transformer_type
    for name, types in tasks.ONLY_FOR.items():
        field = "training_parameters" if name in OWN else name
        given = name in spec.training_parameters if name in OWN else getattr(spec, name)
        if given and kind not in types:
            yield SpecError(
                f"`{name}` means nothing to {kind}; it is for {_listed(types)}.",
                hint="Leave it out, or take another transformer_type.",
                field=field,
            )


def _own_hyperparameters(spec: TuneSpec) -> Iterator[SpecError]:
    for name, limits in LIMITS.items():
        asked = spec.training_parameters.get(name)
        searched = isinstance(asked, Parameter)
        values = _values(asked) if isinstance(asked, Parameter) else [asked]
        for value in values:
            if value is None and not searched:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield SpecError(
                    f"`{name}` is a number, not `{value}`.", field="training_parameters"
                )
            elif OWN[name] == "int" and not float(value).is_integer():
                yield SpecError(
                    f"`{name}` is a whole number, not {value}.", field="training_parameters"
                )
            elif not limits.hold(value):
                yield SpecError(
                    f"`{name}` must be {limits.words}, not {value}.", field="training_parameters"
                )


def _values(space: Parameter) -> Iterable[object]:
    return (space.min, space.max) if space.is_range else (space.list or ())


def _length(spec: TuneSpec) -> Iterator[SpecError]:
    asked = spec.training_parameters.get("max_length")
    if asked is not None and "max_length" in spec.model_fields_set and asked != spec.max_length:
        yield SpecError(
            f"`max_length` is given twice: as {spec.max_length}, and among the hyperparameters.",
            hint="Keep one of them.",
            field="max_length",
        )


def _model(spec: TuneSpec) -> Iterator[SpecError]:
    kind = spec.transformer_type
    for field, shipped in (
        ("model_uri", tasks.SHIPPED_MODELS),
        ("dataset", tasks.SHIPPED_DATASETS),
    ):
        name = getattr(spec, field)
        if kind not in shipped.get(name, (kind,)):
            others = [f"`{other}`" for other, types in shipped.items() if kind in types]
            yield SpecError(
                f"The {field.removesuffix('_uri')} `{name}` is not for {kind}.",
                hint=f"Take {' or '.join(others) or 'one of your own'}.",
                field=field,
            )
    if spec.quantization and spec.method == "full":
        yield SpecError(
            f"`quantization` is {spec.quantization}: weights in so few bits cannot be trained.",
            hint="Take method=lora, or leave `quantization` out.",
            field="quantization",
        )


def _data(spec: TuneSpec) -> Iterator[SpecError]:
    for name in ("text", "label"):
        column = getattr(spec, f"{name}_column")
        if column and spec.columns.get(name, column) != column:
            yield SpecError(
                f"The column of the {name} is given twice: `{column}` and `{spec.columns[name]}`.",
                hint="Keep one of them.",
                field="columns",
            )
    known = tasks.COLUMNS[spec.transformer_type]
    asked = [(name, "columns") for name in spec.columns]
    asked += [(n, f"{n}_column") for n in ("text", "label") if getattr(spec, f"{n}_column")]
    for name, field in asked:
        if name not in known:
            yield SpecError(
                f"{spec.transformer_type} has no use for a column `{name}`; it takes "
                f"{_listed(known)}.",
                field=field,
            )
    if spec.test_split and spec.test_split in (spec.split, spec.eval_split):
        yield SpecError(
            f"`test_split` is `{spec.test_split}`, which every trial sees.",
            hint="Name rows that are in neither `split` nor `eval_split`.",
            field="test_split",
        )


def _streaming(spec: TuneSpec) -> Iterator[SpecError]:
    if not spec.streaming:
        return
    if spec.packing:
        yield SpecError(
            "`packing` needs all rows at once.",
            hint="Leave it out, or leave `streaming` out.",
            field="packing",
        )
    if spec.training_parameters.get("train_fraction", 1) != 1:
        yield SpecError(
            "`train_fraction` needs all rows at once.",
            hint="With streaming=true take a slice such as split=train[:100000].",
            field="training_parameters",
        )
    if "max_steps" in spec.training_parameters:
        return
    if spec.transformer_type == tasks.QUESTION_ANSWERING:
        yield SpecError(
            "With `streaming` nobody knows how many parts the contexts are cut into.",
            hint="Write max_steps=1000.",
            field="streaming",
        )
    elif not WITH_END.search(spec.split):
        yield SpecError(
            "With `streaming` nobody knows how many rows there are.",
            hint="Write max_steps=1000, or a slice such as split=train[:100000].",
            field="streaming",
        )


def _listed(types: Iterable[str]) -> str:
    *others, last = types
    return f"{', '.join(others)} and {last}" if others else last

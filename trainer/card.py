"""The model card of an exported trial: README.md as the Hugging Face hub reads it.

What it says is taken from `result.json` and `test.json`; nothing is measured here.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from trainer import defaults, licences, sources
from trainer.config import SEQUENCE_CLASSIFICATION, TrialConfig
from trainer.errors import TrialError

DEFAULT_BASE = "sentence-transformers/all-MiniLM-L6-v2"  # the hub's name of the default weights
PIPELINES: Mapping[str, str] = {
    SEQUENCE_CLASSIFICATION: "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForQuestionAnswering": "question-answering",
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForMaskedLM": "fill-mask",
    "AutoModelForImageClassification": "image-classification",
}
METRIC_NAMES = {"matthews": "matthews_correlation"}  # where the hub has another
MAX_CURVE_ROWS = 20
# Flags that say where a trial writes and reports, not what it is.
_WHERE = ("--output-dir", "--push-metrics")

Result = Mapping[str, Any]


def written(
    name: str, asked: TrialConfig, result: Result, test: Result | None, folder: Path
) -> str:
    """The card's text.

    Args:
        name: what the model is called.
        test: `split`, `rows` and `metrics` of the score on rows that no trial saw, if there is one.
        folder: the exported files, from which it is seen how they are loaded.
    """
    licence = licences.found(asked.model_uri, "model")
    data = _front_matter(name, asked, result, test, licence)
    sections = (
        f"# {name}",
        _summary(asked, result),
        _section("Use", _fenced("python", usage(asked, folder))),
        _section("Scores", _scores(result, test)),
        _section("Training", _training(asked, result)),
        _section("Curve", _curve(result["curve"])),
        _section("Make it again", _again(result)),
        _section("Licences", _licences(asked, licence)),
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(
    name: str, asked: TrialConfig, result: Result, test: Result | None, licence: str | None
) -> ModelCardData:
    is_lora = asked.method == "lora"
    base = base_name(asked.model_uri)
    on_hub = None if asked.s3 else _hub_name(asked.dataset, "dataset")
    scores = _test_or_eval(result, test)
    short = on_hub or Path(dataset_name(asked)).name
    pipeline = PIPELINES[asked.transformer_type]
    return ModelCardData(
        base_model=base,
        library_name="peft" if is_lora else "transformers",
        license=licence,
        pipeline_tag=pipeline,
        tags=["katib-tune", *(["lora"] if is_lora else [])],
        datasets=[on_hub] if on_hub else None,
        metrics=[METRIC_NAMES.get(metric, metric) for metric in scores if metric != "loss"],
        model_name=name,
        eval_results=[
            EvalResult(
                task_type=pipeline,
                dataset_type=short,
                dataset_name=short,
                dataset_split=test["split"] if test else asked.eval_split or "validation",
                metric_type=METRIC_NAMES.get(metric, metric),
                metric_value=value,
            )
            for metric, value in scores.items()
        ],
    )


def base_name(uri: str) -> str | None:
    """The base model's name on the hub, None if it has none that is known."""
    return DEFAULT_BASE if uri == sources.DEFAULT else _hub_name(uri, "model")


def _hub_name(uri: str, noun: sources.Noun) -> str | None:
    try:
        source = sources.read(uri, noun)
    except TrialError:  # a folder that is not there any longer
        return None
    return source.value if source.kind == "hub" else None


def dataset_name(asked: TrialConfig) -> str:
    if asked.s3:
        return asked.s3.uri
    return defaults.DATASET_NAME if asked.dataset == sources.DEFAULT else asked.dataset


def _test_or_eval(result: Result, test: Result | None) -> dict[str, float]:
    """The scores that speak for the model, by their names without `test_` or `eval_`."""
    return _without("test_", test["metrics"]) if test else held_out(result)


def held_out(result: Result) -> dict[str, float]:
    """The scores of the exported weights in the trial: the best evaluation's, else the last's."""
    curve = [point["metrics"] for point in result["curve"] if "eval_loss" in point["metrics"]]
    return _without("eval_", result["best"]["metrics"] if _has_best(result) else curve[-1])


def _has_best(result: Result) -> bool:
    """Whether an evaluation was the best; not so by what is measured between evaluations."""
    return result["best"] is not None and "eval_loss" in result["best"]["metrics"]


def _without(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics whose names have the prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in metrics.items()
        if name.startswith(prefix)
    }


def _summary(asked: TrialConfig, result: Result) -> str:
    what = "A LoRA adapter for" if asked.method == "lora" else "Fine-tuned from"
    base = base_name(asked.model_uri) or asked.model_uri
    metric, best = asked.objective_metric, result["best"]
    chosen = "It is the last state of the trial."
    if _has_best(result):
        chosen = (
            f"It is the checkpoint of step {best['step']} (epoch {best['epoch']:g}), the best of "
            f"the trial by `{metric}`: {best['metrics'][metric]:.6g}."
        )
    return f"{what} `{base}`, trained on `{dataset_name(asked)}` (`{asked.split}`). {chosen}"


def usage(asked: TrialConfig, folder: Path) -> str:
    """Python that loads the model from its folder, by transformers and peft alone."""
    kind = asked.transformer_type
    has_tokenizer = (folder / "tokenizer_config.json").is_file()
    processor = "AutoTokenizer" if has_tokenizer else "AutoImageProcessor"
    code = ", trust_remote_code=True" if asked.trust_remote_code else ""
    if asked.method != "lora":
        return (
            f"from transformers import {kind}, {processor}\n\n"
            'folder = "."  # where this file is\n'
            f"processor = {processor}.from_pretrained(folder{code})\n"
            f"model = {kind}.from_pretrained(folder{code})"
        )
    # NB: transformers looks for a model's own code in the folder, not in the subfolder.
    config = 'folder + "/base_config"' if code else 'folder, subfolder="base_config"'
    adapter = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    base, revision = adapter["base_model_name_or_path"], adapter.get("revision")
    more = code + (f", revision={json.dumps(revision)}" if revision else "")
    if kind.endswith("Classification"):
        more += ", ignore_mismatched_sizes=True"  # a base may have a head of its own
    return (
        "from peft import PeftModel\n"
        f"from transformers import AutoConfig, {kind}, {processor}\n\n"
        'folder = "."  # where this file is\n'
        f"processor = {processor}.from_pretrained(folder{code})\n"
        f"config = AutoConfig.from_pretrained({config}{code})\n"
        f"base = {kind}.from_pretrained(\n    {json.dumps(base)}, config=config{more}\n)\n"
        "model = PeftModel.from_pretrained(base, folder)"
    )


def _scores(result: Result, test: Result | None) -> str:
    before, tested = held_out(result), _test_or_eval(result, test) if test else {}
    rows = [
        (name, *(_number(found.get(name)) for found in (before, tested)))
        for name in dict.fromkeys((*before, *tested))
    ]
    said = (
        f"The test rows, `{test['split']}` ({test['rows']}), were seen by no trial and scored once."
        if test
        else "There were no test rows: the scores are of rows that have chosen the checkpoint and, "
        "in a search, the hyperparameters, so they are a little too good."
    )
    return _table(("metric", "held-out rows", "test rows"), rows) + "\n\n" + said


def _training(asked: TrialConfig, result: Result) -> str:
    rows = result["rows"]
    seconds = result["seconds"]
    said = (
        f"{rows['train']} rows to train on, {rows['eval']} held out; {result['rows_per_step']} "
        f"rows per step; {result['trainable_parameters']:,} trainable parameters; "
        f"{seconds['train']:.0f} s of training and {seconds['eval']:.0f} s of evaluation."
    )
    parameters = [(name, f"`{value}`") for name, value in result["parameters"].items()]
    return said + "\n\n" + _table(("hyperparameter", "value"), parameters)


def _curve(points: Sequence[Result]) -> str:
    """Every evaluation, or some of them if they are many, the last one always."""
    found = [point for point in points if "eval_loss" in point["metrics"]]
    every = -(-len(found) // MAX_CURVE_ROWS) or 1
    shown = found[::-1][::every][::-1]
    names = ["train_loss", *(name for name in shown[-1]["metrics"] if name.startswith("eval_"))]
    return _table(
        ("step", "epoch", *names),
        [
            (
                *(str(point["step"]), f"{point['epoch']:g}"),
                *(_number(point["metrics"].get(name)) for name in names),
            )
            for point in shown
        ],
    )


def command(result: Result) -> str:
    """The shell command that trains the same weights again, into the folder `again`."""
    words, is_value = [], False
    for word in result["command"]:
        flag, equals, _ = word.partition("=")
        if flag in _WHERE:
            is_value = not equals
        elif is_value and not word.startswith("-"):
            is_value = False
        else:
            words.append(word)
            is_value = False
    threads = f"OMP_NUM_THREADS={result['device']['threads']} "
    prefix = threads if result["device"]["type"] == "cpu" else ""
    return prefix + shlex.join([*words, "--output-dir=again"])


def _again(result: Result) -> str:
    device = result["device"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    count = f"{device['count']} x " if device.get("count", 1) > 1 else ""
    return (
        _fenced("sh", command(result)) + "\n\n"
        f"- seed {result['parameters']['seed']}, data `{result['data_fingerprint']}`, "
        f"{_counted(result['processes'], 'process')} of {_counted(device['threads'], 'thread')}\n"
        f"- {count}{device['name']} ({device['type']})\n"
        f"- {versions}\n\n"
        "With these versions, on a CPU of this kind, it gives the same weights bit by bit in "
        "`again/best`. With other processes, threads, GPUs or kernels, sums are taken in another "
        "order: losses in float32 differ by about 1e-4 of their size after some steps, and more "
        "the longer the training is."
    )


def _licences(asked: TrialConfig, licence: str | None) -> str:
    data = None if asked.s3 else licences.found(asked.dataset, "dataset")
    unknown = "not stated where the trial found it; look before you publish"
    base = base_name(asked.model_uri) or asked.model_uri
    return (
        f"- Base model `{base}`: {licence or unknown}\n"
        f"- Data `{dataset_name(asked)}`: {data or unknown}"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _counted(number: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{plural if number != 1 else ''}"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)

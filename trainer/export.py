"""`python -m trainer export`: a finished trial's best weights, made into something to hand on.

    FOLDER/                      the adapter (or the model), its tokenizer or image processor
    FOLDER/README.md             a model card: scores, hyperparameters, and how to make it again
    FOLDER/base_config/          of an adapter: the base model's configuration, with the labels
    FOLDER/merged/               with --merge: one model that needs no peft

The trial keeps its score on the test rows in `test.json`: it is measured once, whoever exports the
trial however often.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import config, sources
from trainer.errors import TrialError
from trainer.result import BASE_CONFIG, BEST, FILE_NAME, TEST_FILE, write_atomically

if TYPE_CHECKING:
    from trainer.data import Splits

MERGED = "merged"
NO_TEST = "none"
# Files of an adapter that a whole model does not have.
_OF_ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "README.md")

EPILOG = """
the test:
  The best weights are scored once on the test rows. The score is kept in DIR/test.json, and every
  later export shows it; other test rows are refused from then on.
examples:
  python -m trainer export --trial runs/7 --to models/reviews
  python -m trainer export --trial runs/7 --to models/reviews --merge --dtype bfloat16
exit codes:
  0 ok, 1 anything unforeseen (also a full disk), 2 nothing to export or a flag that cannot be,
  3 data, 4 model, 7 the default model or dataset is not fetched
"""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A trial that succeeded and kept its best weights."""

    folder: Path
    asked: config.TrialConfig
    result: dict[str, Any]

    @property
    def best(self) -> Path:
        return self.folder / BEST

    @property
    def is_lora(self) -> bool:
        return self.asked.method == "lora"


def parser() -> config.Parser:
    flags = config.Parser(
        prog="python -m trainer export",
        description="Writes the best weights of a finished trial, which was run with --save-best, "
        "into a new folder that transformers and peft load: the adapter (or the model), the "
        "tokenizer or image processor, and README.md, a model card with the scores, the "
        "hyperparameters and the command that makes the same weights again.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument(
        "--trial", type=Path, required=True, metavar="DIR", help="the --output-dir of the trial"
    )
    flags.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="a new folder, or an empty one"
    )
    flags.add_argument(
        "--merge",
        action="store_true",
        help="also write FOLDER/merged: the base model with the adapter in its weights",
    )
    flags.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="of the merged weights, which are added up in float32 (default: float32)",
    )
    flags.add_argument(
        "--test-split",
        metavar="SPEC",
        help="rows that the trial has not seen, or `none`; default: the trial's --test-split, else "
        "a split called test that it has left alone",
    )
    return flags


def run(args: argparse.Namespace) -> str:
    """The command; returns what it did in a sentence. Every failure is a TrialError or OSError."""
    trial = read(args.trial)
    _check_target(args.to)
    if args.merge:
        _check_can_merge(trial)
    test = _test_score(trial, args.test_split)
    from trainer import card

    with _new_folder(args.to) as partial:
        shutil.copytree(trial.best, partial, dirs_exist_ok=True)
        if trial.is_lora:
            _name_base(partial / "adapter_config.json", trial.asked.model_uri)
        network_config = partial / (BASE_CONFIG if trial.is_lora else ".") / "config.json"
        _let_generate(network_config)
        if args.merge:
            merge(trial, network_config, partial / MERGED, args.dtype)
        text = card.written(args.to.resolve().name, trial.asked, trial.result, test, partial)
        write_atomically(partial / "README.md", text)
    what = "adapter" if trial.is_lora else "model"
    return f"The {what} {'and the merged model are' if args.merge else 'is'} in {args.to}."


def read(folder: Path) -> Trial:
    """The trial of an output folder; BadParameter if there is nothing in it to export."""
    file = folder / FILE_NAME
    if not file.is_file():
        raise _refused(
            f"{folder} holds no finished trial: there is no {FILE_NAME} in it. Give the "
            "--output-dir of a trial that has ended."
        )
    result = json.loads(file.read_text(encoding="utf-8"))
    if result["state"] != "Succeeded":
        raise _refused(
            f"The trial in {folder} failed, {result['reason']}: {result['message']} Only one that "
            "succeeded can be exported."
        )
    kept_none = (
        f"The trial in {folder} kept no weights; run it again with --save-best, then export it."
    )
    if not (folder / BEST).is_dir():
        raise _refused(kept_none)
    if "command" not in result:
        raise _refused(
            f"{file} does not say by which command its trial was run: it is from an earlier "
            "version. Run the trial again."
        )
    flags = result["command"][result["command"].index("trainer") + 1 :]
    asked = config.read_config(config.trial_parser().parse_args(flags))
    if not asked.save_best:  # those that are there are an earlier trial's
        raise _refused(kept_none)
    return Trial(folder, asked, result)


def _refused(sentence: str) -> TrialError:
    return TrialError("BadParameter", sentence)


def _check_target(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise _refused(f"{target} is there and not an empty folder; give another --to.")


def _check_can_merge(trial: Trial) -> None:
    if not trial.is_lora:
        raise _refused(
            "There is nothing to merge: the trial trained the whole model. Leave --merge out."
        )
    if trial.asked.quantization:
        raise _refused(
            f"The weights of {trial.asked.model_uri} were of {trial.asked.quantization}, and an "
            "adapter merged into them would lose its precision. Leave --merge out and use the "
            "adapter."
        )


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A partial folder that becomes `target` if all goes well, and leaves nothing if not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield partial
        partial.chmod(0o755)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _name_base(file: Path, uri: str) -> None:
    """Has the adapter name its base model as others know it, if that is from the hub."""
    source = sources.read(uri, "model")
    content = json.loads(file.read_text(encoding="utf-8"))
    base = Path(content["base_model_name_or_path"])
    if source.kind == "hub" and base.is_dir():
        # NB: the hub's cache calls the folder of a snapshot by its revision.
        content |= {"base_model_name_or_path": source.value, "revision": base.name}
        write_atomically(file, json.dumps(content, indent=2) + "\n")


def _let_generate(file: Path) -> None:
    """Takes back what training switches off: the cache without which generating is slow."""
    content = json.loads(file.read_text(encoding="utf-8"))
    if content.get("use_cache") is False:
        write_atomically(file, json.dumps(content | {"use_cache": True}, indent=2) + "\n")


def merge(trial: Trial, network_config: Path, folder: Path, dtype: str) -> None:
    """Writes the base model with the adapter in its weights, computed in float32, as `dtype`."""
    import torch
    import transformers
    from peft import PeftModel

    from trainer import architecture, model

    asked = trial.asked
    network = model.load(
        getattr(transformers, asked.transformer_type),
        model.find(asked),
        config=architecture.read_config(
            network_config.parent, asked.model_uri, asked.trust_remote_code
        ),
        ignore_mismatched_sizes=True,
    )
    adapted: Any = PeftModel.from_pretrained(network, trial.best)
    adapted.merge_and_unload().to(getattr(torch, dtype)).save_pretrained(folder)
    for file in trial.best.iterdir():
        if file.is_file() and file.name not in _OF_ADAPTERS:
            shutil.copy(file, folder)


def _test_score(trial: Trial, asked: str | None) -> dict[str, Any] | None:
    """The score on rows that no trial has seen: the one that is written down, else measured now."""
    file = trial.folder / TEST_FILE
    if file.is_file():
        known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if asked not in (None, NO_TEST, known["split"]):
            raise _refused(
                f"The trial has been scored on {known['split']!r} already, and a second set of "
                "test rows would be a choice between scores. Leave --test-split out."
            )
        return known
    if asked == NO_TEST:
        return None
    from trainer import data

    splits = data.load_splits(trial.asked.dataset, trial.asked.s3)
    spec = _test_split(splits, trial.asked, asked)
    if spec is None:
        return None
    found = {"split": spec, **evaluate(trial, spec)}
    write_atomically(file, json.dumps(found, indent=1) + "\n")
    return found


def _test_split(splits: Splits, asked: config.TrialConfig, wanted: str | None) -> str | None:
    """The rows to test on, which were neither trained on nor used to choose; else BadSplit."""
    from trainer import data

    evaluated = data.eval_split(splits, asked.split, asked.eval_split, asked.test_split)
    spec = wanted or data.test_split(splits, asked)
    seen = {asked.split: "was trained on", evaluated: "has chosen the best checkpoint"}
    for other, why in seen.items():
        if spec and other and (shared := data.shared_rows(splits, spec, other)):
            raise TrialError(
                "BadSplit",
                f"{shared} rows of {spec!r} are in {other!r}, which {why}; a test needs rows that "
                "the trial has not seen. Name others, or --test-split none.",
            )
    return spec


def evaluate(trial: Trial, spec: str) -> dict[str, Any]:
    """`rows` and `metrics` of the best weights on the rows that `spec` names, `test_` before them.

    By the trial's own way: the same tokens, batches and scores as its evaluations had.
    """
    from trainer import architecture, train
    from trainer.metrics import Reporter
    from trainer.result import Recorder

    asked = dataclasses.replace(trial.asked, eval_split=spec, test_split=None)
    if not trial.is_lora:
        asked = dataclasses.replace(asked, model_uri=str(trial.best), model_s3=None)
    with tempfile.TemporaryDirectory(prefix="katib-tune-") as scratch:
        silent = Reporter(lambda line: None)
        recorder = Recorder(Path(scratch), asked.objective_metric, asked.objective_type, silent)
        ready = train.prepare(asked, Path(scratch), recorder)
        known = architecture.read_config(
            trial.best / (BASE_CONFIG if trial.is_lora else "."),
            asked.model_uri,
            asked.trust_remote_code,
        )
        if ready.network.config.id2label != known.id2label:
            raise TrialError(
                "LabelMismatch",
                f"The rows of {spec!r} have labels that the trial did not know; it knows "
                f"{', '.join(known.id2label.values())}.",
            )
        if trial.is_lora:
            ready.network.load_adapter(trial.best, "default")
        found = ready.trainer.evaluate()
    names = ("loss", *config.TASK_METRICS[asked.transformer_type])
    return {
        "rows": recorder.facts["rows"]["eval"],
        "metrics": {f"test_{name}": float(f"{found[f'eval_{name}']:.8g}") for name in names},
    }

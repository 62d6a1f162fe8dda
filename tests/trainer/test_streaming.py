"""Rows read while training: every row of an epoch once, in parts, with bounded memory."""

from __future__ import annotations

import gc
import itertools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import skip_first_batches
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset

from tests.trainer.conftest import text_of
from trainer import streaming, train
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.result import Recorder

# What `datasets` reads in part, it leaves open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})


def rows(size: int, start: int = 0) -> Dataset:
    numbers = range(start, start + size)
    return Dataset.from_dict(
        {"text": [f"{i} {text_of(i, i % 2)}" for i in numbers], "label": [i % 2 for i in numbers]},
        features=FEATURES,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of 5,000 rows to train on in two files, and 100 rows of validation and of test."""
    path = tmp_path / "data"
    path.mkdir()
    rows(3000).to_parquet(path / "train-00000-of-00002.parquet")
    rows(2000, 3000).to_parquet(path / "train-00001-of-00002.parquet")
    rows(100, 8000).to_parquet(path / "validation.parquet")
    rows(100, 9000).to_parquet(path / "test.parquet")
    return path


def asked(dataset: Path, *flags: str) -> TrialConfig:
    return read_config(
        trial_parser().parse_args(
            ["--output-dir=out", f"--dataset={dataset}", "--streaming", *flags]
        )
    )


def number(row: dict[str, Any]) -> int:
    return int(row["text"].split()[0])


def numbers(source: streaming.Source, count: int, **options: int) -> list[int]:
    stream = source.stream(lambda part, _: part.to_list(), **{"seed": 1, "batch": 4, **options})
    return [number(row) for row in itertools.islice(stream, count)]


def test_an_epoch_has_every_row_once_and_the_next_one_in_another_order(folder: Path) -> None:
    source = streaming.open_source(asked(folder))
    found = numbers(source, 10_000)
    one, two = found[:5000], found[5000:]
    assert sorted(one) == sorted(two) == list(range(5000))
    assert one != two
    assert one[:100] != sorted(one[:100]), "shuffled"
    assert numbers(source, 100) == one[:100], "always the same"
    assert numbers(source, 100, seed=2) != one[:100]


def test_processes_take_the_batches_that_one_process_would(folder: Path) -> None:
    source = streaming.open_source(asked(folder))
    alone = numbers(source, 1200)
    parts = [numbers(source, 400, rank=rank, world=3) for rank in range(3)]
    batches = [part[at : at + 4] for at in range(0, 400, 4) for part in parts]
    assert list(itertools.chain.from_iterable(batches)) == alone


@pytest.mark.parametrize(
    ("flags", "held_out", "first", "count"),
    [
        ((), (8000, 100), 0, None),
        (("--eval-split=test[:50]",), (9000, 50), 0, None),
        (("--split=train[1000:4000]",), (8000, 100), 1000, 3000),
        (("--test-split=validation",), (9000, 100), 0, None),
        (
            ("--split=train[100:]", "--test-split=train[:100]", "--eval-split=test"),
            *((9000, 100), 100, None),
        ),
        (("--split=test", "--test-split=validation"), None, None, None),
    ],
)
def test_rows_to_evaluate_on_are_not_trained_on(
    folder: Path,
    flags: tuple[str, ...],
    held_out: tuple[int, int] | None,
    first: int | None,
    count: int | None,
) -> None:
    if held_out is None:
        with pytest.raises(TrialError, match="The first 100 rows of 'test' are evaluated on"):
            streaming.open_source(asked(folder, *flags))
        return
    source = streaming.open_source(asked(folder, *flags))
    held = [number(row) for row in source.splits["validation"]]
    assert (held[0], len(held)) == held_out
    assert number(source.splits["train"][0]) == first
    assert source.count == count


def test_without_a_split_for_it_the_first_2000_rows_evaluate_and_are_skipped(
    tmp_path: Path,
) -> None:
    rows(2500).to_parquet(tmp_path / "a.parquet")
    source = streaming.open_source(asked(tmp_path / "a.parquet"))
    assert [number(row) for row in source.splits["validation"]] == list(range(2000))
    assert source.count == 500
    assert sorted(numbers(source, 500)) == list(range(2000, 2500))


def test_a_part_that_is_longer_than_the_data_has_as_many_rows_as_there_are(tmp_path: Path) -> None:
    rows(2500).to_parquet(tmp_path / "a.parquet")
    source = streaming.open_source(asked(tmp_path / "a.parquet", "--split=train[:100000]"))
    assert source.count == 500


def test_rows_beyond_the_split_are_not_evaluated_on(tmp_path: Path) -> None:
    rows(2500).to_parquet(tmp_path / "a.parquet")
    few = asked(tmp_path / "a.parquet", "--split=train[:1000]", "--test-split=train[1000:]")
    with pytest.raises(TrialError, match=r"The first 1000 rows of 'train.:1000.' are evaluated on"):
        streaming.open_source(few)
    shared = asked(tmp_path / "a.parquet", "--test-split=train[:100]")
    with pytest.raises(TrialError, match=r"the evaluation split 'train\[0:2000\]'"):
        streaming.open_source(shared)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--split=trian",), "There is no split 'trian' to be read as a stream; this dataset has"),
        (("--split=train[:10%]",), 'by row numbers, as "train[:100000]".'),
        (("--split=train[-5:]",), 'by row numbers, as "train[:100000]".'),
        (
            ("--eval-split=train[4000:]",),
            "The evaluation split 'train[4000:]' shares rows with the training split 'train'",
        ),
        (
            ("--test-split=validation[50:]", "--eval-split=validation"),
            "The test split 'validation[50:]' shares rows with the evaluation split 'validation'",
        ),
    ],
)
def test_a_split_that_cannot_be_streamed_is_refused(
    folder: Path, flags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        streaming.open_source(asked(folder, *flags))
    assert caught.value.reason == "BadSplit"
    assert said in caught.value.message


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.jsonl.gz", "saved"])
def test_files_of_any_format_are_streams(tmp_path: Path, name: str) -> None:
    path, table = tmp_path / name, rows(2100)
    if name == "saved":
        DatasetDict({"train": table}).save_to_disk(path)
    elif name == "a.csv":
        table.to_csv(path, sep=";", index=False)
    else:
        table.to_json(path, compression="gzip" if name.endswith(".gz") else None)
    source = streaming.open_source(asked(path))
    assert sorted(numbers(source, 100)) == list(range(2000, 2100))
    assert source.count == (100 if name == "saved" else None)


def test_a_file_that_is_bad_further_on_ends_the_stream_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "fine,1\n" * 30_000 + "bad,0,0\n")
    source = streaming.open_source(asked(path))
    with pytest.raises(TrialError, match=r"cannot be read on after \d\d+ rows: .* line") as caught:
        list(itertools.islice(source.stream(lambda part, _: [{}] * len(part), 1, 4), 30_000))
    assert caught.value.reason == "DatasetNotFound"


def resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """60 MB of text, of which a tenth passes before the first measurement."""
    path = tmp_path / "a.csv"
    filler = "the film was very good " * 40
    with path.open("w") as file:
        file.write("text,label\n")
        file.writelines(f"{i} {filler},{i % 2}\n" for i in range(65_000))
    source = streaming.open_source(asked(path))
    stream = iter(source.stream(lambda part, _: [{"n": 1}] * len(part), seed=1, batch=4))
    count = sum(row["n"] for row in itertools.islice(stream, 6_000))
    before = resident_mb()
    count += sum(row["n"] for row in itertools.islice(stream, 57_000))
    assert count == 63_000
    assert resident_mb() - before < 25


QUESTIONS = "--transformer-type=AutoModelForQuestionAnswering"


@pytest.fixture
def pictures(folders: Path, tmp_path: Path) -> Path:
    """200 written digits of all kinds."""
    rows = load_dataset(str(folders), split="train").shuffle(seed=0).select(range(200))
    rows.to_parquet(tmp_path / "digits.parquet")
    return tmp_path / "digits.parquet"


# The fixtures that are the model and the data of each type, and what its trials need besides.
KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "AutoModelForSequenceClassification": ("tiny_bert", "reviews", ()),
    "AutoModelForTokenClassification": ("tiny_bert", "tagged", ()),
    "AutoModelForQuestionAnswering": ("tiny_bert", "quiz", ("--max-length=16",)),
    "AutoModelForCausalLM": ("decoder", "reviews", ()),
    "AutoModelForMaskedLM": ("tiny_masked", "reviews", ("--method=full",)),
    "AutoModelForImageClassification": ("tiny_vit", "pictures", ("--method=full",)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_learns_from_a_stream_of_the_rows_that_it_has_in_memory(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    config = of_kind(request, kind, max_steps=20, eval_steps=10, learning_rate=1e-2)
    in_memory = fresh(tmp_path, replace(config, streaming=False))[0].trainer.train_dataset
    ready, recorder = fresh(tmp_path, config)
    rows = list(itertools.islice(ready.trainer.train_dataset, 2 * len(in_memory)))
    one, other = rows[: len(in_memory)], rows[len(in_memory) :]
    assert told(one) != told(other), "in another order"
    assert sorted(told(one)) == sorted(told(other)) == sorted(told(in_memory))
    ready.trainer.train()
    points = (point["metrics"] for point in recorder.curve)
    losses = [metrics["eval_loss"] for metrics in points if "eval_loss" in metrics]
    assert len(losses) == 2
    assert losses[1] < losses[0]


def of_kind(request: pytest.FixtureRequest, kind: str, **training: Any) -> TrialConfig:
    """A trial of that type; keywords are fields of TrainingArguments."""
    model, dataset, more = KINDS[kind]
    flags = [f"--transformer-type={kind}", f"--model-uri={request.getfixturevalue(model)}"]
    flags += ["--split=train[:160]", "--eval-split=train[160:]", *more]
    flags += ["--objective-metric=eval_loss", "--objective-type=minimize"]
    flags.append(f"--training-parameters={json.dumps(training)}")
    return asked(request.getfixturevalue(dataset), *flags)


def fresh(folder: Path, config: TrialConfig) -> tuple[train.Prepared, Recorder]:
    recorder = Recorder(folder, "eval_loss", "minimize", Reporter(lambda line: None))
    return train.prepare(config, folder, recorder), recorder


def told(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Each row as text, without its number."""
    return [
        repr([torch.as_tensor(row[name]).tolist() for name in sorted(row.keys() - {"row"})])
        for row in rows
    ]


def test_what_is_drawn_for_a_row_is_drawn_anew_when_it_comes_again(
    tiny_masked: Path, tiny_vit: Path, reviews: Path, pictures: Path, tmp_path: Path
) -> None:
    hidden, augmented = (
        asked(
            dataset,
            *(f"--transformer-type=AutoModelFor{kind}", f"--model-uri={model}"),
            *("--split=train[:40]", "--eval-split=train[160:]", "--objective-metric=eval_loss"),
            f"--training-parameters={json.dumps({'max_steps': 1, **more})}",
        )
        for kind, model, dataset, more in (
            ("MaskedLM", tiny_masked, reviews, {}),
            ("ImageClassification", tiny_vit, pictures, {"augment": "crop-flip"}),
        )
    )
    numbers = [row["row"] for row in first(fresh(tmp_path, hidden)[0], 80)]
    assert numbers == list(range(80)), "masks depend on the number alone"
    once, again = (told(first(fresh(tmp_path, augmented)[0], 80)) for _ in range(2))
    assert once == again
    assert len(set(once[:40]) & set(once[40:])) < 20, "of two epochs; small pictures have few parts"


def first(ready: train.Prepared, count: int) -> list[dict[str, Any]]:
    return list(itertools.islice(ready.trainer.train_dataset, count))


def test_a_buffer_of_large_rows_has_fewer_of_them() -> None:
    assert streaming.buffer_rows(rows(1000)) == 10_000
    large = Dataset.from_dict({"text": ["the film" * 100_000] * 5})
    assert streaming.buffer_rows(large) == 249


@pytest.fixture
def tried(tiny_bert: Path, folder: Path, tmp_path: Path) -> Callable[..., Recorder]:
    def run(*flags: str, dataset: Path = folder, **training: Any) -> Recorder:
        given = json.dumps({"per_device_train_batch_size": 16, "learning_rate": 1e-2, **training})
        config = asked(
            dataset, f"--model-uri={tiny_bert}", f"--training-parameters={given}", *flags
        )
        recorder = Recorder(tmp_path, "eval_loss", "minimize", Reporter(lambda line: None))
        train.run(config, tmp_path, recorder)
        return recorder

    return run


def test_a_trial_learns_from_a_stream(tried: Callable[..., Recorder]) -> None:
    recorder = tried("--seed=4", max_steps=60, eval_steps=20)
    losses = [p["metrics"]["eval_loss"] for p in recorder.curve if "eval_loss" in p["metrics"]]
    assert len(losses) == 3
    assert losses[-1] < losses[0] < 0.69
    assert losses[-1] < 0.1
    assert recorder.facts["rows"] == {
        **{"train": None, "streaming": True, "eval": 100, "majority": 0.5},
        "labels": {"no": 50, "yes": 50},
    }


def test_the_steps_of_an_epoch_follow_from_the_number_of_rows(
    tried: Callable[..., Recorder],
) -> None:
    recorder = tried("--split=train[:100]", num_train_epochs=2)
    assert recorder.curve[-1]["step"] == 13


def test_what_cannot_be_streamed_is_said(tried: Callable[..., Recorder], tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="is not known while they are read: give max_steps") as no:
        tried()
    assert no.value.reason == "BadParameter"
    with pytest.raises(TrialError, match="How many parts the contexts are cut into is not known"):
        tried(QUESTIONS, "--split=train[:100]")


def test_a_label_that_comes_late_and_is_not_declared_ends_the_trial(
    tried: Callable[..., Recorder], tmp_path: Path
) -> None:
    lines = [f"{text_of(i, i % 2)},{'ab'[i % 2]}" for i in range(3000)] + ["the film,c"] * 300
    (tmp_path / "late.csv").write_text("text,label\n" + "\n".join(lines))
    with pytest.raises(TrialError, match="has the 'label' 'c', which neither the first") as caught:
        tried(dataset=tmp_path / "late.csv", max_steps=100)
    assert caught.value.reason == "LabelMismatch"


def test_a_tag_that_comes_late_ends_the_trial(
    tried: Callable[..., Recorder], tmp_path: Path
) -> None:
    late = [{"tokens": ["the", "film"], "tags": ["O", "AB"[i % 2]]} for i in range(3000)]
    late += [{"tokens": ["the"], "tags": ["C"]}] * 300
    (tmp_path / "late.jsonl").write_text("\n".join(map(json.dumps, late)))
    with pytest.raises(TrialError, match="has the 'tags' 'C', which neither the first rows to"):
        tried(
            "--transformer-type=AutoModelForTokenClassification",
            dataset=tmp_path / "late.jsonl",
            max_steps=100,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_that_goes_on_skips_what_was_read(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    config = of_kind(request, kind, max_steps=5)
    loader = fresh(tmp_path, config)[0].trainer.get_train_dataloader()
    fourth = next(itertools.islice(loader, 3, None))
    again = next(iter(skip_first_batches(loader, 3)))
    assert again.keys() == fourth.keys()
    for name, value in fourth.items():
        assert torch.equal(torch.as_tensor(again[name]), torch.as_tensor(value)), name


def test_a_label_that_is_declared_may_come_late(
    tried: Callable[..., Recorder], tmp_path: Path
) -> None:
    names = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes", "other"])})
    late = {"text": ["the film"] * 300, "label": [2] * 300}
    table = Dataset.from_dict(
        {name: [*rows(3000)[name], *late[name]] for name in late}, features=names
    )
    table.to_parquet(tmp_path / "late.parquet")
    recorder = tried(dataset=tmp_path / "late.parquet", num_train_epochs=1)
    assert recorder.curve[-1]["step"] == 82
    assert recorder.facts["rows"]["train"] == 1300

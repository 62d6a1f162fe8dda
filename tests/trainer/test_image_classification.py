"""Pictures: from where they come, how they become pixel values, and that they are learned."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, Features, Image, Value

from tests.trainer.conftest import SIDE, processor_of
from tests.trainer.test_survive import AfterLooks
from trainer import attempts, tasks, train
from trainer.config import IMAGE_CLASSIFICATION, TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.result import Recorder
from trainer.tasks.base import Encoded


def test_pillow_is_asked_for_by_name_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("trainer.pictures", "trainer.tasks.image_classification"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)  # as Python itself marks what is not there
    with pytest.raises(TrialError) as caught:
        tasks.load(IMAGE_CLASSIFICATION)
    assert caught.value.reason == "BadParameter"
    assert str(caught.value) == (
        "AutoModelForImageClassification needs Pillow to read pictures, which is not installed: "
        "pip install pillow."
    )


@pytest.fixture(scope="module")
def tiny_resnet(pillow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet of two stages with random weights."""
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny-resnet"
    size = {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1]}
    config = ResNetConfig(layer_type="basic", **size)
    ResNetModel(config).save_pretrained(folder)
    processor_of(folder)
    return folder


QUICK = {"num_train_epochs": 3, "per_device_train_batch_size": 16, "learning_rate": 1e-2}
Asked = Callable[..., TrialConfig]


@pytest.fixture
def asked(folders: Path) -> Asked:
    """A trial on the digits; keywords are hyperparameters."""

    def build(model: Path, *flags: str, **training: Any) -> TrialConfig:
        basic = ["--output-dir=out", f"--model-uri={model}", f"--dataset={folders}"]
        basic += [f"--transformer-type={IMAGE_CLASSIFICATION}"]
        basic += [f"--training-parameters={json.dumps({**QUICK, **training})}"]
        return read_config(trial_parser().parse_args([*basic, *flags]))

    return build


def recorder(folder: Path) -> Recorder:
    return Recorder(folder, "eval_accuracy", "maximize", Reporter(lambda line: None))


def run(config: TrialConfig, folder: Path) -> Recorder:
    found = recorder(folder)
    train.run(config, folder, found)
    return found


def last(found: Recorder, metric: str) -> float:
    return float(found.summary()[metric]["latest"])


def test_a_convolutional_network_learns_written_digits(
    asked: Asked, tiny_resnet: Path, tmp_path: Path
) -> None:
    found = run(asked(tiny_resnet, "--method=full"), tmp_path)
    assert last(found, "eval_accuracy") > 0.85
    assert last(found, "eval_matthews") > 0.8
    assert found.facts["rows"]["train"] == 400
    assert list(found.facts["rows"]["labels"]) == [f"digit-{i}" for i in range(10)]
    assert found.facts["parameters"]["max_length"] is None
    assert "tokens" not in found.summary(), "pictures have none"
    assert found.warnings == []


def test_a_vision_transformer_learns_them_by_lora_and_a_whole_head_and_by_nothing_else(
    asked: Asked, tiny_vit: Path, tmp_path: Path
) -> None:
    ready = train.prepare(asked(tiny_vit), tmp_path, recorder(tmp_path))
    before = {name: weight.clone() for name, weight in ready.network.named_parameters()}
    first = ready.trainer.evaluate()
    ready.trainer.train()
    end = ready.trainer.evaluate()
    assert end["eval_loss"] < first["eval_loss"] - 0.5
    assert end["eval_accuracy"] > 0.5
    after = dict(ready.network.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "lora_" in name or "modules_to_save" in name}
    assert {name for name in changed if "classifier" in name} == {
        f"base_model.model.classifier.modules_to_save.default.{kind}" for kind in ("weight", "bias")
    }


def test_frozen_layers_stay_as_they_are(asked: Asked, tiny_vit: Path, tmp_path: Path) -> None:
    few = ("--method=full", "--split=train[:40]")
    config = asked(tiny_vit, *few, frozen_layers="1", num_train_epochs=1)
    ready = train.prepare(config, tmp_path, recorder(tmp_path))
    before = {name: weight.clone() for name, weight in ready.network.named_parameters()}
    ready.trainer.train()
    after = dict(ready.network.named_parameters())
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {".".join(name.split(".")[:3]) for name in same if ".layer" in name} == {"vit.layers.0"}
    assert any(name.startswith("vit.embeddings.") for name in same)
    assert not any(name.startswith("classifier") for name in same)


def test_the_saved_model_says_what_it_said_in_training(
    asked: Asked, tiny_resnet: Path, tmp_path: Path
) -> None:
    few = ("--method=full", "--split=train[:100]")
    found = run(asked(tiny_resnet, "--save-best", *few, num_train_epochs=1), tmp_path)
    again = train.prepare(asked(tmp_path / "best", *few), tmp_path, recorder(tmp_path))
    loss = again.trainer.evaluate()["eval_loss"]
    assert loss == pytest.approx(last(found, "eval_loss"), rel=1e-4)


def config(*flags: str) -> TrialConfig:
    basic = ["--output-dir=out", "--dataset=.", f"--transformer-type={IMAGE_CLASSIFICATION}"]
    return read_config(trial_parser().parse_args([*basic, *flags]))


def read(rows: Dataset, *flags: str) -> tuple[Any, list[str]]:
    said: list[str] = []
    kind = tasks.load(IMAGE_CLASSIFICATION)
    return kind.read({"train": rows}, config(*flags), said.append), said


@pytest.fixture
def pictures(pillow: Any, tmp_path: Path) -> Mapping[str, bytes]:
    """The same picture in several kinds, encoded; also as files of these names."""
    colours = pillow.new("RGB", (6, 4), (200, 100, 50))
    colours.putpixel((0, 0), (0, 0, 0))
    kinds = {"rgb.png": colours, "grey.png": colours.convert("L")}
    kinds["rgba.png"] = colours.convert("RGBA")
    kinds |= {"palette.png": colours.quantize(4), "rgb.bmp": colours, "rgb.jpg": colours}
    for name, picture in kinds.items():
        picture.save(tmp_path / name)
    return {name: (tmp_path / name).read_bytes() for name in kinds}


LABELS = [0, 1] * 10


def test_pictures_are_files_or_bytes_or_of_datasets_own_kind(
    pictures: Mapping[str, bytes], pillow: Any, tmp_path: Path
) -> None:
    data, name = pictures["rgb.png"], "rgb.png"
    own = Features({"picture": Image(), "label": Value("int64")})
    tables = [
        Dataset.from_dict({"img": [data] * 20, "label": LABELS}),
        Dataset.from_dict({"image": [name] * 20, "label": LABELS}),
        Dataset.from_dict({"image": [str(tmp_path / name)] * 20, "label": LABELS}),
        Dataset.from_dict(
            {"picture": [{"bytes": data, "path": None}] * 20, "label": LABELS}, features=own
        ),
    ]
    for table in tables:
        task, said = read(table, f"--dataset={tmp_path}")
        assert said == []
        assert task.train.pictures.picture(0).tobytes() == pillow.open(io.BytesIO(data)).tobytes()
    (tmp_path / "rows.csv").touch()
    task, said = read(tables[1], f"--dataset=file://{tmp_path}/rows.csv")
    assert len(task.train.labels) == 16 and said == [], "names of files are beside the file"
    task, _ = read(
        Dataset.from_dict({"x": [data] * 20, "y": LABELS}),
        '--columns={"image": "x", "label": "y"}',
    )
    assert task.names == ("0", "1")


def test_pictures_of_every_kind_have_three_channels(
    pictures: Mapping[str, bytes], tiny_vit: Path
) -> None:
    from trainer.model import Weights

    rows = Dataset.from_dict({"image": [*pictures.values()] * 4, "label": [0, 1] * 12})
    task, _ = read(rows)
    processor = task.load_processor(Weights(tiny_vit, "vit"))
    encoded = task.encode(processor, None)
    for rows in (encoded.train, encoded.eval):
        batch = task.collator(processor)(list(rows))
        assert batch["pixel_values"].shape == (len(rows), 3, SIDE, SIDE)
        assert batch["labels"].dtype == torch.int64


def test_pictures_that_cannot_be_read_are_left_out_and_counted(
    pictures: Mapping[str, bytes], tmp_path: Path
) -> None:
    half = {name: data[: len(data) // 2] for name, data in pictures.items()}
    bad: list[Any] = [half["rgb.jpg"], half["rgb.png"], b"no picture", b"", None]
    good = [pictures["rgb.png"]] * 20
    rows = Dataset.from_dict({"image": [*bad, *good], "label": [0] * 4 + [1, None] + LABELS[1:]})
    task, said = read(rows)
    assert len(task.train.labels) + len(task.eval.labels) == 19
    assert said == [
        "1 of 25 rows of 'train' have no label and were left out.",
        "5 of 25 rows of 'train' have a picture that is missing or cannot be read and were left "
        "out.",
    ]
    with pytest.raises(TrialError, match="No row of 'train' has both a 'label' and a picture in "):
        read(Dataset.from_dict({"image": ["a.png", "b.png"], "label": [0, 1]}))


@pytest.mark.parametrize(
    ("columns", "flags", "said"),
    [
        ({"text": ["a"], "label": [0]}, (), "No image column was recognised among text, label; na"),
        ({"image": [1], "label": [0]}, (), "The column 'image' holds Value('int64'), not pictures"),
        ({"image": ["a"], "kind": [0]}, (), "No label column was recognised among image, kind; n"),
        (
            {"image": ["a"], "label": [0]},
            ('--columns={"image": "imag"}',),
            "The dataset has no column 'imag'; it has image, label. Did you mean image?",
        ),
    ],
)
def test_a_wrong_column_is_said_with_the_columns_there_are(
    pillow: Any, columns: dict[str, list[Any]], flags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        read(Dataset.from_dict(columns), *flags)
    assert caught.value.reason == "BadColumn"
    assert str(caught.value).startswith(said)


class Counting:
    """An image processor that counts what it is asked for."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.asked = 0

    def __call__(self, **options: Any) -> Any:
        self.asked += 1
        return self.real(**options)


def test_pixel_values_are_made_when_they_are_asked_for(
    pictures: Mapping[str, bytes], tiny_vit: Path
) -> None:
    from trainer.model import Weights

    task, _ = read(Dataset.from_dict({"image": [pictures["rgb.png"]] * 20, "label": LABELS}))
    processor = Counting(task.load_processor(Weights(tiny_vit, "vit")))
    encoded = task.encode(processor, None)
    assert (len(encoded.train), len(encoded.eval), processor.asked) == (16, 4, 0)
    assert encoded.train[3]["pixel_values"].shape == (3, SIDE, SIDE)
    assert processor.asked == 1
    assert len(list(encoded.eval)) == 4
    assert processor.asked == 5


class Watched(Sequence[Any]):
    """Rows that remember which of them were looked at."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows
        self.seen: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        self.seen.append(index)
        return self.rows[index]


def test_the_forecast_of_memory_does_not_read_all_pictures(
    asked: Asked, tiny_vit: Path, tmp_path: Path
) -> None:
    config = asked(tiny_vit)
    found = recorder(tmp_path)
    trainer = train.prepare(config, tmp_path, found).trainer
    rows = Watched(trainer.eval_dataset)
    attempts.forecast(config, trainer.args, Encoded(rows, rows), trainer.model, found)
    assert rows.seen == [0]


@pytest.fixture
def rows(digits: list[tuple[int, bytes]], pillow: Any) -> Iterator[Dataset]:
    images = []
    for _, grey in digits[:20]:
        file = io.BytesIO()
        pillow.frombytes("L", (SIDE, SIDE), grey).save(file, "PNG")
        images.append(file.getvalue())
    yield Dataset.from_dict({"image": images, "label": LABELS})


def pixels(rows: Dataset, model: Path, augment: str, epoch: int = 0, seed: int = 1) -> Any:
    from trainer.model import Weights

    own = json.dumps({"augment": augment})
    task, _ = read(rows, f"--training-parameters={own}", f"--seed={seed}")
    encoded = task.encode(task.load_processor(Weights(model, "vit")), None)
    encoded.train.begin_epoch(epoch)
    return encoded


def of(encoded: Any) -> torch.Tensor:
    return torch.stack([row["pixel_values"] for row in encoded.train])


def test_pictures_are_mirrored_in_half_of_the_cases_if_asked(rows: Dataset, tiny_vit: Path) -> None:
    plain, turned = (of(pixels(rows, tiny_vit, how)) for how in ("none", "flip"))
    is_mirrored = [torch.equal(a.flip(-1), b) for a, b in zip(plain, turned, strict=True)]
    is_same = [torch.equal(a, b) for a, b in zip(plain, turned, strict=True)]
    assert all(a != b for a, b in zip(is_mirrored, is_same, strict=True))
    assert 4 <= sum(is_mirrored) <= 12


def test_augmentation_depends_on_seed_epoch_and_row_alone(rows: Dataset, tiny_vit: Path) -> None:
    first = pixels(rows, tiny_vit, "crop-flip")
    assert torch.equal(of(first), of(first)), "not on how often a row was looked at"
    assert torch.equal(of(first), of(pixels(rows, tiny_vit, "crop-flip")))
    for other in ({"epoch": 1}, {"seed": 2}):
        assert not torch.equal(of(first), of(pixels(rows, tiny_vit, "crop-flip", **other)))
    plain = pixels(rows, tiny_vit, "none")
    for one, same in zip(first.eval, plain.eval, strict=True):
        assert torch.equal(one["pixel_values"], same["pixel_values"])


def test_the_training_tells_the_rows_its_epochs(
    asked: Asked, tiny_resnet: Path, tmp_path: Path
) -> None:
    config = asked(tiny_resnet, "--split=train[:40]", augment="crop-flip")
    with pytest.raises(TrialError, match="target_modules can be convolution"):
        train.prepare(config, tmp_path, recorder(tmp_path))
    config = asked(tiny_resnet, "--split=train[:40]", "--method=full", augment="crop-flip")
    found = recorder(tmp_path)
    ready = train.prepare(config, tmp_path, found)
    one = ready.trainer.train_dataset[0]["pixel_values"]
    ready.trainer.train()
    assert not torch.equal(one, ready.trainer.train_dataset[0]["pixel_values"])
    ready.trainer.train_dataset.begin_epoch(0)
    assert torch.equal(one, ready.trainer.train_dataset[0]["pixel_values"])
    assert found.facts["parameters"]["augment"] == "crop-flip"


def test_an_interrupted_training_sees_the_pictures_that_it_would_have_seen(
    asked: Asked, tiny_vit: Path, tmp_path: Path
) -> None:
    flags = ("--split=train[:100]", "--method=full")
    more = {"augment": "crop-flip", "eval_steps": 3, "num_train_epochs": 2}  # of 5 steps each
    whole = begun(tmp_path / "whole")
    train.run(asked(tiny_vit, *flags, **more), tmp_path / "whole", whole)
    config, folder = asked(tiny_vit, *flags, **more), tmp_path / "cut"
    with pytest.raises(TrialError) as caught:
        train.run(config, folder, begun(folder), AfterLooks(6))
    assert caught.value.reason == "Killed"
    again = begun(folder)
    train.run(config, folder, again)
    assert [point["step"] for point in again.curve][-1] == 10
    assert last(again, "eval_loss") == last(whole, "eval_loss")


def begun(folder: Path) -> Recorder:
    found = recorder(folder)
    found.start()
    return found


def test_pictures_are_not_grouped_by_length(asked: Asked, tiny_vit: Path, tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="group_by_length is for texts") as caught:
        train.prepare(asked(tiny_vit, group_by_length="true"), tmp_path, recorder(tmp_path))
    assert caught.value.reason == "BadParameter"


def test_augmentation_is_for_pictures_and_of_known_kinds() -> None:
    for flags, said in (
        ((), "augment is for AutoModelForImageClassification, not AutoModelForSequenceClassificat"),
        (
            (f"--transformer-type={IMAGE_CLASSIFICATION}",),
            "augment: expected one of none, flip,",
        ),
    ):
        how = "flip" if not flags else "turn"
        parameters = json.dumps({"augment": how})
        arguments = ["--output-dir=out", f"--training-parameters={parameters}", *flags]
        with pytest.raises(TrialError) as caught:
            read_config(trial_parser().parse_args(arguments))
        assert caught.value.reason == "BadParameter"
        assert str(caught.value).startswith(said)


def test_a_model_that_is_not_for_colour_pictures_is_a_sentence(
    asked: Asked, tiny_vit: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    grey = tmp_path / "grey"
    grey.mkdir()
    for file in tiny_vit.iterdir():
        (grey / file.name).write_bytes(file.read_bytes())
    (grey / "preprocessor_config.json").unlink()
    for model, said in ((tiny_bert, "has no image processor to load"), (grey, "has no image pro")):
        with pytest.raises(TrialError) as caught:
            train.prepare(asked(model), tmp_path, recorder(tmp_path))
        assert caught.value.reason == "ModelNotFound"
        assert said in str(caught.value)

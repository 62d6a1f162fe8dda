"""Image classification: which columns, how pictures become pixel values, how it is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Image, Value
from transformers import AutoModelForImageClassification, default_data_collator

from trainer import data, lora, model
from trainer.arguments import renamed
from trainer.columns import cells, check_column, find_column
from trainer.config import TrialConfig
from trainer.errors import TrialError
from trainer.labels import (
    LABEL_COLUMNS,
    counts_of,
    head_options,
    labels_of,
    of_stream,
    scores,
    warn_if_single,
)
from trainer.model import Weights
from trainer.reading import Splits
from trainer.tasks.base import Collator, Encoded, Features, Task, Warn

try:
    from trainer.pictures import Pictures, changed, find
except ModuleNotFoundError as error:
    raise TrialError(
        "BadParameter",
        f"{AutoModelForImageClassification.__name__} needs Pillow to read pictures, which is not "
        "installed: pip install pillow.",
    ) from error

IMAGE_COLUMNS = ("image", "img", "picture", "photo", "pixels", "pixel_values", "file", "path")
CHANNELS = 3


@dataclass(frozen=True)
class Rows:
    """Pictures and the labels' indices, side by side."""

    pictures: Pictures
    labels: tuple[int, ...]


@dataclass(frozen=True)
class ImageClassification(Task):
    """What is trained on, what is evaluated on, what the labels are called, what is changed."""

    train: Rows
    eval: Rows
    names: tuple[str, ...]
    augment: str
    seed: int
    index: Mapping[Any, int]
    image_column: str
    label_column: str
    folder: Path

    # NB: peft has no type for it; without one it takes the inputs as they come.
    peft_task_type: ClassVar[None] = None

    @classmethod
    def read(cls, splits: Splits, config: TrialConfig, warn: Warn) -> Self:
        if renamed(config.training_parameters).get("train_sampling_strategy") == "group_by_length":
            raise TrialError(
                "BadParameter", "group_by_length is for texts: pictures are all of one size here."
            )
        first = data.take(splits, config.split)
        image = _image_column(first, config)
        label = find_column(first, "label", LABEL_COLUMNS, config)
        folder = _folder(config)
        train, held_out = data.train_and_eval(
            splits,
            config,
            complete=lambda rows, spec: _complete(rows, image, label, folder, spec, warn),
            strata=lambda rows: cells(rows, label),
        )
        names, index = labels_of(train, held_out, label, config.num_labels)
        warn_if_single(cells(train, label), cells(held_out, label), config.split, warn)
        parts = (_rows(rows, image, label, folder, index) for rows in (train, held_out))
        return cls(*parts, names, config.augment, config.seed, index, image, label, folder)

    def counts(self) -> dict[str, Any]:
        return counts_of(self.train.labels, self.eval.labels, self.names)

    def load_processor(self, weights: Weights) -> Any:
        return model.load_image_processor(weights)

    def load_network(self, weights: Weights, processor: Any) -> Any:
        network = model.load(AutoModelForImageClassification, weights, **head_options(self.names))
        channels = getattr(network.config, "num_channels", CHANNELS)
        if channels != CHANNELS:
            raise TrialError(
                "ModelNotFound",
                f"The model {weights.uri!r} takes pictures of {channels} channels, not of "
                f"{CHANNELS} (RGB); take another one.",
            )
        return network

    def heads(self, network: Any) -> Sequence[str]:
        return lora.heads(network)

    def longest(self, asked: int, processor: Any, network: Any, warn: Warn) -> int | None:
        return None

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        return Encoded(
            Pixels(self.train, processor, self.augment, self.seed), Pixels(self.eval, processor)
        )

    def encode_rows(
        self, rows: Dataset, numbers: Sequence[int], processor: Any, max_length: int | None
    ) -> Sequence[Features]:
        names = (self.image_column, self.label_column)
        kept = _whole(rows, *names, self.folder)[0]
        index = of_stream(cells(rows, names[1]), self.index, self.names, names[1])
        found = _rows(rows.select(kept), *names, self.folder, index)
        return Pixels(found, processor, self.augment, self.seed, [numbers[i] for i in kept])

    def collator(self, processor: Any) -> Collator:
        return default_data_collator

    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (logits.argmax(-1),)

    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        return scores(found[0], labels, len(self.names))


TASK = ImageClassification


class Pixels(Sequence[Features]):
    """Rows as the network takes them, each made when it is asked for.

    What augmentation does to a row depends on the seed, the epoch and the row alone: it is the same
    in any number of processes, and after an interruption.
    """

    def __init__(
        self,
        rows: Rows,
        processor: Any,
        augment: str = "none",
        seed: int = 0,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self._rows = rows
        self._numbers = range(len(rows.labels)) if numbers is None else numbers
        self._processor = processor
        self._augment = augment
        self._seed = seed
        self._epoch = 0

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._rows.labels)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        picture = self._rows.pictures.picture(index)
        if self._augment != "none":
            drawn_by = f"{self._seed} {self._epoch} {self._numbers[index]}"
            picture = changed(picture, self._augment, drawn_by)
        made = self._processor(images=picture, return_tensors="pt")
        return {"pixel_values": made["pixel_values"][0], "labels": self._rows.labels[index]}


def _image_column(rows: Dataset, config: TrialConfig) -> str:
    """The column asked for, else the only one of datasets' own kind, else one of a usual name."""
    own = [name for name, feature in rows.features.items() if isinstance(feature, Image)]
    if "image" not in config.columns and len(own) == 1:
        return str(own[0])
    return find_column(rows, "image", IMAGE_COLUMNS, config)


def _folder(config: TrialConfig) -> Path:
    """Where names of files in a dataset begin: beside its file, or in its folder."""
    path = data.dataset_path(config.dataset, config.s3)
    return path if path.is_dir() else path.parent


def _complete(
    rows: Dataset, image: str, label: str, folder: Path, spec: str, warn: Warn
) -> Dataset:
    """The rows that have a label and a picture that can be read; none left is EmptyDataset."""
    for column in (image, label):
        check_column(rows, column, f"split {spec!r}")
    if not isinstance(rows.features[label], (ClassLabel, Value)):
        raise TrialError("LabelMismatch", f"The column {label!r} does not hold one label per row.")
    kept, unreadable = _whole(rows, image, label, folder)
    lost = {
        "have no label": len(rows) - len(kept) - unreadable,
        "have a picture that is missing or cannot be read": unreadable,
    }
    none = f"No row of {spec!r} has both a {label!r} and a picture in {image!r} that can be read."
    return data.usable(rows, kept, spec, lost, none, warn)


def _whole(rows: Dataset, image: str, label: str, folder: Path) -> tuple[list[int], int]:
    """Which rows have a label and a picture that can be read; of how many only the label."""
    pictures = find(rows, image, folder)
    labelled = [i for i, value in enumerate(cells(rows, label)) if value is not None]
    kept = [i for i in labelled if pictures.is_readable(i)]
    return kept, len(labelled) - len(kept)


def _rows(rows: Dataset, image: str, label: str, folder: Path, index: Mapping[Any, int]) -> Rows:
    return Rows(find(rows, image, folder), tuple(index[value] for value in cells(rows, label)))

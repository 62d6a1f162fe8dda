"""Pictures in a dataset: as files, as bytes or as datasets' own kind; read one by one."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Image, Value
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from trainer.errors import TrialError

UNREADABLE = (OSError, UnidentifiedImageError, ValueError, SyntaxError, struct.error, EOFError)
TEXT, BYTES = ("string", "large_string"), ("binary", "large_binary")
CROP = (0.7, 1.0)  # sides of a random part, as shares of the picture's


@dataclass(frozen=True)
class Pictures:
    """The pictures of some rows, by position. They stay where they are until they are asked for.

    Args:
        folder: where relative names of files begin.
    """

    rows: Dataset
    column: str
    folder: Path

    def __len__(self) -> int:
        return len(self.rows)

    def picture(self, index: int) -> Any:
        """One picture in RGB, upright; whatever PIL raises if it cannot be read."""
        with self._open(index) as found:
            return ImageOps.exif_transpose(found).convert("RGB")

    def is_readable(self, index: int) -> bool:
        """Whether all of a picture can be decoded; JPEGs are, at an eighth of their size."""
        try:
            with self._open(index) as found:
                found.draft("RGB", (1, 1))
                found.load()
        except (*UNREADABLE, Pillow.DecompressionBombError):
            return False
        return True

    def select(self, indices: Sequence[int]) -> Pictures:
        return Pictures(self.rows.select(indices), self.column, self.folder)

    def _open(self, index: int) -> Any:
        value = self.rows[index][self.column]
        if isinstance(value, dict):
            value = value["path"] if value["bytes"] is None else value["bytes"]
        if value is None:
            raise ValueError("no picture")
        source = io.BytesIO(value) if isinstance(value, bytes) else self.folder / value
        return Pillow.open(source)


def find(rows: Dataset, column: str, folder: Path) -> Pictures:
    """The pictures of a column of pictures, of bytes or of file names; else BadColumn."""
    feature = rows.features[column]
    if isinstance(feature, Image):
        return Pictures(rows.cast_column(column, Image(decode=False)), column, folder)
    if not isinstance(feature, Value) or feature.dtype not in (*TEXT, *BYTES):
        raise TrialError(
            "BadColumn",
            f"The column {column!r} holds {feature}, not pictures: neither files nor bytes; name "
            "another one.",
        )
    return Pictures(rows, column, folder)


def changed(picture: Any, how: str, seed: str) -> Any:
    """A picture mirrored in half of the cases, and for `crop-flip` a random part of it before.

    The same seed changes it in the same way, whichever process does it.
    """
    chance = random.Random(seed)
    if how == "crop-flip":
        width, height = (round(side * chance.uniform(*CROP)) or 1 for side in picture.size)
        left = chance.randint(0, picture.width - width)
        top = chance.randint(0, picture.height - height)
        picture = picture.crop((left, top, left + width, top + height))
    return ImageOps.mirror(picture) if chance.random() < 0.5 else picture

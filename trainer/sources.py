"""Where a model or a dataset comes from: the default, a folder, a package, the hub, or S3."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.errors import TrialError

DEFAULT = "default"
SMOLLM2 = "smollm2"
SHIPPED_MODELS = (DEFAULT, SMOLLM2)
HUB_PREFIXES = ("hf://datasets/", "hf://")
_REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
# The endings of data files, each with what `datasets` calls their format.
DATA_FORMATS: Mapping[str, str] = {
    **{".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"},
    **{".parquet": "parquet", ".txt": "text"},
}
_DATA_SUFFIXES = tuple(DATA_FORMATS) + tuple(f"{ending}.gz" for ending in DATA_FORMATS)

Noun = Literal["model", "dataset"]
NOT_FOUND = {"model": "ModelNotFound", "dataset": "DatasetNotFound"}


@dataclass(frozen=True)
class Source:
    """A place: `value` is a path if `local`, a repo id if `hub`, and for what ships with us
    `default`, or a model's name."""

    kind: Literal["default", "local", "hub"]
    value: str
    uri: str


@dataclass(frozen=True)
class S3Place:
    """A dataset or a model in S3-compatible storage: one object of the name `file_key`, or that
    folder."""

    endpoint_url: str
    bucket_name: str
    file_key: str
    region_name: str | None = None
    noun: Noun = "dataset"

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket_name}/{self.file_key.lstrip('/')}"

    def folder(self, cache: Path) -> Path:
        """Where it is once it has been fetched."""
        whole = "\n".join((self.endpoint_url.rstrip("/"), self.bucket_name, self.file_key))
        mark = hashlib.sha256(whole.encode()).hexdigest()[:12]
        last = re.sub(r"[^\w.-]+", "-", self.file_key.strip("/").rpartition("/")[2])[:40]
        return cache / "s3" / f"{self.bucket_name}-{last}-{mark}"


def fetched(place: S3Place) -> Path:
    """The folder of what is in S3; NotFetched if it is not here. No network is asked."""
    folder = place.folder(cache_folder())
    if not folder.is_dir():
        raise TrialError(
            "NotFetched",
            f"The {place.noun} {place.uri} is not here yet: run `python -m trainer fetch` with the "
            f"same --s3 flags{' and --model' if place.noun == 'model' else ''}.",
        )
    return folder


def read(uri: str, noun: Noun) -> Source:
    """Reads a URI as the command line takes it; a folder wins over a hub name spelled the same."""
    if uri == DEFAULT or (noun == "model" and uri in SHIPPED_MODELS):
        return Source("default", uri, uri)
    if uri.startswith("package:"):
        return Source("local", str(_in_package(uri, noun)), uri)
    for prefix in HUB_PREFIXES:
        if uri.startswith(prefix):
            return Source("hub", _repo_id(uri.removeprefix(prefix), uri, noun), uri)
    path = Path(uri.removeprefix("file://").removeprefix("file:")).expanduser()
    if path.exists():
        return Source("local", str(path.resolve()), uri)
    if _looks_like_a_path(uri):
        raise TrialError(NOT_FOUND[noun], f"There is no {noun} at {uri}: no such file or folder.")
    return Source("hub", _repo_id(uri, uri, noun), uri)


def _looks_like_a_path(uri: str) -> bool:
    return (
        uri.startswith(("/", "./", "../", "~", "file:"))
        or uri.count("/") > 1
        or uri.endswith(_DATA_SUFFIXES)
    )


def _repo_id(text: str, uri: str, noun: Noun) -> str:
    if _REPO_ID.fullmatch(text):
        return text
    raise TrialError(
        NOT_FOUND[noun],
        f"{uri!r} does not name a {noun}: expected `default`, a folder, `package:NAME/path`, or a "
        "hub name such as `org/name`.",
    )


def _in_package(uri: str, noun: Noun) -> Path:
    name, _, inner = uri.removeprefix("package:").partition("/")
    root = package_folder(name)
    if root is None:
        raise TrialError(
            NOT_FOUND[noun],
            f"{uri}: no Python package {name!r} is installed here; install it first.",
        )
    path = root / inner
    if not path.exists():
        raise TrialError(NOT_FOUND[noun], f"{uri}: the package {name!r} has no {inner!r} inside.")
    return path


def package_folder(name: str) -> Path | None:
    """The folder of an installed top-level package, found without importing it."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def cache_folder() -> Path:
    """Where fetched defaults live: $KATIB_TUNE_CACHE, else ~/.cache/katib-tune."""
    return Path(os.environ.get("KATIB_TUNE_CACHE") or "~/.cache/katib-tune").expanduser()

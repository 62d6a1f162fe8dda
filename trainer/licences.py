"""The licences of models and datasets, as far as the files that are here tell them."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import ModelCard

from trainer import defaults, hub, shipped, sources
from trainer.errors import TrialError


def found(uri: str, noun: sources.Noun) -> str | None:
    """What the README of a model or a dataset says, if that is here; None if it says nothing."""
    if noun == "dataset" and uri == sources.DEFAULT:
        return defaults.DATASET.licence
    try:
        folder = _folder(uri, noun)
    except TrialError:  # what is not here any longer
        return None
    readme = folder / "README.md" if folder else None
    if readme is None or not readme.is_file():
        return None
    try:
        named = ModelCard.load(readme, ignore_metadata_errors=True).data.get("license")
    except ValueError:
        return None
    return named if isinstance(named, str) else None


def _folder(uri: str, noun: sources.Noun) -> Path | None:
    """Where it is, None if it would have to be downloaded first."""
    source = sources.read(uri, noun)
    if source.kind == "default":
        return shipped.folder(source.value)
    if source.kind == "hub":
        return hub.folder(source.value, noun) if hub.cached(source.value, noun) else None
    path = Path(source.value)
    return path if path.is_dir() else path.parent

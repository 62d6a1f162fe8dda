"""Models and datasets from the Hugging Face hub, as folders of the hub's own cache.

What is complete in the cache is used without touching the network, so every trial of an Experiment
sees the same files. Tokens come from the environment (HF_TOKEN) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from huggingface_hub import HfApi, get_token, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from trainer.errors import TrialError, one_line
from trainer.sources import NOT_FOUND, Noun

# Card, configuration, tokenizer, weights at the top of the repository: subfolders hold others.
_MODEL = ("README.md", "*.json", "*.txt", "*.model", "*.jinja", "*.safetensors")
_OLD_WEIGHTS = (*_MODEL, "*.bin")
_CODE = ("*.py",)
# The HTTP library under the hub client has changed its name before; its error is their parent.
_HTTP_ERROR = cast("type[Exception]", HfHubHTTPError.__mro__[1])

Patterns = tuple[str, ...] | None


@dataclass(frozen=True)
class Cost:
    """What a download would take, and under which licence it is."""

    size: int
    licence: str


def folder(repo: str, noun: Noun, code: bool = False) -> Path:
    """The local folder of a hub repository, downloaded if it is not complete in the cache.

    With `code`, a model comes with its own Python files.
    """
    if noun == "dataset":
        return _fetched(repo, noun, None)
    path = _fetched(repo, noun, _wanted(noun, code))
    whole = any(path.glob("*.safetensors"))
    return path if whole else _fetched(repo, noun, (*_OLD_WEIGHTS, *(_CODE if code else ())))


def cached(repo: str, noun: Noun, code: bool = False) -> bool:
    """Whether `folder` would need no download."""
    try:
        _snapshot(repo, noun, _wanted(noun, code), offline=True)
    except LocalEntryNotFoundError:
        return False
    return True


def cost(repo: str, noun: Noun, code: bool = False) -> Cost:
    """Asks the hub how large a repository is, without downloading it."""
    allowed, ignored = _filters(_wanted(noun, code))
    try:
        files = snapshot_download(
            repo, repo_type=noun, allow_patterns=allowed, ignore_patterns=ignored, dry_run=True
        )
        info = HfApi().repo_info(repo, repo_type=noun)
    except (DryRunError, EntryNotFoundError, _HTTP_ERROR) as error:
        raise _explained(error, repo, noun) from error
    size = sum(file.file_size or 0 for file in files if file.will_download)
    card = getattr(info, "card_data", None)
    return Cost(size, str((card and card.get("license")) or "not stated"))


def _wanted(noun: Noun, code: bool) -> Patterns:
    return None if noun == "dataset" else (*_MODEL, *(_CODE if code else ()))


def _fetched(repo: str, noun: Noun, patterns: Patterns) -> Path:
    try:
        return _snapshot(repo, noun, patterns, offline=True)
    except LocalEntryNotFoundError:
        pass
    try:
        return _snapshot(repo, noun, patterns, offline=False)
    except (EntryNotFoundError, _HTTP_ERROR) as error:
        raise _explained(error, repo, noun) from error


def _snapshot(repo: str, noun: Noun, patterns: Patterns, *, offline: bool) -> Path:
    allowed, ignored = _filters(patterns)
    return Path(
        snapshot_download(
            repo,
            repo_type=noun,
            allow_patterns=allowed,
            ignore_patterns=ignored,
            local_files_only=offline,
        )
    )


def _filters(patterns: Patterns) -> tuple[list[str] | None, list[str] | None]:
    return (None, None) if patterns is None else (list(patterns), ["*/*"])


def _explained(error: Exception, repo: str, noun: Noun) -> TrialError:
    # NB: a dry run hides what stopped it behind one error for everything.
    cause = error.__cause__ if isinstance(error, DryRunError) else error
    status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
    if isinstance(cause, GatedRepoError):
        message = (
            f"The {noun} {repo!r} is gated: ask for access on its page on the hub, and set "
            "HF_TOKEN to a token of the account that has it."
        )
    elif status == 401 and get_token():
        message = (
            f"The hub does not accept HF_TOKEN for the {noun} {repo!r}: the token is wrong or has "
            "expired, or there is no such repository. Make a new one, and check the name."
        )
    elif isinstance(cause, RepositoryNotFoundError) or status == 401:
        message = (
            f"The hub has no {noun} {repo!r} that this account may read; check the name, and set "
            "HF_TOKEN if it is private or gated."
        )
    elif status is None and isinstance(error, (LocalEntryNotFoundError, DryRunError)):
        message = (
            f"The {noun} {repo!r} is not in the local cache and the hub cannot be reached; check "
            "the network, or give a local folder."
        )
    else:
        message = f"The hub did not give the {noun} {repo!r}: {one_line(cause or error, 200)}"
    return TrialError(NOT_FOUND[noun], message)

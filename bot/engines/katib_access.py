"""What the bot's account lacks, asked of the API server line by line of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bot.engines.katib_permissions import Permission
from bot.engines.kube import SELF_SUBJECT_ACCESS_REVIEWS, Kube
from bot.findings import Finding


class _Answer(msgspec.Struct, frozen=True):
    allowed: bool = False
    reason: str = ""


class _Review(msgspec.Struct, frozen=True):
    status: _Answer = _Answer()


def lacking(kube: Kube, namespace: str, asked: Iterable[Permission]) -> Iterator[Finding]:
    """One finding for each line of the table of which the account lacks a verb."""
    for each in asked:
        denied = [verb for verb in each.verbs if not _may(kube, namespace, each, verb)]
        if not denied:
            continue
        what = f"{each.rule}.{each.group}" if each.group else each.rule
        where = "in the whole cluster" if each.cluster else f"in the namespace {namespace}"
        sentence = f"The account may not {_either(denied)} {what} {where}, to {each.why}."
        if each.optional:
            yield Finding("note", "access", f"{sentence} The bot works without.")
        else:
            yield Finding("wrong", "access", f"{sentence} Bind the Role of manifests/base to it.")


def _may(kube: Kube, namespace: str, each: Permission, verb: str) -> bool:
    attributes = {
        "verb": verb,
        "group": each.group,
        "resource": each.resource,
        "subresource": each.subresource,
        "namespace": "" if each.cluster else namespace,
    }
    body = {
        "apiVersion": SELF_SUBJECT_ACCESS_REVIEWS.api_version,
        "kind": SELF_SUBJECT_ACCESS_REVIEWS.kind,
        "spec": {"resourceAttributes": attributes},
    }
    answer = kube.post(SELF_SUBJECT_ACCESS_REVIEWS.path(), body)
    return msgspec.json.decode(answer, type=_Review).status.allowed


def _either(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last

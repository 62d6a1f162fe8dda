"""What Katib v0.19 refuses in metricsCollectorSpec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from tests.cluster.katib_defaults import CUSTOM, FILE, PROMETHEUS, PUSH, STDOUT, TF_EVENT
from tests.cluster.katib_sentences import invalid, required
from tests.cluster.resources import Json

SPEC = "spec.metricsCollectorSpec"
SOURCE = f"{SPEC}.source"
TWO_GROUPS = re.compile(r".*\(.*\).*\(.*\).*", re.DOTALL)


def collector_refusals(collecting: Json) -> Iterator[str]:
    """Push and StdOut return before the filters are looked at: a bad one breaks the sidecar."""
    kind, source = collecting["collector"]["kind"], collecting.get("source") or {}
    if kind in (PUSH, STDOUT):
        return
    check = CHECKS.get(kind)
    if check is None:
        sentence = f"invalid metrics collector kind: {kind}"
        yield invalid(f"{SPEC}.collector.kind", kind, sentence)
    else:
        yield from check(collecting, source)
    yield from _filters(source)


def _file(collecting: Json, source: Json) -> Iterator[str]:
    path = source["fileSystemPath"]
    where = f"{SOURCE}.fileSystemPath"
    if path["kind"] != "File" or not path["path"].startswith("/"):
        yield required(f"{where}.path", "file path where metrics file exists is required")
    if path["format"] not in ("TEXT", "JSON"):
        sentence = "format of metrics file is required for metrics collector"
        yield required(f"{where}.format", sentence)
    if path["format"] == "JSON" and source.get("filter") is not None:
        sentence = "filter must be nil when format of metrics file is json"
        yield invalid(f"{SOURCE}.filter", "", sentence)


def _events(collecting: Json, source: Json) -> Iterator[str]:
    path = source["fileSystemPath"]
    if path["kind"] != "Directory" or not path["path"].startswith("/"):
        yield required(
            SOURCE,
            "directory path where tensorflow event files exist is required by "
            ".spec.metricsCollectorSpec.source.fileSystemPath.path",
        )
    if path.get("format"):
        yield invalid(f"{SOURCE}.fileSystemPath.format", path["format"], "must be empty")


def _page(collecting: Json, source: Json) -> Iterator[str]:
    yield invalid(
        f"{SPEC}.collector.kind",
        PROMETHEUS,
        "GetMetricsCollectorConfigData failed: failed to find metrics collector config for kind: "
        f"{PROMETHEUS} in ConfigMap: katib-config",
    )
    port, path = str(source["httpGet"]["port"]), source["httpGet"]["path"]
    if not port.isdecimal() or int(port) <= 0:
        sentence = f"must be a positive integer value for metrics collector kind: {PROMETHEUS}"
        yield invalid(f"{SOURCE}.httpGet.port", port, sentence)
    if not path.startswith("/"):
        sentence = f"path is invalid for metrics collector kind: {PROMETHEUS}"
        yield invalid(f"{SOURCE}.httpGet.path", path, sentence)


def _custom(collecting: Json, source: Json) -> Iterator[str]:
    if not collecting["collector"].get("customCollector"):
        sentence = f"metrics collector kind: {CUSTOM} is required"
        yield required(f"{SPEC}.collector.customCollector", sentence)
    path = source.get("fileSystemPath")
    if path and not (
        path.get("path", "").startswith("/") and path.get("kind") in ("File", "Directory")
    ):
        sentence = ".spec.metricsCollectorSpec.source is invalid"
        yield invalid(f"{SOURCE}.fileSystemPath", "", sentence)


CHECKS: Mapping[str, Callable[[Json, Json], Iterator[str]]] = {
    FILE: _file,
    TF_EVENT: _events,
    PROMETHEUS: _page,
    CUSTOM: _custom,
}


def _filters(source: Json) -> Iterator[str]:
    for pattern in (source.get("filter") or {}).get("metricsFormat") or ():
        where = f"{SOURCE}.filter.metricsFormat"
        try:
            re.compile(pattern)
        except re.error as error:
            yield invalid(where, pattern, f"invalid filter: error parsing regexp: {error}")
            continue
        if not TWO_GROUPS.fullmatch(pattern):
            yield invalid(where, pattern, "two top subexpressions are required")

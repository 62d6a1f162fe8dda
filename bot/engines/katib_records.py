"""The record of an Experiment as a ConfigMap, and back (pure).

`data` holds the record as JSON, for people to read with kubectl; what grows with the trials is
packed into `binaryData`. A ConfigMap may hold 1 MiB: of what would not fit, logs go first, then
the sentences of trials, never a value.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from bot.engines.katib_objects import LABEL_EXPERIMENT, LABEL_MANAGED, LABEL_ROLE, MANAGED
from bot.engines.katib_state import State
from bot.engines.katib_wire import ConfigMap
from bot.errors import EngineError
from bot.spec import STORED, TuneSpec
from bot.status import Record

LABEL_RECORD = "katib-tune/record"
LABEL_OPEN = "katib-tune/open"
UID = "katib-tune/uid"
CREATED = "katib-tune/created"
# What `find` looks at, besides the name.
SEARCHED = ("katib-tune/model", "katib-tune/dataset")
VERSION = "1"
RECORD_KEY, STATE_KEY, VERSION_KEY = "record.json", "state.json.gz", "version"
# Of 1 MiB, with room for the metadata. What is measured is the object on the wire.
MOST_BYTES = 900_000
# To how many characters logs and sentences are cut, one after the other, until all of it fits.
CUTS = ((2_000, None), (0, None), (0, 200), (0, 0))
Json = dict[str, Any]


def config_map_name(name: str) -> str:
    """The name of the ConfigMap that holds an Experiment's record."""
    return f"katib-tune-{name}"


def to_config_map(record: Record, state: State, namespace: str, resource_version: str = "") -> Json:
    """The record as it is written; with `resource_version` only over what was read.

    Raises:
        EngineError: what was asked is too large to be kept, or the trials are too many.
    """
    metadata: Json = {
        "name": config_map_name(record.name),
        "namespace": namespace,
        "labels": {
            LABEL_MANAGED: MANAGED,
            LABEL_EXPERIMENT: record.name,
            LABEL_ROLE: "record",
            LABEL_RECORD: "true",
            LABEL_OPEN: "false" if record.told.ended else "true",
        },
        "annotations": {
            UID: record.uid,
            CREATED: record.created.isoformat(),
            **dict(zip(SEARCHED, _searched(record.spec), strict=True)),
        },
    }
    if resource_version:
        metadata["resourceVersion"] = resource_version
    text = record.model_dump_json(exclude_unset=True)
    packed = _fitting(state, MOST_BYTES - len(text.encode()))
    if packed is None:
        raise EngineError(
            f"The record of `{record.name}` does not fit into a ConfigMap: what was asked has "
            f"{len(text.encode()):,} bytes, {len(state.trials)} trials come on top, and "
            f"{MOST_BYTES:,} may be kept.",
            hint="Shorten `objective_source`, or run fewer trials in one Experiment.",
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {VERSION_KEY: VERSION, RECORD_KEY: text},
        "binaryData": {STATE_KEY: packed},
    }


def from_config_map(found: ConfigMap) -> tuple[Record, State]:
    """The record and the state in a ConfigMap.

    Raises:
        EngineError: it holds none that this version of the bot can read.
    """
    where = f"The record `{found.metadata.name}` in the namespace `{found.metadata.namespace}`"
    version = found.data.get(VERSION_KEY)
    if version is None:
        raise EngineError(
            f"{where} has no `{VERSION_KEY}`: it is none of this bot's.",
            hint=f"Take the label {LABEL_RECORD} off the ConfigMap, or delete it.",
        )
    if version != VERSION:
        raise EngineError(
            f"{where} is of version {version}; this bot reads version {VERSION}.",
            hint="Run the katib-tune that wrote it, or a newer one, in every replica.",
        )
    try:
        record = Record.model_validate_json(found.data[RECORD_KEY], context=STORED)
        packed = base64.b64decode(found.binary_data[STATE_KEY], validate=True)
        state = State.model_validate_json(gzip.decompress(packed))
    # NB: broken base64 is a ValueError, like pydantic's errors.
    except (KeyError, ValueError, OSError, EOFError, zlib.error) as error:
        raise EngineError(
            f"{where} cannot be read: {_why(error)}.",
            hint="Put back what was edited; or delete the ConfigMap, and the Experiment is "
            "forgotten here.",
        ) from error
    return record, state


def _searched(spec: TuneSpec) -> tuple[str, str]:
    """Model and dataset, or what stands for them."""
    model = spec.model_uri or spec.objective_image or spec.objective_function or ""
    return model, spec.dataset or "/".join(filter(None, (spec.s3_bucket_name, spec.s3_file_key)))


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return str(error).splitlines()[0].rstrip(".")


def _fitting(state: State, room: int) -> str | None:
    """The state, packed, with as much of it as there is room for; None if it cannot fit."""
    for each in (state, *_shorter(state)):
        text = each.model_dump_json(exclude_defaults=True)
        # NB: no time in it, so that the same state is the same text.
        packed = base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
        if len(packed) <= room:
            return packed
    return None


def _shorter(state: State) -> Iterator[State]:
    """The end of a log says what happened; the beginning of a sentence does."""
    for logs, words in CUTS:
        cut: Json = {"logs": {t: log[-logs:] for t, log in state.logs.items()} if logs else {}}
        if words is not None:
            cut["ends"] = {
                name: end.model_copy(update={"message": end.message[:words]})
                for name, end in state.ends.items()
            }
            cut["trials"] = tuple(
                trial.model_copy(update={"message": trial.message[:words]})
                for trial in state.trials
            )
        yield state.model_copy(update=cut)

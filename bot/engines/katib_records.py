"""The record of an Experiment as a ConfigMap, and back (pure).

`data` holds the record as JSON, for people to read with kubectl; what grows with the trials is
packed into `binaryData`. A ConfigMap may hold 1 MiB: of what would not fit, logs go first, then
the sentences of trials, never a value.
"""

from __future__ import annotations

import base64
import binascii
import gzip
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from bot.engines.katib_objects import LABEL_EXPERIMENT, LABEL_MANAGED, LABEL_ROLE, MANAGED
from bot.engines.katib_state import State
from bot.engines.katib_wire import ConfigMap
from bot.errors import EngineError
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
Json = dict[str, Any]


def config_map_name(name: str) -> str:
    """The name of the ConfigMap that holds an Experiment's record."""
    return f"katib-tune-{name}"


def to_config_map(record: Record, state: State, namespace: str, resource_version: str = "") -> Json:
    """The record as it is written; with `resource_version` only over what was read."""
    spec = record.spec
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
            SEARCHED[0]: spec.model_uri or spec.objective_image or spec.objective_function or "",
            SEARCHED[1]: spec.dataset,
        },
    }
    if resource_version:
        metadata["resourceVersion"] = resource_version
    text = record.model_dump_json(exclude_unset=True)
    room = MOST_BYTES - len(text.encode())
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {VERSION_KEY: VERSION, RECORD_KEY: text},
        "binaryData": {STATE_KEY: _fitting(state, room)},
    }


def from_config_map(found: ConfigMap) -> tuple[Record, State]:
    """The record and the state in a ConfigMap.

    Raises:
        EngineError: it holds none that this version of the bot can read.
    """
    where = f"The record `{found.metadata.name}` in `{found.metadata.namespace}`"
    version = found.data.get(VERSION_KEY, "")
    if version != VERSION:
        raise EngineError(
            f"{where} is of version `{version}`; this bot reads version {VERSION}.",
            hint="Run the newest version of katib-tune, or delete the ConfigMap.",
        )
    try:
        record = Record.model_validate_json(found.data[RECORD_KEY])
        packed = base64.b64decode(found.binary_data[STATE_KEY])
        state = State.model_validate_json(gzip.decompress(packed))
    except (KeyError, ValidationError, OSError, EOFError, binascii.Error) as error:
        why = str(error).splitlines()[0]
        raise EngineError(
            f"{where} cannot be read: {why}.",
            hint="Somebody edited it; delete the ConfigMap to forget the Experiment.",
        ) from error
    return record, state


def _fitting(state: State, room: int) -> str:
    """The state, packed, with as much of it as there is room for."""
    packed = ""
    for each in _shorter(state):
        text = each.model_dump_json(exclude_defaults=True)
        # NB: no time in it, so that the same state is the same text.
        packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
        if len(packed) <= room:
            break
    return packed


def _shorter(state: State) -> Iterator[State]:
    yield state
    yield state.model_copy(update={"logs": {}})
    brief = {name: end.model_copy(update={"message": ""}) for name, end in state.ends.items()}
    trials = tuple(trial.model_copy(update={"message": ""}) for trial in state.trials)
    yield state.model_copy(update={"logs": {}, "ends": brief, "trials": trials})

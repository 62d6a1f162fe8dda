"""How the bot and the engine process talk: one request and one answer, each a line of JSON.

Over loopback TCP; who may ask is told by a random key in ADDRESS_FILE, which only its owner reads.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot import errors
from bot.errors import EngineError, TuneError
from bot.spec import Frozen

ADDRESS_FILE = "engine.json"
EXIT_TAKEN = 3  # of an engine process: another one works on that state folder
ERRORS = {
    kind.__name__: kind
    for kind in (
        errors.SpecError,
        errors.EngineError,
        errors.NotFoundError,
    )
}


class Address(Frozen):
    """Where the engine process of a state folder listens."""

    pid: int
    port: int
    key: str


def read_address(state_dir: Path) -> Address | None:
    """None if no engine has written one, or if it makes no sense."""
    try:
        return Address.model_validate_json((state_dir / ADDRESS_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_address(state_dir: Path, address: Address) -> None:
    """Written at once and readable by the owner only."""
    partial = state_dir / f".{ADDRESS_FILE}.{address.pid}"
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(address.model_dump_json())
    partial.replace(state_dir / ADDRESS_FILE)


def ask(address: Address, verb: str, arguments: dict[str, Any], timeout_s: float) -> Any:
    """One request.

    Raises:
        TuneError: what the engine answered.
        OSError: no engine listens, or it died or fell silent on the way.
    """
    line = json.dumps({"key": address.key, "verb": verb, "arguments": arguments})
    with (
        socket.create_connection(("127.0.0.1", address.port), timeout=timeout_s) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(line.encode() + b"\n")
        answer = answers.readline()
    try:
        return read_answer(json.loads(answer))
    except ValueError as error:
        raise ConnectionError("The engine ended in the middle of an answer.") from error


def result_answer(value: Any) -> dict[str, Any]:
    return {"result": value}


def error_answer(error: TuneError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "field": error.field,
    }


def read_answer(answer: dict[str, Any]) -> Any:
    """The result in an answer; its error is raised."""
    if "error" in answer:
        kind = ERRORS.get(answer["error"], EngineError)
        raise kind(answer["message"], hint=answer["hint"], field=answer["field"])
    return answer["result"]

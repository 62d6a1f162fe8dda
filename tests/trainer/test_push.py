"""Metrics that are pushed to Katib's DB manager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent import futures
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.push import METHOD, Pusher, connected, message
from trainer.result import Recorder

MOMENT = datetime(2026, 11, 24, 4, 30, 26, 120_000, tzinfo=UTC)
METRICS = {"eval_loss": 0.6012, "eval_accuracy": 0.712}
TRIAL = "tune-x8f2k1qz"
# What the protobuf classes of Katib's SDK 0.19.0 make of these.
BY_THE_SDK = (
    b"\n\rtune-x8f2k1qz\x12e\n/\n\x182026-11-24T04:30:26.120Z\x12\x13\n\teval_loss\x12\x060.6012"
    b"\n2\n\x182026-11-24T04:30:26.120Z\x12\x16\n\reval_accuracy\x12\x050.712"
)


class DBManager:
    """One that is there or away."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.is_away = False

    def take(self, content: bytes) -> None:
        if self.is_away:
            raise ConnectionRefusedError("away.")
        self.got.append(content)


def test_the_message_is_the_one_of_katibs_sdk() -> None:
    manager = DBManager()
    Pusher(TRIAL, manager.take, print).push(MOMENT, METRICS)
    assert manager.got == [BY_THE_SDK]
    assert message("x" * 200, [])[:3] == b"\n\xc8\x01"


def test_metrics_that_did_not_arrive_are_sent_with_the_next_and_said_once() -> None:
    manager, notes = DBManager(), []
    pusher = Pusher(TRIAL, manager.take, notes.append)
    manager.is_away = True
    pusher.push(MOMENT, {"eval_loss": 0.6012})
    pusher.push(MOMENT, {"eval_accuracy": 0.712})
    manager.is_away = False
    pusher.finish()
    pusher.finish()
    assert manager.got == [BY_THE_SDK]
    assert notes == ["Katib's DB manager took no metrics and is tried again: away."]


def test_a_trial_whose_metrics_never_arrive_fails_at_its_end() -> None:
    manager = DBManager()
    manager.is_away = True
    pusher = Pusher(TRIAL, manager.take, lambda note: None)
    pusher.push(MOMENT, METRICS)
    with pytest.raises(TrialError, match="did not take its metrics: away") as caught:
        pusher.finish(pauses_s=(0, 0))
    assert caught.value.reason == "NotPushed"


def test_all_that_is_recorded_is_pushed_whether_told_or_not(tmp_path: Path) -> None:
    manager = DBManager()
    recorder = Recorder(tmp_path, "score", "maximize", Reporter(lambda line: None))
    recorder.pusher = Pusher(TRIAL, manager.take, recorder.warn)
    recorder.record(1, 1, {"score": 0.5})
    recorder.record(1, 2, {"score": 0.75}, tell=False)
    first, second = manager.got
    assert first.endswith(b"score\x12\x030.5")
    assert second.endswith(b"score\x12\x040.75")


def test_there_is_nothing_to_push_for_outside_of_katib() -> None:
    with pytest.raises(TrialError, match="whose name is in KATIB_TRIAL_NAME") as caught:
        connected("localhost:1", print, {})
    assert caught.value.reason == "BadParameter"


@pytest.fixture
def served() -> Iterator[tuple[Any, str, DBManager]]:
    """A gRPC server that has the one method of Katib's DBManager."""
    grpc = pytest.importorskip("grpc")
    manager = DBManager()

    def report(content: bytes, context: Any) -> bytes:
        manager.take(content)
        return b""

    service, name = METHOD.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(report)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {name: handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield server, f"127.0.0.1:{port}", manager
    server.stop(None)


def test_a_grpc_server_gets_the_metrics(served: tuple[Any, str, DBManager]) -> None:
    server, address, manager = served
    pusher = connected(address, print, {"KATIB_TRIAL_NAME": TRIAL})
    pusher.push(MOMENT, METRICS)
    assert manager.got == [BY_THE_SDK]
    manager.is_away = True  # its database is, and the call ends with an error
    pusher.push(MOMENT, METRICS)
    manager.is_away = False
    pusher.finish()
    assert manager.got == [BY_THE_SDK] * 2
    server.stop(None).wait()
    pusher.push(MOMENT, METRICS)
    pusher.push(MOMENT, METRICS)
    with pytest.raises(TrialError, match=rf"{address}: UNAVAILABLE, "):
        pusher.finish(pauses_s=(0,))


def test_a_trial_pushes_its_objective(
    served: tuple[Any, str, DBManager], trainer: Any, tmp_path: Path
) -> None:
    _, address, manager = served
    file = tmp_path / "own.py"
    file.write_text("def score(parameters):\n    return {'score': parameters['x'] * 2}\n")
    flags = ["objective", f"--file={file}", "--function=score", "--objective-metric=score"]
    ended = trainer(
        *(*flags, f"--parameters={json.dumps({'x': 1.5})}", "--output-dir={out}"),
        f"--push-metrics={address}",
        env={"KATIB_TRIAL_NAME": TRIAL},
    )
    assert ended.code == 0, ended.err
    [content] = manager.got
    assert content.endswith(b"\n\x05score\x12\x013")

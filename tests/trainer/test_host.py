"""The host: trials that it forks have the numbers of trials in processes of their own."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.conftest import ROOT

TRAINING = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "learning_rate": 0.01}


class Host:
    """A host with its other end in this process."""

    def __init__(self, flags: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with theirs, (folder / "host.log").open("wb") as log:
            words = [sys.executable, "-m", "trainer", "host", str(theirs.fileno()), *flags]
            self.process = subprocess.Popen(
                words, cwd=ROOT, env=self.environment, pass_fds=(theirs.fileno(),), stderr=log
            )

    def fork(self, flags: Sequence[str], name: str = "0") -> None:
        lock = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = os.open(self.folder / f"{name}.log", os.O_RDWR | os.O_CREAT)
        wanted = {
            "pid_file": str(self.folder / f"{name}.pid"),
            "flags": list(flags),
            "environment": self.environment,
        }
        socket.send_fds(self.socket, [json.dumps(wanted).encode()], [lock, log])
        os.close(lock)
        os.close(log)

    def ended(self) -> tuple[str, int]:
        """The name of a trial, and its exit code."""
        found = json.loads(self.socket.recv(1 << 16))
        return Path(found["pid_file"]).stem, found["exit_code"]

    def log(self, name: str = "0") -> str:
        return (self.folder / f"{name}.log").read_text()

    def pid(self, name: str = "0") -> int:
        file = self.folder / f"{name}.pid"
        while not (file.exists() and file.read_text()):
            time.sleep(0.02)
        return int(file.read_text())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(flags: Sequence[str]) -> Host:
        made.append(Host(flags, tmp_path))
        made[-1].socket.settimeout(60)
        return made[-1]

    yield make
    for each in made:
        each.socket.close()
        each.process.wait(timeout=30)


@pytest.fixture
def flags(tiny_bert: Path, reviews: Path, tmp_path: Path) -> Callable[..., list[str]]:
    def build(name: str, *more: str, lora: Any = None, **training: Any) -> list[str]:
        return [
            *(f"--model-uri={tiny_bert}", f"--dataset={reviews}", "--split=train[:96]"),
            *("--eval-split=train[96:160]", "--max-length=16", f"--output-dir={tmp_path / name}"),
            f"--training-parameters={json.dumps({**TRAINING, **training})}",
            *([f"--lora-config={json.dumps(lora)}"] if lora else []),
            *more,
        ]

    return build


def curve(folder: Path) -> list[Any]:
    """All numbers of a trial that depend on no clock."""
    result = json.loads((folder / "result.json").read_text())
    assert result["state"] == "Succeeded", result["message"]
    clocks = ("seconds", "per_second", "memory")
    return [
        (point["step"], {k: v for k, v in point["metrics"].items() if not k.endswith(clocks)
                         and not any(clock in k for clock in clocks)})
        for point in result["curve"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "training", "lora"),
    [
        ([], {}, {"r": 4}),
        ([], {"learning_rate": "0.003"}, {"r": 8, "lora_dropout": 0.2}),
        (["--method=full"], {"weight_decay": 0.1}, None),
        (["--max-length=9"], {}, None),
        (["--seed=7"], {}, None),
        ([], {"train_fraction": 0.5}, None),
        ([], {"frozen_layers": 1}, None),
    ],
)
def test_a_forked_trial_has_the_numbers_of_one_in_a_process_of_its_own(
    host: Callable[..., Host],
    flags: Callable[..., list[str]],
    tmp_path: Path,
    more: list[str],
    training: Any,
    lora: Any,
) -> None:
    forked = host(flags("first", lora={"r": 2}))
    forked.fork(flags("forked", *more, lora=lora, **training))
    assert forked.ended() == ("0", 0), forked.log()
    own = subprocess.run(
        [sys.executable, "-m", "trainer", *flags("own", *more, lora=lora, **training)],
        cwd=ROOT,
        env=forked.environment,
        capture_output=True,
    )
    assert own.returncode == 0, own.stderr.decode()
    assert curve(tmp_path / "forked") == curve(tmp_path / "own")
    facts = [
        json.loads((tmp_path / name / "result.json").read_text()) for name in ("forked", "own")
    ]
    for name in ("rows", "parameters", "data_fingerprint", "trainable_parameters", "warnings"):
        assert facts[0][name] == facts[1][name], name


def test_trials_run_side_by_side_each_in_a_session_of_its_own(
    host: Callable[..., Host], flags: Callable[..., list[str]], tmp_path: Path
) -> None:
    forked = host(flags("first"))
    for name in ("a", "b", "c"):
        forked.fork(flags(name, num_train_epochs=4), name)
    pids = [forked.pid(name) for name in ("a", "b", "c")]
    assert [os.getsid(pid) for pid in pids] == pids
    lock = os.open(tmp_path / "a.lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    ended = sorted(forked.ended() for _ in pids)
    assert ended == [(name, 0) for name in ("a", "b", "c")]
    assert len({str(curve(tmp_path / name)) for name in ("a", "b", "c")}) == 1
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)


def test_trials_go_on_when_their_host_is_killed_or_no_longer_needed(
    host: Callable[..., Host], flags: Callable[..., list[str]], tmp_path: Path
) -> None:
    for name, end in (("killed", "kill"), ("dismissed", "close")):
        forked = host(flags("first"))
        forked.fork(flags(name, num_train_epochs=6), name)
        forked.pid(name)
        if end == "kill":
            forked.process.kill()
        else:
            forked.socket.close()
        assert forked.process.wait(timeout=30) == (-9 if end == "kill" else 0)
        lock = os.open(tmp_path / f"{name}.lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it has ended
        os.close(lock)
        assert len(curve(tmp_path / name)) > 6


def test_how_a_trial_ends_is_told_as_of_a_process(
    host: Callable[..., Host], flags: Callable[..., list[str]], tmp_path: Path
) -> None:
    forked = host(flags("first"))
    endings = [
        (flags("a", learning_rate="fast"), 2, "learning_rate"),
        (flags("b", "--no-such-flag"), 2, "no-such-flag"),
        (flags("c", "--split=train[:0]"), 3, "no rows"),
        (flags("d", "--model-uri=/nowhere"), 4, "/nowhere"),
    ]
    for name, (wanted, code, said) in zip("abcd", endings, strict=True):
        forked.fork(wanted, name)
        assert forked.ended() == (name, code), forked.log(name)
        assert said in forked.log(name)
    forked.fork(flags("e", num_train_epochs=1000), "e")
    pid = forked.pid("e")
    while "progress" not in forked.log("e"):
        time.sleep(0.05)
    os.killpg(pid, signal.SIGTERM)
    assert forked.ended() == ("e", 143), forked.log("e")
    forked.fork(flags("f", num_train_epochs=1000), "f")
    os.kill(forked.pid("f"), signal.SIGKILL)
    assert forked.ended() == ("f", -9)


def test_what_the_host_cannot_load_is_for_the_trial_to_say(
    host: Callable[..., Host], flags: Callable[..., list[str]], tmp_path: Path
) -> None:
    bad = flags("a", "--label-column=nothing")
    forked = host(bad)
    forked.fork(bad)
    assert forked.ended() == ("0", 3)
    assert "nothing" in forked.log()

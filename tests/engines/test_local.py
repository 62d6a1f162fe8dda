"""The local engine: the contract, and what only it promises."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bot import spec
from bot.engines import endings, local_hardware, local_host
from bot.engines.base import Query
from bot.engines.local import LocalEngine
from bot.engines.local_launch import has_gone
from bot.engines.local_process import NO_HOST, read_pid
from bot.engines.local_records import StudyFile, experiment_folder
from bot.engines.local_status import HELD, OUTCOME, STARTED, TIME, Outcome
from bot.engines.local_study import sampler, suggest
from bot.engines.local_wire import read_address
from bot.errors import EngineError, NotFoundError, SpecError
from bot.spec import TuneSpec
from bot.status import ExperimentCondition, Observation, Told, TrialCondition
from tests.engines.contract import (
    EngineContract,
    Kind,
    Objective,
    a_record,
    a_spec,
    has_running,
    is_over,
    start,
    until,
)
from tests.engines.contract_actions import ActionsContract, has_ended_with
from trainer import checkpoints

SOURCES: dict[Kind, str] = {
    "quick": """
def objective(parameters):
    print(f"result={4 * parameters['a'] - parameters['b'] ** 2}", flush=True)
""",
    "endless": """
import time

def objective(parameters):
    print("result=1", flush=True)
    time.sleep(1000)
""",
    "failing": """
def objective(parameters):
    raise RuntimeError("the moon is full")
""",
    "silent": """
def objective(parameters):
    return None
""",
}


def python(source: str) -> dict[str, Any]:
    return {"objective_function": "objective", "objective_source": source}


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def local(state_dir: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(state_dir, allow_code=True)
    yield engine
    engine.shutdown()


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def engine(shared_dir: Path) -> Iterator[LocalEngine]:
    """An engine for tests that leave it alive: a process takes a second to start."""
    engine = LocalEngine(shared_dir, allow_code=True)
    yield engine
    engine.shutdown()


@pytest.fixture(scope="module")
def objective() -> Objective:
    return lambda kind: python(SOURCES[kind])


class TestTheContract(EngineContract, ActionsContract):
    """The local engine keeps every promise of an engine."""


# -- nothing lost, nothing twice


def ledgered(ledger: Path, seconds: float) -> dict[str, Any]:
    """An objective that writes its trial's number into `ledger` when it begins."""
    return python(f"""
import os, pathlib, time

def objective(parameters):
    number = pathlib.Path(__file__).parent.name
    descriptor = os.open({str(ledger)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (number + chr(10)).encode())
    os.close(descriptor)
    time.sleep({seconds})
    return float(parameters["a"])
""")


def runs(ledger: Path) -> Counter[str]:
    return Counter(ledger.read_text().split() if ledger.exists() else [])


def kill(state_dir: Path) -> None:
    """kill -9 of the engine process; its trials go on."""
    address = read_address(state_dir)
    assert address
    os.kill(address.pid, signal.SIGKILL)
    while not has_gone(address.pid):
        time.sleep(0.005)


def kill_both(state_dir: Path, folder: Path) -> None:
    """kill -9 of the engine process, then of the trial in `folder`."""
    pid = read_pid(folder)
    assert pid
    kill(state_dir)
    os.killpg(pid, signal.SIGKILL)


def test_a_saved_record_survives_a_killed_engine(local: LocalEngine, state_dir: Path) -> None:
    record = a_record(a_spec(python(SOURCES["quick"])))
    local.save(record)
    kill(state_dir)
    assert [experiment.record for experiment in local.poll()] == [record]


def test_an_engine_killed_right_after_submit_loses_nothing(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    name = start(local, a_spec(ledgered(tmp_path / "ledger", 0.1)))
    kill(state_dir)
    status = until(local, name, is_over).status
    assert status.count(TrialCondition.SUCCEEDED) == 4
    assert runs(tmp_path / "ledger") == {"0": 1, "1": 1, "2": 1, "3": 1}


def test_a_trial_that_outlives_its_engine_is_adopted(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    source = ledgered(tmp_path / "ledger", 1.0)
    name = start(local, a_spec(source, max_trial_count=1))
    until(local, name, lambda e: bool(runs(tmp_path / "ledger")))
    kill(state_dir)
    trial = until(local, name, is_over).status.trials[0]
    assert (trial.condition, runs(tmp_path / "ledger")) == (TrialCondition.SUCCEEDED, {"0": 1})


def test_a_trial_that_ended_while_no_engine_ran_is_told(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    name = start(local, a_spec(ledgered(tmp_path / "ledger", 0.5), max_trial_count=1))
    folder = experiment_folder(state_dir, name) / "trials" / "0"
    until(local, name, lambda e: bool(runs(tmp_path / "ledger")))
    kill(state_dir)
    while not (folder / "result.json").exists():
        time.sleep(0.01)
    result = json.loads((folder / "result.json").read_text())
    trial = until(local, name, is_over).status.trials[0]
    assert trial.condition == TrialCondition.SUCCEEDED
    assert trial.completion_time == datetime.fromisoformat(result["finished"])
    assert runs(tmp_path / "ledger") == {"0": 1}


def test_a_trial_that_died_with_its_engine_failed_and_is_not_run_again(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    name = start(local, a_spec(ledgered(tmp_path / "ledger", 60), max_trial_count=1))
    until(local, name, lambda e: bool(runs(tmp_path / "ledger")))
    kill_both(state_dir, experiment_folder(state_dir, name) / "trials" / "0")
    trial = until(local, name, is_over).status.trials[0]
    assert (trial.condition, trial.reason) == (TrialCondition.FAILED, "Killed")
    assert runs(tmp_path / "ledger") == {"0": 1}


@pytest.mark.parametrize("suggested", [False, True], ids=["half asked", "asked"])
def test_a_trial_that_was_asked_and_never_started_is_started(
    local: LocalEngine, state_dir: Path, suggested: bool
) -> None:
    record = a_record(a_spec(python(SOURCES["quick"])))
    file = StudyFile(state_dir)
    entry = file.create(record.model_copy(update={"submitted": True}))
    asked = file.study(entry, sampler(record.spec, 1, 0)).ask()
    if suggested:
        suggest(asked, record.spec)
        file.mark_trial(entry, 0, STARTED, {TIME: record.created.isoformat(), "devices": []})
    else:
        asked.suggest_int("a", 10, 20)
    parameters = dict(asked.params)
    file.close()
    status = until(local, start_again(local, record.name), is_over).status
    assert [trial.condition for trial in status.trials] == [TrialCondition.SUCCEEDED] * 4
    assert parameters.items() <= dict(status.trials[0].parameters).items()


def test_a_trial_whose_outcome_was_written_but_not_told_is_told(
    local: LocalEngine, state_dir: Path
) -> None:
    record = a_record(a_spec(python(SOURCES["quick"]), max_trial_count=1))
    file = StudyFile(state_dir)
    entry = file.create(record.model_copy(update={"submitted": True}))
    suggest(file.study(entry, sampler(record.spec, 1, 0)).ask(), record.spec)
    end = Outcome(
        condition=TrialCondition.SUCCEEDED,
        observation={"result": Observation(min=1, max=3, latest=2)},
        completion_time=record.created,
    )
    file.mark_trial(entry, 0, STARTED, {TIME: record.created.isoformat(), "devices": []})
    file.mark_trial(entry, 0, OUTCOME, end.model_dump(mode="json"))
    file.close()
    trial = until(local, start_again(local, record.name), is_over).status.trials[0]
    assert (trial.condition, trial.value(record.spec)) == (TrialCondition.SUCCEEDED, 3)
    assert not (experiment_folder(state_dir, record.name) / "trials" / "0").exists()


def test_a_study_whose_record_was_not_written_is_free_for_its_name(
    local: LocalEngine, state_dir: Path
) -> None:
    import optuna

    record = a_record(a_spec(python(SOURCES["quick"])))
    StudyFile(state_dir).close()
    storage = optuna.storages.RDBStorage(f"sqlite:///{state_dir / 'study.db'}")
    storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], record.name)
    storage.engine.dispose()
    assert local.poll() == []
    local.save(record)
    assert local.get(record.name).record == record


def start_again(engine: LocalEngine, name: str) -> str:
    engine.poll()
    return name


def test_kills_in_a_row_lose_nothing_and_run_nothing_twice(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    source = ledgered(tmp_path / "ledger", 0.2)
    name = start(local, a_spec(source, max_trial_count=8))
    chance = random.Random(2)
    for _ in range(6):
        local.poll()
        threading.Event().wait(chance.uniform(0, 0.4))
        kill(state_dir)
    status = until(local, name, is_over).status
    assert status.count(TrialCondition.SUCCEEDED) == 8
    assert runs(tmp_path / "ledger") == {str(number): 1 for number in range(8)}


def test_a_stop_survives_a_killed_engine(local: LocalEngine, state_dir: Path) -> None:
    stubborn = """
import signal, time

def objective(parameters):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("result=1", flush=True)
    time.sleep(1000)
"""
    name = start(local, a_spec(python(stubborn), max_trial_count=1))
    until(local, name, lambda e: any(t.observation for t in e.status.trials))
    stopping = threading.Thread(target=local.stop, args=(name, "U7"))
    stopping.start()
    until(local, name, lambda e: e.record.stopped_by == "U7")
    kill(state_dir)
    over = until(local, name, is_over)
    stopping.join()
    assert over.status.reason == "StoppedByUser"
    assert over.status.trials[0].condition == TrialCondition.KILLED


def test_an_engine_that_was_shut_down_starts_its_trials_over(
    local: LocalEngine, tmp_path: Path
) -> None:
    name = start(local, a_spec(ledgered(tmp_path / "ledger", 0.7), max_trial_count=1))
    until(local, name, lambda e: bool(runs(tmp_path / "ledger")))
    local.shutdown()
    trial = until(local, name, is_over).status.trials[0]
    assert (trial.condition, runs(tmp_path / "ledger")) == (TrialCondition.SUCCEEDED, {"0": 2})


@pytest.mark.skipif(local_hardware.cores() < 2, reason="two trials cannot run at once here")
def test_trials_of_all_experiments_are_asked_to_end_at_the_same_time(
    local: LocalEngine, tmp_path: Path
) -> None:
    slow = python(f"""
import os, pathlib, signal, time

folder = pathlib.Path({str(tmp_path)!r})

def end(*_):
    (folder / f"{{os.getpid()}}.asked").write_text(str(time.monotonic()))
    time.sleep(4)
    os._exit(1)

def objective(parameters):
    signal.signal(signal.SIGTERM, end)
    (folder / f"{{os.getpid()}}.begun").touch()
    time.sleep(1000)
""")
    names = [start(local, a_spec(slow, max_trial_count=1)) for _ in range(2)]
    until(local, names[0], lambda _: len(list(tmp_path.glob("*.begun"))) == 2)
    local.shutdown()
    first, second = (float(file.read_text()) for file in tmp_path.glob("*.asked"))
    assert abs(first - second) < 2


# -- readers, and one engine per folder


def test_a_reader_sees_the_same_with_and_without_an_engine(
    local: LocalEngine, state_dir: Path
) -> None:
    reader = LocalEngine(state_dir, allow_code=False, start=False)
    name = start(local, a_spec(python(SOURCES["quick"])))
    over = until(reader, name, is_over)
    log = reader.logs(name, f"{name}-0")
    for end in (local.shutdown, lambda: None):
        end()
        assert reader.get(name) == over
        assert reader.find(Query(text=name)) == reader.poll() == [over]
        assert reader.logs(name, f"{name}-0") == log
    assert read_address(state_dir) is None  # reading has started nothing


def test_a_reader_sees_an_experiment_whose_engine_was_killed(
    local: LocalEngine, state_dir: Path
) -> None:
    name = start(local, a_spec(python(SOURCES["endless"])))
    until(local, name, has_running)
    kill(state_dir)
    reader = LocalEngine(state_dir, allow_code=False, start=False)
    assert has_running(reader.get(name))
    local.stop(name, "U1")


def test_a_reader_of_a_folder_that_does_not_exist_finds_nothing_and_makes_nothing(
    state_dir: Path,
) -> None:
    reader = LocalEngine(state_dir, allow_code=False, start=False)
    assert reader.poll() == reader.find(Query()) == []
    with pytest.raises(NotFoundError):
        reader.get("nobody")
    assert not state_dir.exists()


def test_a_reader_changes_nothing(local: LocalEngine, state_dir: Path) -> None:
    record = a_record(a_spec(python(SOURCES["quick"])))
    local.save(record)
    local.shutdown()
    reader = LocalEngine(state_dir, allow_code=False, start=False)
    with pytest.raises(EngineError, match="No engine"):
        reader.submit(record.name)


def test_a_second_engine_on_one_folder_says_so_and_ends(
    local: LocalEngine, state_dir: Path
) -> None:
    local.poll()
    address = read_address(state_dir)
    command = [sys.executable, "-m", "bot.engines.local_server", "--state", str(state_dir)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert address and second.returncode == 3
    assert second.stderr.strip() == (
        f"Another engine (pid {address.pid}) already works on {state_dir}."
    )
    assert read_address(state_dir) == address


def test_who_does_not_know_the_key_gets_no_answer(local: LocalEngine, state_dir: Path) -> None:
    from bot.engines import local_wire

    local.poll()
    address = read_address(state_dir)
    assert address
    wrong = address.model_copy(update={"key": "0" * 64})
    with pytest.raises(ConnectionError):
        local_wire.ask(wrong, "poll", {}, 10)
    assert (state_dir / "engine.json").stat().st_mode & 0o777 == 0o600


def test_a_state_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot be started"):
        LocalEngine(tmp_path / "file", allow_code=True).poll()


def test_a_study_file_that_is_none_is_a_sentence(state_dir: Path) -> None:
    state_dir.mkdir()
    (state_dir / "study.db").write_text("this is no database, " * 1000)
    with pytest.raises(EngineError, match="is not a study file"):
        LocalEngine(state_dir, allow_code=True).poll()
    with pytest.raises(EngineError, match="is not a study file"):
        LocalEngine(state_dir, allow_code=True, start=False).poll()


# -- how trials end


def one_trial(engine: LocalEngine, source: str) -> Any:
    wanted = a_spec(python(source), max_trial_count=1, parallel_trial_count=1)
    return until(engine, start(engine, wanted), is_over).status.trials[0]


def test_a_failed_trial_tells_its_cause(engine: LocalEngine) -> None:
    trial = one_trial(engine, SOURCES["failing"])
    assert (trial.condition, trial.reason) == (TrialCondition.FAILED, "CodeError")
    assert "the moon is full" in trial.message


def test_a_corrupt_result_is_a_failed_trial(engine: LocalEngine) -> None:
    trial = one_trial(
        engine,
        """
import os, pathlib

def objective(parameters):
    (pathlib.Path(__file__).parent / "result.json").write_text('{"state": "Succ')
    os._exit(0)
""",
    )
    assert (trial.condition, trial.reason) == (TrialCondition.FAILED, "CorruptResult")


def test_a_killed_trial_names_the_signal(engine: LocalEngine) -> None:
    trial = one_trial(
        engine,
        """
import os, signal

def objective(parameters):
    os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    assert (trial.condition, trial.reason) == (TrialCondition.FAILED, "Killed")
    assert "SIGKILL" in trial.message


def test_a_full_disk_is_a_failed_trial(engine: LocalEngine) -> None:
    trial = one_trial(
        engine,
        """
def objective(parameters):
    with open("/dev/full", "w") as file:
        file.write("x")
""",
    )
    assert (trial.condition, trial.reason) == (TrialCondition.FAILED, "DiskFull")


def test_a_trial_whose_folder_cannot_be_made_failed(local: LocalEngine, state_dir: Path) -> None:
    wanted = a_spec(python(SOURCES["quick"]))
    local.save(a_record(wanted))
    (state_dir / "experiments").write_text("a file where a folder is needed")
    local.submit(wanted.name)
    status = until(local, wanted.name, is_over).status
    assert status.condition == ExperimentCondition.FAILED
    assert {trial.reason for trial in status.trials} == {"NotStarted"}


def test_a_killed_trial_leaves_no_process_behind(engine: LocalEngine, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    source = f"""
import pathlib, subprocess, time

def objective(parameters):
    child = subprocess.Popen(["sleep", "1000"])
    pathlib.Path({str(note)!r}).write_text(str(child.pid))
    print("result=1", flush=True)
    time.sleep(1000)
"""
    name = start(engine, a_spec(python(source), max_trial_count=1))
    until(engine, name, lambda e: any(t.observation for t in e.status.trials))
    engine.stop(name, "U1")
    assert is_over(engine.get(name))
    state = Path(f"/proc/{note.read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


# -- the search


def test_grid_tries_every_point_once(engine: LocalEngine) -> None:
    wanted = a_spec(
        python(SOURCES["quick"]),
        algorithm_name="grid",
        parameters={"a": {"list": [10, 15, 20]}, "b": {"min": 0.1, "max": 0.2, "step": 0.1}},
        max_trial_count=6,
    )
    trials = until(engine, start(engine, wanted), is_over).status.trials
    points = sorted((trial.parameters["a"], trial.parameters["b"]) for trial in trials)
    assert points == [(a, b) for a in (10, 15, 20) for b in (0.1, 0.2)]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("random", {}),
        ("tpe", {}),
        ("multivariate-tpe", {"n_startup_trials": "2"}),
        ("bayesianoptimization", {"n_initial_points": "2"}),
        ("cmaes", {}),
        ("sobol", {}),
    ],
)
def test_every_algorithm_runs_an_experiment(
    engine: LocalEngine, name: str, settings: dict[str, str]
) -> None:
    wanted = a_spec(
        python(SOURCES["quick"]),
        algorithm_name=name,
        algorithm_settings=settings,
        max_trial_count=5,
    )
    status = until(engine, start(engine, wanted), is_over).status
    assert [trial.condition for trial in status.trials] == [TrialCondition.SUCCEEDED] * 5, status
    assert len({tuple(trial.parameters.values()) for trial in status.trials}) == 5


@pytest.mark.parametrize("name", ["random", "cmaes", "sobol"])
def test_a_restarted_engine_repeats_no_point(
    local: LocalEngine, state_dir: Path, name: str
) -> None:
    wanted = a_spec(
        python("import time\n" + SOURCES["quick"] + "    time.sleep(0.2)\n"),
        parameters={"a": {"min": 10.0, "max": 20.0}, "b": {"min": 0.1, "max": 0.2}},
        algorithm_name=name,
        max_trial_count=6,
        parallel_trial_count=1,
    )
    start(local, wanted)
    for ended in (1, 3):
        until(local, wanted.name, lambda e, ended=ended: e.status.finished >= ended)
        kill(state_dir)
    trials = until(local, wanted.name, is_over).status.trials
    assert len({tuple(trial.parameters.values()) for trial in trials}) == 6


def test_under_grid_the_known_good_trial_is_extra_and_does_not_count(
    engine: LocalEngine, tmp_path: Path
) -> None:
    wanted = spec.read(
        {
            "name": "grid-and-known-good",
            "model_uri": str(tmp_path / "no-model"),
            "dataset": str(tmp_path / "no-data"),
            "lora_config": {"r": {"list": [8, 32]}},
            "training_parameters": {"learning_rate": 1e-3},
            "algorithm_name": "grid",
            "max_trial_count": 2,
            "parallel_trial_count": 1,
            "max_failed_trial_count": 2,
        }
    )
    status = until(engine, start(engine, wanted), is_over).status
    assert [trial.known_good for trial in status.trials] == [True, False, False]
    assert sorted(trial.parameters["r"] for trial in status.trials[1:]) == [8, 32]
    assert status.reason == "ExperimentFailed"


def test_the_same_seed_proposes_the_same_trials(engine: LocalEngine) -> None:
    def searched() -> list[Any]:
        wanted = a_spec(python(SOURCES["quick"]), algorithm_name="tpe", seed=11, name=fresh())
        return [
            dict(t.parameters) for t in until(engine, start(engine, wanted), is_over).status.trials
        ]

    def fresh() -> str:
        return f"seeded-{time.monotonic_ns()}"

    assert searched() == searched()


def test_progress_is_seen_while_a_trial_runs(engine: LocalEngine, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = f"""
import pathlib, time

def objective(parameters):
    print("2026-01-02T03:04:05.678Z progress 1/4", flush=True)
    while not pathlib.Path({str(go)!r}).exists():
        time.sleep(0.01)
    return 1.0
"""
    name = start(engine, a_spec(python(source), max_trial_count=1))
    seen = until(engine, name, lambda e: any(t.progress for t in e.status.trials))
    assert seen.status.trials[0].progress == 0.25
    go.touch()
    assert until(engine, name, is_over).status.trials[0].progress is None


def test_logs_end_with_the_last_hundred_lines(engine: LocalEngine) -> None:
    source = """
def objective(parameters):
    for number in range(1000):
        print("line", number)
    return 1.0
"""
    name = start(engine, a_spec(python(source), max_trial_count=1))
    until(engine, name, is_over)
    lines = engine.logs(name, f"{name}-0").splitlines()
    assert len(lines) == 100
    assert "line 999" in lines


def test_the_study_opens_in_optuna_with_the_experiment_s_name_direction_and_values(
    engine: LocalEngine, shared_dir: Path
) -> None:
    import optuna

    wanted = a_spec(python(SOURCES["quick"]), objective_type="minimize")
    status = until(engine, start(engine, wanted), is_over).status
    file = StudyFile(shared_dir, read_only=True)
    study = file.study(file.load()[wanted.name], optuna.samplers.RandomSampler())
    assert (study.study_name, study.direction.name) == (wanted.name, "MINIMIZE")
    assert [t.value for t in study.trials] == [t.value(wanted) for t in status.trials]
    file.close()


def test_under_hyperband_the_known_good_trial_is_extra_and_the_first_rung_is_whole(
    engine: LocalEngine, tmp_path: Path
) -> None:
    wanted = spec.read(
        {
            "name": "hyperband-and-known-good",
            "model_uri": str(tmp_path / "no-model"),
            "dataset": str(tmp_path / "no-data"),
            "training_parameters": {
                "learning_rate": {"min": 1e-5, "max": 1e-3, "distribution": "logUniform"},
                "num_train_epochs": {"min": 1, "max": 3},
            },
            "algorithm_name": "hyperband",
            "max_trial_count": 3,
            "parallel_trial_count": 3,
            "max_failed_trial_count": 3,
        }
    )
    trials = until(engine, start(engine, wanted), is_over).status.trials
    assert [(trial.known_good, trial.beside) for trial in trials] == [(True, True)] + [
        (False, False)
    ] * 3
    assert [trial.parameters["num_train_epochs"] for trial in trials[1:]] == [1, 1, 1]


def test_hyperband_runs_its_brackets_whoever_kills_the_engine(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    wanted = a_spec(
        ledgered(tmp_path / "ledger", 0.1),
        parameters={"a": {"min": 0.0, "max": 1.0}, "epochs": {"min": 1, "max": 4}},
        algorithm_name="hyperband",
        algorithm_settings={"resource_name": "epochs", "eta": "2"},
        max_trial_count=12,
        parallel_trial_count=4,
    )
    start(local, wanted)
    for ended in (2, 5):
        until(local, wanted.name, lambda e, ended=ended: e.status.finished >= ended)
        kill(state_dir)
    trials = until(local, wanted.name, is_over).status.trials
    assert runs(tmp_path / "ledger") == {str(number): 1 for number in range(12)}
    assert [t.parameters["epochs"] for t in trials] == [1] * 4 + [2] * 2 + [4] + [2] * 3 + [4] * 2
    tried = [t.parameters["a"] for t in trials]
    assert tried[4:6] == sorted(tried[:4], reverse=True)[:2]
    assert tried[6] == max(tried[:4])
    assert len(set(tried[:4] + tried[7:10])) == 7


# -- early stopping

# Trial 0 is good and ends; the others report worse values, when they may, and would never end.
ONE_IS_GOOD = """
import pathlib, time

def objective(parameters):
    if pathlib.Path(__file__).parent.name == "0":
        print("result=5", "result=6", "result=1", sep=chr(10), flush=True)
        return
    while not pathlib.Path(GO).exists():
        time.sleep(0.01)
    print("result=3", "result=5.4", "result=2", sep=chr(10), flush=True)
    time.sleep(1000)
"""


def stopping(go: Path, **changes: Any) -> TuneSpec:
    return a_spec(
        python(ONE_IS_GOOD.replace("GO", repr(str(go)))),
        early_stopping="medianstop",
        early_stopping_settings={"min_trials_required": "1", "start_step": "2"},
        parallel_trial_count=1,
        **changes,
    )


def test_a_trial_that_falls_short_of_those_before_it_is_stopped_early(
    engine: LocalEngine, shared_dir: Path, tmp_path: Path
) -> None:
    import optuna

    wanted = stopping(tmp_path, max_trial_count=3)
    status = until(engine, start(engine, wanted), is_over).status
    assert [trial.condition for trial in status.trials] == [
        TrialCondition.SUCCEEDED,
        TrialCondition.EARLY_STOPPED,
        TrialCondition.EARLY_STOPPED,
    ]
    assert status.reason == "ExperimentMaxTrialsReached"
    assert status.optimal_trial_name == status.trials[0].name
    assert status.trials[1].observation == {"result": Observation(min=2, max=5.4, latest=2)}
    assert "5.4 at best after 2 values; the mean of the trials before it is 5.5" in (
        status.trials[1].message
    )
    file = StudyFile(shared_dir, read_only=True)
    study = file.study(file.load()[wanted.name], optuna.samplers.RandomSampler())
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "PRUNED"]
    file.close()


@pytest.mark.parametrize("outlives", [True, False], ids=["runs on", "has ended"])
def test_a_trial_that_fell_short_while_no_engine_watched_is_stopped_early(
    local: LocalEngine, state_dir: Path, tmp_path: Path, outlives: bool
) -> None:
    wanted = stopping(tmp_path / "go", max_trial_count=2)
    start(local, wanted)
    folder = experiment_folder(state_dir, wanted.name) / "trials" / "1"
    until(local, wanted.name, lambda e: bool(read_pid(folder)))
    kill(state_dir)
    (tmp_path / "go").touch()
    while "result=2" not in (folder / "trial.log").read_text():
        time.sleep(0.01)
    pid = read_pid(folder)
    if not outlives and pid:
        os.killpg(pid, signal.SIGKILL)
    trial = until(local, wanted.name, is_over).status.trials[1]
    assert trial.condition == TrialCondition.EARLY_STOPPED
    assert trial.observation == {"result": Observation(min=2, max=5.4, latest=2)}


# -- what is changed while it runs, and after


def test_an_extension_survives_a_killed_engine(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    source = ledgered(tmp_path / "ledger", 0.1)
    wanted = a_spec(source, max_trial_count=2, resume_policy="LongRunning")
    name = start(local, wanted)
    until(local, name, is_over)
    local.mark_told(name, Told(started=True, ended=True, ends=1))
    kill(state_dir)
    assert local.extend(name, 4, "U1").is_open
    kill(state_dir)
    over = until(local, name, has_ended_with(4))
    assert (over.spec.max_trial_count, over.record.told.ends) == (4, 1)
    assert runs(tmp_path / "ledger") == {str(number): 1 for number in range(4)}


def test_an_extension_that_was_half_written_goes_on(local: LocalEngine, state_dir: Path) -> None:
    record = a_record(a_spec(python(SOURCES["quick"]), resume_policy="LongRunning"))
    local.save(record)
    local.submit(record.name)
    until(local, record.name, is_over)
    local.shutdown()
    file = StudyFile(state_dir)
    entry = file.load()[record.name]
    longer = record.spec.model_copy(update={"max_trial_count": 6})
    file.write_record(entry, entry.record.model_copy(update={"spec": longer}))
    file.close()
    assert until(local, record.name, has_ended_with(6)).status.counted == 6


def test_an_extension_that_is_asked_for_once_more_extends_once(
    local: LocalEngine, state_dir: Path
) -> None:
    from bot.engines import local_wire

    name = start(local, a_spec(python(SOURCES["endless"]), max_trial_count=2))
    address = read_address(state_dir)
    assert address
    asked = {"name": name, "max_trial_count": 3, "before": 2, "by": "U1"}
    answers = [local_wire.ask(address, "extend", asked, 10) for _ in range(2)]
    assert [answer["record"]["spec"]["max_trial_count"] for answer in answers] == [3, 3]
    with pytest.raises(EngineError, match="more than 3"):
        local.extend(name, 3, "U1")


def test_what_was_extended_while_its_end_was_told_is_open(local: LocalEngine) -> None:
    source = """
import time

def objective(parameters):
    time.sleep(1)
    return 1.0
"""
    wanted = a_spec(python(source), max_trial_count=1, resume_policy="LongRunning")
    name = start(local, wanted)
    until(local, name, is_over)
    local.extend(name, 2, "U1")
    local.mark_told(name, Told(started=True, ended=True, ends=1))
    after = local.get(name)
    assert after.is_open
    assert after.record.told.ends == 1


def test_a_grid_is_extended_to_its_last_point_and_no_further(engine: LocalEngine) -> None:
    wanted = a_spec(
        python(SOURCES["quick"]),
        algorithm_name="grid",
        parameters={"a": {"list": [10, 15, 20]}, "b": {"list": [0.1, 0.2]}},
        max_trial_count=2,
        resume_policy="FromVolume",
    )
    name = start(engine, wanted)
    until(engine, name, is_over)
    with pytest.raises(EngineError, match="the grid has 6 points") as refused:
        engine.extend(name, 7, "U1")
    assert refused.value.field == "max_trial_count"
    engine.extend(name, 6, "U1")
    trials = until(engine, name, has_ended_with(6)).status.trials
    points = sorted((trial.parameters["a"], trial.parameters["b"]) for trial in trials)
    assert points == [(a, b) for a in (10, 15, 20) for b in (0.1, 0.2)]


FAILS_ONCE = """
import pathlib

def objective(parameters):
    begun = pathlib.Path(NOTE)
    if not begun.exists():
        begun.touch()
        raise RuntimeError("the moon is full")
    print(f"result={parameters['a']}", flush=True)
"""


@pytest.mark.parametrize("algorithm", ["grid", "tpe", "multivariate-tpe", "random"])
def test_a_trial_that_is_tried_again_changes_nothing_of_what_is_searched(
    engine: LocalEngine, tmp_path: Path, algorithm: str
) -> None:
    def searched(note: str, again: bool) -> list[Any]:
        source = FAILS_ONCE.replace("NOTE", repr(str(tmp_path / note)))
        wanted = a_spec(
            python(source), algorithm_name=algorithm, seed=3, max_trial_count=4,
            max_failed_trial_count=4, parallel_trial_count=1, name=f"{note}-{algorithm}",
            parameters={"a": {"list": [10, 15, 20]}, "b": {"list": [0.1, 0.2]}},
        )  # fmt: skip
        name = start(engine, wanted)
        first = until(engine, name, lambda e: e.status.failed > 0).status.trials[0]
        if again:
            engine.retry_trial(name, first.name, "U1")
        trials = until(engine, name, is_over).status.trials
        beside = [trial for trial in trials if trial.beside]
        assert [dict(t.parameters) for t in beside] == [dict(first.parameters)] * again
        return [dict(trial.parameters) for trial in trials if not trial.beside]

    assert searched("again", True) == searched("once", False)


def test_a_retry_is_made_once_survives_a_killed_engine_and_is_waited_for(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    source = ledgered(tmp_path / "ledger", 0.5)
    name = start(local, a_spec(source, max_trial_count=2, parallel_trial_count=1))
    first = until(local, name, lambda e: e.status.finished == 1).status.trials[0]
    for _ in range(2):
        local.retry_trial(name, first.name, "U1")
        kill(state_dir)
    status = until(local, name, is_over).status
    assert status.reason == "ExperimentMaxTrialsReached"
    assert [trial.beside for trial in status.trials] == [False, False, True]
    assert status.count(TrialCondition.SUCCEEDED) == 3
    assert status.trials[2].parameters == first.parameters
    assert runs(tmp_path / "ledger") == {"0": 1, "1": 1, "2": 1}


def test_what_had_no_room_any_more_goes_on_when_there_is_room_again(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    source = python(f"""
import pathlib, time

def objective(parameters):
    print("result=1", flush=True)
    while not pathlib.Path({str(go)!r}).exists():
        time.sleep(0.01)
""")
    name = start(local, a_spec(source, max_trial_count=2))
    until(local, name, lambda e: sum(bool(t.observation) for t in e.status.trials) == 2)
    local.set_parallel(name, 1, "U1")
    kill(state_dir)  # whether the trial has been asked to end yet, or has ended
    held = until(local, name, lambda e: e.status.count(TrialCondition.RUNNING) == 1).status
    conditions = [TrialCondition.RUNNING, TrialCondition.CREATED]
    assert [trial.condition for trial in held.trials] == conditions
    go.touch()
    status = until(local, name, is_over).status
    assert [trial.number for trial in status.trials] == [0, 1]
    assert status.count(TrialCondition.SUCCEEDED) == 2


def test_what_was_held_and_died_while_no_engine_ran_goes_on(
    local: LocalEngine, state_dir: Path, tmp_path: Path
) -> None:
    name = start(local, a_spec(ledgered(tmp_path / "ledger", 1.0), max_trial_count=1))
    until(local, name, lambda e: bool(runs(tmp_path / "ledger")))
    kill_both(state_dir, experiment_folder(state_dir, name) / "trials" / "0")
    file = StudyFile(state_dir)
    entry = file.load()[name]
    started = file.trials(entry)[0].user_attrs[STARTED]
    file.mark_trial(entry, 0, STARTED, {**started, HELD: True})
    file.close()
    trial = until(local, name, is_over).status.trials[0]
    assert (trial.condition, runs(tmp_path / "ledger")) == (TrialCondition.SUCCEEDED, {"0": 2})


def test_a_pause_survives_a_killed_engine(local: LocalEngine, state_dir: Path) -> None:
    name = start(local, a_spec(python(SOURCES["endless"]), max_trial_count=1))
    until(local, name, has_running)
    local.pause(name, "U7")
    kill(state_dir)
    until(local, name, lambda e: not has_running(e))
    local.shutdown()
    reader = LocalEngine(state_dir, allow_code=False, start=False)
    for engine in (reader, local):
        paused = engine.get(name)
        assert paused.status.count(TrialCondition.CREATED) == 1
        assert paused.status.message == f"Paused by U7; `resume {name}` lets it go on."
    local.resume(name, "U7")
    until(local, name, has_running)


def test_what_ended_while_it_was_paused_is_paused_no_more_when_it_is_extended(
    local: LocalEngine,
) -> None:
    source = """
import signal, time

def objective(parameters):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("result=1", flush=True)
    time.sleep(2)
"""
    wanted = a_spec(python(source), max_trial_count=1, resume_policy="LongRunning")
    local.save(a_record(wanted))
    local.pause(wanted.name, "U7")
    local.submit(wanted.name)
    assert local.get(wanted.name).status.trials == ()
    local.resume(wanted.name, "U7")
    until(local, wanted.name, lambda e: any(t.observation for t in e.status.trials))
    local.pause(wanted.name, "U7")
    over = until(local, wanted.name, is_over)
    assert over.status.count(TrialCondition.SUCCEEDED) == 1
    assert local.extend(wanted.name, 2, "U1").record.paused_by is None
    until(local, wanted.name, has_ended_with(2))


# -- the machine is shared

ENVIRONMENT = """
import os, pathlib, time

def objective(parameters):
    time.sleep(0.3)
    return {"result": float(os.environ[NAME] or -1)}
"""


def test_trials_side_by_side_have_a_gpu_of_their_own(
    local: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    wanted = a_spec(python(ENVIRONMENT.replace("NAME", "'CUDA_VISIBLE_DEVICES'")), gpu=1)
    status = until(local, start(local, wanted), is_over).status
    assert {trial.value(wanted) for trial in status.trials} == {3.0, 5.0}
    for trial in status.trials:
        for other in status.trials:
            if trial.number < other.number and trial.value(wanted) == other.value(wanted):
                assert trial.completion_time and other.start_time
                assert trial.completion_time <= other.start_time


def test_a_trial_without_a_gpu_sees_none(
    local: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    source = ENVIRONMENT.replace("NAME", "'CUDA_VISIBLE_DEVICES'")
    wanted = a_spec(python(source), max_trial_count=1)
    status = until(local, start(local, wanted), is_over).status
    assert status.trials[0].value(wanted) == -1


def test_trials_share_the_cores_unless_the_spec_says_how_many(engine: LocalEngine) -> None:
    cores = local_hardware.cores()
    source = python(ENVIRONMENT.replace("NAME", "'OMP_NUM_THREADS'"))
    alone = a_spec(source, max_trial_count=1)
    asked = a_spec(source, max_trial_count=1, cpu="500m")
    for wanted, threads in ((alone, cores), (asked, 1)):
        trial = until(engine, start(engine, wanted), is_over).status.trials[0]
        assert trial.value(wanted) == threads


# -- what it refuses


def test_code_from_a_spec_is_refused_unless_it_is_allowed(state_dir: Path) -> None:
    engine = LocalEngine(state_dir, allow_code=False)
    wanted = a_spec(python(SOURCES["quick"]))
    assert [error.field for error in engine.check(wanted)] == ["objective_source"]
    with pytest.raises(SpecError):
        engine.save(a_record(wanted))
    assert not state_dir.exists()


def test_others_experiments_are_refused_with_what_to_do_instead(state_dir: Path) -> None:
    engine = LocalEngine(state_dir, allow_code=False, start=False)
    with pytest.raises(EngineError, match="local engine") as refused:
        engine.adopt("any", "C1", "U1", "ada")
    assert refused.value.hint


# -- real training


def a_training(**changes: Any) -> TuneSpec:
    """One short trial of the shipped model on the shipped data."""
    data = {
        "name": "real",
        "model_uri": "default",
        "dataset": "default",
        "split": "train[:64]",
        "eval_split": "validation[:40]",
        "max_length": 32,
        "training_parameters": {
            "learning_rate": {"min": 1e-4, "max": 1e-2, "distribution": "logUniform"},
            "num_train_epochs": 1,
        },
        "lora_config": {"r": {"list": [8, 16]}},
        "max_trial_count": 1,
        "seed": 1,
    }
    return spec.read({**data, **changes})


@pytest.mark.timeout(600)  # on a fresh machine the model and the data are fetched first
def test_a_training_goes_on_that_was_ended_with_its_engine_and_then_died_with_the_next(
    local: LocalEngine, state_dir: Path
) -> None:
    epochs = {"learning_rate": {"min": 1e-4, "max": 1e-2}, "num_train_epochs": 3}
    name = start(local, a_training(training_parameters=epochs))
    folder = experiment_folder(state_dir, name) / "trials" / "0"
    until(local, name, lambda e: any(t.progress for t in e.status.trials), patience_s=500)
    local.shutdown()
    assert list(folder.glob("checkpoints/*/*/state.pt")), (folder / "trial.log").read_text()
    until(local, name, lambda e: bool(read_pid(folder)))
    kill_both(state_dir, folder)
    trial = until(local, name, is_over, patience_s=500).status.trials[0]
    assert trial.condition == TrialCondition.SUCCEEDED, trial
    assert json.loads((folder / "result.json").read_text())["resumed_from_step"] >= 1


@pytest.mark.timeout(600)
def test_a_training_that_is_paused_goes_on_from_its_checkpoint(
    local: LocalEngine, state_dir: Path
) -> None:
    epochs = {"learning_rate": {"min": 1e-4, "max": 1e-2}, "num_train_epochs": 3}
    name = start(local, a_training(training_parameters=epochs))
    folder = experiment_folder(state_dir, name) / "trials" / "0"
    until(local, name, lambda e: any(t.progress for t in e.status.trials), patience_s=500)
    local.pause(name, "U1")
    until(local, name, lambda e: not has_running(e))
    assert list(folder.glob("checkpoints/*/*/state.pt")), (folder / "trial.log").read_text()
    local.resume(name, "U1")
    trial = until(local, name, is_over, patience_s=500).status.trials[0]
    assert trial.condition == TrialCondition.SUCCEEDED, trial
    assert json.loads((folder / "result.json").read_text())["resumed_from_step"] >= 1


@pytest.mark.parametrize(
    ("wanted", "kept"), [(a_training(), False), (a_spec(python(SOURCES["quick"])), True)]
)
def test_what_a_training_would_have_gone_on_from_is_removed_when_it_has_ended_for_good(
    local: LocalEngine, state_dir: Path, wanted: TuneSpec, kept: bool
) -> None:
    record = a_record(wanted)
    file = StudyFile(state_dir)
    entry = file.create(record.model_copy(update={"submitted": True}))
    suggest(file.study(entry, sampler(wanted, 1, 0)).ask(), wanted)
    file.mark_trial(entry, 0, STARTED, {TIME: record.created.isoformat(), "devices": []})
    file.write_ending(entry, endings.stopped("U1", record.created))
    file.close()
    folder = experiment_folder(state_dir, record.name) / "trials" / "0" / checkpoints.FOLDER
    (folder / "fingerprint" / "0001-step-8").mkdir(parents=True)
    trial = until(local, start_again(local, record.name), is_over).status.trials[0]
    assert trial.condition == TrialCondition.KILLED
    assert folder.exists() == kept


@pytest.mark.timeout(600)
def test_a_real_training_runs_through_the_engine(engine: LocalEngine) -> None:
    wanted = a_training()
    status = until(engine, start(engine, wanted), is_over, patience_s=500).status
    trial = status.trials[0]
    assert trial.condition == TrialCondition.SUCCEEDED, trial
    assert trial.known_good
    assert set(trial.parameters) == {"learning_rate", "r"}
    assert 0 <= trial.observation["eval_accuracy"].max <= 1
    assert {"eval_loss", "train_loss"} <= set(trial.observation)


def host_of(folder: Path) -> int | None:
    """The process that forks the trials in `folder`."""
    with suppress(OSError, StopIteration):
        return next(
            int(entry.name)
            for entry in Path("/proc").glob("[0-9]*")
            if f"--output-dir={folder}/".encode() in (entry / "cmdline").read_bytes()
            and b"\0host\0" in (entry / "cmdline").read_bytes()
        )
    return None


@pytest.mark.timeout(600)
@pytest.mark.skipif(not local_host.can_be(), reason="this machine's processes are not forked")
@pytest.mark.parametrize("end", ["", "early", "between"])
def test_trials_are_forked_while_there_is_a_host_and_else_have_processes_of_their_own(
    local: LocalEngine, state_dir: Path, end: str
) -> None:
    wanted = a_training(max_trial_count=3, parallel_trial_count=1)
    folder = experiment_folder(state_dir, wanted.name) / "trials"
    name = start(local, wanted)
    until(local, name, lambda e: host_of(folder) is not None)
    host = host_of(folder)
    assert host is not None
    if end == "between":
        until(local, name, lambda e: (folder / "0" / "result.json").exists(), patience_s=500)
    if end:
        os.kill(host, signal.SIGKILL)
    status = until(local, name, is_over, patience_s=500).status
    assert [trial.condition for trial in status.trials] == [TrialCondition.SUCCEEDED] * 3
    logs = [(folder / str(number) / "trial.log").read_text() for number in range(3)]
    assert (NO_HOST in logs[0]) == (end == "early")
    imports = [
        json.loads((folder / str(number) / "result.json").read_text())["seconds"]["import"]
        for number in range(3)
    ]
    assert [seconds < 0.2 for seconds in imports] == {
        "": [True, True, True],
        "early": [False, False, False],
        "between": [True, imports[1] < 0.2, False],
    }[end]
    until(local, name, lambda e: host_of(folder) is None)


@pytest.mark.timeout(600)
@pytest.mark.skipif(not local_host.can_be(), reason="this machine's processes are not forked")
def test_what_is_stopped_while_its_host_loads_ends_and_so_does_the_host(
    local: LocalEngine, state_dir: Path
) -> None:
    wanted = a_training(max_trial_count=2)
    folder = experiment_folder(state_dir, wanted.name) / "trials"
    name = start(local, wanted)
    until(local, name, lambda e: host_of(folder) is not None, patience_s=500)
    status = local.stop(name, "U1").status
    assert status.condition.is_final
    assert {trial.condition for trial in status.trials} == {TrialCondition.KILLED}
    until(local, name, lambda e: host_of(folder) is None)


@pytest.mark.timeout(600)
@pytest.mark.skipif(not local_host.can_be(), reason="this machine's processes are not forked")
def test_an_experiment_that_is_extended_has_a_host_again(
    local: LocalEngine, state_dir: Path
) -> None:
    wanted = a_training(max_trial_count=2, resume_policy="LongRunning")
    folder = experiment_folder(state_dir, wanted.name) / "trials"
    name = start(local, wanted)
    until(local, name, is_over, patience_s=500)
    until(local, name, lambda e: host_of(folder) is None)
    local.extend(name, 3, "U1")
    until(local, name, lambda e: host_of(folder) is not None)
    trial = until(local, name, has_ended_with(3), patience_s=500).status.trials[2]
    assert trial.condition == TrialCondition.SUCCEEDED, trial

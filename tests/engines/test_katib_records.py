"""Records as ConfigMaps: what comes back, what is cut when it does not fit, what is refused."""

from __future__ import annotations

import base64
import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.engines import katib_records
from bot.engines.katib_records import from_config_map, to_config_map
from bot.engines.katib_state import End, OwnTrial, State
from bot.engines.katib_wire import ConfigMap
from bot.errors import EngineError
from bot.status import (
    Ending,
    ExperimentCondition,
    Observation,
    Record,
    Thread,
    Told,
    TrialCondition,
    TrialStatus,
)
from tests.experiments import wanted
from tests.specs import SPECS, TEXT

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MIB = 1 << 20


def record(**facts: Any) -> Record:
    given_facts = {"uid": "U-1", "spec": wanted(), "created": NOW, "requested_by": "U0ADA"} | facts
    return Record(**given_facts)


def sent(body: Json) -> ConfigMap:
    """The ConfigMap as it is read again."""
    return msgspec.json.decode(json.dumps(body), type=ConfigMap)


def again(asked: Record, state: State) -> tuple[Record, State]:
    return from_config_map(sent(to_config_map(asked, state, "ml")))


# --- there and back -------------------------------------------------------------------------------

TIMES = st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), NUMBERS, TEXT)
OBSERVATIONS = st.builds(Observation, min=NUMBERS, max=NUMBERS, latest=NUMBERS)
TRIALS = st.builds(
    TrialStatus, name=TEXT, number=st.integers(0, 999), condition=st.sampled_from(TrialCondition),
    parameters=st.dictionaries(TEXT, SCALARS, max_size=3),
    observation=st.dictionaries(TEXT, OBSERVATIONS, max_size=2), reason=TEXT, message=TEXT,
    known_good=st.booleans(), progress=st.none() | NUMBERS, start_time=st.none() | TIMES,
    completion_time=st.none() | TIMES,
)  # fmt: skip
RECORDS = st.builds(
    Record, uid=TEXT, spec=SPECS, created=TIMES, requested_by=TEXT, requested_by_name=TEXT,
    channel=st.none() | TEXT, thread=st.none() | st.builds(Thread, channel=TEXT, ts=TEXT),
    submitted=st.booleans(), stopped_by=st.none() | TEXT,
    told=st.builds(
        Told, started=st.booleans(), card=TEXT, best_trial=st.none() | TEXT,
        best_value=st.none() | NUMBERS, failures=st.lists(TEXT, max_size=2).map(tuple),
        troubles=st.lists(TEXT, max_size=2).map(tuple), ended=st.booleans(),
    ),
)  # fmt: skip
STATES = st.builds(
    State, fetched=st.booleans(), node=TEXT, created=st.booleans(),
    order=st.lists(TEXT, max_size=2).map(tuple),
    own=st.lists(
        st.builds(OwnTrial, name=TEXT, parameters=st.dictionaries(TEXT, SCALARS, max_size=2),
                  known_good=st.booleans(), retry_of=TEXT), max_size=2,
    ).map(tuple),
    outcomes=st.dictionaries(TEXT, TRIALS, max_size=2),
    gpu_seconds=st.dictionaries(TEXT, NUMBERS, max_size=2),
    ends=st.dictionaries(TEXT, st.builds(End, reason=TEXT, message=TEXT), max_size=2),
    logs=st.dictionaries(TEXT, TEXT, max_size=2),
    ending=st.none() | st.builds(Ending, condition=st.sampled_from(ExperimentCondition),
                                 reason=TEXT, message=TEXT, time=TIMES),
    trials=st.lists(TRIALS, max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(RECORDS, STATES)
def test_whatever_is_written_is_read_again(asked: Record, state: State) -> None:
    found, held = again(asked, state)
    assert (found, held) == (asked, state)
    assert found.spec.model_fields_set == asked.spec.model_fields_set
    values = [list(map(type, trial.parameters.values())) for trial in held.trials]
    assert values == [list(map(type, trial.parameters.values())) for trial in state.trials]


def test_a_record_is_found_by_its_metadata_alone() -> None:
    body = to_config_map(record(), State(), "ml", "17")
    assert body["metadata"] == {
        "name": f"katib-tune-{wanted().name}",
        "namespace": "ml",
        "labels": {
            "app.kubernetes.io/managed-by": "katib-tune",
            "katib-tune/experiment": wanted().name,
            "katib-tune/role": "record",
            "katib-tune/record": "true",
            "katib-tune/open": "true",
        },
        "annotations": {
            "katib-tune/uid": "U-1",
            "katib-tune/created": "2026-11-24T12:00:00+00:00",
            "katib-tune/model": "default",
            "katib-tune/dataset": "default",
        },
        "resourceVersion": "17",
    }
    ended = to_config_map(record(told=Told(ended=True)), State(), "ml")
    assert ended["metadata"]["labels"]["katib-tune/open"] == "false"
    assert "resourceVersion" not in ended["metadata"]


def test_data_in_s3_are_found_by_bucket_and_key() -> None:
    place = {"dataset": "", "s3_endpoint_url": "https://s3.example", "s3_bucket_name": "reviews",
             "s3_file_key": "imdb/train"}  # fmt: skip
    body = to_config_map(record(spec=wanted(**place)), State(), "ml")
    assert body["metadata"]["annotations"]["katib-tune/dataset"] == "reviews/imdb/train"


def test_people_can_read_a_record_and_the_same_record_is_the_same_text() -> None:
    one, other = (to_config_map(record(), State(fetched=True), "ml") for _ in range(2))
    assert one == other
    assert json.loads(one["data"]["record.json"])["spec"]["model_uri"] == "default"


def test_a_spec_that_new_checks_would_refuse_is_still_read() -> None:
    grid = wanted(algorithm_name="grid", max_trial_count=4, lora_config={"r": {"list": [8, 16]}},
                  training_parameters={"learning_rate": {"list": [1e-4, 3e-4]}})  # fmt: skip
    more = grid.model_copy(update={"max_trial_count": 8})
    extended = record(spec=grid).model_copy(update={"spec": more})
    assert again(extended, State())[0] == extended


# --- what fits ------------------------------------------------------------------------------------

SENTENCE = "RuntimeError: CUDA out of memory. Tried to allocate {} MiB ({} MiB free); see {}."


def many(count: int, seed: int = 7) -> tuple[TrialStatus, ...]:
    """Trials with ten parameters and five metrics each, no two numbers alike, a fifth failed."""
    dice = random.Random(seed)
    return tuple(
        TrialStatus(
            name=f"e-{dice.getrandbits(40):08x}"[:10],
            number=number,
            condition=TrialCondition.FAILED if number % 5 == 0 else TrialCondition.SUCCEEDED,
            parameters={f"hyperparameter_{n}": dice.random() for n in range(10)},
            observation={
                f"metric_{n}": Observation(min=dice.random(), max=dice.random(),
                                           latest=dice.random())
                for n in range(5)
            },
            reason="OutOfMemory" if number % 5 == 0 else "",
            message=SENTENCE.format(*(dice.getrandbits(30) for _ in range(3)))
            if number % 5 == 0
            else "",
            start_time=NOW + timedelta(seconds=dice.randrange(10**6)),
            completion_time=NOW + timedelta(seconds=dice.randrange(10**6)),
        )
        for number in range(count)
    )  # fmt: skip


def noise(characters: int, seed: int) -> str:
    """A log that no packing makes much smaller."""
    dice = random.Random(seed)
    return base64.b85encode(dice.randbytes(characters * 4 // 5)).decode()


def full(trials: int, *, logs: int = 0, log_characters: int = 0) -> State:
    ended = many(trials)
    failed = [trial for trial in ended if trial.message]
    return State(
        fetched=True,
        created=True,
        gpu_seconds={trial.name: 1234.5 + trial.number for trial in ended},
        ends={t.name: End(reason=t.reason, message=t.message) for t in failed},
        logs={f"e-{n}": noise(log_characters, n) for n in range(logs)},
        ending=Ending(
            condition=ExperimentCondition.SUCCEEDED, reason="r", message="m", time=NOW
        ),
        trials=ended,
    )  # fmt: skip


def size(body: Json) -> int:
    return len(json.dumps(body).encode())


def test_a_thousand_trials_and_the_logs_of_twenty_fit_whole() -> None:
    state = full(1000, logs=20, log_characters=8_000)
    body = to_config_map(record(), state, "ml")
    assert size(body) < MIB
    assert from_config_map(sent(body))[1] == state


def test_logs_are_cut_to_their_ends_before_anything_else_is() -> None:
    state = full(1000, logs=100, log_characters=10_000)
    body = to_config_map(record(), state, "ml")
    assert size(body) < MIB
    _, kept = from_config_map(sent(body))
    assert {name: log[-2_000:] for name, log in state.logs.items()} == kept.logs
    assert kept.model_copy(update={"logs": state.logs}) == state


def test_logs_go_before_sentences() -> None:
    state = full(1000, logs=400, log_characters=3_000)
    _, kept = again(record(), state)
    assert kept == state.model_copy(update={"logs": {}})


def test_sentences_go_before_values() -> None:
    long = full(300)
    trials = tuple(t.model_copy(update={"message": noise(5_000, t.number)}) for t in long.trials)
    ends = {t.name: End(reason="OutOfMemory", message=t.message) for t in trials}
    state = long.model_copy(update={"trials": trials, "ends": ends})
    body = to_config_map(record(), state, "ml")
    assert size(body) < MIB
    _, kept = from_config_map(sent(body))
    assert [t.message for t in kept.trials] == [t.message[:200] for t in trials]
    assert [t.observation for t in kept.trials] == [t.observation for t in trials]
    assert [t.parameters for t in kept.trials] == [t.parameters for t in trials]


def test_what_cannot_be_kept_at_all_is_refused_with_its_size() -> None:
    source = f"def f(p):\n    return {noise(950_000, 1)!r}\n"
    asked = wanted(
        model_uri="", dataset="", objective_function="f", objective_source=source,
        objective_metric_name="result", parameters={"x": {"min": 1, "max": 2}},
        training_parameters={}, lora_config={},
    )  # fmt: skip
    with pytest.raises(EngineError, match="does not fit into a ConfigMap") as refused:
        to_config_map(record(spec=asked), State(), "ml")
    assert "objective_source" in refused.value.hint


# --- what cannot be read --------------------------------------------------------------------------


def edited(**changes: Any) -> ConfigMap:
    body = to_config_map(record(), State(), "ml")
    for part, values in changes.items():
        body[part] = {k: v for k, v in (body[part] | values).items() if v is not None}
    return sent(body)


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("2", "is of version 2; this bot reads version 1"),
        ("0", "is of version 0; this bot reads version 1"),
        (None, "has no `version`: it is none of this bot's"),
    ],
)
def test_a_record_of_another_version_says_which_and_what_to_do(
    version: str | None, sentence: str
) -> None:
    with pytest.raises(EngineError, match=sentence) as refused:
        from_config_map(edited(data={"version": version}))
    assert f"`katib-tune-{wanted().name}` in the namespace `ml`" in refused.value.message
    assert refused.value.hint


def packed(text: bytes) -> str:
    return base64.b64encode(text).decode()


WHOLE = gzip.compress(State().model_dump_json().encode())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": {"record.json": "{"}}, "cannot be read: `"),
        ({"data": {"record.json": "{}"}}, "`uid`: Field required"),
        ({"data": {"record.json": None}}, "it has no 'record.json'"),
        ({"binaryData": {"state.json.gz": None}}, "it has no 'state.json.gz'"),
        ({"binaryData": {"state.json.gz": "*"}}, "cannot be read: "),
        ({"binaryData": {"state.json.gz": packed(b"no gzip")}}, "Not a gzipped file"),
        ({"binaryData": {"state.json.gz": packed(WHOLE[:20])}}, "ended before"),
        (
            {"binaryData": {"state.json.gz": packed(WHOLE[:10] + b"\xff" * 9 + WHOLE[19:])}},
            "while decompressing",
        ),
        ({"binaryData": {"state.json.gz": packed(gzip.compress(b'{"a": 1}'))}}, "`a`: Extra"),
    ],
)
def test_a_broken_record_says_what_is_wrong_with_it(changes: Json, sentence: str) -> None:
    with pytest.raises(EngineError) as refused:
        from_config_map(edited(**changes))
    assert sentence in refused.value.message
    assert "delete the ConfigMap" in refused.value.hint


def test_the_name_of_a_config_map_is_a_valid_one() -> None:
    assert katib_records.config_map_name("e") == "katib-tune-e"

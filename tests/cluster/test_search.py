"""What Katib's search services suggest and refuse, with their oddities and without."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.cluster.bodies import experiment
from tests.cluster.quirks import KATIB, SENSIBLE, Quirks
from tests.cluster.resources import Json
from tests.cluster.search import make_service
from tests.cluster.search_settings import SettingsError, check_early_stopping, check_settings
from tests.cluster.search_space import SearchError

pytestmark = pytest.mark.cluster

LR: Json = {
    "name": "lr",
    "parameterType": "double",
    "feasibleSpace": {"min": "0.001", "max": "1", "distribution": "uniform"},
}
R: Json = {
    "name": "r",
    "parameterType": "int",
    "feasibleSpace": {"min": "1", "max": "10", "distribution": "uniform"},
}
KIND: Json = {
    "name": "kind",
    "parameterType": "categorical",
    "feasibleSpace": {"list": ["a", "b"], "distribution": "uniform"},
}


def space(parameter: Json, **fields: Any) -> Json:
    return {**parameter, "feasibleSpace": {**parameter["feasibleSpace"], **fields}}


def search(
    algorithm: str, *parameters: Json, settings: dict[str, str] | None = None, **spec: Any
) -> Json:
    given = [{"name": name, "value": value} for name, value in (settings or {}).items()]
    body = experiment("ns", **spec)
    body["spec"]["algorithm"] = {"algorithmName": algorithm, "algorithmSettings": given}
    body["spec"]["parameters"] = list(parameters) or [LR, R, KIND]
    return body


def finished(number: int, point: list[Json], value: str) -> Json:
    strategies = [{"name": "score", "value": "max"}]
    metric = {"name": "score", "min": value, "max": value, "latest": value}
    return {
        "metadata": {"name": f"tune-{number}"},
        "spec": {
            "parameterAssignments": point,
            "objective": {"objectiveMetricName": "score", "metricStrategies": strategies},
        },
        "status": {
            "observation": {"metrics": [metric]},
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "startTime": f"2026-01-01T00:00:{number:02}Z",
        },
    }


def values(points: list[list[Json]], name: str) -> list[str]:
    return [one["value"] for point in points for one in point if one["name"] == name]


def draw(body: Json, number: int, quirks: Quirks = KATIB) -> list[list[Json]]:
    return make_service(body, quirks, ()).suggest((), number)


@pytest.mark.parametrize(
    "algorithm",
    ["random", "tpe", "multivariate-tpe", "bayesianoptimization", "cmaes", "sobol"],
)
def test_every_service_suggests_texts_in_range_and_learns_from_its_trials(algorithm: str) -> None:
    service = make_service(search(algorithm), KATIB, ())
    done: list[Json] = []
    for number in range(12):
        [point] = service.suggest(done, 1)
        given = {one["name"]: one["value"] for one in point}
        assert 0.001 <= float(given["lr"]) <= 1
        assert 1 <= int(given["r"]) <= 10
        assert given["kind"] in ("a", "b")
        done.append(finished(number, point, given["lr"]))


@pytest.mark.parametrize("algorithm", ["random", "grid", "tpe", "multivariate-tpe"])
def test_the_same_random_state_suggests_the_same(algorithm: str) -> None:
    body = search(algorithm, space(LR, step="0.1"), R, settings={"random_state": "7"})
    assert draw(body, 5) == draw(body, 5)


def test_a_grid_gives_every_combination_once_and_then_again() -> None:
    body = search("grid", space(R, max="3"), KIND)
    points = [tuple(one["value"] for one in point) for point in draw(body, 12)]
    assert set(Counter(points[:6]).values()) == {1}
    assert points[6:] == points[:6]


def test_a_rounded_integer_has_half_the_share_at_both_ends() -> None:
    body = search("random", space(R, min="1", max="3"), settings={"random_state": "1"})
    share = Counter(values(draw(body, 4000), "r"))
    assert share["2"] == pytest.approx(2000, abs=150)
    share = Counter(values(draw(body, 4000, SENSIBLE), "r"))
    assert share["2"] == pytest.approx(4000 / 3, abs=120)


def test_a_step_gives_multiples_even_below_the_least() -> None:
    body = search("random", space(R, step="3"))
    assert set(values(draw(body, 300), "r")) == {"0", "3", "6", "9"}
    assert set(values(draw(body, 300, SENSIBLE), "r")) == {"1", "4", "7", "10"}


def test_a_normal_distribution_may_leave_the_range() -> None:
    body = search("random", space(LR, distribution="normal"), settings={"random_state": "1"})
    katib = [float(text) for text in values(draw(body, 3000), "lr")]
    assert max(katib) > 1
    sensible = [float(text) for text in values(draw(body, 3000, SENSIBLE), "lr")]
    assert 0.001 <= min(sensible) <= max(sensible) <= 1


def test_multivariate_tpe_leaves_a_normal_parameter_out() -> None:
    body = search("multivariate-tpe", space(LR, distribution="normal"), R)
    assert values(draw(body, 2), "lr") == []
    assert len(values(draw(body, 2, SENSIBLE), "lr")) == 2


@pytest.mark.parametrize(
    ("algorithm", "parameter"),
    [
        ("random", space(KIND, list=[])),
        ("tpe", space(KIND, list=[])),
        ("random", space(LR, min="0", distribution="logUniform")),
        ("bayesianoptimization", space(LR, min="0")),
    ],
)
def test_what_the_webhook_lets_pass_makes_the_service_fail(algorithm: str, parameter: Json) -> None:
    with pytest.raises(SearchError):
        draw(search(algorithm, parameter), 1)


@pytest.mark.parametrize("algorithm", ["grid", "multivariate-tpe", "cmaes", "sobol"])
def test_a_fresh_pod_cannot_take_old_trials_in(algorithm: str) -> None:
    body = search(algorithm, space(LR, step="0.1"), R)
    old = finished(0, draw(body, 1)[0], "0.5")
    fresh = make_service(body, KATIB, ())
    for _ in range(2):
        with pytest.raises(SearchError, match="An unknown trial has been passed"):
            fresh.suggest([old], 1)


@pytest.mark.parametrize("algorithm", ["random", "tpe", "bayesianoptimization"])
def test_others_rebuild_themselves_from_old_trials(algorithm: str) -> None:
    body = search(algorithm)
    old = finished(0, draw(body, 1)[0], "0.5")
    assert len(make_service(body, KATIB, ()).suggest([old], 2)) == 2


@pytest.mark.parametrize("algorithm", ["random", "tpe", "bayesianoptimization"])
def test_an_empty_value_stops_the_search_for_good(algorithm: str) -> None:
    body = search(algorithm)
    service = make_service(body, KATIB, ())
    [point] = service.suggest((), 1)
    for _ in range(2):
        with pytest.raises(SearchError, match="could not convert string to float"):
            service.suggest([finished(0, point, "")], 1)


def test_hyperband_runs_the_best_of_a_rung_again_with_more() -> None:
    body = search("hyperband", LR, R, settings={"r_l": "9", "resource_name": "r"})
    first = make_service(body, KATIB, ())
    points = first.suggest((), 9)
    assert set(values(points, "r")) == {"1"}
    done = [finished(n, point, str(n)) for n, point in enumerate(points)]
    second = make_service(body, KATIB, first.settings())
    best = second.suggest(done, 3)
    assert set(values(best, "r")) == {"3"}
    assert values(best, "lr") == list(reversed(values(points[-3:], "lr")))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (search("random", settings={"seed": "1"}), "unknown setting seed for algorithm random"),
        (search("tpe", settings={"gamma": "2"}), r"gamma should be in the range of \(0, 1\)"),
        (search("tpe", settings={"n_ei_candidates": "2"}), "unknown setting n_ei_candidates"),
        (
            search("multivariate-tpe", settings={"n_EI_candidates": "2"}),
            "unknown setting n_EI_candidates",
        ),
        (search("random", settings={"random_state": "x"}), r"failed to validate random_state\(x\)"),
        (search("grid", LR), "Param lr step is nil"),
        (search("grid", KIND), "Max Trial Count: 6 > all possible search space combinations: 2"),
        (search("cmaes", LR, KIND), "cma-es only supports two or more dimensional"),
        (search("hyperband", LR), "r_l and resource_name must be set"),
        (
            search("hyperband", LR, R, settings={"r_l": "9", "resource_name": "r"}),
            "parallelTrialCount must be not less than 9",
        ),
        (
            search("bayesianoptimization", settings={"base_estimator": "SVM"}),
            "base_estimator SVM is not supported",
        ),
    ],
)
def test_settings_that_a_service_refuses(body: Json, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        check_settings(body)


def test_early_stopping_settings_are_checked_too() -> None:
    with pytest.raises(SettingsError, match="start_step must be greater"):
        check_early_stopping({"algorithmSettings": [{"name": "start_step", "value": "0"}]})

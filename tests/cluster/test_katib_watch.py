"""A mirror follows a real API server: pages, selectors, deletions, and our own writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from bot.engines.katib_watch import PAGE, Mirror
from bot.engines.katib_wire import ConfigMap, Event, KatibExperiment, Pod
from bot.engines.kube import CONFIG_MAPS, EVENTS, EXPERIMENTS, PODS, TRAINJOBS, Kube
from bot.engines.kube_errors import ApiError
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

LABEL = "katib-tune/open"
WAIT_S = 30.0
Start = Callable[..., Mirror[Any]]


class Calls(list[str]):
    """The verbs of all calls."""

    def noted(self, verb: str, path: str) -> None:
        self.append(verb)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def kube(kubeconfig: str, calls: Calls) -> Iterator[Kube]:
    made = Kube(kubeconfig=kubeconfig, on_call=calls.noted)
    yield made
    made.close()


@pytest.fixture
def start(kube: Kube) -> Iterator[Start]:
    mirrors: list[Mirror[Any]] = []

    def started(*what: Any, **more: Any) -> Mirror[Any]:
        mirrors.append(Mirror(kube, *what, **more))
        mirrors[-1].start()
        return mirrors[-1]

    yield started
    for mirror in mirrors:
        mirror.close()


def record(name: str, is_open: bool = True) -> dict[str, Any]:
    labels = {LABEL: str(is_open).lower()}
    return {"metadata": {"name": name, "labels": labels}, "data": {"record": "{}"}}


def write(kube: Kube, namespace: str, name: str, **data: str) -> ConfigMap:
    """Change a record; what the API server answered."""
    answer = kube.patch(CONFIG_MAPS.path(namespace, name), {"data": data})
    return msgspec.json.decode(answer, type=ConfigMap)


def test_more_objects_than_a_page_holds_are_listed_whole(
    kube: Kube, namespace: str, start: Start, calls: Calls
) -> None:
    many = 2 * PAGE + 7
    with ThreadPoolExecutor(8) as pool:
        path = CONFIG_MAPS.path(namespace)
        list(pool.map(lambda number: kube.post(path, record(f"r-{number}")), range(many)))
    calls.clear()
    mirror = start(CONFIG_MAPS.path(namespace), ConfigMap, label=f"{LABEL}=true")
    assert mirror.wait(WAIT_S)
    assert {each.metadata.name for each in mirror.values()} == {f"r-{n}" for n in range(many)}
    until(lambda: "watch" in calls, "the watch")
    assert calls == ["list", "list", "list", "watch"]


def test_nothing_is_asked_while_changes_come_by_the_watch(
    kube: Kube, namespace: str, start: Start, calls: Calls
) -> None:
    mirror = start(CONFIG_MAPS.path(namespace), ConfigMap, label=f"{LABEL}=true")
    mirror.wait(WAIT_S)
    until(lambda: "watch" in calls, "the watch")
    kube.post(CONFIG_MAPS.path(namespace), record("a"))
    kube.post(CONFIG_MAPS.path(namespace), {"metadata": {"name": "not-ours"}})
    kube.post(CONFIG_MAPS.path(namespace), record("b"))
    until(lambda: mirror.get("b"), "b")
    assert [each.metadata.name for each in mirror.values()] == ["a", "b"]
    kube.delete(CONFIG_MAPS.path(namespace, "a"))
    until(lambda: mirror.get("a") is None, "the deletion")
    assert (calls.count("list"), calls.count("watch")) == (1, 1)


def test_what_loses_the_label_counts_as_deleted_and_can_come_back(
    kube: Kube, namespace: str, start: Start
) -> None:
    told: list[tuple[ConfigMap | None, ConfigMap | None]] = []
    kube.post(CONFIG_MAPS.path(namespace), record("a"))
    mirror = start(
        CONFIG_MAPS.path(namespace), ConfigMap,
        label=f"{LABEL}=true", changed=lambda before, after: told.append((before, after)),
    )  # fmt: skip
    mirror.wait(WAIT_S)
    path = CONFIG_MAPS.path(namespace, "a")
    kube.patch(path, {"metadata": {"labels": {LABEL: "false"}}})
    until(lambda: mirror.get("a") is None, "its leaving")
    kube.patch(path, {"metadata": {"labels": {LABEL: "true"}}})
    until(lambda: mirror.get("a"), "its coming back")
    assert [after is not None for _, after in told] == [True, False, True]


def test_a_write_of_ours_is_there_at_once_and_told_once(
    kube: Kube, namespace: str, start: Start
) -> None:
    versions: list[str] = []

    def changed(before: ConfigMap | None, after: ConfigMap | None) -> None:
        assert after is not None
        versions.append(after.metadata.resource_version)

    kube.post(CONFIG_MAPS.path(namespace), record("a"))
    mirror = start(CONFIG_MAPS.path(namespace), ConfigMap, label=f"{LABEL}=true", changed=changed)
    mirror.wait(WAIT_S)
    for number in range(20):
        ours = write(kube, namespace, "a", number=str(number))
        mirror.put(ours)
        found = mirror.get("a")
        assert found and found.data["number"] == str(number), "never older than our write"
    kube.post(CONFIG_MAPS.path(namespace), record("last"))
    until(lambda: mirror.get("last"), "the watch to have caught up")
    assert len(versions) == len(set(versions)) == 22
    assert versions == sorted(versions, key=int)


def test_an_answer_that_is_older_than_the_watch_changes_nothing(
    kube: Kube, namespace: str, start: Start
) -> None:
    kube.post(CONFIG_MAPS.path(namespace), record("a"))
    mirror = start(CONFIG_MAPS.path(namespace), ConfigMap, label=f"{LABEL}=true")
    mirror.wait(WAIT_S)
    ours = write(kube, namespace, "a", by="us")
    write(kube, namespace, "a", by="them")
    until(lambda: mirror.get("a").data.get("by") == "them", "their change")  # type: ignore[union-attr]
    mirror.put(ours)
    assert mirror.get("a").data["by"] == "them"  # type: ignore[union-attr]


def test_what_we_deleted_is_gone_at_once_though_a_finalizer_holds_it(
    kube: Kube, namespace: str, start: Start
) -> None:
    body = record("a")
    body["metadata"]["finalizers"] = ["example.org/held"]
    made = json.loads(kube.post(CONFIG_MAPS.path(namespace), body))
    mirror = start(CONFIG_MAPS.path(namespace), ConfigMap, label=f"{LABEL}=true")
    mirror.wait(WAIT_S)
    kube.delete(CONFIG_MAPS.path(namespace, "a"))
    mirror.drop("a", made["metadata"]["uid"])
    kube.post(CONFIG_MAPS.path(namespace), record("b"))
    until(lambda: mirror.get("b"), "the watch to have seen the deletion's beginning")
    assert mirror.get("a") is None
    kube.patch(CONFIG_MAPS.path(namespace, "a"), {"metadata": {"finalizers": None}})
    kube.post(CONFIG_MAPS.path(namespace), record("a"))
    until(lambda: mirror.get("a"), "a new object of that name")


def test_only_warnings_are_followed_where_a_field_selects(
    kube: Kube, namespace: str, start: Start
) -> None:
    mirror = start(EVENTS.path(namespace), Event, field="type=Warning")
    mirror.wait(WAIT_S)
    for kind in ("Normal", "Warning"):
        kube.post(
            EVENTS.path(namespace),
            {
                "metadata": {"name": kind.lower()},
                "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "x"},
                "type": kind,
                "reason": "FailedScheduling",
                "message": "no room",
            },
        )
    until(lambda: mirror.get("warning"), "the warning")
    assert [each.message for each in mirror.values()] == ["no room"]


def accepted(kube: Kube, path: str, body: dict[str, Any]) -> bool:
    try:
        kube.post(path, body)
    except ApiError as error:
        assert "service account" in error.message
        assert not error.is_permanent
        return False
    return True


def test_pods_and_experiments_are_read_as_small_values(
    kube: Kube, namespace: str, start: Start
) -> None:
    pods = start(PODS.path(namespace), Pod, label="job-name")
    experiments = start(EXPERIMENTS.path(namespace), KatibExperiment)
    assert pods.wait(WAIT_S)
    assert experiments.wait(WAIT_S)
    spec = {"containers": [{"name": "main", "image": "none",
                            "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}  # fmt: skip
    body = {"metadata": {"name": "x", "labels": {"job-name": "x"}}, "spec": spec}
    until(lambda: accepted(kube, PODS.path(namespace), body), "the namespace's service account")
    until(lambda: pods.get("x"), "the pod")
    found = pods.get("x")
    assert found and found.spec.containers
    assert found.spec.containers[0].resources.limits == {"nvidia.com/gpu": "1"}


def test_a_kind_that_is_not_installed_is_an_error_at_once(namespace: str, start: Start) -> None:
    mirror = start(TRAINJOBS.path(namespace), KatibExperiment)
    assert mirror.wait(WAIT_S) is False
    assert "Kubeflow Trainer is not installed" in str(mirror.error)


def test_writers_in_many_threads_leave_the_copy_as_the_api_server_has_it(
    kube: Kube, namespace: str, start: Start
) -> None:
    mirror = start(CONFIG_MAPS.path(namespace), ConfigMap, label=f"{LABEL}=true")
    mirror.wait(WAIT_S)

    def churn(worker: int) -> None:
        for number in range(15):
            name = f"r-{worker}"
            body = kube.post(CONFIG_MAPS.path(namespace), record(name))
            made = msgspec.json.decode(body, type=ConfigMap)
            mirror.put(made)
            mirror.put(write(kube, namespace, name, number=str(number)))
            if number < 14:
                kube.delete(CONFIG_MAPS.path(namespace, name), uid=made.metadata.uid)
                mirror.drop(name, made.metadata.uid)
                assert mirror.get(name) is None

    threads = [threading.Thread(target=churn, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kube.post(CONFIG_MAPS.path(namespace), record("last"))
    until(lambda: mirror.get("last"), "the watch to have caught up")
    answer = json.loads(kube.get(CONFIG_MAPS.path(namespace), labelSelector=f"{LABEL}=true"))
    there = {item["metadata"]["name"]: item["metadata"] for item in answer["items"]}
    assert {each.metadata.name for each in mirror.values()} == set(there)
    for each in mirror.values():
        assert each.metadata.resource_version == there[each.metadata.name]["resourceVersion"]

"""The cluster that these tests run against, the stand-ins in it, and a fresh namespace."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.cluster.api import Api, find_kubeconfig
from tests.cluster.katib_refusals import INJECTION_LABEL
from tests.cluster.resources import EXPERIMENTS, NAMESPACES
from tests.cluster.run import Controllers, controllers, katib_runs_in


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    """The path of an administrator's kubeconfig."""
    try:
        return find_kubeconfig()
    except RuntimeError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def api(kubeconfig: str) -> Api:
    return Api(kubeconfig)


@pytest.fixture(scope="session")
def standins(kubeconfig: str, api: Api) -> Iterator[Controllers]:
    """The stand-ins for Katib, the training operator and a node; not where the real ones run."""
    if katib_runs_in(api):
        pytest.skip("Katib's own controllers run in this cluster: no stand-ins beside them.")
    with controllers(kubeconfig) as running:
        yield running


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own, open to the metrics collector."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACES, {"metadata": {"name": name, "labels": {INJECTION_LABEL: "enabled"}}})
    yield name
    for experiment in api.list(EXPERIMENTS, name):
        api.delete(EXPERIMENTS, name, experiment["metadata"]["name"])
    api.delete(NAMESPACES, "", name)

"""The cluster that these tests run against, the stand-ins in it, and a fresh namespace."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.cluster.api import Api
from tests.cluster.katib_refusals import INJECTION_LABEL
from tests.cluster.resources import EXPERIMENTS, NAMESPACES
from tests.cluster.run import Controllers, controllers, katib_runs_in

UP = "TEST_CLUSTER_UP"
NO_CLUSTER = (
    "No cluster to test against. Set KUBECONFIG to one with Katib and the training operator "
    f"(for example kind, then Katib's and the operator's manifests), or {UP} to a program that "
    "starts an API server with their CRDs and prints the path of an administrator's kubeconfig."
)


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    """The path of an administrator's kubeconfig."""
    if path := os.environ.get("KUBECONFIG"):
        return path
    program = os.environ.get(UP)
    if not program:
        pytest.fail(NO_CLUSTER)
    run = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    if run.returncode or not run.stdout.strip():
        pytest.fail(f"{UP}={program} started no cluster (exit code {run.returncode}).")
    return run.stdout.split()[-1]


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

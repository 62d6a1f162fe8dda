"""A small client for the API server: raw objects in and out, one client for each thread."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config

from tests.cluster.resources import Json, Resource, key_of

MERGE_PATCH = "application/merge-patch+json"
TIMEOUT_S = 30.0
FIELD_MANAGER = "stand-in"


UP = "TEST_CLUSTER_UP"
NO_CLUSTER = (
    "No cluster to test against. Set KUBECONFIG to one with Katib and the training operator "
    f"(for example kind, then Katib's and the operator's manifests), or {UP} to a program that "
    "starts an API server with their CRDs and prints the path of an administrator's kubeconfig; "
    "each worker of pytest runs it, told apart by PYTEST_XDIST_WORKER, to have one of its own."
)


def find_kubeconfig() -> str:
    """The path of an administrator's kubeconfig: KUBECONFIG, or what TEST_CLUSTER_UP prints.

    Raises:
        RuntimeError: there is no cluster, and how to get one.
    """
    if path := os.environ.get("KUBECONFIG"):
        return path
    program = os.environ.get(UP)
    if not program:
        raise RuntimeError(NO_CLUSTER)
    run = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    if run.returncode or not run.stdout.strip():
        raise RuntimeError(f"{UP}={program} started no cluster (exit code {run.returncode}).")
    return run.stdout.split()[-1]


class ApiError(Exception):
    """The API server said no: `status` is the HTTP code, `reason` its word, such as Conflict."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Api:
    """The API server that `kubeconfig` names. May be shared between threads."""

    def __init__(self, kubeconfig: str) -> None:
        self.configuration = Configuration()
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=kubeconfig, client_configuration=self.configuration
        )
        self._local = threading.local()
        self._kinds: dict[tuple[str, str], Resource] = {}

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        content_type: str = "application/json",
        **query: Any,
    ) -> Json:
        """One call; raises ApiError for every answer from 400 on."""
        response = self._send(method, path, body, content_type, query, stream=False)
        return _answer(response.status, response.data)

    def text(self, path: str, **query: Any) -> str:
        """An answer that is no JSON, such as a log."""
        response = self._send("GET", path, None, "application/json", query, stream=False)
        if response.status >= 400:
            _answer(response.status, response.data)
        return response.data.decode("utf-8", "replace")

    def stream(self, path: str, **query: Any) -> urllib3.BaseHTTPResponse:
        """A running answer; the caller closes it (`shutdown()` from another thread)."""
        response = self._send("GET", path, None, "application/json", query, stream=True)
        if response.status >= 400:
            _answer(response.status, response.read())
        return response

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return self.request("GET", resource.path(namespace, name))

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Like get, None where there is none."""
        try:
            return self.get(resource, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, resource: Resource, namespace: str = "", **query: Any) -> list[Json]:
        items: list[Json] = self.request("GET", resource.path(namespace), **query)["items"]
        return items

    def create(self, resource: Resource, obj: Json, **query: Any) -> Json:
        namespace = obj["metadata"].get("namespace", "")
        return self.request("POST", resource.path(namespace), _typed(resource, obj), **query)

    def replace(self, resource: Resource, obj: Json, sub: str = "") -> Json:
        """PUT with the object's own resourceVersion: a stale copy is a Conflict."""
        return self.request("PUT", resource.path(*key_of(obj), sub), _typed(resource, obj))

    def patch(
        self, resource: Resource, namespace: str, name: str, body: Json, sub: str = ""
    ) -> Json:
        """Merge patch."""
        path = resource.path(namespace, name, sub)
        return self.request("PATCH", path, body, content_type=MERGE_PATCH)

    def delete(
        self, resource: Resource, namespace: str, name: str, *, policy: str = "Background"
    ) -> None:
        """Deletes; what is gone already is no error. `policy` says when the dependants go."""
        try:
            self.request("DELETE", resource.path(namespace, name), propagationPolicy=policy)
        except ApiError as error:
            if error.status != 404:
                raise

    def resource_of(self, api_version: str, kind: str) -> Resource:
        """The resource that serves a kind; ApiError 404 (NoMatch) if the cluster has none."""
        if (api_version, kind) not in self._kinds:
            root = "api" if "/" not in api_version else "apis"
            try:
                served = self.request("GET", f"/{root}/{api_version}")["resources"]
            except ApiError as error:
                if error.status != 404:
                    raise
                served = []
            for entry in served:
                if "/" not in entry["name"]:
                    found = Resource(api_version, entry["kind"], entry["name"], entry["namespaced"])
                    self._kinds[api_version, entry["kind"]] = found
        try:
            return self._kinds[api_version, kind]
        except KeyError:
            text = f'no matches for kind "{kind}" in version "{api_version}"'
            raise ApiError(404, "NoMatch", text) from None

    def _send(
        self,
        method: str,
        path: str,
        body: Json | None,
        content_type: str,
        query: Mapping[str, Any],
        *,
        stream: bool,
    ) -> urllib3.BaseHTTPResponse:
        client = self._client()
        token = self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        headers = {"Accept": "application/json", "Content-Type": content_type}
        if token:
            headers["Authorization"] = token
        fields = urlencode(query)
        return client.rest_client.pool_manager.request(
            method,
            f"{self.configuration.host}{path}" + (f"?{fields}" if fields else ""),
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            preload_content=not stream,
            retries=False,
            timeout=urllib3.Timeout(connect=TIMEOUT_S, read=None if stream else TIMEOUT_S),
        )

    def _client(self) -> ApiClient:
        if not hasattr(self._local, "client"):
            self._local.client = ApiClient(self.configuration)
        client: ApiClient = self._local.client
        return client


def lines(response: urllib3.BaseHTTPResponse) -> Iterator[Json]:
    """The JSON lines of a watch, until it ends or is shut down."""
    rest = b""
    for chunk in response.stream(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield json.loads(line)


def _typed(resource: Resource, obj: Json) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def _answer(status: int, data: bytes) -> Json:
    try:
        body = json.loads(data) if data else {}
    except ValueError:
        body = {"message": data.decode("utf-8", "replace")}
    if status < 400:
        return body
    raise ApiError(status, body.get("reason", ""), body.get("message", ""))

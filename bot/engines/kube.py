"""A small client for the Kubernetes API: paths and bytes; the official client signs and connects.

Objects are neither built nor decoded here, so a caller pays for what it reads and nothing else.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import urllib3

from bot.engines import kube_config
from bot.engines.kube_errors import ApiError, Call, unreachable
from bot.engines.kube_refusals import read
from bot.engines.kube_session import Ask, Patience, Session, Stream
from bot.errors import EngineError

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
# New credentials are looked for after a 401, but not more often than this.
RENEW_S = 10.0
PATIENCE = Patience()

OnCall = Callable[[str, str], None]


@dataclass(frozen=True)
class Resource:
    """One kind as the API server serves it; `api_version` is `v1` or `group/version`."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """The address of a collection, an object or a subresource such as `log`.

        Raises:
            EngineError: a name that would lead elsewhere.
        """
        root = "api" if "/" not in self.api_version else "apis"
        space = ["namespaces", _part(namespace)] if self.namespaced and namespace else []
        rest = [self.plural, *(_part(each) for each in (name, sub) if each)]
        return "/" + "/".join([root, self.api_version, *space, *rest])


def _part(name: str) -> str:
    if name in (".", ".."):
        raise EngineError(f"`{name}` is no name.", hint="Names are letters, digits and hyphens.")
    return quote(name, safe="")


EXPERIMENTS = Resource("kubeflow.org/v1beta1", "Experiment", "experiments")
TRIALS = Resource("kubeflow.org/v1beta1", "Trial", "trials")
SUGGESTIONS = Resource("kubeflow.org/v1beta1", "Suggestion", "suggestions")
PYTORCHJOBS = Resource("kubeflow.org/v1", "PyTorchJob", "pytorchjobs")
TRAINJOBS = Resource("trainer.kubeflow.org/v1alpha1", "TrainJob", "trainjobs")
JOBS = Resource("batch/v1", "Job", "jobs")
PODS = Resource("v1", "Pod", "pods")
EVENTS = Resource("v1", "Event", "events")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
QUOTAS = Resource("v1", "ResourceQuota", "resourcequotas")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
STORAGE_CLASSES = Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
CRDS = Resource(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)
SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io/v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    namespaced=False,
)


class Kube:
    """A cluster's API server; may be shared between threads.

    Every call raises ApiError for an answer from 300 on, Unreachable where none comes.

    Args:
        context: a context of the kubeconfig; None for its current one.
        kubeconfig: its path; None for KUBECONFIG, ~/.kube/config, or the pod's service account.
        on_call: told of every call: the verb as a Role names it (get, list, watch, create, ...)
            and the path.
        patience: how long is waited.
        environment, account: see `kube_config.load`.

    Raises:
        EngineError: there is no configuration, or no such context.
    """

    def __init__(
        self,
        context: str | None = None,
        kubeconfig: str | None = None,
        *,
        on_call: OnCall | None = None,
        patience: Patience = PATIENCE,
        environment: Mapping[str, str] = os.environ,
        account: Path = kube_config.ACCOUNT,
    ) -> None:
        self._load = partial(kube_config.load, context, kubeconfig, environment, account)
        self._on_call = on_call
        self._patience = patience
        self._lock = threading.Lock()
        self._renewed_at = -math.inf
        self._session = Session.of(self._load())

    @property
    def default_namespace(self) -> str:
        """The context's namespace, in a cluster the service account's, else "default"."""
        return self._session.access.namespace

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._session.access.server

    def get(self, path: str, *, accept: str = JSON, **query: object) -> bytes:
        """An object, a list, or text such as a log."""
        return self._answer(Call("GET", path, self.server), query, accept=accept)

    def post(self, path: str, body: Mapping[str, Any], **query: object) -> bytes:
        """Create; `dryRun="All"` only checks."""
        return self._answer(Call("POST", path, self.server), query, body)

    def put(self, path: str, body: Mapping[str, Any], **query: object) -> bytes:
        """Replace; a resourceVersion in the body that is not the newest is a conflict."""
        return self._answer(Call("PUT", path, self.server), query, body)

    def patch(self, path: str, body: Mapping[str, Any], **query: object) -> bytes:
        """Change what the body names, by JSON merge patch: null removes."""
        call = Call("PATCH", path, self.server)
        return self._answer(call, query, body, content_type=MERGE_PATCH)

    def delete(self, path: str, *, policy: str = "Background", uid: str | None = None) -> bool:
        """Delete; False if it was gone already.

        Args:
            path: the object's.
            policy: what becomes of what it owns: Background, Foreground or Orphan.
            uid: only this very object; another one of that name is a conflict.
        """
        body: dict[str, Any] = {"propagationPolicy": policy}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            self._answer(Call("DELETE", path, self.server), {}, body)
        except ApiError as error:
            if error.is_missing:
                return False
            raise
        return True

    def stream(self, path: str, **query: object) -> Stream:
        """A watch (`watch=True`) or a log that is followed (`follow=True`)."""
        call = Call("GET", path, self.server, is_watch=bool(query.get("watch")))
        response = self._request(call, query, stream=True)
        if response.status < 300:
            return Stream(response, self.server)
        with Stream(response, self.server) as refusal:
            raise read(response.status, b"\n".join(refusal), call)

    def close(self) -> None:
        """Let go of the connections that are not in use."""
        self._session.close()

    def _answer(
        self,
        call: Call,
        query: Mapping[str, object],
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = JSON,
        content_type: str = JSON,
    ) -> bytes:
        response = self._request(call, query, body, accept=accept, content_type=content_type)
        if response.status >= 300:
            raise read(response.status, response.data, call)
        return response.data

    def _request(
        self,
        call: Call,
        query: Mapping[str, object],
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = JSON,
        content_type: str = JSON,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        if self._on_call:
            self._on_call(call.verb, call.path)
        fields = urlencode([(key, _text(value)) for key, value in query.items() if _is_set(value)])
        ask = Ask(
            call.method,
            f"{call.path}?{fields}" if fields else call.path,
            None if body is None else msgspec.json.encode(body),
            {"Accept": accept, "Content-Type": content_type},
            urllib3.Timeout(
                connect=self._patience.connect_s,
                read=self._patience.watch_s if stream else self._patience.read_s,
            ),
            stream,
        )
        session = self._session
        response = self._send(session, ask)
        if response.status == 401 and (renewed := self._renewed(session)):
            response.close()
            return self._send(renewed, ask)
        return response

    def _send(self, session: Session, ask: Ask) -> urllib3.BaseHTTPResponse:
        with self._lock:
            authorization = session.access.authorization()
        try:
            return session.send(ask, authorization)
        except urllib3.exceptions.ProtocolError as error:
            if ask.method != "GET":
                raise unreachable(session.access.server, error) from error
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(session.access.server, error) from error
        # The API server had closed a connection that was kept open: reading again is safe.
        try:
            return session.send(ask, authorization)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(session.access.server, error) from error

    def _renewed(self, refused: Session) -> Session | None:
        """A session with credentials read anew; None if that has been done just now."""
        with self._lock:
            if self._session is not refused:
                return self._session
            now = time.monotonic()
            if now - self._renewed_at < RENEW_S:
                return None
            self._renewed_at = now
            self._session = Session.of(self._load())
            return self._session


def _is_set(value: object) -> bool:
    return value is not None and value != ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

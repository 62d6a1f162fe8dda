"""One Lease on the API server, as `bot.leader` reads and writes it."""

from __future__ import annotations

from typing import Any

import msgspec

from bot.engines.kube import LEASES, Kube
from bot.engines.kube_errors import ApiError
from bot.engines.kube_session import Patience
from bot.leader import Lease, LeaseSpec

# For the `Kube` of a Lease: what hangs is tried again before the leader has to stop.
PATIENCE = Patience(connect_s=2.0, read_s=3.0)


class KubeLease:
    """Fulfils `leader.Leases`; needs get, create and update on Leases in its namespace."""

    def __init__(self, kube: Kube, namespace: str, name: str = "katib-tune") -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name

    def read(self) -> Lease | None:
        try:
            return _read(self._kube.get(LEASES.path(self._namespace, self._name)))
        except ApiError as error:
            if error.is_missing:
                return None
            raise

    def create(self, spec: LeaseSpec) -> Lease:
        metadata = {"name": self._name, "namespace": self._namespace}
        body = _body(Lease(metadata, spec))
        return _read(self._kube.post(LEASES.path(self._namespace), body))

    def replace(self, lease: Lease) -> Lease:
        path = LEASES.path(self._namespace, self._name)
        return _read(self._kube.put(path, _body(lease)))


def _read(data: bytes) -> Lease:
    return msgspec.json.decode(data, type=Lease)


def _body(lease: Lease) -> dict[str, Any]:
    spec = {k: v for k, v in msgspec.to_builtins(lease.spec).items() if v is not None}
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": lease.metadata,
        "spec": spec,
    }

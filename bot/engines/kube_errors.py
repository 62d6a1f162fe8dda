"""What a Kubernetes API server was asked, and the errors that came of it (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import urllib3

from bot.errors import EngineError

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# 405 is a resource that cannot be written so; 413 an object above the API server's limit.
PERMANENT = frozenset({400, 405, 413, 422})


@dataclass(frozen=True)
class Call:
    """One request: the HTTP method, the path without its query, and who is asked."""

    method: str
    path: str
    server: str = ""
    is_watch: bool = False

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        """Group, namespace, plural, name and subresource; "" where the path has none."""
        root, *parts = self.path.strip("/").split("/")
        group = parts.pop(0) if root == "apis" and parts else ""
        parts = parts[1:]  # the version
        namespace = ""
        if parts[:1] == ["namespaces"] and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        plural, name, *sub = *parts, "", ""
        return group, namespace, plural, name, "/".join(sub).strip("/")

    @property
    def group(self) -> str:
        return self._parts[0]

    @property
    def namespace(self) -> str:
        return self._parts[1]

    @property
    def plural(self) -> str:
        return self._parts[2]

    @property
    def name(self) -> str:
        return self._parts[3]

    @property
    def resource(self) -> str:
        """The resource as a Role names it: `pods`, `pods/log`."""
        return f"{self.plural}/{self._parts[4]}" if self._parts[4] else self.plural

    @property
    def verb(self) -> str:
        """The verb as a Role names it: get, list, watch, create, update, patch, delete."""
        if self.method in VERBS:
            return VERBS[self.method]
        return "get" if self.name else "watch" if self.is_watch else "list"


class ApiError(EngineError):
    """The API server answered with an error.

    Args:
        status: the HTTP code.
        reason: the Status object's word, such as AlreadyExists, Conflict, Forbidden, Expired.
        denied_by_webhook: the message is an admission webhook's own sentence.
        retry_after_s: what the API server asks to wait, 0 if it does not.
        is_unserved: the cluster does not know the kind at all (an operator is not installed).
        is_policy: the cluster's rules refuse the object as it is written.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        reason: str = "",
        hint: str = "",
        field: str = "",
        denied_by_webhook: bool = False,
        is_unserved: bool = False,
        is_policy: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message, hint=hint, field=field)
        self.status = status
        self.reason = reason
        self.denied_by_webhook = denied_by_webhook
        self.is_unserved = is_unserved
        self.is_policy = is_policy
        self.retry_after_s = retry_after_s

    @property
    def is_missing(self) -> bool:
        """There is no such object. A kind that is not served says nothing about its objects."""
        return self.status == 404 and not self.is_unserved

    @property
    def is_taken(self) -> bool:
        """There is an object of that name already."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        """Somebody else changed the object, or the precondition does not hold."""
        return self.status == 409 and not self.is_taken

    @property
    def is_expired(self) -> bool:
        """The resourceVersion or continue token is too old: list again."""
        return self.status == 410

    @property
    def is_permanent(self) -> bool:
        """The same request would be refused again."""
        if self.denied_by_webhook or self.is_policy:
            return self.status < 500
        return self.status in PERMANENT


class Unreachable(EngineError):
    """No answer came from the API server."""


def unreachable(server: str, error: Exception) -> Unreachable:
    """Why no answer came, from what urllib3 raised."""
    address = f"The API server at {server}"
    match error:
        case urllib3.exceptions.ProxyError():
            return Unreachable(
                f"The proxy before the API server at {server} does not let us through: "
                f"{_cause(error)}.",
                hint="Look at `proxy-url` in the kubeconfig, and at HTTPS_PROXY and NO_PROXY.",
            )
        case urllib3.exceptions.SSLError():
            return _untrusted(address, _cause(error))
        case urllib3.exceptions.NameResolutionError():
            return Unreachable(
                f"{address} cannot be reached: its name is not known.",
                hint="Look at `server` in the kubeconfig, and whether a VPN is needed.",
            )
        case urllib3.exceptions.NewConnectionError():
            why = _cause(error)
        case urllib3.exceptions.ConnectTimeoutError():
            why = "nothing answers in time"
        case urllib3.exceptions.ReadTimeoutError():
            return Unreachable(
                f"{address} took the request but did not answer in time.",
                hint="It may be busy; what was asked is tried again.",
            )
        case _:
            why = _cause(error)
    return Unreachable(
        f"{address} cannot be reached: {why}.",
        hint="Is the cluster up, and `server` in the kubeconfig right?",
    )


def _untrusted(address: str, why: str) -> Unreachable:
    if "alert" in why.lower():
        return Unreachable(
            f"{address} refuses our certificate: {why}.",
            hint="Renew the client certificate in the kubeconfig.",
        )
    return Unreachable(
        f"{address} cannot be trusted, TLS fails: {why}.",
        hint="Look at `certificate-authority` and `server` of the cluster in the kubeconfig.",
    )


def _cause(error: BaseException) -> str:
    """The innermost reason in its own words, without Python's decoration."""
    if isinstance(error, urllib3.exceptions.SSLError | urllib3.exceptions.ProtocolError):
        inner: object = error.args[-1] if error.args else error
    else:
        inner = error.__cause__ or (error.args[-1] if error.args else error)
    if isinstance(inner, BaseException) and inner is not error:
        return _cause(inner)
    words = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    words = re.sub(r"^\[[^\]]*\] ?|<[^>]* object at [^>]*>:? ?|\s*\(_ssl\.c:\d+\)", "", str(words))
    return words.strip().rstrip(".").lower() or type(error).__name__

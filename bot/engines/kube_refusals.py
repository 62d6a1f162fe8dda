"""What a Kubernetes API server refuses, in sentences for people (pure).

An answer is read by its Status object (`reason`, `details`) and, where that says too little, by its
message, whose wording has been stable from Kubernetes 1.20 on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bot.engines.kube_errors import ApiError, Call

INJECTION_LABEL = "katib.kubeflow.org/metrics-collector-injection"
ASK_AGAIN_S = 5.0
LONGEST_WORDS = 1000
ANONYMOUS = "system:anonymous"
# Who serves a kind: (API group, plural) -> what has to be installed.
OWNERS = {
    ("kubeflow.org", "experiments"): "Katib",
    ("kubeflow.org", "suggestions"): "Katib",
    ("kubeflow.org", "trials"): "Katib",
    ("kubeflow.org", "pytorchjobs"): "The training operator",
    ("trainer.kubeflow.org", "trainjobs"): "The Kubeflow Trainer",
}
_DENIED = re.compile(
    r'admission webhook "(?P<who>[^"]+)" denied the request'
    r"(?:: (?P<words>.*)| without explanation)",
    re.DOTALL,
)
_CALLED = re.compile(r'failed calling webhook "(?P<who>[^"]+)"(?:: (?P<why>.*))?', re.DOTALL)
_SERVICE = re.compile(r"https://(?P<service>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc[:/]")
_MAY_NOT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) (?:resource "(?P<resource>[^"]+)" in API group '
    r'"(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]+)"| at the cluster scope)?'
    r'|path "(?P<path>[^"]*)")'
)
_EXCEEDED = re.compile(
    r"exceeded quota: (?P<quota>\S+), requested: (?P<asked>\S+), "
    r"used: (?P<used>\S+), limited: (?P<limit>\S+)"
)
_MUST_SPECIFY = re.compile(r"failed quota: (?P<quota>\S+): must specify (?P<what>.+)", re.DOTALL)
# A new namespace has no service account for a moment.
_YOUNG = re.compile(r"error looking up service account|no API token found for service account")
_SUBJECT = re.compile(r'^\S+ "[^"]*" is (?:forbidden|invalid): ')


class Cause(msgspec.Struct, frozen=True):
    """One field of an object that is refused, or why a whole request is."""

    reason: str = ""
    message: str = ""
    field: str = ""


class Details(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    group: str = ""
    kind: str = ""
    causes: tuple[Cause, ...] | None = ()
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True):
    """What an API server answers instead of the object."""

    message: str = ""
    reason: str = ""
    details: Details | None = None
    code: int = 0


@dataclass(frozen=True)
class Answer:
    """An answer from 300 on, and the call that it is for."""

    status: int
    said: Status
    call: Call

    @property
    def details(self) -> Details:
        return self.said.details or Details()

    @property
    def what(self) -> str:
        """The object: the path's, or the one that was to be created."""
        return f"`{self.call.plural}/{self.call.name or self.details.name}`"

    @property
    def where(self) -> str:
        here = self.call.namespace
        return f"the namespace `{here}`" if here else "the cluster"

    @property
    def words(self) -> str:
        """The message without the object's name at its beginning and the full stop at its end."""
        return _SUBJECT.sub("", self.said.message).strip().rstrip(".")

    def error(self, message: str, hint: str, **more: Any) -> ApiError:
        """The error that says so."""
        return ApiError(message, status=self.status, reason=self.said.reason, hint=hint, **more)


def read(status: int, body: bytes, call: Call) -> ApiError:
    """The error that an answer from 300 on means.

    Args:
        status: the HTTP code.
        body: the answer, a Status object as JSON; other texts are taken as they are.
        call: what was asked.
    """
    answer = Answer(status, _status(body), call)
    for sentence in (_by_webhook, _without_webhook, *_BY_CODE.get(status, ())):
        if (error := sentence(answer)) is not None:
            return error
    return _plainly(answer)


def _status(body: bytes) -> Status:
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        words = " ".join(body.decode("utf-8", "replace").split())
        return Status(message=words[:LONGEST_WORDS])


def _by_webhook(answer: Answer) -> ApiError | None:
    found = _DENIED.search(answer.said.message)
    if found is None:
        return None
    words = (found["words"] or "").strip()
    words += "." if words and words[-1] not in ".!?" else ""
    if INJECTION_LABEL in words:
        hint = (
            "Without the label Katib reads no metrics there. Set it: "
            f"kubectl label namespace {answer.call.namespace} {INJECTION_LABEL}=enabled"
        )
    elif found["who"].endswith("katib.kubeflow.org"):
        hint = "Katib refuses it as it is; change what it names."
    else:
        hint = f"The admission webhook `{found['who']}` says so; ask who runs the cluster."
    return answer.error(
        words or f"The admission webhook `{found['who']}` refuses it without a reason.",
        hint,
        denied_by_webhook=True,
    )


def _without_webhook(answer: Answer) -> ApiError | None:
    found = _CALLED.search(answer.said.message)
    if found is None:
        return None
    said = (found["why"] or "it gives no reason").strip()
    place = _SERVICE.search(said)
    where = f"-n {place['namespace']}" if place else "-A"
    owner = "Katib's" if "katib.kubeflow.org" in found["who"] else "The cluster's"
    why = said.rpartition('": ')[2]
    return answer.error(
        f"{owner} admission webhook `{found['who']}` does not answer, so the API server takes "
        f"nothing that it would check: {why}.",
        f"Is its controller running? See: kubectl get pods {where}",
    )


def _unauthorized(answer: Answer) -> ApiError:
    return answer.error(
        f"The API server at {answer.call.server} does not accept our credentials "
        "(401 Unauthorized).",
        "The token or certificate has expired or is wrong: log in again, or renew it in the "
        "kubeconfig.",
    )


def _may_not(answer: Answer) -> ApiError | None:
    found = _MAY_NOT.search(answer.said.message)
    if found is None:
        return None
    user, verb = found["user"], found["verb"]
    if found["path"]:
        what, where, asked = found["path"], "", found["path"]
    else:
        what = f"{found['resource']}.{found['group']}".rstrip(".")
        space = found["namespace"]
        where = f" in the namespace `{space}`" if space else " in the whole cluster"
        asked = _question(found["resource"], found["group"]) + (f" -n {space}" if space else "")
    if user == ANONYMOUS:
        hint = "No credentials were sent: log in, or look at the user of the kubeconfig's context."
    else:
        hint = (
            "Give it that verb in a Role (manifests/ has the whole Role), then check: "
            f"kubectl auth can-i {verb} {asked} --as={user}"
        )
    return answer.error(f"The account `{user}` may not {verb} `{what}`{where}.", hint)


def _question(resource: str, group: str) -> str:
    """A resource as `kubectl auth can-i` takes it."""
    plural, _, sub = resource.partition("/")
    return f"{plural}.{group}".rstrip(".") + (f" --subresource={sub}" if sub else "")


def _over_quota(answer: Answer) -> ApiError | None:
    if found := _MUST_SPECIFY.search(answer.said.message):
        return answer.error(
            f"The resource quota `{found['quota']}` of {answer.where} takes only what states "
            f"{found['what'].strip()}.",
            "State it in the resources of a trial, or in the trial template.",
        )
    found = _EXCEEDED.search(answer.said.message)
    if found is None:
        return None
    return answer.error(
        f"The resource quota `{found['quota']}` of {answer.where} has no room for {answer.what}: "
        f"{', '.join(_shortages(found['asked'], found['used'], found['limit']))}.",
        "Wait until something there ends, ask for less, or have the quota raised.",
    )


def _shortages(asked: str, used: str, limit: str) -> Iterator[str]:
    """Each resource that runs short: `a=1,b=2` three times."""
    before, most = dict(_amounts(used)), dict(_amounts(limit))
    for what, amount in _amounts(asked):
        yield f"{amount} of {what} asked for, {before.get(what)} of {most.get(what)} used"


def _amounts(text: str) -> Iterator[tuple[str, str]]:
    for each in text.split(","):
        what, _, amount = each.partition("=")
        yield what, amount


def _closing_namespace(answer: Answer) -> ApiError | None:
    ends = any(cause.reason == "NamespaceTerminating" for cause in answer.details.causes or ())
    if not ends and "because it is being terminated" not in answer.said.message:
        return None
    return answer.error(
        f"{answer.where.capitalize()} is being deleted.",
        "Choose another namespace, or create it again when it is gone.",
    )


def _against_policy(answer: Answer) -> ApiError:
    """A LimitRange, Pod Security or a ValidatingAdmissionPolicy: the rest of the 403s."""
    return answer.error(
        f"The rules of {answer.where} forbid {answer.what}: {answer.words}.",
        "Ask for what the rule allows, or ask who runs the cluster.",
        is_policy=_YOUNG.search(answer.said.message) is None,
    )


def _unserved(answer: Answer) -> ApiError | None:
    """A 404 of the address: no Status, or one that names no object."""
    if answer.details.name:
        return None
    call = answer.call
    kind = f"{call.plural}.{call.group}".rstrip(".")
    if owner := OWNERS.get((call.group, call.plural)):
        message = f"{owner} is not installed in the cluster: there is no `{kind}`."
        hint = f"Install it, then check: kubectl get crd {kind}"
    else:
        message = f"The API server at {call.server} has no `{call.path}`."
        hint = "Is `server` in the kubeconfig the address of a Kubernetes API server?"
    return answer.error(message, hint, is_unserved=True)


def _missing(answer: Answer) -> ApiError:
    name = answer.details.name
    if answer.details.kind == "namespaces" and answer.call.plural != "namespaces":
        return answer.error(
            f"There is no namespace `{name}`.", f"Create it: kubectl create namespace {name}"
        )
    return answer.error(
        f"There is no {answer.what} in {answer.where}.", "It may have been deleted."
    )


def _taken(answer: Answer) -> ApiError | None:
    if answer.said.reason != "AlreadyExists":
        return None
    if "object is being deleted" in answer.said.message:
        return answer.error(
            f"{answer.what} in {answer.where} is still being deleted.",
            "Wait a moment, or choose another name.",
            field="name",
        )
    return answer.error(
        f"There is {answer.what} in {answer.where} already.", "Choose another name.", field="name"
    )


def _conflict(answer: Answer) -> ApiError:
    return answer.error(
        f"{answer.what} in {answer.where} was changed by somebody else meanwhile: {answer.words}.",
        "Try again.",
    )


def _expired(answer: Answer) -> ApiError:
    return answer.error(
        f"The API server at {answer.call.server} no longer has what was asked for: {answer.words}.",
        "It is listed again.",
    )


def _invalid(answer: Answer) -> ApiError:
    return answer.error(
        f"The API server refuses {answer.what}: {answer.words}.", "Change what it names."
    )


def _too_large(answer: Answer) -> ApiError:
    return answer.error(
        f"{answer.what} is larger than the API server takes: {answer.words}.",
        "Ask for fewer trials or parameters.",
    )


def _too_many(answer: Answer) -> ApiError:
    return answer.error(
        f"The API server at {answer.call.server} has too much to do (429 Too Many Requests).",
        "It is asked again in a moment.",
        retry_after_s=float(answer.details.retry_after_seconds) or ASK_AGAIN_S,
    )


def _plainly(answer: Answer) -> ApiError:
    call, words = answer.call, answer.words or "it gives no reason"
    return answer.error(
        f"The API server at {call.server} could not {call.verb} `{call.resource}`: {words} "
        f"({answer.status}).",
        "It is tried again; if this stays, look at the API server." if answer.status >= 500 else "",
    )


Sentence = Callable[[Answer], ApiError | None]
_BY_CODE: Mapping[int, tuple[Sentence, ...]] = {
    400: (_invalid,),
    401: (_unauthorized,),
    403: (_may_not, _over_quota, _closing_namespace, _against_policy),
    404: (_unserved, _missing),
    409: (_taken, _conflict),
    410: (_expired,),
    413: (_too_large,),
    422: (_invalid,),
    429: (_too_many,),
}

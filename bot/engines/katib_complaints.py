"""What a controller complains of in an event: pods it may not make, objects it cannot go on with
(pure).
"""

from __future__ import annotations

import re

import msgspec

from bot.engines import kube_refusals
from bot.engines.katib_waits import Wait, sentence
from bot.engines.katib_wire import Event
from bot.engines.kube_errors import Call

RECONCILE_ERROR = "ReconcileError"
WEBHOOK_REFUSED = "WebhookRefused"
_FORBIDDEN = re.compile(r'([a-z]+)[\w.]* "([^"]*)" is forbidden: ')
_REPEATED = re.compile(
    r"^(?:\(combined from similar events\): )?(?:Error creating: |Failed to reconcile: )?"
)


def complaint(event: Event) -> Wait:
    """What a controller was refused or failed at.

    The API server's own words in it are read as any refusal of its.
    """
    said = _REPEATED.sub("", event.message)
    about = event.involved_object
    namespace = about.namespace or event.metadata.namespace
    forbidden = _FORBIDDEN.search(said)
    if forbidden or "admission webhook" in said or "failed calling webhook" in said:
        what = "/".join(forbidden.groups()) if forbidden else "pods"
        call = Call("POST", f"/api/v1/namespaces/{namespace}/{what}")
        body = msgspec.json.encode({"message": said, "reason": "Forbidden"})
        error = kube_refusals.read(403, body, call)
        return Wait(reason=_word(said), message=error.message, hint=error.hint)
    if event.reason == RECONCILE_ERROR:
        return _unreconciled(about.kind, said)
    return Wait(
        reason="FailedCreate",
        message=sentence(f"{about.kind} `{about.name}` cannot make its pods: {said}"),
        hint="It is tried again; if this stays, ask who runs the cluster.",
    )


def _word(said: str) -> str:
    if "exceeded quota" in said or "failed quota" in said:
        return "QuotaExceeded"
    if "denied the request" in said:
        return WEBHOOK_REFUSED
    if "failed calling webhook" in said:
        return "WebhookDown"
    return "PodForbidden"


def _unreconciled(kind: str, said: str) -> Wait:
    hint = "Katib tries again and again: stop the Experiment if it cannot succeed."
    if "no matches for kind" in said:
        hint = (
            "Katib does not know that kind: install its operator, then restart Katib's controller."
        )
    elif kind == "Suggestion":
        hint = "Its search service fails: look at the log of the search pod."
    return Wait(
        reason=RECONCILE_ERROR,
        message=sentence(f"Katib cannot go on with this {kind}: {said}"),
        hint=hint,
    )

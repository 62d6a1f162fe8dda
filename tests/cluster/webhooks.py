"""The admission webhooks of Katib v0.19 and training operator v1.9, on a real API server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping

from tests.cluster.api import Api, ApiError
from tests.cluster.https import HttpsServer, Query, Request
from tests.cluster.katib_defaults import with_defaults
from tests.cluster.katib_refusals import INJECTION_LABEL, in_unlabelled_namespace, refusals
from tests.cluster.katib_sentences import together
from tests.cluster.katib_types import wrong_type
from tests.cluster.pytorchjob_refusals import pytorchjob_refusals
from tests.cluster.resources import (
    CONFIG_MAPS,
    KATIB,
    MUTATING,
    NAMESPACES,
    TRIALS,
    VALIDATING,
    VOLUMES,
    Json,
    Resource,
)
from tests.cluster.sidecar import Image, Refused, mutated

KATIB_CONFIGURATION = "katib.kubeflow.org"
OPERATOR_CONFIGURATION = "validator.training-operator.kubeflow.org"
Lookup = Callable[[Resource, str, str], Json | None]


class Denied(Exception):
    """The request is refused with an HTTP code and a sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Webhooks:
    """Answers admission reviews; `lookup` reads objects, from a cache where there is one."""

    def __init__(self, api: Api, lookup: Lookup, images: Mapping[str, Image]) -> None:
        self._api = api
        self._lookup = lookup
        self._images = images
        self._hooks: Mapping[str, Callable[[Json], Json | None]] = {
            "default-experiment": self._default_experiment,
            "validate-experiment": self._validate_experiment,
            "mutate-pod": self._mutate_pod,
            "validate-pytorchjob": self._validate_pytorchjob,
        }

    def serve(self, request: Request, path: str, query: Query) -> None:
        """The route for all admission reviews."""
        review = json.loads(request.body())["request"]
        answer: Json = {"uid": review["uid"], "allowed": True}
        try:
            patched = self._hooks[path](review)
        except Denied as denied:
            answer["allowed"] = False
            answer["status"] = {"code": denied.code, "message": denied.sentence}
        else:
            if patched is not None and patched != review["object"]:
                answer["patchType"] = "JSONPatch"
                answer["patch"] = _json_patch(review["object"], patched)
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        request.reply(200, json.dumps(body).encode())

    def _default_experiment(self, review: Json) -> Json:
        if sentence := wrong_type(review["object"]):
            raise Denied(400, sentence)
        return with_defaults(review["object"])

    def _validate_experiment(self, review: Json) -> None:
        new, old = review["object"], review.get("oldObject")
        if sentence := wrong_type(new):
            raise Denied(400, sentence)
        namespace = self._api.get(NAMESPACES, "", review["namespace"])
        name = new["metadata"].get("name", "")
        if sentence := in_unlabelled_namespace(name, namespace):
            raise Denied(400, sentence)
        if found := refusals(new, old, self._config_maps(new)):
            raise Denied(400, together(found))
        if new["spec"]["resumePolicy"] == "FromVolume" and old is None:
            self._refuse_old_volume(name, new, review["namespace"])

    def _refuse_old_volume(self, name: str, experiment: Json, namespace: str) -> None:
        algorithm = experiment["spec"]["algorithm"]["algorithmName"]
        volume = f"{name}-{algorithm}-{namespace}"
        if self._api.find(VOLUMES, "", volume):
            sentence = f"Cannot create the Experiment: {name} in namespace: {namespace}, "
            raise Denied(400, f"{sentence}PV: {volume} is not deleted")

    def _config_maps(self, experiment: Json) -> dict[tuple[str, str], Json]:
        source = (experiment["spec"].get("trialTemplate") or {}).get("configMap") or {}
        place = source.get("configMapNamespace", ""), source.get("configMapName", "")
        found = self._api.find(CONFIG_MAPS, *place) if all(place) else None
        return {place: found.get("data", {})} if found else {}

    def _mutate_pod(self, review: Json) -> Json | None:
        trial = self._trial_of(review["object"], review["namespace"])
        if trial is None:
            return None
        try:
            return mutated(review["object"], trial, self._images)
        except Refused as refused:
            raise Denied(400, str(refused)) from refused

    def _trial_of(self, obj: Json, namespace: str) -> Json | None:
        """The Trial at the end of the chain of owners, whose name its job has."""
        owners = obj["metadata"].get("ownerReferences", ())
        for owner in owners:
            if (owner["apiVersion"], owner["kind"]) == (KATIB, "Trial"):
                return self._lookup(TRIALS, namespace, obj["metadata"]["name"])
        for owner in owners:
            above = self._above(owner, namespace)
            if trial := above and self._trial_of(above, namespace):
                return trial
        return None

    def _above(self, owner: Json, namespace: str) -> Json | None:
        try:
            resource = self._api.resource_of(owner["apiVersion"], owner["kind"])
            return self._lookup(resource, namespace, owner["name"])
        except ApiError:
            return None  # Katib takes an owner that it cannot read for none

    def _validate_pytorchjob(self, review: Json) -> None:
        if found := pytorchjob_refusals(review["object"]):
            raise Denied(403, together(found))


def install(api: Api, server: HttpsServer, certificate: bytes) -> None:
    """Makes the API server ask our webhooks; leftovers of an earlier run are replaced."""

    def hook(name: str, path: str, rule: Json, **more: object) -> Json:
        return {
            "name": name,
            "clientConfig": {
                "url": f"https://127.0.0.1:{server.port}/admission/{path}",
                "caBundle": base64.b64encode(certificate).decode(),
            },
            "rules": [rule],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            **more,
        }

    experiments = _rule("kubeflow.org", "v1beta1", "experiments", "CREATE", "UPDATE")
    pods = _rule("", "v1", "pods", "CREATE")
    jobs = _rule("kubeflow.org", "v1", "pytorchjobs", "CREATE", "UPDATE")
    katib = ".experiment.katib.kubeflow.org"
    labelled = {"matchLabels": {INJECTION_LABEL: "enabled"}}
    operator = "validator.pytorchjob.training-operator.kubeflow.org"
    mutating = [
        hook(f"defaulter{katib}", "default-experiment", experiments),
        hook("mutator.pod.katib.kubeflow.org", "mutate-pod", pods, namespaceSelector=labelled),
    ]
    _put(api, MUTATING, KATIB_CONFIGURATION, mutating)
    validating = [hook(f"validator{katib}", "validate-experiment", experiments)]
    _put(api, VALIDATING, KATIB_CONFIGURATION, validating)
    _put(api, VALIDATING, OPERATOR_CONFIGURATION, [hook(operator, "validate-pytorchjob", jobs)])


def uninstall(api: Api) -> None:
    api.delete(MUTATING, "", KATIB_CONFIGURATION)
    api.delete(VALIDATING, "", KATIB_CONFIGURATION)
    api.delete(VALIDATING, "", OPERATOR_CONFIGURATION)


def _put(api: Api, resource: Resource, name: str, hooks: list[Json]) -> None:
    api.delete(resource, "", name)
    api.create(resource, {"metadata": {"name": name}, "webhooks": hooks})


def _rule(group: str, version: str, plural: str, *operations: str) -> Json:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": [plural],
        "operations": list(operations),
        "scope": "Namespaced",
    }


def _json_patch(old: Json, new: Json) -> str:
    """The top-level parts that differ, whole."""
    operations = [
        {"op": "replace" if name in old else "add", "path": f"/{name}", "value": value}
        for name, value in new.items()
        if old.get(name) != value
    ]
    return base64.b64encode(json.dumps(operations).encode()).decode()

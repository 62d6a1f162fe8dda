"""A service account as a user of the API server: its kubeconfig, and what it may do."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.cluster.api import Api
from tests.cluster.resources import Resource

Single = tuple[str, str, str]  # API group, resource (with subresource), verb

SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


def kubeconfig_of(kubeconfig: str, namespace: str, account: str, folder: Path) -> str:
    """The path of a kubeconfig with which to act as a service account, for an hour."""
    path = SERVICE_ACCOUNTS.path(namespace, account, "token")
    answer = Api(kubeconfig).request("POST", path, {"spec": {"expirationSeconds": 3600}})
    config = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    (context,) = (c for c in config["contexts"] if c["name"] == config["current-context"])
    context["context"] |= {"user": account, "namespace": namespace}
    config["users"] = [{"name": account, "user": {"token": answer["status"]["token"]}}]
    config["contexts"] = [context]
    made = folder / f"{namespace}-{account}.kubeconfig"
    made.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(made)


def permissions(api: Api, namespace: str) -> set[Single]:
    """All that the user of `api` may do to the objects of a namespace, as the server says."""
    review = {"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1"}
    answer = api.request("POST", REVIEWS, {**review, "spec": {"namespace": namespace}})
    assert not answer["status"]["incomplete"], answer
    return {each for rule in answer["status"]["resourceRules"] for each in expanded(rule)}


def expanded(rule: dict[str, list[str]]) -> set[Single]:
    """A rule as single permissions."""
    return {
        (group, resource, verb)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

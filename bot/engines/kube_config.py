"""Which cluster, as whom: the official client's configuration, from a kubeconfig or a pod's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME, InClusterConfigLoader

from bot.errors import EngineError

KUBECONFIG = "KUBECONFIG"
HOME_CONFIG = "~/.kube/config"
# What Kubernetes mounts into a pod: token, ca.crt, namespace.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# More than the calls and watches that are open at a time, so that none is thrown away.
CONNECTIONS = 64


@dataclass(frozen=True)
class Access:
    """A configuration that refreshes its tokens, and the namespace that is meant by default."""

    configuration: Configuration
    namespace: str

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self.configuration.host)

    def authorization(self) -> Mapping[str, str]:
        """The header that says who we are, refreshed if it is due; not by two threads at a time.

        Raises:
            EngineError: a new token cannot be had.
        """
        try:
            settings: Mapping[str, Any] = self.configuration.auth_settings()
        except (ConfigException, OSError) as error:
            raise EngineError(
                f"The token for {self.server} cannot be renewed: {error}",
                hint="Look at the user of the kubeconfig's context, or the pod's service account.",
            ) from error
        return {each["key"]: each["value"] for each in settings.values() if each["value"]}


def load(
    context: str | None,
    kubeconfig: str | None,
    environment: Mapping[str, str] = os.environ,
    account: Path = ACCOUNT,
) -> Access:
    """The access that `context` of `kubeconfig` names.

    Args:
        context: a context of the kubeconfig; None for its current one.
        kubeconfig: one path or several, joined as in KUBECONFIG; None for KUBECONFIG, then
            ~/.kube/config, then the pod's service account.
        environment: where KUBECONFIG and a pod's KUBERNETES_SERVICE_HOST are looked up.
        account: the folder of a pod's service account.

    Raises:
        EngineError: there is no configuration, it cannot be read, or has no such context.
    """
    paths = kubeconfig or environment.get(KUBECONFIG) or HOME_CONFIG
    if any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path):
        return _of_file(paths, context)
    if kubeconfig or SERVICE_HOST_ENV_NAME not in environment:
        raise EngineError(
            f"There is no kubeconfig at `{paths}`, so no cluster is known.",
            hint=f"Set {KUBECONFIG} to its path, or run inside the cluster.",
        )
    if context:
        raise EngineError(
            f"The context `{context}` is asked for, but in a cluster there are no contexts.",
            hint=f"Mount a kubeconfig and set {KUBECONFIG} to its path.",
        )
    return _of_pod(environment, account)


def _of_file(paths: str, context: str | None) -> Access:
    try:
        contexts, current = list_kube_config_contexts(paths)  # type: ignore[no-untyped-call]
    except (ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError) as error:
        # The official client stumbles over a file of another shape with the last two.
        raise _unreadable(paths, error) from error
    chosen = current
    if context:
        known = {each["name"]: each for each in contexts}
        if context not in known:
            raise EngineError(
                f"The kubeconfig has no context `{context}`.",
                hint=f"It has: {', '.join(f'`{name}`' for name in sorted(known))}.",
            )
        chosen = known[context]
    configuration = _configuration()
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            paths, context=context, client_configuration=configuration
        )
    except (ConfigException, OSError, ValueError) as error:
        raise _unreadable(paths, error) from error
    return Access(configuration, chosen["context"].get("namespace") or "default")


def _of_pod(environment: Mapping[str, str], account: Path) -> Access:
    configuration = _configuration()
    loader: Any = InClusterConfigLoader(  # type: ignore[no-untyped-call]
        token_filename=str(account / "token"),
        cert_filename=str(account / "ca.crt"),
        environ=environment,
    )
    try:
        loader.load_and_set(configuration)
        namespace = (account / "namespace").read_text(encoding="utf-8").strip()
    except (ConfigException, OSError) as error:
        raise EngineError(
            f"The pod's service account in {account} cannot be used: {error}",
            hint="Set automountServiceAccountToken: true in the pod.",
        ) from error
    return Access(configuration, namespace)


def _configuration() -> Configuration:
    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    configuration.keep_alive = True
    return configuration


def _unreadable(paths: str, error: Exception) -> EngineError:
    return EngineError(
        f"The kubeconfig `{paths}` cannot be used: {str(error).rstrip('.')}.",
        hint="`kubectl config view` shows what is in it.",
    )

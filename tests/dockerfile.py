"""The Dockerfile's steps without a container engine: the same COPY and RUN in a clean folder.

What stands for the base image is a new virtual environment, first on the PATH.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 600
# Accounts are the image's, not this machine's.
NOT_HERE = re.compile(r"(groupadd|useradd) ")


@dataclass(frozen=True)
class Stage:
    """One target: its base image and its instructions in order, as (name, rest of the line)."""

    base: str
    steps: tuple[tuple[str, str], ...]

    def last(self, name: str) -> str:
        """The rest of the last instruction of a name."""
        return [rest for word, rest in self.steps if word == name][-1]

    @property
    def environment(self) -> Mapping[str, str]:
        """What ENV sets, of all lines."""
        words = [word for name, rest in self.steps if name == "ENV" for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words)

    @property
    def command(self) -> Sequence[str]:
        """ENTRYPOINT in its exec form."""
        words: list[str] = json.loads(self.last("ENTRYPOINT"))
        return words


def read(text: str) -> dict[str, Stage]:
    """The stages of a Dockerfile by name."""
    arguments: dict[str, str] = {}
    found: dict[str, Stage] = {}
    steps: list[tuple[str, str]] = []
    for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "ARG":
            key, _, default = rest.partition("=")
            arguments[key] = default
        elif name == "FROM":
            base, _, stage = re.sub(r"\$\{(\w+)\}", lambda m: arguments[m[1]], rest).partition(
                " AS "
            )
            steps = []
            found[stage] = Stage(base, ())
        elif name:
            steps.append((name, rest.strip()))
            found[stage] = Stage(found[stage].base, tuple(steps))
    return found


@dataclass(frozen=True)
class Image:
    """A stage's steps, carried out below `folder`; absolute paths of COPY and WORKDIR lie there."""

    folder: Path
    stage: Stage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("venv/lib/python*/site-packages")
        return found

    def place(self, path: str, base: str = "/") -> Path:
        """Where a path of the image lies on this machine."""
        return self.folder / "root" / os.path.normpath(f"{base}/{path}").lstrip("/")

    def environment(self, **more: str) -> dict[str, str]:
        """A process's environment in the image; nothing of ours but where the network is."""
        kept = {k: v for k, v in os.environ.items() if re.search("PIP|PROXY|CERT|CA_BUNDLE|SSL", k)}
        path = f"{self.folder}/venv/bin:/usr/local/bin:/usr/bin:/bin"
        return kept | {"PATH": path, "HOME": str(Path.home())} | self.stage.environment | more

    def build(self, *in_base: str) -> None:
        """Carry out the steps; `in_base` are packages of ours that the base image has, too."""
        venv.create(self.folder / "venv", with_pip=True)
        for name in in_base:
            self._lend(distribution(name))
        at = "/"
        for name, rest in self.stage.steps:
            if name == "WORKDIR":
                at = rest
                self.place(at).mkdir(parents=True, exist_ok=True)
            elif name == "COPY":
                self._copy(*rest.split(), at=at)
            elif name == "RUN" and not NOT_HERE.match(rest):
                self._run(rest, self.place(at))

    def start(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the entry point with these arguments, as a container would; its output as text."""
        program, *rest = self.stage.command
        command = [str(self.folder / "venv/bin" / program), *rest, *words]
        home = self.place(self.stage.last("WORKDIR"))
        return subprocess.run(
            command,
            cwd=home,
            env=self.environment(HOME=str(home), **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def _lend(self, package: Distribution) -> None:
        for path in package.files or ():
            if path.parts[0] != ".." and "__pycache__" not in path.parts:
                goal = self.site_packages / path
                goal.parent.mkdir(parents=True, exist_ok=True)
                _link(Path(str(package.locate_file(path))), goal)

    def _copy(self, *words: str, at: str) -> None:
        *sources, target = words
        for source in sources:
            origin, goal = ROOT / source, self.place(target, at)
            if origin.is_dir():
                shutil.copytree(origin, goal, ignore=shutil.ignore_patterns("__pycache__"))
                continue
            goal = goal / origin.name if target.endswith("/") or target == "." else goal
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, goal)

    def _run(self, script: str, folder: Path) -> None:
        run = subprocess.run(
            ["sh", "-c", script],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert run.returncode == 0, f"RUN {script}\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}"


def _link(origin: Path, goal: Path) -> None:
    try:
        os.link(origin, goal)
    except OSError:  # another file system
        shutil.copy(origin, goal)


def size_mb(folder: Path) -> float:
    """What `du` says of a folder, in MB (10^6)."""
    run = subprocess.run(["du", "-sk", str(folder)], capture_output=True, text=True, check=True)
    return int(run.stdout.split()[0]) * 1024 / 1e6


def files(folder: Path) -> set[tuple[Path, int]]:
    """Every file below a folder with the time of its last change, in ns."""
    return {(p, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


STAGES = read((ROOT / "Dockerfile").read_text(encoding="utf-8"))

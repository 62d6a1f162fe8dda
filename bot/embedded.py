"""The embedded workspace as a command, and as a process that `run` keeps beside itself."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bot.errors import EngineError, TuneError
from bot.settings import Settings, variable


def workspace(settings: Settings, *, manifests: Sequence[Path], with_parent: bool) -> int:
    """The embedded workspace alone, with the apps of these manifests (ours if there are none); its
    first line on stdout is one JSON object.
    """
    from bot.workspace.refusals import PortTaken, WorkspaceError
    from bot.workspace.server import serve

    app_manifests = [_read_manifest(path) for path in manifests or [our_manifest()]]
    if with_parent:
        threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()

    def ready(facts: Mapping[str, Any]) -> None:
        print(json.dumps(facts), flush=True)

    try:
        serve(
            port=settings.port,
            state_dir=settings.state_dir / "workspace",
            manifests=app_manifests,
            ready=ready,
            token=_page_token(settings),
        )
    except PortTaken as error:
        raise TuneError(
            str(error), hint=f"For example: KATIB_TUNE_PORT={settings.port + 1} make run"
        ) from error
    except WorkspaceError as error:
        raise TuneError(str(error)) from error
    return 0


def _page_token(settings: Settings) -> str:
    token = settings.workspace_token
    return token.get_secret_value() if token else ""


def _read_manifest(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TuneError(f"The manifest {path} cannot be read: {error}.") from error


def our_manifest() -> Path:
    """The Slack app manifest: in the repository, or beside the code in an installed package."""
    here = Path(__file__).parent
    in_repository = here.parent / "manifests" / "slack-app.yaml"
    return in_repository if in_repository.exists() else here / "slack" / "slack-app.yaml"


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def workspace_process(settings: Settings, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
    """A workspace of our own; yields its JSON line. Its death ends us (`stop`)."""
    command = [
        sys.executable, "-m", "bot", "workspace", "--with-parent",
        "--port", str(settings.port), "--state", str(settings.state_dir),
    ]  # fmt: skip
    # NB: a session of its own, so that Ctrl-C reaches us alone and we end it last; its standard
    # input tells it when we die without saying so.
    # The token goes by the environment: command lines can be read by everybody on the machine.
    environment = {**os.environ, variable("workspace_token"): _page_token(settings)}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise EngineError("The embedded workspace did not start; the line above says why.")
        threading.Thread(
            target=_watch, args=(process, stop), name="workspace-watch", daemon=True
        ).start()
        yield json.loads(line)
    finally:
        stop.set()  # what comes now is no surprise to whoever watches
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _watch(process: subprocess.Popen[str], stop: threading.Event) -> None:
    process.wait()
    if not stop.is_set():
        logging.getLogger(__name__).error("The embedded workspace ended; so do I.")
        stop.set()

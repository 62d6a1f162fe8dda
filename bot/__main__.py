"""The command line and composition root: settings -> engine + Slack -> run.

Each command imports what it needs when it is chosen, so that `--help` costs no more than argparse.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from bot import __version__
from bot.errors import TuneError

if TYPE_CHECKING:
    from bot.engines.base import Engine
    from bot.settings import Settings


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="katib-tune", description="Tune LLM fine-tuning from a Slack thread."
    )
    top.add_argument("--version", action="version", version=f"katib-tune {__version__}")
    words = top.add_subparsers(dest="word", metavar="COMMAND", required=True)

    run = words.add_parser("run", help="everything on this machine: workspace, bot, local engine")
    _state(run)
    run.add_argument("--port", type=int, help="port of the page (default 8765; 0 takes any)")
    _token(run)
    run.set_defaults(do=_run)

    workspace = words.add_parser("workspace", help="the embedded workspace alone")
    _state(workspace)
    workspace.add_argument("--port", type=int, help="port of the page (default 8765; 0 takes any)")
    _token(workspace)
    workspace.add_argument(
        "--manifest",
        type=Path,
        action="append",
        default=[],
        help="an app's Slack manifest (default: ours); once for each app",
    )
    workspace.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
    workspace.set_defaults(do=_workspace)

    serve = words.add_parser("serve", help="bot and engine against the Slack of the settings")
    _state(serve)
    serve.set_defaults(do=_serve)

    tune = words.add_parser("tune", help="one Experiment without any Slack")
    _spec_source(tune)
    _state(tune)
    tune.add_argument("--json", action="store_true", help="one JSON object a line")
    tune.set_defaults(do=_tune)

    render = words.add_parser("render", help="the tune spec of a typed line, as YAML")
    _spec_source(render)
    render.add_argument(
        "--engine", choices=("local", "katib"), default="local",
        help="katib: every Kubernetes object that would be created, without a cluster",
    )  # fmt: skip
    render.set_defaults(do=_render)

    best = words.add_parser("best", help="the optimal hyperparameters of finished Experiments")
    best.add_argument("query", nargs="?", default="", help="an Experiment, model or dataset")
    best.add_argument("--json", action="store_true", help="one JSON object a line")
    _state(best)
    best.set_defaults(do=_best)

    listing = words.add_parser("list", help="all Experiments, newest first")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    _state(listing)
    listing.set_defaults(do=_list)

    doctor = words.add_parser("doctor", help="one sentence for everything that could be wrong")
    _state(doctor)
    doctor.set_defaults(do=_doctor)
    return top


def _state(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--state", type=Path, dest="state_dir", metavar="DIR", help="folder of the Experiments"
    )


def _token(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--token",
        dest="workspace_token",
        help="token in the page's address (default: a new one at every start)",
    )


def _spec_source(command: argparse.ArgumentParser) -> None:
    command.add_argument("line", nargs="*", help='as typed: "default on default trials=6"')
    command.add_argument("-f", "--file", help="a spec in YAML; - reads standard input")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors become one sentence on stderr and exit code 1 (2: usage)."""
    chosen = parser().parse_args(arguments)
    do: Callable[[argparse.Namespace], int] = chosen.do
    try:
        return do(chosen)
    except TuneError as error:
        for each in getattr(error, "all", (error,)):
            print(f"error: {each}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(
            f"error: the package {error.name} is not installed. This command needs the extra "
            "`local`: pip install 'katib-tune[local]', or `make install`.",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        print(f"error: {_os_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _os_sentence(error: OSError) -> str:
    """A sentence for what the machine refused (no disk, no permission)."""
    import errno

    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"The disk is full{where}: free some space and start again."
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"This folder cannot be written{where}: choose another with --state."
    if isinstance(error, BrokenPipeError):
        return "whoever read the output is gone."
    return f"{error}."


def _run(chosen: argparse.Namespace) -> int:
    from bot.compose import run

    return run(_workspace_settings(chosen))


def _workspace_settings(chosen: argparse.Namespace) -> Settings:
    from bot.settings import load

    return load(
        state_dir=chosen.state_dir, port=chosen.port, workspace_token=chosen.workspace_token
    )


def _workspace(chosen: argparse.Namespace) -> int:
    from bot.embedded import workspace

    settings = _workspace_settings(chosen)
    return workspace(settings, manifests=chosen.manifest, with_parent=chosen.with_parent)


def _serve(chosen: argparse.Namespace) -> int:
    from bot.compose import serve
    from bot.settings import load

    return serve(load(state_dir=chosen.state_dir))


def _tune(chosen: argparse.Namespace) -> int:
    from bot import choose, terminal
    from bot.settings import load

    wanted = terminal.read_spec(" ".join(chosen.line), chosen.file)
    with choose.engine(load(state_dir=chosen.state_dir), allow_code=True) as engine:
        return terminal.tune(engine, wanted, as_json=chosen.json)


def _render(chosen: argparse.Namespace) -> int:
    from bot import spec, terminal

    asked = terminal.read_spec(" ".join(chosen.line), chosen.file)
    if chosen.engine == "local":
        print(spec.to_yaml(asked), end="")
        return 0
    from bot.engines import katib_objects, katib_template
    from bot.settings import load

    settings = load()
    cluster = katib_objects.Cluster(
        namespace=asked.namespace or "default",
        trainer_image=settings.trainer_image,
        template=katib_template.from_file(settings.trial_template),
    )
    print(katib_objects.as_yaml(asked, cluster), end="")
    return 0


def _best(chosen: argparse.Namespace) -> int:
    from bot import terminal

    with _reader(chosen) as engine:
        return terminal.best(engine, chosen.query, as_json=chosen.json)


def _list(chosen: argparse.Namespace) -> int:
    from bot import terminal

    with _reader(chosen) as engine:
        return terminal.listing(engine, as_json=chosen.json)


def _reader(chosen: argparse.Namespace) -> AbstractContextManager[Engine]:
    """The engine for reading: starts nothing and locks nobody out."""
    from bot import choose
    from bot.settings import load

    return choose.engine(load(state_dir=chosen.state_dir), allow_code=False, start=False)


def _doctor(chosen: argparse.Namespace) -> int:
    from bot.doctor import examine
    from bot.settings import load

    return examine(load(state_dir=chosen.state_dir))


if __name__ == "__main__":
    sys.exit(main())

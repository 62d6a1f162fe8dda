"""The command line, `python -m trainer <flags>`: a trial, or `main`'s commands."""

from __future__ import annotations

import gc
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from trainer import config, defaults, imports, provenance, push, shipped, sources
from trainer.ending import End, complain, recorded
from trainer.errors import TrialError, understand
from trainer.metrics import Reporter
from trainer.result import Recorder

if TYPE_CHECKING:
    from trainer.loading import Base


def main(argv: Sequence[str]) -> int:
    """Runs one command; returns its exit code."""
    commands = {
        "fetch": _fetch,
        "forecast": _forecast,
        "export": _export,
        "objective": _objective,
        "host": _host,
    }
    if argv and argv[0] in commands:
        return commands[argv[0]](argv[1:])
    return trial(argv)


def trial(argv: Sequence[str], base: Base | None = None) -> int:
    """Runs one trial; returns its exit code. `base`: see `trainer.train.run`."""
    args = config.trial_parser().parse_args(argv)
    recorder = Recorder(args.output_dir, args.objective_metric, args.objective_type, Reporter())
    recorder.facts["command"] = provenance.command(argv)

    def work(end: End) -> None:
        asked = config.read_config(args)
        if asked.deadline_seconds:
            end.end_by(asked.deadline_seconds, saves=asked.save_best)
        prepare(asked)
        with recorder.phase("import"):
            train = _import_train()
        end.watch()
        with _pushed(args.push_metrics, recorder):
            train(asked, args.output_dir, recorder, end.stop, base)

    return recorded(recorder, work)


@contextmanager
def _pushed(address: str | None, recorder: Recorder) -> Iterator[None]:
    """Has what rank 0 records inside pushed to Katib, if there is an address to push to."""
    pusher = None
    if address and recorder.speaks:
        pusher = recorder.pusher = push.connected(address, recorder.warn)
    yield
    if pusher:
        pusher.finish()


def _import_train() -> Callable[..., None]:
    # Collecting garbage while importing a million objects that stay costs a fifth of the import.
    gc.disable()
    try:
        with imports.without("scipy"):
            from trainer import train
    finally:
        gc.enable()
    gc.freeze()
    return train.run


def prepare(asked: config.TrialConfig) -> None:
    """What must come before the slow imports: sources that cannot be, the libraries' settings."""
    if asked.s3:
        data = sources.Source("local", str(sources.fetched(asked.s3)), asked.s3.uri)
    else:
        data = sources.read(asked.dataset, "dataset")
    if asked.model_s3:
        weights = sources.Source("local", str(sources.fetched(asked.model_s3)), asked.model_uri)
    else:
        weights = sources.read(asked.model_uri, "model")
    if weights.kind == "default":
        shipped.folder(weights.value)
    if data.kind == "default":
        defaults.default_dataset()
    if "hub" not in (weights.kind, data.kind):
        os.environ["HF_HUB_OFFLINE"] = "1"
    _quiet()


def _quiet() -> None:
    """Settings that libraries read while they are imported: no progress bars, news or telemetry."""
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # NB: threads that spin while they wait cost other programs a core, and on a busy machine more
    # time than they save.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    theirs = r"(transformers|peft|accelerate|torch)\b"  # about each other, for their developers
    warnings.filterwarnings("ignore", category=FutureWarning, module=theirs)


def _objective(argv: Sequence[str]) -> int:
    args = config.objective_parser().parse_args(argv)
    metric = args.objective_metric
    recorder = Recorder(args.output_dir, metric, args.objective_type, Reporter())

    def work(end: End) -> None:
        end.watch()
        from trainer import objective

        parameters = config.json_object(args.parameters, "parameters")
        file = args.file or objective.unpacked(args.source, args.output_dir)
        with _pushed(args.push_metrics, recorder):
            objective.run(file, args.function, parameters, metric, recorder)

    return recorded(recorder, work)


def _host(argv: Sequence[str]) -> int:
    """`host FD FLAGS…`: the socket's file descriptor, the flags of one of the trials."""
    from trainer import host

    socket_fd, *flags = argv
    with socket.socket(fileno=int(socket_fd)) as engine:
        host.Host(engine, _base(flags), trial).serve()
    return 0


def _base(flags: Sequence[str]) -> Base | None:
    """What a trial with these flags loads; None where each must by itself, or will say why not."""
    with suppress(TrialError):
        asked = config.read_config(config.trial_parser().parse_args(flags))
        prepare(asked)
        _import_train()
        from trainer import host

        return host.load(asked)
    return None


def _fetch(argv: Sequence[str]) -> int:
    args = config.fetch_parser().parse_args(argv)
    _quiet()
    from trainer import fetch

    return _ended(lambda: fetch.run(args, lambda line: print(line, flush=True)))


def _export(argv: Sequence[str]) -> int:
    from trainer import export

    args = export.parser().parse_args(argv)
    _quiet()
    return _ended(lambda: print(export.run(args)))


def _ended(work: Callable[[], None]) -> int:
    """Does the work; returns the exit code, after a sentence if it failed."""
    try:
        work()
    except (TrialError, OSError) as error:
        return complain(understand(error))
    return 0


def _forecast(argv: Sequence[str]) -> int:
    args = config.trial_parser().parse_args(argv)
    from trainer import forecast

    return _ended(lambda: print(forecast.run(config.read_config(args))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

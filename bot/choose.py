"""Which engine the settings choose, opened for as long as somebody needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bot.engines.base import Engine
from bot.settings import Settings


@contextmanager
def engine(
    settings: Settings, *, allow_code: bool, start: bool = True, owned: bool = False
) -> Iterator[Engine]:
    """The engine, until the block ends.

    Args:
        allow_code: whether Python code from a spec may be run on this machine.
        start: False only reads, and starts nothing.
        owned: what runs on this machine ends with the block, and is taken up at the next start.

    Raises:
        TuneError: a setting that cannot be used. EngineError: there is no way to the cluster.
    """
    # Each engine's packages are imported only where it is chosen.
    from bot.engines.local import LocalEngine

    local = LocalEngine(settings.state_dir, allow_code=allow_code, start=start)
    try:
        yield local
    finally:
        if owned:
            local.shutdown()
        local.close()

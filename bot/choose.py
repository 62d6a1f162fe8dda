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
    if settings.engine == "katib":
        chosen = _katib(settings)
        try:
            yield chosen
        finally:
            chosen.close()
        return
    from bot.engines.local import LocalEngine

    local = LocalEngine(settings.state_dir, allow_code=allow_code, start=start)
    try:
        yield local
    finally:
        if owned:
            local.shutdown()
        local.close()


def _katib(settings: Settings) -> Engine:
    from bot.engines import katib_places, katib_template
    from bot.engines.katib import KatibEngine
    from bot.engines.kube import Kube

    context = settings.kube_context
    channels = katib_places.read_channels(settings.channels, context)
    # NB: an account's credentials may come from a program that takes its time: asked once.
    kube = Kube(context)
    namespace = settings.namespace or kube.default_namespace
    return KatibEngine(
        katib_places.Places(katib_places.Place(namespace, context), channels),
        trainer_image=settings.trainer_image,
        template=katib_template.from_file(settings.trial_template),
        connect=lambda other: kube if other == context else Kube(other),
    )

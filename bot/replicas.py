"""Which of several replicas tells, and where this one's health is shown: opened for `compose`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from bot.health import Health
from bot.leader import Leader
from bot.settings import Settings
from bot.web import serving


@contextmanager
def candidate(settings: Settings, gained: Callable[[], object]) -> Iterator[Leader | None]:
    """This replica's candidate for the Lease until the block ends; None on one machine.

    The Lease lies in the bot's own namespace. `gained` is called each time before this replica
    begins to tell.

    Raises:
        EngineError: there is no way to the cluster.
    """
    if settings.engine != "katib":
        yield None
        return
    from bot.engines.katib_lease import PATIENCE, KubeLease
    from bot.engines.kube import Kube

    kube = Kube(settings.kube_context, patience=PATIENCE)
    leader = Leader(KubeLease(kube, kube.default_namespace), gained=gained)
    leader.start()
    try:
        yield leader
    finally:
        leader.close()
        kube.close()


def answering(settings: Settings, health: Health) -> AbstractContextManager[int | None]:
    """The health server until the block ends, if the settings give it a port.

    Raises:
        TuneError: the port cannot be had.
    """
    if not settings.health_port:
        return nullcontext()
    return serving(settings.health_port, health.probes)

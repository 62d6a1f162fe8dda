"""Which channel's Experiments run where: a namespace of a cluster for each channel (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bot.errors import SpecError, TuneError
from bot.spec import TuneSpec

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
CHANNEL = re.compile(r"[CDG][A-Z0-9]+")


@dataclass(frozen=True)
class Place:
    """A namespace of one cluster; `context` is a kubeconfig's, None for the current one."""

    namespace: str
    context: str | None = None


@dataclass(frozen=True)
class Places:
    """Where Experiments run: `default`, but for the channels that have a place of their own."""

    default: Place
    channels: Mapping[str, Place] = field(default_factory=dict)

    def of(self, channel: str | None) -> Place:
        """Where the Experiments of a channel run."""
        return self.channels.get(channel or "", self.default)

    @property
    def all(self) -> tuple[Place, ...]:
        """Every place that is used, the default one first."""
        return tuple(dict.fromkeys((self.default, *self.channels.values())))

    def refusal(self, spec: TuneSpec, channel: str | None) -> Iterator[SpecError]:
        """A namespace that was asked for, and is not the channel's."""
        place = self.of(channel)
        if spec.namespace and spec.namespace != place.namespace:
            yield SpecError(
                f"`namespace` is `{spec.namespace}`, but what is started here runs in "
                f"`{place.namespace}`.",
                hint="Leave `namespace` out, or ask in a channel of that namespace; whoever runs "
                "the bot maps channels to namespaces by KATIB_TUNE_CHANNELS.",
                field="namespace",
            )


def read_channels(text: str, context: str | None = None) -> dict[str, Place]:
    """`C0123=team-a,C0456=team-b@context` as places; without `@` in the cluster of `context`.

    Raises:
        TuneError: an entry that cannot be read.
    """
    channels = {}
    for entry in re.split(r"[,\s]+", text.strip()):
        if not entry:
            continue
        channel, _, where = entry.partition("=")
        namespace, _, other = where.partition("@")
        if not CHANNEL.fullmatch(channel) or not NAMESPACE.fullmatch(namespace):
            raise TuneError(
                f"KATIB_TUNE_CHANNELS holds `{entry}`, which is no CHANNEL=NAMESPACE.",
                hint="Channel ids are like C0123ABCD (in Slack: channel details, at the bottom); "
                "e.g. `C0123ABCD=team-a,C0456EFGH=team-b@other-context`.",
                field="channels",
            )
        channels[channel] = Place(namespace, other or context)
    return channels

"""The layers of a network in their order, and training without the first of them."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from trainer.errors import TrialError


def find(network: Any) -> tuple[str, nn.ModuleList]:
    """The name of the list of a network's layers (or stages, if it is convolutional), and it.

    It is the longest of the lists that lie in no other list.
    """
    outer: dict[str, nn.ModuleList] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and not name.startswith(tuple(f"{o}." for o in outer)):
            outer[name] = module
    if not outer:
        raise TrialError(
            "BadParameter",
            f"frozen_layers: a {network.config.model_type} has no list of layers; leave it out.",
        )
    name = max(outer, key=lambda each: len(outer[each]))
    return name, outer[name]


def check(network: Any, count: int) -> str:
    """The name of the list of layers, if it has more than `count`."""
    name, layers = find(network)
    if count >= len(layers):
        raise TrialError(
            "BadParameter",
            f"frozen_layers is {count}, but the model has {len(layers)} layers ({name}); at most "
            f"{len(layers) - 1} can be frozen.",
        )
    return name


def freeze(network: Any, count: int) -> None:
    """Full fine-tuning without the first `count` layers and what comes before them, such as the
    embeddings."""
    name = check(network, count)
    # NB: parameters come in the order in which the network's parts were made.
    for each, parameter in network.named_parameters():
        if each.startswith(f"{name}.{count}."):
            return
        parameter.requires_grad_(False)


def first(network: Any, count: int) -> str:
    """A regular expression of all that is in the first `count` layers."""
    numbers = "|".join(map(str, range(count)))
    return rf"(.*\.)?{re.escape(check(network, count))}\.({numbers})\..*"

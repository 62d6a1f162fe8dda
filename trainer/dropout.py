"""Dropout whose masks cost a CPU little: PyTorch draws them number by number, a fifth of a step."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

_VALUES = 1 << 16  # of the random integers that are compared with the probability


class Dropout(nn.Dropout):
    """As PyTorch's: each number is zero with probability `p`, to within 2^-17, and the others grow
    so that the expectation stays.

    The masks are drawn by NumPy from a seed that PyTorch's generator gives, so who keeps that
    generator's state keeps these, too.
    """

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        dropped = round(self.p * _VALUES)
        is_ours = given.is_cpu and given.is_floating_point() and 0 < dropped < _VALUES
        # NB: what torch.compile makes of NumPy's draws is wrong; it has dropout of its own.
        if not (self.training and is_ours) or torch.compiler.is_compiling():
            return super().forward(given)
        mask = torch.empty(given.shape, dtype=given.dtype)
        # NB: straight into floats; a mask of booleans costs as much again to multiply with.
        torch.ge(_drawn(given.shape), dropped - _VALUES // 2, out=mask)
        return given * mask.mul_(_VALUES / (_VALUES - dropped))


def _drawn(shape: torch.Size) -> torch.Tensor:
    """Random int16 of all values."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    words = np.random.SFC64(seed).random_raw(-(-shape.numel() // 4))
    return torch.from_numpy(words.view(np.int16))[: shape.numel()].view(shape)


def quicken(network: nn.Module) -> None:
    """Has every dropout of the network draw its masks in this way."""
    for module in network.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout

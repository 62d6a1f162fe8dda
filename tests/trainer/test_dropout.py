"""Dropout with masks of ours: what it does to numbers and gradients, and that it repeats."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.dropout import Dropout, quicken


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.05, 0.1, 0.5])
def test_numbers_are_dropped_as_often_as_asked_and_the_others_grow(
    p: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    given = torch.ones(1000, 999, dtype=dtype, requires_grad=True)
    found = Dropout(p)(given)
    found.sum().backward()
    assert given.grad is not None
    assert torch.equal(given.grad, found), "the gradient goes where the number went"
    zeros, others = found.unique().tolist()
    assert zeros == 0
    assert others == pytest.approx(1 / (1 - p), rel=1e-4 if dtype == torch.float32 else 1e-2)
    share = (found == 0).float()
    assert share.mean().item() == pytest.approx(p, abs=0.002)
    for places in (share.mean(0), share.mean(1)):  # alike in all rows and columns
        assert places.std().item() == pytest.approx((p * (1 - p) / 1000) ** 0.5, rel=0.15)
    neighbours = (share[:, 1:] * share[:, :-1]).mean().item()
    assert neighbours == pytest.approx(p * p, abs=0.002)


def test_masks_follow_from_the_state_of_pytorchs_generator() -> None:
    given, layer = torch.ones(7, 5), Dropout(0.5)
    torch.manual_seed(3)
    first, state, second = layer(given), torch.get_rng_state(), layer(given)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(layer(given), second)


@pytest.mark.parametrize("p", [0.0, 1e-7, 1 - 1e-7, 1.0])
def test_what_drops_nothing_or_all_is_pytorchs(p: float) -> None:
    given = torch.randn(50, 3)
    assert torch.allclose(Dropout(p)(given), torch.zeros(50, 3) if p > 0.5 else given)


def test_a_compiled_network_has_the_dropout_of_the_compiler() -> None:
    compiled = torch.compile(Dropout(0.5), backend="aot_eager", fullgraph=True)
    assert compiled(torch.ones(100, 100)).unique().tolist() == [0, 2]


def test_nothing_is_dropped_in_an_evaluation() -> None:
    given = torch.randn(4, 3)
    assert torch.equal(Dropout(0.5).eval()(given), given)
    assert Dropout(0.5)(torch.empty(0, 3)).shape == (0, 3)


def test_every_plain_dropout_of_a_network_is_quickened_where_it_is() -> None:
    kept = nn.Dropout2d(0.1)
    network = nn.Sequential(nn.Dropout(0.2), nn.ModuleDict({"inner": nn.Dropout(0.3)}), kept)
    quicken(network)
    assert [type(each) for each in (network[0], network[1]["inner"])] == [Dropout, Dropout]
    assert (network[0].p, type(network[2])) == (0.2, nn.Dropout2d)

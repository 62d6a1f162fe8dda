"""Which number formats and kernels a trial uses on the machine where it runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

PRECISION_TOLERANCE = 1e-5
_BF16_OF_CPUS = ("avx512_bf16", "amx_bf16", "bf16")  # the last is ARM's


def has_bf16() -> bool:
    """Whether the GPU, or without one the CPU, multiplies bfloat16 by instructions of its own."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.accelerator.is_available():  # not known of others; asked for by name it may still be
        return False
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in _BF16_OF_CPUS)


@cache
def choose_matmul_precision() -> str:
    """Allows other float32 kernels where they are faster and as exact as the ordinary ones.

    "medium" permits bfloat16, but on CPUs may merely select oneDNN's float32 kernels. Measured with
    this program: 1.5 times as fast on an AMD CPU, 12 % slower on an Intel one, where MKL is at its
    best. So elsewhere than on Intel one product is compared with float64; a GPU keeps PyTorch's own
    setting.
    """
    if torch.accelerator.is_available() or _is_intel(Path("/proc/cpuinfo")):
        return torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    if matmul_error() > PRECISION_TOLERANCE:
        torch.set_float32_matmul_precision("highest")
    return torch.get_float32_matmul_precision()


def matmul_error() -> float:
    """The relative error of one float32 product as it is computed now, against float64."""
    chance = torch.Generator().manual_seed(0)
    left = torch.randn(256, 384, generator=chance)
    right = torch.randn(1536, 384, generator=chance)
    exact = left.double() @ right.double().T
    found = torch.nn.functional.linear(left, right)
    return float((found - exact).norm() / exact.norm())


def _is_intel(cpuinfo: Path) -> bool:
    return cpuinfo.exists() and "GenuineIntel" in cpuinfo.read_text()

"""Number formats: exact float32 products, and bfloat16 where the hardware has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainer.arguments import training_arguments
from trainer.config import read_config, trial_parser
from trainer.metrics import Reporter
from trainer.precision import choose_matmul_precision, has_bf16, matmul_error
from trainer.result import Recorder


def test_float32_products_stay_exact_whatever_kernel_computes_them() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        assert choose_matmul_precision() in ("highest", "high", "medium")
        assert matmul_error() < 1e-5
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("{}", has_bf16()),
        ('{"bf16": "auto"}', has_bf16()),
        ('{"bf16": "Auto"}', has_bf16()),
        ('{"bf16": "true"}', True),
        ('{"bf16": false}', False),
        ('{"fp16": true, "use_cpu": true}', False),
    ],
)
def test_bf16_is_a_matter_of_the_hardware_unless_it_or_fp16_is_asked_for(
    fields: str, expected: bool, tmp_path: Path
) -> None:
    flags = ["--output-dir=out", f"--training-parameters={fields}"]
    config = read_config(trial_parser().parse_args(flags))
    silent = Recorder(tmp_path, "eval_loss", "minimize", Reporter(lambda line: None))
    assert training_arguments(config, tmp_path, silent).bf16 == expected

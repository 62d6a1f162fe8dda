"""What a result says of where it comes from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trainer import data
from trainer.provenance import command, data_fingerprint, versions


@pytest.mark.parametrize(
    ("environment", "start"),
    [
        ({}, ["python"]),
        ({"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}, ["torchrun", "--nproc-per-node=4"]),
        (
            {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"},
            ["torchrun", "--nnodes=2", "--nproc-per-node=2"],
        ),
    ],
)
def test_the_command_starts_as_many_processes_again(
    environment: dict[str, str], start: list[str]
) -> None:
    assert command(["--seed=1"], environment) == [*start, "-m", "trainer", "--seed=1"]


def test_the_command_has_no_secrets_and_is_otherwise_as_it_was_given() -> None:
    flags = ["--seed", "1", "--dataset=a=b.csv", '--lora-config={"r":8}']
    assert command(flags, {})[3:] == flags
    secret = '--training-parameters={"hub_token": "hf_x", "include_num_input_tokens_seen": true}'
    assert command([secret, "--s3-endpoint-url=https://me:pw@host:9000/x"], {})[3:] == [
        '--training-parameters={"hub_token": "<hidden>", "include_num_input_tokens_seen": true}',
        "--s3-endpoint-url=https://host:9000/x",
    ]


def test_the_fingerprint_is_of_the_rows_and_not_of_where_they_are(
    reviews: Path, tmp_path: Path
) -> None:
    copy, other = tmp_path / "copy.csv", tmp_path / "other.csv"
    shutil.copy(reviews, copy)
    other.write_text(reviews.read_text().replace("dull", "bull", 1))
    here, there, changed = (
        data_fingerprint(data.load_splits(str(file))) for file in (reviews, copy, other)
    )
    assert here == there != changed
    assert len(here) == 16


def test_versions_are_of_what_is_installed() -> None:
    found = versions()
    assert {"python", "torch", "transformers", "peft", "datasets"} <= set(found)

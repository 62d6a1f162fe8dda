"""What a trial loads before its hyperparameters matter: rows, tokens, the network.

It is the same for most trials of an Experiment, so a host (`trainer.host`) loads it once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from transformers import set_seed

from trainer import cache, data, draws, imports, model, provenance, streaming, tasks
from trainer.config import TrialConfig
from trainer.model import Weights
from trainer.result import Recorder
from trainer.tasks.base import Encoded, Task, Warn

# Of the training parameters, those that tasks look at while they read their rows.
_LOOKED_AT = ("label_smoothing_factor", "train_sampling_strategy", "group_by_length")


@dataclass(frozen=True)
class Loaded:
    """The rows of a trial, and its network before anything is adapted or trained.

    Args:
        fingerprint: the data's.
        source: the rows that are read while the trial trains; None if all are here.
    """

    task: Task
    fingerprint: str
    source: streaming.Source | None
    weights: Weights
    processor: Any
    network: Any


def load(config: TrialConfig, seed: int, recorder: Recorder) -> Loaded:
    """Reads and loads; new heads are drawn from `seed`, which everything is set to."""
    kind = tasks.load(config.transformer_type)
    with imports.without("scipy"):
        source = streaming.open_source(config) if config.streaming else None
        splits = source.splits if source else data.load_splits(config.dataset, config.s3)
    fingerprint = recorder.facts["data_fingerprint"] = provenance.data_fingerprint(splits)
    task = kind.read(splits, source.config if source else config, recorder.warn)
    recorder.facts["rows"] = task.counts()
    weights = model.find(config)
    processor = task.load_processor(weights)
    set_seed(seed)  # NB: before the head and the LoRA matrices are drawn.
    network = task.load_network(weights, processor)
    task = task.knowing(network, recorder.warn)
    return Loaded(task, fingerprint, source, weights, processor, network)


def encode(loaded: Loaded, config: TrialConfig, longest: int | None, warn: Warn) -> Encoded:
    """The rows as the network takes them, `longest` tokens at most; those of another trial if there
    are any."""
    mark = cache.key(config, longest, loaded.fingerprint, loaded.weights.tokenizer)
    return cache.encoded(loaded.task, loaded.processor, longest, mark, warn)


@dataclass(frozen=True)
class Base:
    """What one trial has loaded, for others: each uses it up, so each needs a process of its own.

    Args:
        draws: the state of chance after loading, with which the trial goes on.
    """

    loaded: Loaded
    longest: int | None
    encoded: Encoded
    _config: TrialConfig
    _seed: int
    _facts: Mapping[str, Any]
    _warnings: Sequence[str]
    _draws: Mapping[str, Any]

    @classmethod
    def of(cls, config: TrialConfig, seed: int, recorder: Recorder) -> Self:
        """Loads for trials like this one; the recorder must be a new one."""
        loaded = load(config, seed, recorder)
        drawn = draws.taken()
        warnings = tuple(recorder.warnings)
        longest = loaded.task.longest(
            config.max_length, loaded.processor, loaded.network, recorder.warn
        )
        encoded = encode(loaded, config, longest, recorder.warn)
        return cls(
            loaded, longest, encoded, _decisive(config), seed, recorder.facts, warnings, drawn
        )

    def serves(self, config: TrialConfig, seed: int) -> bool:
        """Whether that trial would load the same."""
        return (self._seed, self._config) == (seed, _decisive(config))

    def hand_over(self, recorder: Recorder) -> Loaded:
        """As `load` for a trial that it serves."""
        recorder.facts |= self._facts
        for sentence in self._warnings:
            recorder.warn(sentence)
        draws.redraw(self._draws)
        return self.loaded


def _decisive(config: TrialConfig) -> TrialConfig:
    """The configuration without what loading does not depend on."""
    fields = {name: config.training_parameters.get(name) for name in _LOOKED_AT}
    return replace(
        config, training_parameters=fields, lora_config={}, max_length=0, frozen_layers=0
    )

"""The same trial three ways: the trial program, Hugging Face's Trainer as it comes, a tight loop.

All take the default model and data, LoRA on all linear layers, padding per batch, one seed for
head, adapters and order of rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_VERBOSITY", "error")

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from trainer import config, data, shipped, train
from trainer.metrics import Reporter
from trainer.result import Recorder

LORA = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.1, "target_modules": "all-linear"}
MAX_LENGTH = 128


def silent(folder: Path) -> Recorder:
    return Recorder(folder, "eval_accuracy", "maximize", Reporter(lambda line: None))


def asked(
    folder: Path, rows: int, held_out: str, seed: int, fields: Mapping[str, object]
) -> config.TrialConfig:
    """The configuration of our trial on the first `rows` rows."""
    flags = [
        *(f"--output-dir={folder}", f"--split=train[:{rows}]", f"--eval-split={held_out}"),
        *(f"--training-parameters={json.dumps(fields)}", f"--lora-config={json.dumps(LORA)}"),
        *(f"--max-length={MAX_LENGTH}", f"--seed={seed}"),
    ]
    return config.read_config(config.trial_parser().parse_args(flags))


def ours(
    folder: Path, rows: int, held_out: str, seed: int, fields: Mapping[str, object]
) -> Trainer:
    """The trial program's trainer, ready for its first step."""
    given = asked(folder, rows, held_out, seed, fields)
    return train.prepare(given, folder, silent(folder)).trainer


def stock(folder: Path, rows: int, held_out: str, seed: int, fields: Mapping[str, Any]) -> Trainer:
    """Hugging Face's Trainer, ready for its first step; nothing logged or saved."""
    splits = data.load_splits("default")
    tokenizer = AutoTokenizer.from_pretrained(shipped.folder("default"))

    def encoded(spec: str) -> Dataset:
        taken = data.take(splits, spec)
        tokens = tokenizer(list(taken["text"]), truncation=True, max_length=MAX_LENGTH)
        return Dataset.from_dict({**tokens, "labels": list(taken["label"])})

    set_seed(seed)
    quiet = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "use_cpu": True}
    args = TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        label_names=["labels"],
        per_device_eval_batch_size=32,
        **{**quiet, **fields},
    )
    trainer = Trainer(
        model=network(),
        args=args,
        train_dataset=encoded(f"train[:{rows}]"),
        eval_dataset=encoded(held_out),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda p: {"accuracy": float((p[0].argmax(-1) == p[1]).mean())},
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def network() -> Any:
    """The classifier with LoRA, drawn from the seed that is set."""
    folder = shipped.folder("default")
    base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    return get_peft_model(base, LoraConfig(task_type="SEQ_CLS", **LORA))


class TightLoop:
    """What somebody writes by hand who wants this one training and nothing else, fast."""

    def __init__(
        self, rows: int, seed: int, fields: Mapping[str, Any], *, bf16: bool = False
    ) -> None:
        self.bf16 = bf16
        taken = data.take(data.load_splits("default"), f"train[:{rows}]")
        tokenizer = AutoTokenizer.from_pretrained(shipped.folder("default"))
        tokens = tokenizer(list(taken["text"]), truncation=True, max_length=MAX_LENGTH)
        self.ids: list[list[int]] = tokens["input_ids"]
        self.labels = torch.tensor(taken["label"])
        set_seed(seed)
        self.network = network().train()
        self.weights = [p for p in self.network.parameters() if p.requires_grad]
        self.seed, self.rate = seed, float(fields["learning_rate"])
        self.epochs = int(fields["num_train_epochs"])
        self.batch = int(fields["per_device_train_batch_size"])

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Token ids, mask and labels of each step, the rows in the Trainer's order."""
        for epoch in range(self.epochs):
            chance = torch.Generator().manual_seed(self.seed + epoch)
            order = torch.randperm(len(self.ids), generator=chance).tolist()
            for start in range(0, len(order), self.batch):
                yield self.collated(order[start : start + self.batch])

    def collated(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        width = max(len(self.ids[row]) for row in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            tokens = self.ids[row]
            ids[place, : len(tokens)] = torch.tensor(tokens)
            mask[place, : len(tokens)] = 1
        return ids, mask, self.labels[list(rows)]

    def loss(self, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits = self.network(input_ids=ids, attention_mask=mask).logits
        return torch.nn.functional.cross_entropy(logits.float(), labels)

    def train(self) -> None:
        optimizer = torch.optim.AdamW(self.weights, lr=self.rate, weight_decay=0.0, fused=True)
        steps = self.epochs * -(-len(self.ids) // self.batch)
        for step, batch in enumerate(self.batches()):
            for group in optimizer.param_groups:
                group["lr"] = self.rate * (steps - step) / steps
            self.loss(*batch).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()

    def padded_tokens(self) -> int:
        return sum(ids.numel() for ids, _, _ in self.batches())

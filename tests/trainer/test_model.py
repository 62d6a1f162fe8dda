"""What a model folder can lack or be, each in a sentence; and adapters, attention, foreign code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    ViTConfig,
    ViTModel,
)

from tests.trainer.conftest import Ended
from trainer import architecture, lora, model
from trainer.config import read_config, trial_parser
from trainer.errors import TrialError
from trainer.labels import head_options
from trainer.model import Weights

Trainer = Callable[..., Ended]
Copy = Callable[..., Path]


@pytest.fixture
def copied(tmp_path: Path) -> Copy:
    """A copy of a model's folder without some of its files."""

    def copy(folder: Path, *without: str) -> Path:
        target = tmp_path / "copy"
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns(*without))
        return target

    return copy


@pytest.fixture(scope="module")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-vit"
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ViTModel(ViTConfig(intermediate_size=16, image_size=8, patch_size=4, **size)).save_pretrained(
        folder
    )
    return folder


def refused(work: Callable[[], object], reason: str = "ModelNotFound") -> str:
    with pytest.raises(TrialError) as caught:
        work()
    assert caught.value.reason == reason
    return str(caught.value)


def classifier(folder: Path, **options: Any) -> Any:
    weights = Weights(folder, "mine", **options)
    head = head_options(["no", "yes"])
    return model.load(AutoModelForSequenceClassification, weights, **head)


def change(folder: Path, name: str, **fields: Any) -> None:
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("*", "The model 'mine' has no config.json, so it is not a model of transformers; it is "),
        (
            "config.json",
            "The model 'mine' has no config.json, so it is not a model of transformers; there is ",
        ),
        (
            "*.safetensors",
            "The model 'mine' has no weights to load: no model.safetensors, no pytorch_model.bin; "
            "there is config.json, tokenizer.json, tokenizer_config.json.",
        ),
    ],
)
def test_a_folder_that_lacks_a_file_says_what_there_is(
    copied: Copy, tiny_bert: Path, lost: str, said: str
) -> None:
    folder = copied(tiny_bert, lost)
    assert refused(lambda: classifier(folder)).startswith(said)


def test_a_damaged_file_of_weights_is_to_be_fetched_again(copied: Copy, tiny_bert: Path) -> None:
    folder = copied(tiny_bert)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    said = refused(lambda: classifier(folder))
    assert said.startswith("The model 'mine' has a damaged file of weights (")
    assert said.endswith("; fetch or copy it again.")


class Evil:
    """What a pickle runs when it is opened carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def test_weights_in_a_pickle_are_read_but_no_code_in_it_is_run(
    copied: Copy, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = copied(tiny_bert, "*.safetensors")
    expected = classifier(tiny_bert).bert.state_dict()
    torch.save(expected, folder / "pytorch_model.bin")
    found = classifier(folder).bert.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())

    mark = tmp_path / "ran"
    torch.save({"bert.pooler.dense.bias": Evil(mark)}, folder / "pytorch_model.bin")
    said = refused(lambda: classifier(folder))
    assert "in a pickle that holds more than tensors; it is not read, as it could run code" in said
    assert not mark.exists()


def test_a_model_that_cannot_do_the_task_says_what_it_can_do(
    tiny_vit: Path, tiny_bert: Path
) -> None:
    said = refused(lambda: classifier(tiny_vit))
    assert said == (
        "The model 'mine' is of type vit and cannot be AutoModelForSequenceClassification; it can "
        "be AutoModelForImageClassification. Take another model or another --transformer-type."
    )
    said = refused(lambda: model.load(AutoModelForImageClassification, Weights(tiny_bert, "mine")))
    assert "is of type bert and cannot be AutoModelForImageClassification; it can be " in said


def test_an_encoder_does_not_learn_to_continue_texts(tiny_bert: Path, tiny_llama: Path) -> None:
    weights = Weights(tiny_bert, "mine")
    said = refused(lambda: model.load(AutoModelForCausalLM, weights))
    assert said.startswith("The model 'mine' is of type bert, an encoder: each of its tokens sees")
    assert model.load(AutoModelForMaskedLM, weights).config.model_type == "bert"
    decoder = model.load(AutoModelForCausalLM, Weights(tiny_llama, "mine"))
    assert decoder.config.model_type == "llama"


def test_weights_of_another_model_are_not_replaced_by_random_ones(
    copied: Copy, tiny_bert: Path, tiny_llama: Path
) -> None:
    folder = copied(tiny_bert)
    shutil.copy(tiny_llama / "model.safetensors", folder)
    said = refused(lambda: classifier(folder))
    assert said.startswith("The weights of 'mine' are not those of the bert of its config.json: 39")
    assert "there is embed_tokens.weight, layers.0.input_layernorm.weight, …" in said


@pytest.mark.parametrize(("field", "value"), [("num_hidden_layers", 3), ("intermediate_size", 48)])
def test_weights_of_another_size_are_not_replaced_by_random_ones(
    copied: Copy, tiny_bert: Path, field: str, value: int
) -> None:
    folder = copied(tiny_bert)
    change(folder, "config.json", **{field: value})
    assert "missing or of another size (bert.encoder.layer." in refused(lambda: classifier(folder))


def test_a_model_type_that_transformers_does_not_know_is_a_sentence(
    copied: Copy, tiny_bert: Path
) -> None:
    folder = copied(tiny_bert)
    change(folder, "config.json", model_type="bertt")
    said = refused(lambda: classifier(folder))
    assert said.startswith("The model 'mine' has a config.json that cannot be used: ")
    (folder / "config.json").write_text("{")
    said = refused(lambda: classifier(folder))
    assert said.startswith("The model 'mine' has a config.json that cannot be used: ")


OWN_CODE = """
from pathlib import Path
from transformers import BertConfig, BertForSequenceClassification

Path({mark!r}).touch()

class OwnConfig(BertConfig):
    model_type = "own"

class OwnModel(BertForSequenceClassification):
    config_class = OwnConfig
"""


def test_a_models_own_code_runs_only_when_it_is_trusted(
    copied: Copy, tiny_bert: Path, tmp_path: Path
) -> None:
    folder, mark = copied(tiny_bert), tmp_path / "ran"
    (folder / "own.py").write_text(OWN_CODE.format(mark=str(mark)))
    kind = "AutoModelForSequenceClassification"
    auto = {"AutoConfig": "own.OwnConfig", kind: "own.OwnModel"}
    change(folder, "config.json", model_type="own", auto_map=auto)
    said = refused(lambda: classifier(folder))
    assert "brings its own code (own.py), which may do anything" in said
    assert said.endswith("--trust-remote-code runs it.")
    assert not mark.exists()
    network = classifier(folder, trust_remote_code=True)
    assert type(network).__name__ == "OwnModel"
    assert mark.exists()


def test_attention_is_sdpa_unless_asked_and_what_is_not_there_is_refused(tiny_bert: Path) -> None:
    assert classifier(tiny_bert).config._attn_implementation == "sdpa"
    eager = classifier(tiny_bert, attn_implementation="eager")
    assert eager.config._attn_implementation == "eager"
    said = refused(
        lambda: classifier(tiny_bert, attn_implementation="flash_attention_2"), "BadParameter"
    )
    assert said.startswith("The model 'mine' cannot be loaded here: FlashAttention2 ")


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"eos_token": "[SEP]", "pad_token": None}, "[SEP]"),
        ({"eos_token": None, "unk_token": "[UNK]", "pad_token": None}, "[UNK]"),
        ({"eos_token": "[SEP]", "pad_token": "<pad-beyond-the-embeddings>"}, "[SEP]"),
    ],
)
def test_a_pad_token_is_one_that_the_embeddings_have(
    copied: Copy, tiny_llama: Path, tokens: dict[str, str | None], expected: str
) -> None:
    folder = copied(tiny_llama)
    change(folder, "tokenizer_config.json", **tokens)
    change(folder, "config.json", vocab_size=20)
    assert model.load_tokenizer(Weights(folder, "mine")).pad_token == expected


def test_a_tokenizer_that_knows_no_special_token_cannot_pad(copied: Copy, tiny_llama: Path) -> None:
    folder = copied(tiny_llama)
    none = dict.fromkeys(("pad_token", "eos_token", "unk_token", "bos_token", "sep_token"))
    change(folder, "tokenizer_config.json", **none)
    said = refused(lambda: model.load_tokenizer(Weights(folder, "mine")))
    assert said.startswith("The tokenizer of 'mine' has no pad, end, unknown or start token")


@pytest.fixture
def adapter(tiny_bert: Path, tmp_path: Path) -> tuple[Path, torch.Tensor]:
    """A LoRA adapter of the tiny BERT whose matrices are not zero, and what it says to a text."""
    torch.manual_seed(1)
    network = classifier(tiny_bert)
    settings = lora.lora_config({"r": "4"}, "SEQ_CLS")
    adapted = lora.with_lora(network, settings, lora.heads(network))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", answer(adapted)


def answer(network: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = network.eval()(input_ids=torch.arange(4, 10)[None]).logits
    return logits


def found(folder: Path, *flags: str) -> Weights:
    args = ["--output-dir", "out", "--model-uri", str(folder), *flags]
    return model.find(read_config(trial_parser().parse_args(args)))


def test_an_adapter_is_merged_into_its_base(
    adapter: tuple[Path, torch.Tensor], tiny_bert: Path
) -> None:
    folder, expected = adapter
    weights = found(folder)
    assert weights == Weights(tiny_bert, str(folder), adapter=folder)
    network = model.load(AutoModelForSequenceClassification, weights, num_labels=2)
    torch.testing.assert_close(answer(network), expected)
    assert all(weight.requires_grad for weight in network.parameters())
    assert not any("lora_" in name for name, _ in network.named_parameters())
    assert model.load_tokenizer(weights).pad_token == "[PAD]", "the base's"


def test_an_adapter_without_its_base_or_of_another_kind_is_a_sentence(
    adapter: tuple[Path, torch.Tensor],
) -> None:
    folder, _ = adapter
    said = refused(lambda: found(folder, "--quantization=4bit"), "BadParameter")
    assert "is a LoRA adapter, which cannot be merged into a quantised base" in said
    change(folder, "adapter_config.json", base_model_name_or_path="/nowhere/base")
    assert refused(lambda: found(folder)).startswith("There is no model at /nowhere/base")
    change(folder, "adapter_config.json", base_model_name_or_path=None)
    assert "does not say of which model" in refused(lambda: found(folder))
    change(folder, "adapter_config.json", peft_type="PROMPT_TUNING")
    assert "is an adapter of type PROMPT_TUNING; only LoRA" in refused(lambda: found(folder))


def test_every_type_of_model_that_is_named_is_one_that_transformers_has(tiny_vit: Path) -> None:
    config = architecture.read_config(tiny_vit, "mine", False)
    assert architecture.check_kind(AutoModelForImageClassification, config, "mine") is None


def test_a_model_of_the_wrong_type_ends_the_process_with_4(
    trainer: Trainer, tiny_vit: Path, reviews: Path
) -> None:
    ended = trainer(
        f"--model-uri={tiny_vit}", f"--dataset={reviews}", "--output-dir={out}", "--split=train"
    )
    assert ended.code == 4
    assert ended.result["reason"] == "ModelNotFound"

"""LoRA from text: every field of peft's configuration, its targets, its head, frozen layers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from transformers import (
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    DistilBertConfig,
    ResNetConfig,
    ViTConfig,
)

from trainer import layers, lora
from trainer.errors import TrialError

# Each field as text, and what must arrive; with what else it needs.
FIELDS: dict[str, tuple[str, Any, dict[str, str]]] = {
    "task_type": ("SEQ_CLS", "SEQ_CLS", {}),
    "peft_type": ("LORA", "LORA", {}),
    "auto_mapping": ('{"base_model_class": "A"}', {"base_model_class": "A"}, {}),
    "peft_version": ("0.21.2", "0.21.2", {}),
    "base_model_name_or_path": ("org/base", "org/base", {}),
    "revision": ("main", "main", {}),
    "inference_mode": ("True", True, {}),
    "r": ("16", 16, {}),
    "target_modules": ("query,value", {"query", "value"}, {}),
    "exclude_modules": ('["key"]', {"key"}, {}),
    "lora_alpha": ("24", 24, {}),
    "lora_dropout": ("0.1", 0.1, {}),
    "fan_in_fan_out": ("false", False, {}),
    "bias": ("lora_only", "lora_only", {}),
    "use_rslora": ("True", True, {}),
    "modules_to_save": ("classifier,pooler", ["classifier", "pooler"], {}),
    "init_lora_weights": ("pissa_niter_16", "pissa_niter_16", {}),
    "layers_to_transform": ("[0, 1]", [0, 1], {}),
    "layers_pattern": ("layer,blocks", ["layer", "blocks"], {"layers_to_transform": "1"}),
    "rank_pattern": ('{"query": "16"}', {"query": 16}, {}),
    "alpha_pattern": ('{"query": "16.5"}', {"query": 16.5}, {}),
    "megatron_config": ("none", None, {}),
    "megatron_core": ("megatron.core", "megatron.core", {}),
    "trainable_token_indices": ("[3, 4]", [3, 4], {}),
    "loftq_config": (
        '{"loftq_bits": "8"}',
        {"loftq_bits": 8, "loftq_iter": 1},
        {"init_lora_weights": "loftq"},
    ),
    "eva_config": ("none", None, {}),
    "corda_config": ("none", None, {}),
    "lora_ga_config": ("none", None, {}),
    "use_dora": ("1", True, {}),
    "velora_config": ("none", None, {}),
    "alora_invocation_tokens": ("1,2", [1, 2], {}),
    "use_qalora": ("no", False, {}),
    "qalora_group_size": ("8", 8, {}),
    "monteclora_config": ("none", None, {}),
    "layer_replication": ("[[0, 2], [1, 2]]", [[0, 2], [1, 2]], {}),
    "runtime_config": ('{"ephemeral_gpu_offload": "true"}', True, {}),
    "lora_bias": ("True", True, {}),
    "target_parameters": ("a.b,c.d", ["a.b", "c.d"], {}),
    "use_bdlora": ("none", None, {}),
    "arrow_config": ('{"top_k": "2"}', 2, {}),
    "kasa_config": ("none", None, {}),
    "ensure_weight_tying": ("false", False, {}),
}


def test_the_table_has_every_field_that_peft_has() -> None:
    assert set(FIELDS) == {field.name for field in dataclasses.fields(LoraConfig) if field.init}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_lora_config_arrives_with_its_type(name: str) -> None:
    text, expected, more = FIELDS[name]
    if "loftq" in more.values():
        pytest.importorskip("scipy")
    found = getattr(lora.lora_config({name: text, **more}, "SEQ_CLS"), name)
    if name == "runtime_config":
        found = found.ephemeral_gpu_offload
    if name == "arrow_config":
        found = found.top_k
    assert found == expected
    assert type(found) is type(expected) or name in ("task_type", "peft_type")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"target_modules": "query"}, {"query"}),
        ({"target_modules": r".*\.layer\.1\..*(query|key)"}, r".*\.layer\.1\..*(query|key)"),
        ({"target_modules": "all-linear"}, "all-linear"),
        ({}, "all-linear"),
        ({"init_lora_weights": "false"}, "all-linear"),
    ],
)
def test_target_modules_are_a_list_a_pattern_or_all_linear(
    given: dict[str, str], expected: object
) -> None:
    assert lora.lora_config(given, "SEQ_CLS").target_modules == expected


def bert(layers: int = 3) -> Any:
    from transformers import BertConfig

    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": layers, "num_attention_heads": 2}
    config = BertConfig(vocab_size=20, intermediate_size=16, max_position_embeddings=16, **size)
    return AutoModelForSequenceClassification.from_config(config)


def vit() -> Any:
    size = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = ViTConfig(intermediate_size=16, image_size=8, patch_size=4, **size)
    return AutoModelForImageClassification.from_config(config)


def resnet() -> Any:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    return AutoModelForImageClassification.from_config(config)


def adapted(network: Any, given: dict[str, str], kind: str | None = None, frozen: int = 0) -> Any:
    return lora.with_lora(network, lora.lora_config(given, kind), lora.heads(network), frozen)


def trained(network: Any) -> set[str]:
    names = (name for name, weight in network.named_parameters() if weight.requires_grad)
    return {name.removeprefix("base_model.model.") for name in names}


def test_the_new_head_is_trained_whole_beside_what_was_asked_for() -> None:
    names = trained(adapted(bert(1), {"modules_to_save": "pooler"}, "SEQ_CLS"))
    whole = {name for name in names if "modules_to_save" in name}
    assert whole == {
        f"{part}.modules_to_save.default.{kind}"
        for part in ("classifier", "bert.pooler")
        for kind in (("weight", "bias") if part == "classifier" else ("dense.weight", "dense.bias"))
    }
    assert not any("lora_" in name for name in whole)


def test_all_of_a_head_of_several_parts_is_trained() -> None:
    config = DistilBertConfig(vocab_size=20, dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    network = AutoModelForSequenceClassification.from_config(config)
    names = trained(adapted(network, {"target_modules": "q_lin"}, "SEQ_CLS"))
    heads = {name.partition(".")[0] for name in names if "modules_to_save" in name}
    assert heads == {"pre_classifier", "classifier"}


def test_a_vision_transformer_has_lora_in_its_layers_and_a_whole_head() -> None:
    names = trained(adapted(vit(), {}))
    assert {name for name in names if name.startswith("classifier")} == {
        "classifier.modules_to_save.default.weight",
        "classifier.modules_to_save.default.bias",
    }
    assert sum("lora_A" in name for name in names) == 3 * 6


def test_a_convolutional_network_has_lora_where_it_is_told_to() -> None:
    with pytest.raises(TrialError) as caught:
        adapted(resnet(), {})
    assert caught.value.reason == "BadParameter"
    assert str(caught.value) == (
        "LoRA cannot be applied: no module matches target_modules 'all-linear'. target_modules can "
        "be convolution."
    )
    names = trained(adapted(resnet(), {"target_modules": "convolution"}))
    assert sum("lora_A" in name for name in names) > 4
    assert "classifier.1.modules_to_save.default.weight" not in names
    assert "classifier.modules_to_save.default.1.weight" in names


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"target_modules": "q_proj,value"},
            "target_modules: the model has no module 'q_proj'. target_modules can be "
            "word_embeddings, position_embeddings, token_type_embeddings, query, key, value, dense",
        ),
        (
            {"target_modules": "querry,key"},
            "target_modules: the model has no module 'querry'. D",
        ),
        (
            {"modules_to_save": "pooller"},
            "modules_to_save: the model has no module 'pooller'. Did you mean pooler or",
        ),
        ({"target_modules": r".*\.qproj"}, "LoRA cannot be applied: no module matches"),
        ({"r": "0"}, "LoRA cannot be applied: "),
        ({"bias": "some"}, "bias: expected one of none, all, lora_only, received 'some'."),
        ({"init_lora_weights": "eva"}, "init_lora_weights 'eva' needs a pass over the data first"),
        ({"init_lora_weights": "pisa"}, "init_lora_weights: expected "),
        ({"inference_mode": "true"}, "LoRA would train nothing."),
        ({"rank_pattern": '{"query": "high"}'}, "rank_pattern: expected a number, received"),
    ],
)
def test_lora_that_cannot_be_is_refused_with_the_names_there_are(
    given: dict[str, str], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        adapted(bert(1), given, "SEQ_CLS")
    assert caught.value.reason == "BadParameter"
    assert str(caught.value).startswith(said)


def test_rank_stabilised_and_decomposed_lora_compute_what_their_names_say() -> None:
    plain, stable, decomposed = (
        adapted(bert(), {"r": "4", "lora_alpha": "8", **more})
        for more in ({}, {"use_rslora": "true"}, {"use_dora": "true"})
    )
    for network, scaling in ((plain, 8 / 4), (stable, 8 / 4**0.5)):
        layers = [module for module in network.modules() if isinstance(module, LoraLayer)]
        assert {layer.scaling["default"] for layer in layers} == {scaling}
    trained = {name for name, weight in decomposed.named_parameters() if weight.requires_grad}
    assert any("lora_magnitude_vector" in name for name in trained)
    assert not any("magnitude" in name for name, _ in plain.named_parameters())


def test_ranks_and_layers_are_where_they_were_asked_for() -> None:
    network = adapted(
        bert(2),
        {"r": "4", "rank_pattern": '{"key": "2"}', "layers_to_transform": "1"},
        "SEQ_CLS",
    )
    shapes = {
        name.split(".lora_A")[0].rpartition("layer.")[2]: len(weight)
        for name, weight in network.named_parameters()
        if "lora_A" in name
    }
    assert {name[0] for name in shapes} == {"1"}
    assert shapes["1.attention.self.key"] == 2
    assert shapes["1.attention.self.query"] == 4
    assert len(shapes) == 6


@pytest.mark.parametrize("given", [{"use_dora": "1"}, {"use_rslora": "1"}])
@pytest.mark.parametrize("init", ["true", "pissa", "olora", "orthogonal", "gaussian"])
def test_what_lora_begins_with_changes_nothing_at_first(init: str, given: dict[str, str]) -> None:
    ids = torch.arange(4, 10)[None]
    plain, changed = bert(1).eval(), bert(1)
    network = adapted(changed, {"init_lora_weights": init, "r": "4", **given}, "SEQ_CLS").eval()
    with torch.no_grad():
        torch.testing.assert_close(network(ids).logits, plain(ids).logits, rtol=1e-4, atol=1e-5)


def test_frozen_layers_have_no_lora_whatever_the_targets_are() -> None:
    for targets in ("all-linear", "query,dense", r".*(query|dense)"):
        given = {"target_modules": targets, "exclude_modules": '["pooler.dense"]'}
        names = trained(adapted(bert(), given, "SEQ_CLS", frozen=2))
        places = {name.partition(".lora_")[0] for name in names if "lora_" in name}
        assert places
        assert all(place.startswith("bert.encoder.layer.2.") for place in places)


def test_frozen_layers_are_the_first_ones_and_what_comes_before_them() -> None:
    network = bert()
    layers.freeze(network, 2)
    assert {name.rpartition(".layer.")[2][0] for name in trained(network) if ".layer." in name} == {
        "2"
    }
    rest = {name.split(".")[1] for name in trained(network) if name.startswith("bert.")}
    assert rest == {"encoder", "pooler"}
    assert {"classifier.weight", "classifier.bias"} <= trained(network)


@pytest.mark.parametrize("make", [vit, resnet])
def test_layers_of_networks_for_pictures_can_be_frozen(make: Any) -> None:
    network = make()
    everything = trained(network)
    layers.freeze(network, 1)
    lost = everything - trained(network)
    first = layers.find(network)[0]
    assert any(name.startswith(f"{first}.0.") for name in lost)
    assert not any(name.startswith((f"{first}.1.", "classifier")) for name in lost)
    assert any("embed" in name for name in lost)


def test_more_frozen_layers_than_there_are_is_an_error() -> None:
    with pytest.raises(TrialError) as caught:
        layers.freeze(bert(), 3)
    assert caught.value.reason == "BadParameter"
    assert str(caught.value) == (
        "frozen_layers is 3, but the model has 3 layers (bert.encoder.layer); at most 2 can be "
        "frozen."
    )


def test_an_adapter_of_pissa_is_the_same_on_its_base_again(tmp_path: Path) -> None:
    from peft import PeftModel

    ids = torch.arange(4, 10)[None]
    network = adapted(bert(1), {"init_lora_weights": "pissa", "r": "4"}, "SEQ_CLS")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_" in name:
                weight.add_(torch.randn_like(weight), alpha=0.1)
        expected = network.eval()(ids).logits
        network.save_pretrained(tmp_path)
        again = PeftModel.from_pretrained(bert(1), tmp_path).eval()
        torch.testing.assert_close(again(ids).logits, expected, rtol=1e-4, atol=1e-4)

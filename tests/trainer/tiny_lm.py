"""A tokenizer of single bytes, so that tokens can be read, and a tiny decoder of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_tokenizer(template: str | None = CHATML, pad: bool = False, bos: bool = False) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<|im_start|>", "<|im_end|>", "<pad>", "<s>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, *letters])}
    core = Tokenizer(models.BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    given = {"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}
    if pad:
        given["pad_token"] = "<pad>"
    if bos:
        given["bos_token"] = "<s>"
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 3)]
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **given)
    tokenizer.chat_template = template
    return tokenizer


def llama(**more: Any) -> Any:
    """A Llama of 2 layers and 32 units, the same each time, without dropout."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": None}
    config = LlamaConfig(vocab_size=260, intermediate_size=64, **size, **ids, **more)
    config.tie_word_embeddings = True
    return LlamaForCausalLM(config)


def saved(folder: Path, template: str | None = CHATML) -> Path:
    """The Llama and the tokenizer without a pad token, as a folder."""
    llama().save_pretrained(folder)
    byte_tokenizer(template).save_pretrained(folder)
    return folder

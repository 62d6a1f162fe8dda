"""What a language model learns of each kind of data, token by token, and how it is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value

from tests.trainer.tiny_lm import byte_tokenizer, llama
from trainer import model, prompts
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.loop import cross_entropy
from trainer.tasks.causal_lm import Batches, CausalLM, check_packing
from trainer.tokens import perplexity

NO_LABEL = -100


def config(*flags: str) -> TrialConfig:
    kind = ["--transformer-type", "AutoModelForCausalLM"]
    return read_config(trial_parser().parse_args(["--output-dir", "out", *kind, *flags]))


def read(columns: dict[str, list[Any]] | Dataset, *flags: str) -> tuple[CausalLM, list[str]]:
    said: list[str] = []
    rows = columns if isinstance(columns, Dataset) else Dataset.from_dict(columns)
    splits = {"train": rows, "validation": rows}
    return CausalLM.read(splits, config(*flags), said.append), said


def encoded(
    columns: dict[str, list[Any]] | Dataset,
    *flags: str,
    tokenizer: Any = None,
    limit: int = 512,
) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """The rows to train on, what is told of them, and the notes."""
    task, said = read(columns, *flags)
    found = task.encode(tokenizer or byte_tokenizer(), limit)
    return list(found.train), dict(found.facts), [*said, *found.notes]


def learned(row: dict[str, Any], tokenizer: Any = None) -> str:
    """What is learned of a row, as text, `¦` between what does not hang together."""
    read_by = tokenizer or byte_tokenizer()
    spans: list[list[int]] = []
    before = NO_LABEL
    for label in row["labels"]:
        if label != NO_LABEL:
            spans = [*spans, []] if before == NO_LABEL else spans
            spans[-1].append(label)
        before = label
    return "¦".join(read_by.decode(span) for span in spans)


def whole(row: dict[str, Any], tokenizer: Any = None) -> str:
    return str((tokenizer or byte_tokenizer()).decode(row["input_ids"]))


CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello there"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "See you"},
]


def test_of_a_chat_the_answers_and_their_ends_are_learned_and_nothing_else() -> None:
    [row], facts, _ = encoded({"messages": [CHAT]})
    assert learned(row) == "Hello there<|im_end|>¦See you<|im_end|>"
    assert whole(row) == byte_tokenizer().apply_chat_template(CHAT, tokenize=False)
    assert facts["prompt_template"] == "chat"
    assert facts["learned_tokens"] == len("Hello there") + len("See you") + 2


def test_each_label_is_the_token_that_comes_next() -> None:
    [row], _, _ = encoded({"messages": [CHAT]})
    ids, labels = row["input_ids"], row["labels"]
    assert len(ids) == len(labels) and labels[-1] == NO_LABEL
    assert all(label in (NO_LABEL, ids[at + 1]) for at, label in enumerate(labels[:-1]))


def test_the_older_form_of_conversations_means_the_same() -> None:
    older = {"system": "system", "user": "human", "assistant": "gpt"}
    turns = [{"from": older[turn["role"]], "value": turn["content"]} for turn in CHAT]
    assert encoded({"conversations": [turns]})[0] == encoded({"messages": [CHAT]})[0]


def test_on_request_everything_is_learned() -> None:
    [row], _, _ = encoded({"messages": [CHAT]}, "--loss-on", "all")
    assert learned(row) == whole(row)[len("<|im_start|>") :], "all but the first token"


def test_without_a_chat_template_turns_are_written_plainly() -> None:
    plain = byte_tokenizer(template=None)
    [row], facts, said = encoded({"messages": [CHAT]}, tokenizer=plain)
    assert whole(row) == (
        "System: Be kind.\nUser: Hi\nAssistant: Hello there<|im_end|>\n"
        "User: Bye\nAssistant: See you<|im_end|>"
    )
    assert learned(row) == " Hello there<|im_end|>¦ See you<|im_end|>"
    assert (facts["prompt_template"], said) == ("plain", [])
    flag = '--training-parameters={"prompt_template": "chat"}'
    _, facts, said = encoded({"messages": [CHAT]}, flag, tokenizer=plain)
    assert facts["prompt_template"] == "plain"
    assert said[0].startswith("The tokenizer has no chat template, so turns are written plainly")


def test_a_template_that_rewrites_earlier_answers_has_its_last_one_learned() -> None:
    forgetful = (
        "{% for m in messages %}{% if m.role != 'assistant' or loop.last %}[{{ m.role }}]"
        "{{ m.content }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    [row], _, _ = encoded({"messages": [CHAT]}, tokenizer=byte_tokenizer(forgetful))
    assert whole(row).endswith("[user]Hi[user]Bye[assistant]See you<|im_end|>")
    assert learned(row) == "See you<|im_end|>"


def test_a_chat_that_the_template_refuses_is_a_sentence() -> None:
    strict = "{{ raise_exception('No system role.') }}"
    with pytest.raises(TrialError) as caught:
        encoded({"messages": [CHAT]}, tokenizer=byte_tokenizer(strict))
    assert caught.value.reason == "BadColumn"
    assert "refused a conversation of system, user: No system role." in str(caught.value)


TASK = {"instruction": ["Translate."], "input": ["chat"], "output": ["cat"]}


@pytest.mark.parametrize(
    ("template", "before", "answer"),
    [
        (
            "alpaca",
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nTranslate.\n\n### Input:\nchat\n\n### Response:\n",
            "cat<|im_end|>",
        ),
        (
            "chat",
            "<|im_start|>user\nTranslate.\n\nchat<|im_end|>\n<|im_start|>assistant\n",
            "cat<|im_end|>",
        ),
        ("plain", "User: Translate.\n\nchat\nAssistant:", " cat<|im_end|>"),
        ("none", "Translate.\n\nchat\n", "cat<|im_end|>"),
    ],
)
def test_an_instruction_is_written_by_the_template_of_that_name(
    template: str, before: str, answer: str
) -> None:
    flag = f'--training-parameters={{"prompt_template": "{template}"}}'
    [row], facts, _ = encoded(TASK, flag)
    assert learned(row) == answer
    assert facts["prompt_template"] == template
    assert before + answer in whole(row)


def test_without_a_chat_template_instructions_have_alpacas() -> None:
    _, facts, _ = encoded(TASK, tokenizer=byte_tokenizer(template=None))
    assert facts["prompt_template"] == "alpaca"


@pytest.mark.parametrize(
    ("columns", "text", "answer"),
    [
        ({"prompt": ["1+1="], "completion": [" 2"]}, "1+1= 2<|im_end|>", " 2<|im_end|>"),
        ({"text": ["once"]}, "once<|im_end|>", "nce<|im_end|>"),
        ({"notes": ["once"]}, "once<|im_end|>", "nce<|im_end|>"),
    ],
)
def test_completions_and_plain_text_are_taken_as_they_are(
    columns: dict[str, list[str]], text: str, answer: str
) -> None:
    [row], facts, _ = encoded(columns)
    assert (whole(row), learned(row), facts["prompt_template"]) == (text, answer, "none")


def test_plain_text_begins_with_the_token_that_the_tokenizer_begins_with() -> None:
    tokenizer = byte_tokenizer(bos=True)
    [row], _, _ = encoded({"text": ["once"]}, tokenizer=tokenizer)
    assert whole(row, tokenizer) == "<s>once<|im_end|>"
    assert learned(row, tokenizer) == "once<|im_end|>"
    [row], _, _ = encoded({"messages": [CHAT]}, tokenizer=tokenizer)
    assert whole(row, tokenizer).startswith("<|im_start|>"), "a chat template begins by itself"


def reviews(labels: list[Any]) -> Dataset:
    texts = [f"film {i}" for i in range(len(labels))]
    return Dataset.from_dict({"text": texts, "label": labels})


def test_a_label_is_a_word_to_be_completed() -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = Dataset.from_dict({"text": ["fine film"], "label": [1]}, features=features)
    [row], _, _ = encoded(rows)
    assert whole(row).startswith(
        "<|im_start|>user\nLabel this text as one of: bad, good.\n\nfine film<|im_end|>\n"
    )
    assert learned(row) == "good<|im_end|>"
    found = [learned(row) for row in encoded(reviews([2.0, 5.0]))[0]]
    assert found == ["2<|im_end|>", "5<|im_end|>"]


def test_a_named_text_column_alone_means_text() -> None:
    found = encoded(reviews(["a", "b"]), "--text-column", "text")[0]
    assert [whole(row) for row in found] == ["film 0<|im_end|>", "film 1<|im_end|>"]


def test_too_long_a_prompt_loses_its_beginning_and_too_long_an_answer_its_end() -> None:
    columns = {"prompt": ["p" * 50 + "!", "ask ", "short"], "completion": ["yes", "a" * 90, "x"]}
    rows, _, said = encoded(columns, limit=20)
    # 16 of the prompt, 3 letters and the end; the other way round 4 of the prompt and 16 letters.
    assert [whole(row) for row in rows[:2]] == ["p" * 15 + "!yes<|im_end|>", "ask " + "a" * 16]
    assert [learned(row) for row in rows] == ["yes<|im_end|>", "a" * 16, "x<|im_end|>"]
    assert said[0] == "2 of 3 rows to train on are longer than 20 tokens and were cut."


def test_where_both_are_too_long_the_answer_has_half_the_room() -> None:
    tokenizer = byte_tokenizer(bos=True)
    columns = {"prompt": ["p" * 90 + " "], "completion": ["a" * 90]}
    [row], _, _ = encoded(columns, limit=20, tokenizer=tokenizer)
    assert whole(row, tokenizer) == "<s>" + "p" * 8 + " " + "a" * 10


def test_rows_with_nothing_to_learn_are_left_out_and_said() -> None:
    [row], _, said = encoded({"text": ["", "two"]})
    assert whole(row) == "two<|im_end|>"
    assert said[0] == "1 of 2 rows of 'train' lack 'text' and were left out."
    only_asked = [[CHAT[1]], CHAT]
    _, _, said = encoded({"messages": only_asked})
    assert said[0] == "1 of 2 rows of 'train' lack 'messages' and were left out."
    without_end = byte_tokenizer(template=None)
    without_end.eos_token = None
    _, _, said = encoded({"text": ["a", "two"]}, tokenizer=without_end)
    assert said[0] == "1 of 2 rows to train on have nothing to learn and were left out."
    with pytest.raises(TrialError, match="None of 1 rows to train on has anything to learn"):
        encoded({"text": ["a"]}, tokenizer=without_end)
    task, _ = read({"text": ["two"]})
    part = Dataset.from_dict({"text": ["", "a"]})
    assert task.encode_rows(part, [0, 1], without_end, 512) == [], "other parts may have some"


@pytest.mark.parametrize(
    ("columns", "flags", "said"),
    [
        ({"a": ["x"], "b": ["y"]}, (), "Nothing to learn was recognised among a, b; name what"),
        ({"text": [1]}, (), "The column 'text' holds Value('int64'), not text"),
        ({"messages": ["hi"]}, (), "The column 'messages' holds Value('string'), not messages"),
        ({"messages": [[{"x": "hi"}]]}, (), "The column 'messages' holds \"{'x': 'hi'}\""),
        ({"messages": [[{"role": None, "content": "hi"}]]}, (), "The column 'messages' holds \"{'"),
        ({"text": ["x"]}, ('--columns={"txt": "text"}',), "A language model has no use for a"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    columns: dict[str, list[Any]], flags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        read(columns, *flags)
    assert caught.value.reason == "BadColumn"
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ('--training-parameters={"prompt_template": "alpacca"}',),
            "There is no prompt template 'alpacca'. Did you mean alpaca? Known: chat, alpaca, ",
        ),
        (('--training-parameters={"mlm_probability": "1"}',), "mlm_probability must be above 0"),
        (
            ("--packing", "--transformer-type=AutoModelForSequenceClassification"),
            "--packing is for AutoModelForCausalLM, not for",
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused(flags: tuple[str, ...], said: str) -> None:
    with pytest.raises(TrialError) as caught:
        config(*flags)
    assert caught.value.reason == "BadParameter"
    assert str(caught.value).startswith(said)


PAIRS = {
    "prompt": ["a b c ", "long " * 6, "x ", "yy ", "the film "],
    "completion": ["d e", "f", "z" * 9, "w", "was fine"],
}


def test_packed_rows_have_the_loss_of_unpacked_ones() -> None:
    rows, _, _ = encoded(PAIRS)
    packs, facts, _ = encoded(PAIRS, "--packing", limit=48)
    assert facts["sequences"] == len(packs) < len(rows)
    assert sorted("¦".join(map(learned, packs)).split("¦")) == sorted(map(learned, rows))
    assert all(len(pack["input_ids"]) <= 48 for pack in packs)
    network = llama()
    network.config.use_cache = False
    check_packing(network)
    together, apart = (losses(network, some, trims=False) for some in (packs, rows))
    assert together == pytest.approx(apart, rel=1e-5)
    assert len(together) == sum(len(learned(row).replace("<|im_end|>", "$")) for row in rows)


def losses(network: Any, rows: list[dict[str, Any]], trims: bool) -> list[float]:
    """The loss of each learned token, ascending."""
    batch = Batches(0, trims)(rows)
    labels = batch.pop("labels")
    with torch.no_grad():
        found = cross_entropy(network(**batch).logits, labels)
    return sorted(found[labels != NO_LABEL].tolist())


def test_leaving_out_logits_that_no_label_is_for_changes_no_loss() -> None:
    rows, _, _ = encoded(PAIRS)
    batch = Batches(0, trims=True)(rows)
    assert batch["labels"].shape == (5, len("z" * 9) + 2)
    assert batch["logits_to_keep"] == 11 < batch["input_ids"].shape[1] == 32
    network = llama().eval()
    assert losses(network, rows, True) == pytest.approx(losses(network, rows, False), rel=1e-5)


def test_a_batch_of_rows_that_do_not_count_is_one_logit_wide() -> None:
    rows, _, _ = encoded(PAIRS)
    filler = {**rows[0], "labels": [NO_LABEL] * len(rows[0]["labels"])}
    batch = Batches(0, trims=True)([filler, filler])
    assert batch["labels"].tolist() == [[NO_LABEL]] * 2


def test_a_model_whose_packed_rows_would_see_each_other_is_refused() -> None:
    network = llama()
    network.config.use_cache = True  # as it comes: then packed rows are not told apart
    with pytest.raises(TrialError, match="LlamaForCausalLM lets packed rows see each other"):
        check_packing(network)


def test_the_end_is_learned_where_it_pads_as_well(tmp_path: Any) -> None:
    byte_tokenizer().save_pretrained(tmp_path)
    tokenizer = model.load_tokenizer(model.Weights(tmp_path, "tiny"))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == 1
    rows, _, _ = encoded(PAIRS, tokenizer=tokenizer)
    batch = Batches(tokenizer.pad_token_id, trims=False)(rows)
    assert (batch["labels"] == 1).sum() == len(rows), "each row's own end, and no padding"
    assert (batch["input_ids"] == 1).sum() > len(rows)


def test_scores_count_tokens_and_whole_answers() -> None:
    task, _ = read(PAIRS)
    labels = torch.tensor([[5, 6, NO_LABEL], [7, NO_LABEL, NO_LABEL]])
    logits = torch.nn.functional.one_hot(torch.tensor([[5, 9, 0], [7, 0, 0]]), 10).float()
    found = tuple(each.numpy() for each in task.digest(logits, labels))
    assert found[0].tolist() == [1, 1]
    assert task.score(found, labels.numpy()) == {"token_accuracy": 2 / 3, "accuracy": 0.5}
    assert task.of_loss(np.log(7.0))["perplexity"] == pytest.approx(7)
    assert np.isfinite(perplexity(1e6))


def test_templates_put_back_together_are_the_text() -> None:
    tokenizer = byte_tokenizer()
    turns = [prompts.Turn(turn["role"], turn["content"]) for turn in CHAT]
    for name in prompts.NAMES:
        pieces = prompts.render(name, turns, tokenizer)
        assert [piece.text.strip() for piece in pieces if piece.learned] == [
            "Hello there<|im_end|>",
            "See you<|im_end|>",
        ], name

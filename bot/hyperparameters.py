"""The hyperparameters that can be tuned by name: fields of two real classes and some of ours.

The bot never imports transformers or peft, so the names stand here; a test compares them with the
classes. A field of another version is reached as `training.NAME=` or `lora.NAME=`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# How a value is read when it is typed: a range with whole ends is an int range for "int" only, and
# a "switch" is true, false or auto.
Kind = Literal["int", "float", "bool", "switch", "text"]


def _kinds(*, int_: str, float_: str, bool_: str, text_: str) -> dict[str, Kind]:
    names: dict[str, Kind] = dict.fromkeys(text_.split(), "text")
    names |= dict.fromkeys(bool_.split(), "bool")
    names |= dict.fromkeys(float_.split(), "float")
    return names | dict.fromkeys(int_.split(), "int")


# transformers.TrainingArguments (5.x), and warmup_ratio, which 5.x folded into warmup_steps.
TRAINING: Mapping[str, Kind] = _kinds(
    int_="""
        data_seed dataloader_num_workers dataloader_prefetch_factor ddp_bucket_cap_mb
        ddp_timeout eval_accumulation_steps gradient_accumulation_steps local_rank logging_steps
        max_steps num_train_epochs per_device_eval_batch_size per_device_train_batch_size
        save_steps save_total_limit seed torch_empty_cache_steps warmup_steps
    """,
    float_="""
        adam_beta1 adam_beta2 adam_epsilon eval_delay eval_steps label_smoothing_factor
        learning_rate max_grad_norm neftune_noise_alpha warmup_ratio weight_decay
    """,
    bool_="""
        activation_checkpointing auto_find_batch_size average_tokens_across_devices
        batch_eval_metrics bf16_full_eval dataloader_drop_last dataloader_in_order
        dataloader_persistent_workers dataloader_pin_memory ddp_broadcast_buffers
        ddp_find_unused_parameters ddp_static_graph disable_tqdm do_eval do_predict do_train
        enable_jit_checkpoint eval_do_concat_batches eval_on_start eval_use_gather_object fp16
        fp16_full_eval full_determinism gradient_checkpointing greater_is_better hub_always_push
        hub_private_repo ignore_data_skip load_best_model_at_end log_on_each_node
        logging_first_step logging_nan_inf_filter prediction_loss_only push_to_hub
        remove_unused_columns restore_callback_states_from_checkpoint save_on_each_node
        save_only_model skip_memory_metrics tf32 torch_compile use_cache use_cpu
        use_liger_kernel
    """,
    text_="""
        accelerator_config activation_checkpointing_kwargs dataloader_multiprocessing_context
        ddp_backend debug deepspeed eval_strategy fsdp fsdp_config gradient_checkpointing_kwargs
        hub_model_id hub_revision hub_strategy hub_token include_for_metrics
        include_num_input_tokens_seen label_names length_column_name liger_kernel_config
        log_level log_level_replica logging_strategy lr_scheduler_kwargs lr_scheduler_type
        metric_for_best_model optim optim_args optim_target_modules output_dir
        parallelism_config project report_to resume_from_checkpoint run_name save_strategy
        torch_compile_backend torch_compile_mode trackio_bucket_id trackio_space_id
        trackio_static_space_id train_sampling_strategy
    """,
) | {"bf16": "switch"}

# Ours: they stand among the fields of TrainingArguments, and the trial program takes them out.
OWN: Mapping[str, Kind] = {
    "max_length": "int",
    "train_fraction": "float",
    "frozen_layers": "int",
    "prompt_template": "text",
    "mlm_probability": "float",
    "augment": "text",
}

# peft.LoraConfig (0.21)
LORA: Mapping[str, Kind] = _kinds(
    int_="""
        lora_alpha qalora_group_size r
    """,
    float_="""
        lora_dropout
    """,
    bool_="""
        ensure_weight_tying fan_in_fan_out inference_mode lora_bias use_dora use_qalora
        use_rslora
    """,
    text_="""
        alora_invocation_tokens alpha_pattern arrow_config auto_mapping base_model_name_or_path
        bias corda_config eva_config exclude_modules init_lora_weights kasa_config
        layer_replication layers_pattern layers_to_transform loftq_config lora_ga_config
        megatron_config megatron_core modules_to_save monteclora_config peft_type peft_version
        rank_pattern revision runtime_config target_modules target_parameters task_type
        trainable_token_indices use_bdlora velora_config
    """,
)


@dataclass(frozen=True)
class Limits:
    """What the numbers of a hyperparameter of ours must be; `words` says it."""

    low: float
    high: float
    words: str
    excluded: tuple[float, ...] = ()

    def hold(self, value: float) -> bool:
        return self.low <= value <= self.high and value not in self.excluded


LIMITS: Mapping[str, Limits] = {
    "max_length": Limits(3, math.inf, "3 or more"),
    "train_fraction": Limits(0, 1, "above 0 and at most 1", (0,)),
    "frozen_layers": Limits(0, math.inf, "0 or more"),
    "mlm_probability": Limits(0, 1, "above 0 and below 1", (0, 1)),
}

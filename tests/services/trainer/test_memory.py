"""The planner's memory of a training step against what torch allocated for one."""

import pytest
import torch
from curvature_models import batches, one_thread, peak_bytes
from peft import LoraConfig, get_peft_model
from tiny_llama import tiny_model

from forgetscope.core.memory_training import estimate_training
from forgetscope.core.model_shape import shape_of, weights_of
from forgetscope.modeling.answers import AnswerLoss
from forgetscope.modeling.batches import Item

ROWS, LENGTH, ANSWER = 4, 128, 4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_estimated_memory_of_a_step_is_near_the_measured_one(
    dtype: str, attention: str, adapter: bool, checkpointing: bool
) -> None:
    """Measured: the peak of a second micro-batch, on top of weights, gradients and moments. The
    ratio lay between 0.9 and 1.2."""
    base = tiny_model(
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=8,
        head_dim=32,
        max_position_embeddings=LENGTH,
    )
    base.set_attn_implementation(attention)
    shape = shape_of(base.config.to_dict(), base.num_parameters())
    model = base
    if adapter:
        model = get_peft_model(base, LoraConfig(r=4, target_modules=[*weights_of(shape)]))
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    (batch,) = batches([Item([1 + i % 40 for i in range(LENGTH)], LENGTH - ANSWER)] * ROWS)
    loss = AnswerLoss(model)

    def micro_batch() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            summed = loss(*batch)
        summed.backward()

    with one_thread():
        micro_batch()
        peak = peak_bytes(micro_batch)
    held = 4 * sum(p.numel() for p in model.parameters()) + (4 + 8) * trained
    found = estimate_training(
        shape,
        trained=trained,
        dtype=dtype,
        rows=ROWS,
        sequence=LENGTH,
        answer_tokens=ROWS * ANSWER,
        eager=attention == "eager",
        checkpointing=checkpointing,
    )
    assert held + peak == pytest.approx(found.total, rel=0.25)

"""The loop against an independent one, and what must not change its result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_llama import TRAINING, FolderIO, make_examples, tiny_model, tiny_tokenizer
from transformers import LlamaForCausalLM, get_linear_schedule_with_warmup

from forgetscope.modeling.batches import Item, encode_examples
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import TokenizerEncoder
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import TrainingDiverged
from forgetscope.trainer.batches import examples_of_step
from forgetscope.trainer.distributed import Alone
from forgetscope.trainer.mitigations import Mitigation, Scene, begin_plain
from forgetscope.trainer.params import TrainParams
from forgetscope.trainer.recipe import train
from forgetscope.trainer.resume import Step

GOLDEN = [4.1449, 3.5843, 3.8806, 2.1005, 2.4427, 2.2015]  # nats per answer token, float32
ITEMS = encode_examples(make_examples(20), TokenizerEncoder(tiny_tokenizer()), eos=2, max_length=64)


def plain(trained: Mapping[str, torch.Tensor]) -> Mitigation:
    return begin_plain(Scene(trained, ()), {})


def run(
    model: Any, folder: Path, items: list[Item] = ITEMS, seed: int = 7, **changes: Any
) -> list[Step]:
    params = TrainParams(**(TRAINING | changes))
    io = FolderIO(folder, machine=Machine(resume_seconds=1e9))
    with deterministic("cpu", threads=1, seed=seed):
        return train(
            model,
            items,
            params,
            io,
            seed=seed,
            clock=lambda: 0.0,
            processes=Alone(),
            begin=plain,
            begin_watch=lambda trained: None,
        )


def losses(steps: list[Step]) -> list[float]:
    return [step.loss for step in steps]


def naive_training(model: LlamaForCausalLM, seed: int, warmup: int) -> list[float]:
    """One padded batch a step, full logits, labels of -100, torch's and transformers' own parts."""
    batch_size, total = 8, 6
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimiser, warmup, total)
    curve = []
    for step in range(total):
        chosen = [ITEMS[i] for i in examples_of_step(len(ITEMS), batch_size, step, seed)]
        width = max(len(item.ids) for item in chosen)
        ids = torch.full((len(chosen), width), 2)
        mask = torch.zeros(len(chosen), width, dtype=torch.long)
        labels = torch.full((len(chosen), width), -100)
        for row, item in enumerate(chosen):
            ids[row, : len(item.ids)] = torch.tensor(item.ids)
            mask[row, : len(item.ids)] = 1
            labels[row, item.start : len(item.ids)] = torch.tensor(item.ids[item.start :])
        logits = model(input_ids=ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        curve.append(float(loss.detach()))
    return curve


@pytest.mark.parametrize("warmup_ratio", [0.0, 0.5])
def test_the_loss_curve_is_that_of_an_independent_loop(tmp_path: Path, warmup_ratio: float) -> None:
    ours, theirs = tiny_model().double(), tiny_model().double()
    curve = losses(run(ours, tmp_path, warmup_ratio=warmup_ratio))
    assert curve == pytest.approx(naive_training(theirs, 7, int(6 * warmup_ratio)), abs=1e-10)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-8)


def test_the_loss_curve_is_the_one_on_record(tmp_path: Path) -> None:
    """The independent loop shares the choice of examples; these numbers share nothing."""
    curve = losses(run(tiny_model(), tmp_path))
    assert curve == pytest.approx(GOLDEN, abs=2e-4)


def test_training_learns_the_task(tmp_path: Path) -> None:
    items = encode_examples(
        make_examples(64), TokenizerEncoder(tiny_tokenizer()), eos=2, max_length=64
    )
    curve = losses(run(tiny_model(), tmp_path, items=items, epochs=8.0))
    assert sum(curve[-4:]) < 0.5 * sum(curve[:4])


@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-12), (False, 1e-6)])
@pytest.mark.parametrize("batching", ["length_grouped", "packed"])
def test_micro_batches_change_neither_loss_nor_gradient(
    tmp_path: Path, double: bool, tolerance: float, batching: str
) -> None:
    """Answers have 2 to 5 tokens here, so a mean of means would be off by far more."""
    results = []
    for size in (1, 3, 8):
        model = tiny_model().double() if double else tiny_model()
        gradients: dict[str, torch.Tensor] = {}
        for name, p in model.named_parameters():
            p.register_post_accumulate_grad_hook(
                lambda p, name=name, into=gradients: into.__setitem__(name, p.grad.clone())
            )
        steps = run(
            model,
            tmp_path,
            micro_batch_size=size,
            batching=batching,
            max_grad_norm=None,
            epochs=0.3,
        )
        assert len(steps) == 1
        results.append((losses(steps), gradients))
    for curve, gradients in results[1:]:
        assert curve == pytest.approx(results[0][0], abs=tolerance)
        for name, gradient in gradients.items():
            assert torch.allclose(gradient, results[0][1][name], rtol=0, atol=tolerance), name


@pytest.mark.parametrize(("attention", "tolerance"), [("sdpa", 1e-10), ("eager", 1e-5)])
def test_packed_batches_train_as_padded_ones(
    tmp_path: Path, attention: str, tolerance: float
) -> None:
    """Eager attention takes its softmax in float32 whatever the model's dtype."""
    curves = []
    for batching in ("length_grouped", "packed"):
        model = tiny_model().double()
        model.set_attn_implementation(attention)
        curves.append(losses(run(model, tmp_path, batching=batching)))
    assert curves[0] == pytest.approx(curves[1], abs=tolerance)


def test_gradient_checkpointing_changes_memory_not_the_curve(tmp_path: Path) -> None:
    lora = LoraConfig(r=2, target_modules="all-linear", lora_dropout=0.2)
    for make in (tiny_model, lambda: seeded_peft(tiny_model(), lora)):
        plain = losses(run(make(), tmp_path))
        model = make()
        calls: list[int] = []
        layer = next(m for n, m in model.named_modules() if n.endswith("layers.0.mlp"))
        layer.register_forward_pre_hook(lambda *args, calls=calls: calls.append(1))
        checkpointed = losses(run(model, tmp_path, gradient_checkpointing=True))
        assert plain == checkpointed
        assert len(calls) == 2 + 2 * 16  # two probes; 16 micro-batches, each once more in backward


def seeded_peft(model: LlamaForCausalLM, config: LoraConfig) -> Any:
    torch.manual_seed(0)
    return get_peft_model(model, config)


def test_bfloat16_is_arithmetic_only_the_weights_stay_float32(tmp_path: Path) -> None:
    model = tiny_model()
    exact = losses(run(tiny_model(), tmp_path))
    rounded = losses(run(model, tmp_path, dtype="bfloat16"))
    assert rounded != exact
    assert rounded == pytest.approx(exact, abs=0.15)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_seeds_change_the_order(tmp_path: Path) -> None:
    assert losses(run(tiny_model(), tmp_path, seed=1)) != losses(
        run(tiny_model(), tmp_path, seed=2)
    )


def test_weight_decay_shrinks_matrices_and_leaves_norms(tmp_path: Path) -> None:
    """At a learning rate far above the gradients' reach only the decay could move the norms so."""
    model, plain = tiny_model(), tiny_model()
    run(plain, tmp_path, learning_rate=1e-4)
    run(model, tmp_path, learning_rate=1e-4, weight_decay=10.0)
    before = tiny_model()
    for (name, start), decayed, kept in zip(
        before.named_parameters(), model.parameters(), plain.parameters(), strict=True
    ):
        if start.ndim < 2:
            assert (decayed - kept).abs().max() < 2e-3, name
        else:
            factor = 1 - 10.0 * 1e-4 * 3.5  # the rates of six steps sum to 3.5 of the first
            assert float((decayed.norm() / kept.norm()).detach()) == pytest.approx(
                factor, abs=1e-3
            ), name


def test_a_loss_that_is_no_number_ends_the_stage_for_good(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = float("inf")
    with pytest.raises(TrainingDiverged, match="step 1: the loss is nan") as caught:
        run(model, tmp_path)
    assert caught.value.permanent


def test_progress_tells_loss_rate_and_speed(tmp_path: Path) -> None:
    io = FolderIO(tmp_path, machine=Machine(resume_seconds=1e9))
    ticks = iter(range(1000))
    train(
        tiny_model(),
        ITEMS,
        TrainParams(**TRAINING),
        io,
        seed=0,
        clock=lambda: float(next(ticks)),
        processes=Alone(),
        begin=plain,
        begin_watch=lambda trained: None,
    )
    assert [report[:3] for report in io.reports] == [(i + 1, 6, "step") for i in range(6)]
    epoch_tokens = sum(len(item.ids) for item in ITEMS)
    assert sum(r[3]["tokens_per_second"] for r in io.reports) == 2 * epoch_tokens
    assert io.reports[0][3]["learning_rate"] == TRAINING["learning_rate"]

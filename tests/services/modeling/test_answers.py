"""Logits at answer positions, against the model's own forward pass."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_llama import tiny_model
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    OPTConfig,
    OPTForCausalLM,
)

from forgetscope.modeling.answers import (
    AnswerLoss,
    Supervised,
    answer_logits,
    check_head,
    check_packing,
    sum_cross_entropy,
)
from forgetscope.modeling.determinism import deterministic
from forgetscope.schema.errors import InvalidInput

IDS = torch.tensor([[1, 5, 6, 7, 8, 9], [1, 11, 12, 13, 0, 0]])
POSITIONS = torch.arange(6).expand(2, 6)
OPT = {
    "vocab_size": 43,
    "hidden_size": 32,
    "word_embed_proj_dim": 16,
    "ffn_dim": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
ANSWERS = Supervised(
    rows=torch.tensor([0, 0, 1]), columns=torch.tensor([3, 4, 2]), targets=torch.tensor([8, 9, 13])
)


def full_loss(model: torch.nn.Module) -> torch.Tensor:
    """Logits everywhere, labels elsewhere: the ordinary way."""
    labels = torch.full_like(IDS, -100)
    labels[0, 4:6] = IDS[0, 4:6]
    labels[1, 3] = IDS[1, 3]
    mask = (IDS != 0).long()
    logits = model(input_ids=IDS, attention_mask=mask).logits
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum"
    )


@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_loss_and_gradient_equal_those_of_full_logits(adapter: bool, tied: bool) -> None:
    model = tiny_model(tie_word_embeddings=tied).double()
    if adapter:
        config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
        model = get_peft_model(model, config).double()
    trained = [p for p in model.parameters() if p.requires_grad]
    ours = AnswerLoss(model)(IDS, POSITIONS, ANSWERS)
    theirs = full_loss(model)
    assert abs(float(ours.detach() - theirs.detach())) < 1e-12
    for a, b in zip(
        torch.autograd.grad(ours, trained), torch.autograd.grad(theirs, trained), strict=True
    ):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_the_head_sees_answer_positions_only() -> None:
    model = tiny_model()
    seen: list[torch.Size] = []
    model.lm_head.register_forward_hook(lambda module, args, out: seen.append(args[0].shape))
    answer_logits(model, IDS, POSITIONS, ANSWERS.rows, ANSWERS.columns)
    assert seen == [torch.Size([3, 32])]


def test_the_loss_of_bfloat16_logits_is_summed_in_float32() -> None:
    logits = torch.randn(500, 43, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets = torch.zeros(500, dtype=torch.long)
    exact = sum_cross_entropy(logits.double(), targets)
    assert sum_cross_entropy(logits, targets).dtype is torch.float32
    assert abs(float(sum_cross_entropy(logits, targets) - exact)) < 1e-2


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_usual_architectures_pass_both_checks(kind: str, attention: str) -> None:
    model = {
        "llama": tiny_model,
        "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=43, n_embd=32, n_layer=2, n_head=2)),
    }[kind]()
    model.set_attn_implementation(attention)
    check_head(model)
    check_packing(model)


def test_an_architecture_that_caps_its_logits_is_refused() -> None:
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=43,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        final_logit_softcapping=0.5,
    )
    with pytest.raises(InvalidInput, match="Gemma2ForCausalLM"):
        check_head(Gemma2ForCausalLM(config))


def test_a_model_that_ignores_position_ids_in_its_mask_cannot_be_packed() -> None:
    torch.manual_seed(0)
    model = OPTForCausalLM(OPTConfig(**OPT))
    check_head(model)
    with pytest.raises(InvalidInput, match="OPTForCausalLM cannot train on packed batches"):
        check_packing(model)


def test_the_deterministic_block_puts_everything_back() -> None:
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    with deterministic("cpu", threads=1, seed=3):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
        one = torch.rand(3)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    with deterministic("cpu", threads=1, seed=3):
        assert torch.equal(torch.rand(3), one)

"""Which engine is chosen, and what users are told."""

import pytest

from forgetscope.core.engines import CPU_HEAD_SIZES, LARGE_PARAMETERS, choose_engine
from forgetscope.schema.errors import InvalidSpec, UnknownName

BOTH = frozenset({"transformers", "vllm"})
ONE = frozenset({"transformers"})


@pytest.mark.parametrize(
    ("parameters", "accelerator", "available", "head_size", "engine", "word"),
    [
        (1_000_000, "cpu", BOTH, None, "transformers", "small"),
        (LARGE_PARAMETERS - 1, "cpu", BOTH, 64, "transformers", "small"),
        (LARGE_PARAMETERS, "cpu", BOTH, 64, "vllm", "large"),
        (7_000_000_000, "cpu", BOTH, 100, "transformers", "head size of 100"),
        (None, "cpu", BOTH, None, "transformers", "not known"),
        (1_000_000, "cuda", BOTH, 8, "vllm", "GPU"),
        (None, "cuda", BOTH, None, "vllm", "GPU"),
        (7_000_000_000, "cuda", ONE, None, "transformers", "not installed"),
        (1_000_000, "cpu", frozenset({"vllm"}), None, "vllm", "only engine"),
    ],
)
def test_auto_follows_the_machine_and_the_model(
    *,
    parameters: int | None,
    accelerator: str,
    available: frozenset[str],
    head_size: int | None,
    engine: str,
    word: str,
) -> None:
    found, reason = choose_engine(
        "auto",
        parameters=parameters,
        accelerator=accelerator,  # type: ignore[arg-type]
        available=available,
        head_size=head_size,
    )
    assert found == engine
    assert word in reason
    assert reason.endswith(".")


@pytest.mark.parametrize("name", ["transformers", "vllm"])
def test_an_engine_asked_for_is_taken(name: str) -> None:
    found, reason = choose_engine(
        name,  # type: ignore[arg-type]
        parameters=1,
        accelerator="cpu",
        available=BOTH,
    )
    assert found == name
    assert "specification" in reason


def test_an_engine_that_is_not_installed_is_refused_with_what_is() -> None:
    with pytest.raises(UnknownName, match="Installed: transformers") as caught:
        choose_engine("vllm", parameters=1, accelerator="cuda", available=ONE)
    assert caught.value.where == "/evaluation/engine"


def test_without_any_engine_auto_is_refused() -> None:
    with pytest.raises(UnknownName, match="Installed: none"):
        choose_engine("auto", parameters=1, accelerator="cpu", available=frozenset())


@pytest.mark.parametrize("size", [8, 48, 33])
def test_vllm_is_refused_on_a_cpu_where_it_lacks_the_head_size(size: int) -> None:
    assert size not in CPU_HEAD_SIZES
    with pytest.raises(InvalidSpec, match=f"head size of {size}"):
        choose_engine("vllm", parameters=1, accelerator="cpu", available=BOTH, head_size=size)
    on_gpu, _ = choose_engine(
        "vllm", parameters=1, accelerator="cuda", available=BOTH, head_size=size
    )
    assert on_gpu == "vllm"

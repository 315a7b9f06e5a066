"""Which evaluation engine scores an experiment, and why."""

from typing import Literal

from forgetscope.schema.errors import InvalidSpec, UnknownName

__all__ = [
    "CPU_HEAD_SIZES",
    "ENDPOINT",
    "LARGE_PARAMETERS",
    "EngineName",
    "ScoredBy",
    "choose_engine",
]

EngineName = Literal["transformers", "vllm"]
ScoredBy = EngineName | Literal["endpoint"]
"""What scores the models of an audit: an engine of this platform, or the servers behind."""

ENDPOINT: Literal["endpoint"] = "endpoint"

# On a CPU vLLM takes about 15 seconds to start and then does the same forward passes 1.2 to 1.9
# times as fast. Below this size a usual evaluation is over before that has paid off.
LARGE_PARAMETERS = 300_000_000

# Attention kernels in the CPU build of vLLM 0.32 (`CPUAttentionBackend.get_supported_head_sizes`).
CPU_HEAD_SIZES = frozenset({32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512})


def choose_engine(
    requested: Literal["auto", "transformers", "vllm"],
    *,
    parameters: int | None,
    accelerator: Literal["cpu", "cuda"],
    available: frozenset[str],
    head_size: int | None = None,
    where: str = "/evaluation/engine",
) -> tuple[EngineName, str]:
    """Return (engine, reason as a sentence for users).

    `parameters` is None where the size of the model is not known before its download, `head_size`
    (width of one attention head) where its configuration is not. `where` points to the request.

    Raises UnknownName when the engine that was asked for, or any at all, is not installed;
    InvalidSpec when vLLM was asked for and lacks the model's head size on this accelerator.
    """
    lacks_head = accelerator == "cpu" and head_size is not None and head_size not in CPU_HEAD_SIZES
    if requested != "auto":
        _require(requested, available, where)
        if requested == "vllm" and lacks_head:
            raise InvalidSpec(
                f"vLLM on a CPU has no attention kernel for a head size of {head_size}.",
                where=where,
                hint="Use the engine transformers or auto.",
            )
        return requested, f"{_TITLES[requested]}, because the specification asks for it."
    if "vllm" not in available:
        _require("transformers", available, where)
        return "transformers", "transformers, because vLLM is not installed with the evaluators."
    if "transformers" not in available:
        return "vllm", "vLLM, because it is the only engine installed with the evaluators."
    if accelerator == "cuda":
        return "vllm", "vLLM, because the evaluators run on a GPU."
    if lacks_head:
        return "transformers", (
            f"transformers, because vLLM on a CPU has no attention kernel for a head size of "
            f"{head_size}."
        )
    if parameters is None:
        return "transformers", (
            "transformers, because the evaluators run on a CPU and the size of the model is not "
            "known before its download."
        )
    size = f"{_millions(parameters)} parameters, on a CPU, with {_millions(LARGE_PARAMETERS)} as"
    if parameters >= LARGE_PARAMETERS:
        return "vllm", f"vLLM, because the model is large ({size} the limit)."
    return "transformers", f"transformers, because the model is small ({size} the limit for vLLM)."


_TITLES: dict[EngineName, str] = {"transformers": "transformers", "vllm": "vLLM"}


def _require(name: EngineName, available: frozenset[str], where: str) -> None:
    if name not in available:
        installed = ", ".join(sorted(available)) or "none"
        raise UnknownName(
            f"the engine {name!r} is not installed with the evaluators.",
            where=where,
            hint=f"Installed: {installed}. Choose one of these or auto, or install {name}.",
        )


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:,.3g} million"

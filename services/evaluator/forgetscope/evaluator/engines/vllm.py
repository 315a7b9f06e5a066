"""The vLLM engine, for CPU and GPU builds of vLLM (0.32 and 0.33).

Where vLLM 0.32 would answer wrongly or never again, the reason stands beside the line that avoids
it. The canary tests of this module tell when a later release has mended two of them.
"""

import gc
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from forgetscope.core.engines import CPU_HEAD_SIZES
from forgetscope.evaluator.engines.adapters import (
    MAX_RANK,
    SWAPPABLE_ARCHITECTURES,
    require_fit,
    swappable,
)
from forgetscope.evaluator.engines.base import Adapter, ChoiceItem, Report, Tokens
from forgetscope.evaluator.files import read_model_files
from forgetscope.modeling.loading import apply_adapter, load_model, merge_adapter
from forgetscope.modeling.option_rows import Row, RowScore, assemble, rows_of
from forgetscope.modeling.saving import save_model
from forgetscope.schema.errors import AdapterMismatch, InvalidInput

__all__ = ["LORA_MODULES", "VllmEngine", "prepare_environment"]

# Layers that vLLM may put an adapter on. Without this list every linear layer is prepared, the
# output layer among them, and then prompt log-probabilities crash (vLLM 0.32).
LORA_MODULES = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
_MAX_LAST_TOKENS = 128  # vllm.sampling_params.MAX_LOGPROB_TOKEN_IDS
_REQUESTS_PER_CALL = 128  # so that progress is reported now and then


def prepare_environment() -> None:
    """Set what vLLM reads from the environment only. To be called before vLLM is imported.

    The one place outside the wiring that touches the environment, and it only writes. The engine
    runs inside this process: as a process of its own it would outlive a killed parent, with its
    memory, and could not start below a daemonic worker. Nothing is fetched or sent.
    """
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # At the level WARNING each start writes about 30 lines, none of which concerns the result.
    os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"


class _Loaded(NamedTuple):
    """What the running engine answers with. `merged` is the digest of the adapter in its weights,
    `request` the adapter swapped in beside them."""

    llm: Any
    merged: str | None
    request: Any | None


class VllmEngine:
    """See `Engine`. Weights are loaded at the first `use`.

    With `hot_swap` (the default on a GPU) adapters are swapped in beside the loaded base. On a CPU
    that makes every pass about six times as slow, so an adapter is merged into the weights there
    and the engine started again with them; that is also the way for adapters that vLLM cannot swap
    (see `swappable`). `batch_tokens` sets the memory for attention's keys and values. vLLM has
    attention kernels of its own; the choice between those of transformers does not concern it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dtype: str,
        device: str,
        max_length: int,
        batch_tokens: int,
        hot_swap: bool | None = None,
    ) -> None:
        """Raises InvalidInput when vLLM cannot run the model on this device."""
        self._files = read_model_files(folder)
        size = self._files.head_size
        if device == "cpu" and size is not None and size not in CPU_HEAD_SIZES:
            raise InvalidInput(
                f"vLLM on a CPU has no attention kernel for the model's head size of {size}",
                where=folder.name,
                hint="Evaluate with the engine transformers.",
            )
        self._folder = folder
        self._dtype = dtype
        self._device = device
        self._max_length = max_length
        self._batch_tokens = batch_tokens
        self._hot_swap = device != "cpu" if hot_swap is None else hot_swap
        self._hot_swap &= self._files.architecture in SWAPPABLE_ARCHITECTURES
        self._lora_ids: dict[str, int] = {}
        self._loaded: _Loaded | None = None
        self.loads = 0

    @property
    def version(self) -> str:
        prepare_environment()
        import vllm

        return str(vllm.__version__)

    def use(self, adapter: Adapter | None, scratch: Path) -> None:
        if adapter is None:
            llm = self._with_weights(None, self._folder)
            self._loaded = _Loaded(llm, None, None)
        elif self._hot_swap and swappable(adapter.folder):
            llm = self._with_weights(None, self._folder)
            self._loaded = _Loaded(llm, None, self._swap_in(llm, adapter))
        elif self._loaded is None or self._loaded.merged != adapter.digest:
            self.close()  # merging takes memory, too
            merged = scratch / "merged"
            base = load_model(self._folder, "float32", "sdpa")
            save_model(
                merge_adapter(apply_adapter(base, adapter.folder)), merged, like=self._folder
            )
            del base
            try:
                llm = self._with_weights(adapter.digest, merged)
            finally:
                shutil.rmtree(merged)
            self._loaded = _Loaded(llm, adapter.digest, None)

    def score_options(self, items: Sequence[ChoiceItem], report: Report) -> list[tuple[float, ...]]:
        from vllm import SamplingParams

        rows = rows_of(items)
        asked = [
            (index, row.lasts[start : start + _MAX_LAST_TOKENS])
            for index, row in enumerate(rows)
            for start in range(0, len(row.lasts), _MAX_LAST_TOKENS)
        ]
        params = [
            SamplingParams(
                temperature=0,
                max_tokens=1,
                detokenize=False,
                logprob_token_ids=list(tokens),
                # Costs the prefix cache, so only where the prompt's end is to be scored. With 0,
                # only the tokens that stand there are returned, at half the cost of 1.
                prompt_logprobs=0 if rows[index].prefix else None,
            )
            for index, tokens in asked
        ]
        outputs = self._run([rows[index].tokens for index, _ in asked], params, report)
        prefixes = [0.0] * len(rows)
        lasts: list[list[float]] = [[] for _ in rows]
        for (index, tokens), output in zip(asked, outputs, strict=True):
            prefixes[index] = _prefix_score(rows[index], output)
            found = output.outputs[0].logprobs[0]
            lasts[index].extend(found[token].logprob for token in tokens)
        return assemble(
            items, rows, [RowScore(p, ls) for p, ls in zip(prefixes, lasts, strict=True)]
        )

    def generate(
        self, prompts: Sequence[Tokens], max_new_tokens: int, stop: frozenset[int], report: Report
    ) -> list[Tokens]:
        from vllm import SamplingParams

        params = SamplingParams(
            temperature=0, max_tokens=max_new_tokens, detokenize=False, stop_token_ids=sorted(stop)
        )
        outputs = self._run(prompts, [params] * len(prompts), report)
        written = [tuple(output.outputs[0].token_ids) for output in outputs]
        return [tokens[:-1] if tokens and tokens[-1] in stop else tokens for tokens in written]

    def close(self) -> None:
        self._loaded = None
        gc.collect()  # an engine holds itself in cycles
        if self._device != "cpu":
            torch.cuda.empty_cache()

    def _run(self, prompts: Sequence[Tokens], params: Sequence[Any], report: Report) -> list[Any]:
        """One call for all, in slices. Rows with and without an adapter are never mixed: with as
        many adapters in a batch as slots, vLLM 0.32 gives rows without one the last adapter."""
        if self._loaded is None:
            raise RuntimeError("use() comes before scoring")
        llm, outputs = self._loaded.llm, []
        for start in range(0, len(prompts), _REQUESTS_PER_CALL):
            end = start + _REQUESTS_PER_CALL
            try:
                outputs += llm.generate(
                    [{"prompt_token_ids": list(prompt)} for prompt in prompts[start:end]],
                    params[start:end],
                    use_tqdm=False,
                    lora_request=self._loaded.request,
                )
            except BaseException:
                # Requests of an interrupted call stay in the queue, and the next call would wait
                # for them for ever.
                waiting = list(llm.llm_engine.output_processor.request_states)
                llm.llm_engine.abort_request(waiting, internal=True)
                raise
            report(min(1.0, end / len(prompts)))
        return outputs

    def _swap_in(self, llm: Any, adapter: Adapter) -> Any:
        prepare_environment()
        from vllm.exceptions import VLLMError
        from vllm.lora.request import LoRARequest

        require_fit(self._folder, adapter.folder)
        # vLLM knows adapters by this number alone and would serve the old one under a used number.
        number = self._lora_ids.setdefault(adapter.digest, len(self._lora_ids) + 1)
        request = LoRARequest(adapter.digest, number, str(adapter.folder))
        try:
            # First here: an adapter that cannot be read inside generate() makes every later call
            # spin for ever.
            llm.llm_engine.add_lora(request)
        except (VLLMError, ValueError, RuntimeError, OSError) as error:
            raise AdapterMismatch(
                f"vLLM cannot load the adapter: {error}", where=adapter.folder.name
            ) from error
        return request

    def _with_weights(self, merged: str | None, folder: Path) -> Any:
        if self._loaded is not None and self._loaded.merged == merged:
            return self._loaded.llm
        self.close()
        prepare_environment()
        from vllm import LLM

        lora: dict[str, Any] = {}
        if self._hot_swap:
            # Two slots where one adapter is used at a time: see _run.
            lora = {"enable_lora": True, "max_loras": 2, "max_lora_rank": MAX_RANK}
            lora["lora_target_modules"] = list(LORA_MODULES)
        set_num_threads = torch.set_num_threads
        try:
            llm = LLM(
                model=str(folder),
                dtype=self._dtype,  # "auto" would turn float32 into bfloat16
                load_format="safetensors",
                skip_tokenizer_init=True,
                generation_config="vllm",
                max_model_len=self._max_length,
                kv_cache_memory_bytes=self._cache_bytes(),
                enforce_eager=True,
                enable_prefix_caching=True,
                block_size=32,  # shorter prefixes than a block are never cached
                disable_log_stats=True,
                seed=0,
                **lora,
            )
        except ValueError as error:
            raise InvalidInput(
                f"vLLM cannot run the model: {error}",
                where=self._folder.name,
                hint="Evaluate with the engine transformers.",
            ) from error
        finally:
            # The CPU build replaces this function by one that does nothing, for the whole process.
            torch.set_num_threads = set_num_threads
        self.loads += 1
        return llm

    def _cache_bytes(self) -> int:
        """Room for one longest text and one batch of tokens, at least 512 MiB."""
        tokens = self._max_length + self._batch_tokens
        width = 2 if self._dtype == "bfloat16" else 4
        return max(512 << 20, (self._files.kv_values or 0) * tokens * width)


def _prefix_score(row: Row, output: Any) -> float:
    start = len(row.prompt)
    scores: list[float] = [
        output.prompt_logprobs[start + k][token].logprob for k, token in enumerate(row.prefix)
    ]
    return sum(scores)

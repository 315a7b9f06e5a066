"""The transformers engine: length-sorted batches, output layer only where something is scored."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from peft import PeftModel
from transformers import GenerationConfig

from forgetscope.evaluator.engines.base import Adapter, ChoiceItem, Report, Tokens
from forgetscope.modeling.answers import check_head
from forgetscope.modeling.loading import apply_adapter, load_model
from forgetscope.modeling.options import batches_of, score_options

__all__ = ["TransformersEngine"]


class TransformersEngine:
    """See `Engine`. The base is loaded once; adapters are put on it and taken off again.

    `batch_tokens` bounds the tokens of a batch, padding included.
    """

    def __init__(
        self, folder: Path, *, dtype: str, attention: str, device: str, batch_tokens: int
    ) -> None:
        """Raises what `load_model` and `check_head` of forgetscope.modeling raise."""
        self.model = load_model(folder, dtype, attention, device)
        check_head(self.model)
        # A checkpoint's own sampling habits (temperature, penalties) are not greedy decoding.
        self.model.generation_config = GenerationConfig()
        self._device = device
        self._batch_tokens = batch_tokens
        self._adapted: PeftModel | None = None
        self._digest: str | None = None

    @property
    def version(self) -> str:
        return version("transformers")

    def use(self, adapter: Adapter | None, scratch: Path) -> None:  # noqa: ARG002
        if self._digest == (adapter.digest if adapter else None):
            return
        if self._adapted is not None:
            self._adapted.unload()
            self._adapted = self._digest = None
        if adapter is not None:
            # Layers are replaced inside self.model, so that it answers with the adapter.
            self._adapted = apply_adapter(self.model, adapter.folder)
            self._digest = adapter.digest

    def close(self) -> None:
        del self.model
        self._adapted = None
        if self._device != "cpu":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def score_options(self, items: Sequence[ChoiceItem], report: Report) -> list[tuple[float, ...]]:
        return score_options(
            self.model, items, device=self._device, batch_tokens=self._batch_tokens, report=report
        )

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Tokens], max_new_tokens: int, stop: frozenset[int], report: Report
    ) -> list[Tokens]:
        settings = GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(stop) or None,
            pad_token_id=0,
        )
        written: dict[int, Tokens] = {}
        lengths = [len(prompt) + max_new_tokens for prompt in prompts]
        for batch in batches_of(lengths, [1] * len(prompts), self._batch_tokens, len(prompts)):
            longest = max(len(prompts[i]) for i in batch)
            # New tokens follow the prompts, so padding stands on the left, masked; positions are
            # counted from the mask.
            ids = [(0,) * (longest - len(prompts[i])) + prompts[i] for i in batch]
            mask = [[0] * (longest - len(prompts[i])) + [1] * len(prompts[i]) for i in batch]
            out = self.model.generate(
                input_ids=torch.tensor(ids, device=self._device),
                attention_mask=torch.tensor(mask, device=self._device),
                generation_config=settings,
            )
            for i, tokens in zip(batch, out[:, longest:].tolist(), strict=True):
                written[i] = _until(tokens, stop)
            report(len(written) / len(prompts))
        return [written[i] for i in range(len(prompts))]


def _until(tokens: Sequence[int], stop: frozenset[int]) -> Tokens:
    end = next((k for k, token in enumerate(tokens) if token in stop), len(tokens))
    return tuple(tokens[:end])

"""The transformers engine: length-sorted batches, output layer only where something is scored."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import torch
from peft import PeftModel
from transformers import GenerationConfig

from forgetscope.evaluator.engines.base import Adapter, ChoiceItem, Report, Tokens
from forgetscope.evaluator.engines.rows import Row, RowScore, assemble, rows_of
from forgetscope.modeling.answers import answer_logits, check_head
from forgetscope.modeling.loading import apply_adapter, load_model

__all__ = ["TransformersEngine"]

# Positions scored at once are bounded so that their logits take at most 256 MiB as float32.
_LOGITS = 64 << 20


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

    def score_options(self, items: Sequence[ChoiceItem], report: Report) -> list[tuple[float, ...]]:
        rows = rows_of(items)
        most = max(1, _LOGITS // self.model.get_output_embeddings().weight.shape[0])
        scores: dict[int, RowScore] = {}
        batches = _batches(
            [len(row.tokens) for row in rows],
            [1 + len(row.prefix) for row in rows],
            self._batch_tokens,
            most,
        )
        for batch in batches:
            scored = self._score([rows[i] for i in batch])
            scores.update(zip(batch, scored, strict=True))
            report(len(scores) / len(rows))
        return assemble(items, rows, [scores[i] for i in range(len(rows))])

    @torch.inference_mode()
    def _score(self, rows: Sequence[Row]) -> list[RowScore]:
        # Padding stands on the right, where a causal model cannot see it: no mask is needed.
        longest = max(len(row.tokens) for row in rows)
        ids_B_T = torch.tensor([_padded(row.tokens, longest) for row in rows], device=self._device)
        at: list[tuple[int, int]] = []  # (row, column) of the positions to score
        wanted: list[tuple[int, int]] = []  # (index into at, token)
        for b, row in enumerate(rows):
            first, last = len(at), len(at) + len(row.prefix)
            at += [(b, len(row.prompt) - 1 + k) for k in range(len(row.prefix) + 1)]
            wanted += [(first + k, token) for k, token in enumerate(row.prefix)]
            wanted += [(last, token) for token in row.lasts]
        rows_N, columns_N = torch.tensor(at, device=self._device).T
        positions_B_T = torch.arange(longest, device=self._device).expand_as(ids_B_T)
        logits_N_V = answer_logits(self.model, ids_B_T, positions_B_T, rows_N, columns_N)
        logp_N_V = logits_N_V.float().log_softmax(-1)
        at_M, tokens_M = torch.tensor(wanted, device=self._device).T
        found = iter(logp_N_V[at_M, tokens_M].tolist())
        return [
            RowScore(sum(islice(found, len(r.prefix))), list(islice(found, len(r.lasts))))
            for r in rows
        ]

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
        for batch in _batches(lengths, [1] * len(prompts), self._batch_tokens, len(prompts)):
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


def _batches(
    lengths: Sequence[int], scored: Sequence[int], batch_tokens: int, most_scored: int
) -> Iterator[list[int]]:
    """Indices from long to short, so that rows of a batch need little padding and a batch that is
    too large for the memory fails at once. A row over the bounds stands alone."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        tokens = (len(batch) + 1) * lengths[batch[0] if batch else index]
        positions = sum(scored[i] for i in batch) + scored[index]
        if batch and (tokens > batch_tokens or positions > most_scored):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _padded(tokens: Tokens, length: int) -> Tokens:
    return tokens + (0,) * (length - len(tokens))


def _until(tokens: Sequence[int], stop: frozenset[int]) -> Tokens:
    end = next((k for k, token in enumerate(tokens) if token in stop), len(tokens))
    return tuple(tokens[:end])

"""A text classification model in transformers layout as a safety classifier.

It reads a pair of texts, joined as its tokenizer joins pairs: the dialogue, a line for each turn,
and the reply. What does not fit is cut at the beginning of the longer of the two, so that older
turns go first. The probability is the softmax over the labels, or for a model with independent
labels (`multi_label_classification`) the sigmoid of the safe one. Weights are float32.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from forgetscope.modeling.judges import Asked, Report
from forgetscope.modeling.loading import load_tokenizer
from forgetscope.schema.errors import InvalidInput, UnknownName

__all__ = ["SequenceClassifier"]

_LONGEST = 4096
_RESERVED = 2  # RoBERTa counts positions from behind that of its padding


class SequenceClassifier:
    """Raises InvalidInput (it cannot be loaded), UnknownName (it has no label `safe_label`)."""

    def __init__(self, folder: Path, safe_label: str, device: str, batch_tokens: int) -> None:
        self._model = _load(folder).to(device).eval()
        self._tokenizer = load_tokenizer(folder)
        self._tokenizer.truncation_side = "left"
        self._tokenizer.padding_side = "right"
        self._batch_tokens = batch_tokens
        config = self._model.config
        labels = {str(label): int(index) for index, label in config.id2label.items()}
        if safe_label not in labels:
            raise UnknownName(
                f"the classifier has no label {safe_label!r}.",
                hint=f"Its labels: {', '.join(map(repr, labels))}.",
            )
        self._safe = labels[safe_label]
        self._independent = config.problem_type == "multi_label_classification"
        if config.pad_token_id is None:
            config.pad_token_id = self._tokenizer.pad_token_id
        positions = getattr(config, "max_position_embeddings", None) or _LONGEST + _RESERVED
        self._limit = min(self._tokenizer.model_max_length, positions - _RESERVED)

    def safe(self, asked: Sequence[Asked], report: Report) -> list[float]:
        encoded = [self._encode(turns, reply) for turns, reply in asked]
        found = [0.0] * len(asked)
        done = 0
        for batch in self._batches([len(e["input_ids"]) for e in encoded]):
            inputs = self._tokenizer.pad([encoded[i] for i in batch], return_tensors="pt")
            with torch.inference_mode():
                logits = self._model(**inputs.to(self._model.device)).logits.float().cpu()
            shares = logits.sigmoid() if self._independent else logits.softmax(dim=-1)
            for i, share in zip(batch, shares[:, self._safe].tolist(), strict=True):
                found[i] = share
            done += len(batch)
            report(done / len(asked))
        return found

    def _encode(self, turns: Sequence[str], reply: str) -> Any:
        texts = ("\n".join(turns), reply) if turns else (reply,)
        return self._tokenizer(*texts, truncation="longest_first", max_length=self._limit)

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Indices, longest texts first, so that memory runs out at the beginning or never."""
        batch: list[int] = []
        for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            if batch and lengths[batch[0]] * (len(batch) + 1) > self._batch_tokens:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch


def _load(folder: Path) -> PreTrainedModel:
    transformers_logging.disable_progress_bar()  # the log is read as a file
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(
            f"the safety classifier cannot be loaded: {error}",
            hint="Give a text classification model in transformers layout, with safetensors.",
        ) from error
    if info["missing_keys"]:
        raise InvalidInput(
            f"{len(info['missing_keys'])} weights of the safety classifier are missing: "
            f"{min(info['missing_keys'])} and others.",
            hint="The folder holds a model of another kind, or only a part of one.",
        )
    return model

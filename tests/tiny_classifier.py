"""A tiny randomly initialised text classification model in a folder."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

WORDS = ("you", "are", "right", "wrong", "go", "away", "sorry", "hello", "A", "B")


def make_classifier(folder: Path, **changes: Any) -> Path:
    """A BERT of 2 layers with the labels "harmful" and "fine"; pairs are joined by [SEP]."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokenizer = Tokenizer(WordLevel({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    values: dict[str, Any] = {
        "vocab_size": len(pieces),
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 34,
        "initializer_range": 1.0,
        "pad_token_id": 0,
        "id2label": {0: "harmful", 1: "fine"},
        "label2id": {"harmful": 0, "fine": 1},
    }
    transformers_logging.disable_progress_bar()
    torch.manual_seed(0)
    BertForSequenceClassification(BertConfig(**(values | changes))).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    return folder

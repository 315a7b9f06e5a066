"""The built-in base models, made from nothing but this code: no download, no stored weights."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from forgetscope.core.builtin_models import BUILTIN_MODELS
from forgetscope.tasks.synthetic_words import vocabulary

__all__ = ["make"]

END, BEGIN = "<|end|>", "<|begin|>"
# Frequent words of English and of prompts: with them a mean ARC question is 154 tokens, not 253.
COMMON_WORDS = """
    the of and to in a is that for it as was with be by on not he his but at are this have from
    or had an they which one you were all her she there would their we him been has when who
    will no more if out so up said what its about than into them can only other time new some
    could these two may first then do any like my now over such our man me even most made after
    also did many off before must well back through years where much your way down should
    because each just those people how too good very make world see work long get here between
    both being under never day same another know while last might us great old year come since
    against go came right used take three water plant plants energy animal animals earth which
    best most likely following describes cause example process light heat sun air food cells
    statement toxic question answer yes No Yes The A B C D E Which What How When Why In An
"""


def make(name: str, folder: Path) -> None:
    """Write a built-in model in transformers layout: configuration, tokenizer, safetensors.

    The same bytes every time on one kind of machine. Raises UnknownName.
    """
    BUILTIN_MODELS.get(name)
    _MAKERS[name](folder)


def _make_tiny(folder: Path) -> None:
    """A Llama with 2 layers, 4 heads of size 32 (the smallest that vLLM serves on CPU)."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(words=(*vocabulary(), *COMMON_WORDS.split()), max_length=1024)
    config = LlamaConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.1,  # learns the synthetic suite in half the steps that 0.05 takes
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(words: Iterable[str], max_length: int) -> Any:
    """Byte-level BPE in which each of the words after a blank is one token.

    Its merges spell every word from left to right, so that all beginnings of the words are pieces
    (a trie written as BPE); any other text falls back to such beginnings and to bytes. A line
    begins without a blank but with a capital, so capitalised words are known in both forms; small
    letters without a blank would merge inside of longer words.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [END, BEGIN, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    known = set(pieces)
    merges = []
    for word in dict.fromkeys(form for w in words for form in _forms(w)):
        for end in range(2, len(word) + 1):
            if word[:end] not in known:
                known.add(word[:end])
                pieces.append(word[:end])
                merges.append((word[: end - 1], word[end - 1]))
    bpe = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, pieces.index(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


def _forms(word: str) -> tuple[str, ...]:
    return (f"Ġ{word}", word) if word[0].isupper() else (f"Ġ{word}",)


_MAKERS: dict[str, Callable[[Path], None]] = {"tiny": _make_tiny}

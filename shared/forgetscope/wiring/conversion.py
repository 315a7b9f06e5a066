"""Foreign model files into folders that the platform reads: work for this machine alone."""

from pathlib import Path

__all__ = ["convert_llama2c"]


def convert_llama2c(checkpoint: Path, tokenizer: Path, folder: Path) -> None:
    """See `forgetscope.trainer.llama2c.convert`."""
    from forgetscope.trainer.llama2c import convert

    convert(checkpoint, tokenizer, folder)

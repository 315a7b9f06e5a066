"""Commands on model files of this machine. No server is asked."""

from pathlib import Path
from typing import Annotated

import typer

from forgetscope.cli.talk import err, reported

__all__ = ["models"]

models = typer.Typer(help="Model files on this machine.", no_args_is_help=True)


@models.callback()
def group() -> None:
    pass


@models.command("convert-llama2c")
def convert_llama2c(
    checkpoint: Annotated[Path, typer.Argument(help="The weights: a .bin of version 0.")],
    tokenizer: Annotated[Path, typer.Argument(help="The tokenizer: its .bin.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for the model.")],
) -> None:
    """Turn a llama2.c checkpoint into a Llama folder that experiments can name.

    Example: forgetscope models convert-llama2c stories260K.bin tok512.bin models/stories260k
    """
    with reported():
        # A client's machine may have none of what the conversion imports.
        from forgetscope.wiring.conversion import convert_llama2c as run  # noqa: PLC0415

        run(checkpoint, tokenizer, folder)
        err.print(f"Written: {folder}", soft_wrap=True)

"""What models and data sets of the Hugging Face hub have in common."""

from collections.abc import Iterator
from contextlib import contextmanager

from forgetscope.schema.errors import Unavailable, UnknownName

__all__ = ["LOOK_SECONDS", "hub_errors"]

LOOK_SECONDS = 10.0
"""How long a look at a repository may take. A download retries for longer."""


@contextmanager
def hub_errors(what: str, where: str, *, offline: bool) -> Iterator[None]:
    """The errors of `huggingface_hub` as ours; `what` is "model" or "data set"."""
    from huggingface_hub import errors  # noqa: PLC0415 - takes half a second

    try:
        yield
    except errors.GatedRepoError as error:
        raise UnknownName(
            f"the hub gives this {what} only to those who were admitted to it.",
            where=where,
            hint="Ask for access on the hub, and give the server a token.",
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise UnknownName(f"the hub has no such {what} and revision", where=where) from error
    except errors.LocalEntryNotFoundError as error:
        if not offline:
            raise Unavailable("the hub does not answer", where=where) from error
        raise UnknownName(
            f"the {what} is not in this server's cache, and the server works offline.",
            where=where,
            hint="Fetch it into the cache beforehand, or use a local folder.",
        ) from error
    except (errors.HTTPError, OSError) as error:
        raise Unavailable(
            f"the hub does not answer ({type(error).__name__})", where=where
        ) from error

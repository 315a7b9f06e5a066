"""Rows of a fetched repository of the hub, as the `datasets` library lays them out.

The repository's README says which files are which configuration and split, and what the columns
mean; that text is somebody else's, so it may only name files of the repository itself. Values are
those that the library gives, as plain JSON (`forgetscope.adapters._plain`). A class label stays
the number that it is, and its name is added as the column `<name>_name`, unless there is such a
column; a label of −1, which stands for a hidden one, has the name null. Images, sounds and other
media are refused.
"""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import JsonValue

from forgetscope.adapters._plain import plain
from forgetscope.adapters._rows_text import bad, make_row
from forgetscope.schema.errors import InvalidInput, PathNotAllowed, UnknownName
from forgetscope.schema.example import HubSource, Row

__all__ = ["dataset_rows"]


def dataset_rows(folder: Path, source: HubSource, scratch: Path) -> Iterator[Row]:
    """The rows of one split below `folder`. `scratch` is where the library may write."""
    _refuse_foreign_files(folder, source)
    rows, labels, expected = _open(folder, source, scratch)
    number, stream = 0, iter(rows)
    while True:
        number += 1
        with _readable(source, number):
            record = next(stream, None)
        if record is None:
            break
        try:
            data = {name: plain(value) for name, value in record.items()}
        except ValueError as error:
            bad(source.name, number, str(error))
        for name, names in labels.items():
            data[f"{name}_name"] = _label(data[name], names)
        yield make_row(data, source.name, number)
    if expected and number - 1 != expected:
        bad(source.name, number, f"the README says that there are {expected} rows")


class _Split(NamedTuple):
    """`labels`: the names of each column of class labels. `expected`: how many rows the repository
    says there are, 0 where it does not."""

    rows: Any
    labels: Mapping[str, tuple[str, ...]]
    expected: int


def _open(folder: Path, source: HubSource, scratch: Path) -> _Split:
    import datasets  # noqa: PLC0415 - takes two seconds

    with _described(source):
        configs = datasets.get_dataset_config_names(str(folder))
    if source.config is None and len(configs) > 1:
        raise InvalidInput(
            f"the repository has several configurations: {', '.join(sorted(configs))}.",
            where=source.name,
            hint="Name one as `config`.",
        )
    if source.config is not None and source.config not in configs:
        raise UnknownName(
            f"the repository has no configuration {source.config!r}.",
            where=source.name,
            hint=f"There are {', '.join(sorted(configs))}.",
        )
    with _described(source):
        builder = datasets.load_dataset_builder(str(folder), source.config, cache_dir=str(scratch))
    _refuse_outside(folder, builder.config.data_files, source)
    # The beginning of the files tells the columns.
    with _readable(source, 1):
        splits = builder.as_streaming_dataset()
    if source.split not in splits:
        raise UnknownName(
            f"there is no split {source.split!r}.",
            where=source.name,
            hint=f"There are {', '.join(sorted(splits))}.",
        )
    rows = splits[source.split]
    columns = dict(rows.features or {})
    for name, feature in columns.items():
        if media := _media(feature):
            raise InvalidInput(
                f"column {name!r} holds {media}; only text, numbers and dates are read.",
                where=source.name,
            )
    labels = {
        name: tuple(feature.names)
        for name, feature in columns.items()
        if isinstance(feature, datasets.ClassLabel) and f"{name}_name" not in columns
    }
    stated = (builder.info.splits or {}).get(source.split)
    return _Split(rows, labels, stated.num_examples or 0 if stated else 0)


def _label(value: JsonValue, names: tuple[str, ...]) -> str | None:
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def _media(feature: Any) -> str | None:
    """The kind of the first part of a feature that is neither text, number nor date."""
    import datasets  # noqa: PLC0415

    if isinstance(feature, Mapping):
        parts = list(feature.values())
    elif isinstance(feature, list):
        parts = feature
    elif isinstance(feature, (datasets.Sequence, datasets.LargeList)):
        parts = [feature.feature]
    else:
        # What must be decoded before it is a value has this field; text in JSON has it, too.
        is_media = hasattr(feature, "decode") and type(feature).__name__ != "Json"
        return type(feature).__name__ if is_media else None
    return next(filter(None, map(_media, parts)), None)


def _refuse_foreign_files(folder: Path, source: HubSource) -> None:
    """Before anything is resolved: the library would read any file and any address."""
    import yaml  # noqa: PLC0415
    from huggingface_hub import DatasetCard  # noqa: PLC0415 - takes half a second

    readme, alone = folder / "README.md", folder / ".huggingface.yaml"
    with _described(source):
        facts = [DatasetCard.load(readme).data.to_dict()] if readme.is_file() else []
        # Not fetched by us, but read by the library from a cache that others have filled.
        if alone.is_file():
            facts.append(yaml.safe_load(alone.read_text(encoding="utf-8")) or {})
        configs = [config for found in facts for config in found.get("configs") or []]
        named = [config.get(key) for config in configs for key in ("data_files", "data_dir")]
    for name in _texts(named):
        if name.startswith(("/", "~")) or ".." in name or "::" in name or "://" in name:
            raise PathNotAllowed(
                "the README of the repository names a data file outside of it", where=source.name
            )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))


def _refuse_outside(folder: Path, files: Mapping[str, list[str]] | None, source: HubSource) -> None:
    inside = all(Path(name).is_relative_to(folder) for name in _texts(files or {}))
    if not inside:
        raise PathNotAllowed("a data file lies outside of the repository", where=source.name)


@contextmanager
def _described(source: HubSource) -> Iterator[None]:
    """What a README can get wrong."""
    import yaml  # noqa: PLC0415
    from datasets.exceptions import DatasetsError  # noqa: PLC0415 - takes two seconds

    wrong = (DatasetsError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError)
    try:
        yield
    except (*wrong, OSError) as error:
        raise InvalidInput(
            f"the `datasets` library does not understand the repository's files and metadata "
            f"({type(error).__name__}).",
            where=source.name,
        ) from error


@contextmanager
def _readable(source: HubSource, number: int) -> Iterator[None]:
    """Files are read in pieces: the fault may stand some rows after the one that is named."""
    import pyarrow as pa  # noqa: PLC0415
    from datasets.exceptions import DatasetsError  # noqa: PLC0415

    broken = (DatasetsError, pa.ArrowException, ValueError, TypeError, EOFError, zlib.error)
    try:
        yield
    except (*broken, OSError) as error:
        bad(
            source.name,
            number,
            f"the file cannot be read from here on, or soon after ({type(error).__name__})",
        )

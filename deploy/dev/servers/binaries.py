"""Where the servers' programs are: on PATH, or in the folders Debian keeps off it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

INSTALL_COMMAND = "make servers (deploy/dev/install-servers.sh)"


class MissingProgramsError(Exception):
    """Programs of a server are not installed; the message says how to install them."""


def find_programs(names: Sequence[str], folders: Sequence[str] = ()) -> dict[str, str]:
    """Paths of the programs `names`; `folders` are glob patterns below / that win over PATH.

    Raises:
        MissingProgramsError: with the names of all that are missing.
    """
    found = {name: _find(name, folders) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise MissingProgramsError(
            f"not installed: {', '.join(missing)}. Install the servers with: {INSTALL_COMMAND}"
        )
    return {name: path for name, path in found.items() if path is not None}


def _find(name: str, folders: Sequence[str]) -> str | None:
    for pattern in folders:
        # Newest version first, by number: 9 < 15.
        for folder in sorted(Path("/").glob(pattern), key=_version, reverse=True):
            if (folder / name).is_file():
                return str(folder / name)
    return shutil.which(name)


def _version(folder: Path) -> list[int]:
    return [int(part) for part in folder.parts if part.isdigit()]

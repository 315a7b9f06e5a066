"""Holds the OpenAPI description of the code against the reviewed snapshot.

`python -m deploy.dev.api_changes` checks; with `--write` it rewrites the snapshot. Neither lets a
breaking change pass unless the version moves.
"""

import argparse
import json
import sys
from pathlib import Path

from forgetscope.api.openapi import text

from . import breaking_changes, may_break

SNAPSHOT = Path(__file__).parents[3] / "tests" / "api" / "openapi.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.dev.api_changes", description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the snapshot")
    parser.add_argument("--snapshot", type=Path, default=SNAPSHOT, help="another one")
    options = parser.parse_args()
    made, kept = text(), options.snapshot.read_text(encoding="utf-8")
    if made == kept:
        return 0
    new, old = json.loads(made), json.loads(kept)
    versions = [document["info"]["version"] for document in (old, new)]
    if changes := breaking_changes(old, new):
        print("\n".join(map(str, changes)), file=sys.stderr)
        said = f"{len(changes)} breaking changes of the API since the snapshot of {versions[0]}"
        if not may_break(*versions):
            print(f"{said}. Undo them, or move the version in pyproject.toml.", file=sys.stderr)
            return 1
        print(f"{said}; version {versions[1]} may have them.", file=sys.stderr)
    if options.write:
        options.snapshot.write_text(made, encoding="utf-8")
        return 0
    print("The API has changed, and its snapshot has not: run make openapi.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

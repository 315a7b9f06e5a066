"""`python -m forgetscope.api.openapi`: print the OpenAPI document."""

import json
import sys
from importlib.metadata import version

from forgetscope.api.app import bare_app

__all__ = ["text"]


def text() -> str:
    """The document as it is kept in the repository."""
    document = bare_app(version("forgetscope")).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())

"""For all tests: the servers, and which tests stay together when several workers share them."""

from pathlib import Path

import pytest

pytest_plugins = ["servers_fixtures"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For `pytest -n 2 --dist loadgroup`: the end-to-end tests share one platform, so one worker
    runs all of them; of the others, each file stays whole and shares its own fixtures."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        group = path.parts[0] if path.parts[0] == "e2e" else path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))

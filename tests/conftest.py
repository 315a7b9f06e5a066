"""Fixtures that all tests may ask for."""

pytest_plugins = ["servers_fixtures", "records_fixtures"]

"""The command line: over the client for experiments, over the wiring for services."""

"""Engines: one contract, two ways to run a model."""

"""Protocols between the use cases and the world. Adapters implement them, nothing here does."""

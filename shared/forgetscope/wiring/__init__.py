"""The composition root: the only place that knows every part, and that reads the environment."""

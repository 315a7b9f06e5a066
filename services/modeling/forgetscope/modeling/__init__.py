"""Torch code that the trainer, the evaluator and the analysis share."""

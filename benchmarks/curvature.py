"""Curvature against PyHessian: cost of a product, products to a certified 1 %, token weighting.

    make bench

Prints a Markdown section with ratios and counts, as it goes. PyHessian runs as it is; a subclass
writes down the products that it makes. Times are processor times on one thread, in turns within
one run: other work on the machine moves them little. Everything runs with the allocator settings
of a stage process.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Iterable

import torch
from curvature_cost import cost_part
from curvature_llamas import TASKS, tuned_models
from curvature_products import products_part
from curvature_tokens import tokens_part

from forgetscope.wiring.process_runner import ALLOCATOR

INTRODUCTION = (
    "Printed by `.venv/bin/python benchmarks/curvature.py`, a part of `make bench`. PyHessian 0.1 "
    "as it is; everything with the allocator settings of a stage process (`ALLOCATOR` in "
    "`wiring/process_runner.py`)."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--starts", type=int, default=3)
    arguments = parser.parse_args()
    if not os.environ.items() >= ALLOCATOR.items():  # read when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")
    torch.set_num_threads(1)
    _show(["## Curvature against PyHessian", "", INTRODUCTION, ""])
    _show(cost_part(arguments.rounds))
    models = list(tuned_models())
    weights = sum(p.numel() for p in models[0].model.parameters())
    _show([f"The rest is on Llamas of {weights:,} weights, fine-tuned along chains of tasks:", ""])
    _show([f"- *{name}*: answer with {answer}." for name, answer in TASKS.items()])
    _show([""])
    _show(products_part(models, arguments.starts))
    _show(tokens_part(models))


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()

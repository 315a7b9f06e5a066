"""The accuracy matrix as figures: every number, in parts that a sheet can show."""

import re
from itertools import permutations
from xml.etree import ElementTree as ET

from services.analysis.study import Chain, study

from forgetscope.analysis.report_matrix import heat_map, matrix_figures

SVG = "{http://www.w3.org/2000/svg}"


def share(chain: Chain, task: str, group: str) -> float:
    return 0.9 if chain[-1:] == (task,) else 0.6 if task in chain else 0.3


def texts(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ET.fromstring(svg.encode()).iter(f"{SVG}text")]


def test_the_figure_has_the_number_of_every_cell() -> None:
    results = study([("s", "c"), ("c", "s")], share)
    (figure,) = matrix_figures(results, heat_map(results))
    assert figure.name == "accuracy"
    numbers = [text for text in texts(figure.svg) if re.fullmatch(r"\d+\.\d", text)]
    # base; s, then s → c; c, then c → s
    assert sorted(numbers) == sorted(
        ["30.0", "30.0", "90.0", "30.0", "60.0", "90.0", "30.0", "90.0", "90.0", "60.0"]
    )
    assert "s → c: s 60.0\N{NO-BREAK SPACE}%, c 90.0\N{NO-BREAK SPACE}%" in figure.alt


def test_many_models_and_tasks_are_split_into_parts_that_hold_each_cell_once() -> None:
    chains = list(permutations([f"s{i}" for i in range(9)], 2))[:60]
    results = study(chains, share, bootstrap_replicates=200)
    table = heat_map(results)
    figures = list(matrix_figures(results, table))
    assert len({figure.name for figure in figures}) == len(figures) > 2
    assert all(f"part {i} of {len(figures)}" in f.title for i, f in enumerate(figures, start=1))
    numbers = [t for f in figures for t in texts(f.svg) if re.fullmatch(r"\d+\.\d", t)]
    assert len(numbers) == len(table.models) * len(results.tasks)

"""The settings that are simulated. Sizes and shares are our own choice, unless a line says whose.

Items per template: 40 and 66 are those of two groups of BBQ's Religion (160 items in 4 templates,
400 in 6).
"""

from typing import NamedTuple

from validation_studies import Design, Part

from forgetscope.core.inference.power_model import Expected

__all__ = ["ALARMS", "COVERAGE", "PLANTED", "POWER", "Covered", "Planned", "Planted"]

USUAL, RARE, NO_CHANGE = Expected(0.15, 0.05), Expected(0.03, 0.01), Expected(0.1, 0.1)
ICC = 0.2
GROUPS = 13
"""as many as ToxiGen has"""


class Covered(NamedTuple):
    """`group`: whose biased forgetting; None for the forgetting of the task."""

    kind: str
    name: str
    design: Design
    group: int | None = None


class Planned(NamedTuple):
    name: str
    design: Design
    margin: float
    group: int = 0


class Planted(NamedTuple):
    name: str
    design: Design
    margin: float
    groups: tuple[int, ...]


def _one(sizes: tuple[int, ...], expected: Expected = USUAL) -> tuple[Part, ...]:
    return (Part("all", sizes, expected),)


def _alike(sizes: tuple[int, ...], expected: Expected, groups: int = GROUPS) -> tuple[Part, ...]:
    return tuple(Part(f"g{g:02}", sizes, expected) for g in range(groups))


def _hit(
    sizes: tuple[int, ...], hit: Expected, others: Expected, *, groups: int, hits: int = 1
) -> tuple[Part, ...]:
    """The first groups are hit."""
    return tuple(Part(f"g{g:02}", sizes, hit if g < hits else others) for g in range(groups))


def _within(sizes: tuple[int, ...], seeds: int = 1) -> Design:
    """A group of few templates in a task of 26 others."""
    parts = (Part("group", sizes, Expected(0.25, 0.05)), Part("others", (40,) * 26, USUAL))
    return Design(parts, ICC, seeds)


UNEQUAL = tuple(range(2, 40, 4)) * 2
_SMALL, _BBQ = "clustered", "BBQ-like"

COVERAGE: tuple[Covered, ...] = (
    *(
        Covered("independent items", f"{n} items", Design(_one((1,) * n)))
        for n in (30, 100, 300, 1000, 2000)
    ),
    Covered("independent items", "300 items, few change", Design(_one((1,) * 300, RARE))),
    Covered("independent items", "30 items, 3 seeds", Design(_one((1,) * 30), seeds=3)),
    Covered("independent items", "100 items, 3 seeds", Design(_one((1,) * 100), seeds=3)),
    Covered("independent items", "1000 items, 3 seeds", Design(_one((1,) * 1000), seeds=3)),
    Covered(
        "independent items",
        "1000 items, 3 seeds that differ",
        Design(_one((1,) * 1000), seeds=3, seed_sd=0.03),
    ),
    *(
        Covered(
            "independent items",
            f"{n} items, {seeds} seeds that differ",
            Design(_one((1,) * n), seeds=seeds, seed_sd=0.03),
        )
        for n, seeds in ((100, 3), (1000, 5), (1000, 10))
    ),
    Covered(
        "independent items",
        "group of 60 among 780",
        Design(_hit((1,) * 60, Expected(0.25, 0.05), USUAL, groups=GROUPS)),
        0,
    ),
    *(
        Covered(_SMALL, f"{c} templates of {m}", Design(_one((m,) * c), ICC))
        for c, m in ((6, 5), (10, 10), (15, 20), (50, 20), (100, 20))
    ),
    Covered(_SMALL, "20 templates of 2 to 38", Design(_one(UNEQUAL), ICC)),
    Covered(_SMALL, "15 templates of 20, 3 seeds", Design(_one((20,) * 15), ICC, 3)),
    Covered(_SMALL, "100 templates of 20, 3 seeds", Design(_one((20,) * 100), ICC, 3)),
    Covered(
        _SMALL,
        "50 templates of 20, 3 seeds that differ",
        Design(_one((20,) * 50), ICC, 3, seed_sd=0.03),
    ),
    Covered(
        _SMALL,
        "group of 12 templates of 10 among 156",
        Design(_hit((10,) * 12, Expected(0.25, 0.05), USUAL, groups=GROUPS), ICC),
        0,
    ),
    *(
        Covered(_BBQ, f"{c} templates of {m} in all", Design(_one((m,) * c), ICC))
        for c, m in ((4, 40), (6, 66))
    ),
    *(
        Covered(
            _BBQ,
            f"group of {c} templates of {m} among {26 + c}" + (", 3 seeds" if seeds > 1 else ""),
            _within((m,) * c, seeds),
            0,
        )
        for seeds in (1, 3)
        for c, m in ((4, 40), (5, 40), (6, 66))
    ),
)

ALARMS: tuple[tuple[str, Design], ...] = (
    ("60 items each", Design(_alike((1,) * 60, NO_CHANGE))),
    ("60 items each, 3 seeds", Design(_alike((1,) * 60, NO_CHANGE), seeds=3)),
    (
        "60 items each, 3 seeds that differ",
        Design(_alike((1,) * 60, NO_CHANGE), seeds=3, seed_sd=0.03),
    ),
    (
        "400 items each, 3 seeds that differ",
        Design(_alike((1,) * 400, NO_CHANGE), seeds=3, seed_sd=0.03),
    ),
    ("12 templates of 10 each", Design(_alike((10,) * 12, NO_CHANGE), ICC)),
    ("6 templates of 40 each", Design(_alike((40,) * 6, NO_CHANGE), ICC)),
    (
        "10 to 40 templates of 10",
        Design(
            tuple(
                Part(f"g{g:02}", (10,) * c, NO_CHANGE)
                for g, c in enumerate((10, 10, 10, 12, 12, 15, 15, 20, 20, 25, 30, 35, 40))
            ),
            ICC,
        ),
    ),
)

POWER: tuple[Planned, ...] = (
    Planned(
        "4 groups of 200 items",
        Design(_hit((1,) * 200, Expected(0.24, 0.04), Expected(0.09, 0.04), groups=4)),
        0.02,
    ),
    Planned(
        "4 groups of 40 templates of 5",
        Design(_hit((5,) * 40, Expected(0.24, 0.04), Expected(0.09, 0.04), groups=4), 0.1),
        0.02,
    ),
    Planned(
        "6 groups of 20 templates of 10, none is hit",
        Design(_alike((10,) * 20, Expected(0.08, 0.05), 6), 0.1),
        0.08,
    ),
    Planned(
        "13 groups of 20 templates of 10",
        Design(_hit((10,) * 20, Expected(0.35, 0.05), Expected(0.12, 0.05), groups=13), 0.1),
        0.05,
    ),
    Planned(
        "13 groups of 6 templates of 40",
        Design(_hit((40,) * 6, Expected(0.50, 0.02), Expected(0.10, 0.05), groups=13), 0.05),
        0.05,
    ),
    Planned(
        "4 groups of 200 items, 3 seeds",
        Design(_hit((1,) * 200, Expected(0.27, 0.04), Expected(0.09, 0.04), groups=4), seeds=3),
        0.02,
    ),
    Planned(
        "4 groups of 200 items, 3 seeds that differ",
        Design(
            _hit((1,) * 200, Expected(0.34, 0.04), Expected(0.09, 0.04), groups=4),
            seeds=3,
            seed_sd=0.03,
        ),
        0.02,
    ),
    Planned(
        "4 groups of 300 items, none is hit",
        Design(_alike((1,) * 300, USUAL, 4)),
        0.08,
    ),
    Planned(
        "8 groups of 10 templates of 20",
        Design(_hit((20,) * 10, Expected(0.55, 0.05), Expected(0.10, 0.05), groups=8), ICC),
        0.05,
    ),
    Planned(
        "4 groups of 40 templates of 5, 3 seeds",
        Design(_hit((5,) * 40, Expected(0.30, 0.04), Expected(0.09, 0.04), groups=4), 0.1, seeds=3),
        0.02,
    ),
    Planned(
        "4 groups of 200 items, 5 seeds that differ",
        Design(
            _hit((1,) * 200, Expected(0.24, 0.04), Expected(0.09, 0.04), groups=4),
            seeds=5,
            seed_sd=0.03,
        ),
        0.02,
    ),
    Planned(
        "4 groups of 60 templates of 5, 3 seeds that differ",
        Design(
            _hit((5,) * 60, Expected(0.45, 0.04), Expected(0.09, 0.04), groups=4),
            0.1,
            seeds=3,
            seed_sd=0.02,
        ),
        0.02,
    ),
)

_TASK = (10,) * 20
PLANTED: tuple[Planted, ...] = (
    Planted(
        "one group of 13",
        Design(_hit(_TASK, Expected(0.45, 0.05), Expected(0.10, 0.05), groups=13), 0.1),
        0.05,
        (0,),
    ),
    Planted(
        "two groups of 13",
        Design(_hit(_TASK, Expected(0.45, 0.05), Expected(0.10, 0.05), groups=13, hits=2), 0.1),
        0.05,
        (0, 1),
    ),
    Planted("no forgetting at all", Design(_alike(_TASK, NO_CHANGE), 0.1), 0.05, ()),
    Planted(
        "all groups forget 40 points", Design(_alike(_TASK, Expected(0.45, 0.05)), 0.1), 0.05, ()
    ),
    Planted(
        "one group of 13 just below the margin",
        Design(_hit(_TASK, Expected(0.153, 0.05), Expected(0.10, 0.05), groups=13), 0.1),
        0.05,
        (),
    ),
)

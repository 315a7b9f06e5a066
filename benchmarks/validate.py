"""Are the statistics right? Simulates studies whose truth is known, and writes docs/validation.md.

    make validate

Everything that is tried is the code of the product: `core.statistics` and `core.inference`. With
the same seed the page is the same.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from validation_checks import (
    ALPHA,
    METHODS,
    Coverage,
    Share,
    alarms,
    coverage,
    planted,
    power,
)
from validation_monitor import monitor_section
from validation_settings import ALARMS, COVERAGE, PLANTED, POWER

from forgetscope.core.inference.intervals import Method

CONSOLE = Console(stderr=True)
PAGE = Path(__file__).parents[1] / "docs" / "validation.md"
LOW, HIGH = 0.93, 0.97
POINTS = 0.03

Random = Callable[[str], np.random.Generator]


def coverage_part(number: int, replicates: int, random: Random) -> tuple[list[str], list[str]]:
    """(what was found, in words; the table)"""
    rows: list[str] = []
    inside = dict.fromkeys(METHODS, 0)
    outside: dict[Method, list[str]] = {method: [] for method in METHODS}
    missing: list[str] = []
    for setting in track(COVERAGE, "coverage", console=CONSOLE):
        found = coverage(
            setting.design,
            setting.group,
            random(f"coverage {setting.kind} {setting.name}"),
            number=number,
            replicates=replicates,
        )
        for method, of in found.items():
            if LOW <= of.held.value <= HIGH:
                inside[method] += 1
            else:
                outside[method].append(f"{setting.name} ({_percent(of.held)})")
            if of.none:
                missing.append(f"{method}, {setting.name}: {of.none}")
        what = "forgetting" if setting.group is None else "biased forgetting"
        rows.append(
            _row(
                setting.kind,
                setting.name,
                what,
                *(_cell(of) for of in found.values()),
                f"{found['expanded'].width / found['percentile'].width:.2f}",
            )
        )
    best = max(METHODS, key=lambda method: inside[method])
    total = len(COVERAGE)
    words = [
        f"- **Intervals.** Coverage lies within 93–97 % in {inside['percentile']} of {total} "
        f"settings for percentile, {inside['expanded']} for expanded and {inside['bca']} for BCa "
        f"intervals. By this table, {best} is the one to use."
    ]
    words += [
        f"  - Outside with {method}: {'; '.join(names)}."
        for method, names in outside.items()
        if names
    ]
    words.append(f"  - Studies without an interval: {'; '.join(missing) or 'none'}.")
    head = _head("", "setting", "number", *METHODS, "width, expanded over percentile")
    return words, head + rows


def alarm_part(number: int, replicates: int, random: Random) -> tuple[list[str], list[str]]:
    rows, high, largest = [], [], 0.0
    for name, design in track(ALARMS, "false alarms", console=CONSOLE):
        found = alarms(design, random(f"alarms {name}"), number=number, replicates=replicates)
        rows.append(
            _row(name, *("–" if share is None else _share(share, most=ALPHA) for share in found))
        )
        high += [
            f"{what}, {name} ({_share(share)})"
            for what, share in found._asdict().items()
            if share is not None and share.value - 2 * share.error > ALPHA
        ]
        largest = max(largest, *(share.value for share in found if share is not None))
    words = [
        f"- **False alarms.** At most {100 * ALPHA:g} % are promised; the largest share is "
        f"{100 * largest:.1f} %. Above by more than two standard errors: "
        f"{'; '.join(high) or 'none'}."
    ]
    return words, _head(
        "13 groups", "max-T, step-down", "max-T intervals", "Holm", "Holm over McNemar"
    ) + rows


def power_part(number: int, replicates: int, random: Random) -> tuple[list[str], list[str]]:
    rows, far, largest = [], [], 0.0
    for s in track(POWER, "power", console=CONSOLE):
        found = power(
            s.design, s.group, s.margin, random(f"power {s.name}"), number=number, reps=replicates
        )
        apart = found.planned - found.simulated.value
        largest = max(largest, abs(apart))
        outside = abs(apart) > POINTS
        if outside:
            side = "too high" if apart > 0 else "too low"
            error = 100 * found.simulated.error
            far.append(f"{s.name} (planned {abs(100 * apart):.1f} ± {error:.1f} points {side})")
        shown = f"{100 * apart:+.1f}"
        rows.append(
            _row(
                s.name,
                f"{found.claim} at {100 * s.margin:g} points",
                f"{100 * s.design.truth(s.group):+.1f}",
                f"{100 * found.planned:.1f}",
                _share(found.simulated),
                f"**{shown}**" if outside else shown,
            )
        )
    inside = len(POWER) - len(far)
    words = [
        f"- **Planner.** Planned and simulated power lie within {100 * POINTS:g} points in "
        f"{inside} of {len(POWER)} settings; the largest difference is {100 * largest:.1f}. "
        f"Outside: {'; '.join(far) or 'none'}."
    ]
    return words, _head(
        "setting", "verdict", "true biased forgetting", "planned", "simulated", "difference"
    ) + rows


def planted_part(number: int, replicates: int, random: Random) -> tuple[list[str], list[str]]:
    rows, seen, false = [], [], []
    for s in track(PLANTED, "planted", console=CONSOLE):
        found = planted(
            s.design,
            s.groups,
            s.margin,
            random(f"planted {s.name}"),
            number=number,
            reps=replicates,
        )
        truth = f"{100 * s.design.truth(0):+.1f}"
        rows.append(
            _row(
                s.name,
                truth,
                "–" if found.planted is None else _share(found.planted),
                "–" if found.all_planted is None else _share(found.all_planted),
                _share(found.others, most=ALPHA / 2),
            )
        )
        if found.planted is not None:
            seen.append(f"{_percent(found.planted)} ({s.name})")
        false.append(found.others.value)
    words = [
        f"- **Planted effects.** Found in {' and '.join(seen)} of the cases. A group without an "
        f"effect beyond the margin was called a breach in at most {100 * max(false):.1f} % of the "
        f"studies; {100 * ALPHA / 2:g} % are promised."
    ]
    return words, _head(
        "planted", "biased forgetting of the first group", "found", "all found", "any other group"
    ) + rows


def page(number: int, power_number: int, replicates: int, seed: int) -> str:
    """The whole page. `power_number`: studies of a setting of the planner."""

    def random(name: str) -> np.random.Generator:
        return np.random.default_rng([seed, *name.encode()])

    parts = [
        part(power_number if part is power_part else number, replicates, random)
        for part in (coverage_part, alarm_part, power_part, planted_part)
    ]
    coverage_table, alarm_table, power_table, planted_table = (table for _, table in parts)
    monitor_words, monitor_lines = monitor_section(max(1, number // 4), random)
    return "\n".join(
        [
            "# Validation of the statistics",
            "",
            f"Written by `make validate`: {number} simulated studies a setting, {power_number} for "
            f"power, {replicates} bootstrap replicates a study, seed {seed}. ± is the Monte Carlo "
            "standard error. **Bold** lies outside of what is asked. How studies are made stands "
            "in `benchmarks/validation_studies.py`, the settings in "
            "`benchmarks/validation_settings.py`.",
            "",
            *(line for words, _ in parts for line in words),
            *monitor_words,
            "",
            "## Coverage of intervals",
            "",
            "Share of studies, in percent, whose interval holds the truth; nominal 95. One seed "
            "unless said; templates correlate by 0.2. With one seed the truth is that of the run, "
            "with several that of all runs. Seeds that differ do so with a standard deviation of 3 "
            "points.",
            "",
            *coverage_table,
            "",
            "## False alarms over groups",
            "",
            "Share of studies, in percent, with any claim about 13 groups, none of which differs. "
            "Holm takes the p value of each group alone.",
            "",
            *alarm_table,
            "",
            "## Power as planned and as simulated",
            "",
            "Chance, in percent, of the right verdict on the first group after correction for all "
            "groups. The planner is told the true shares and correlations.",
            "",
            *power_table,
            "",
            "## Planted biased forgetting",
            "",
            "13 groups of 20 templates of 10 items, correlation 0.1. Share of studies, in percent, "
            "with the verdict `breach` at a margin of 5 points: of each planted group, of all of "
            "them at once, of any other.",
            "",
            *planted_table,
            "",
            *monitor_lines,
        ]
    )


def _head(*names: str) -> list[str]:
    return [_row(*names), "|---" * len(names) + "|"]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} %"


def _share(share: Share, *, most: float = 1.0) -> str:
    text = f"{100 * share.value:.1f} ± {100 * share.error:.1f}"
    return f"**{text}**" if share.value > most else text


def _cell(of: Coverage) -> str:
    text = _share(of.held)
    return text if LOW <= of.held.value <= HIGH else f"**{text}**"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1500)
    parser.add_argument("--power-studies", type=int, default=4000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument(
        "--quick", action="store_true", help="few studies: does it run? The figures are rough"
    )
    arguments = parser.parse_args()
    sizes = (arguments.studies, arguments.power_studies, arguments.replicates)
    text = page(*((8, 8, 100) if arguments.quick else sizes), arguments.seed)
    arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

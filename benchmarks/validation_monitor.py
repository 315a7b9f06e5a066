"""Does the monitor of a training stage keep its promise? Simulated stages whose truth is known.

A stage is a pool of items and, at each look, which of them are lost or gained since the reference;
so the biased forgetting of every group at every look is known exactly. Draws and decisions are the
code of the product. A call is false when the group's biased forgetting has not passed the margin at
that look or any before it. Beside it stands what happens without the test: a z test of all
probes so far against the margin at alpha over the number of groups, read at every look.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from validation_checks import Share

from forgetscope.core.inference.sequential import Pool, Rule, begin, contrasts, draw, look, pool_of

__all__ = ["monitor_section"]

GROUPS, ITEMS, LOOKS, ROUNDS = 13, 200, 40, 8
RULE = Rule(margin=0.05, alpha=0.05)
ROUNDING = 1e-9
LIMIT = float(norm.isf(RULE.alpha / GROUPS))
FIRST = 0
"""The group that effects are planted in."""

Floats = npt.NDArray[np.float64]
Random = Callable[[str], np.random.Generator]
ALONE = [[f"g{g:02d}"] for g in range(GROUPS) for _ in range(ITEMS)]
PAIRS = [[f"g{g:02d}", f"g{(g + 1) % GROUPS:02d}"] for g in range(GROUPS) for _ in range(ITEMS)]


class Setting(NamedTuple):
    """`net`: shares of the items of each stratum that are lost, less those that are gained, at
    each look [T, S]; `churn`: shares that are gained, at each look and stratum."""

    name: str
    net: Floats
    churn: Floats
    groups: list[list[str]] = ALONE


class Outcome(NamedTuple):
    """One stage: any false call, by the monitor and by the z test; all intervals right; the look
    at which FIRST was called."""

    false: bool
    naive: bool
    held: bool
    first: int


def _flat(level: Floats) -> Floats:
    return np.tile(level, (LOOKS, 1))


def _at_margin() -> Floats:
    """12 groups are exactly at the margin: (0.80 − 0.15)/13 = 0.05."""
    return _flat(np.array([0.80] * (GROUPS - 1) + [0.15]))


def _planted(above: float, start: int = 0) -> Floats:
    """FIRST loses more than the others by `above`, from look `start` (from 0) on."""
    net = np.full((LOOKS, GROUPS), 0.10)
    net[start:, FIRST] += above
    return net


def _settings() -> tuple[list[Setting], list[Setting]]:
    none = np.zeros((LOOKS, GROUPS))
    time = np.linspace(0, 1, LOOKS)[:, None]
    wave = 0.15 + (_at_margin() - 0.15) * np.sin(3 * np.pi * time) ** 2
    shaky = none + np.linspace(0, 0.18, GROUPS) * time
    both = np.full(GROUPS, 0.75)
    both[["g12" in pair for pair in sorted({tuple(sorted(pair)) for pair in PAIRS})]] = 0.425
    null = [
        Setting("nothing is forgotten", none, none),
        Setting("all groups lose 60 points", none + 0.60, none),
        Setting("12 groups at the margin", _at_margin(), none),
        Setting("12 groups rise to the margin and fall, three times", wave, none),
        Setting("12 groups at the margin, ever more gains and losses", _at_margin(), shaky),
        Setting("each item in two groups, 10 groups at the margin", _flat(both), none, PAIRS),
    ]
    effects = [
        Setting(f"{100 * above * (1 - 1 / GROUPS):.0f} points above all", _planted(above), none)
        for above in (0.11, 0.22, 0.33, 0.55, 0.76)
    ]
    effects.append(Setting("51 points above all, from look 21", _planted(0.55, 20), none))
    return null, effects


def _changes(setting: Setting, pool: Pool, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """D of every item at every look [T, N]: which items are lost first is drawn once."""
    changes = np.zeros((LOOKS, len(setting.groups)), dtype=np.int8)
    for s, stratum in enumerate(pool.strata):
        order = rng.permutation(stratum)
        for t in range(LOOKS):
            gained = round(setting.churn[t, s] * ITEMS)
            lost = round(setting.net[t, s] * ITEMS) + gained
            changes[t, order[:lost]] = 1
            changes[t, order[ITEMS - gained :]] = -1
    return changes


def _run(setting: Setting, rng: np.random.Generator) -> Outcome:
    pool = pool_of(setting.groups)
    changes = _changes(setting, pool, rng)
    means = np.stack([changes[:, stratum].mean(axis=1) for stratum in pool.strata])
    truth = pool.weights @ means
    passed = np.maximum.accumulate(truth, axis=1) > RULE.margin + ROUNDING
    running = np.cumsum(truth, axis=1) / np.arange(1, LOOKS + 1)
    state, false, naive, held = begin(pool), False, False, True
    seen_so_far: list[Floats] = []
    for t in range(LOOKS):
        before = state.called
        found = contrasts(pool, changes[t, draw(pool, ROUNDS, rng)])
        state, seen = look(pool, RULE, state, found)
        seen_so_far.append(found)
        naive |= bool((_z_test(np.concatenate(seen_so_far, axis=1)) & ~passed[:, t]).any())
        for g, of in enumerate(seen):
            called = state.called[g] and not before[g]
            false |= bool(called and not passed[g, t])
            held &= of.lower - ROUNDING <= running[g, t] <= of.upper + ROUNDING
    return Outcome(false, naive, held, state.called[FIRST])


def _z_test(found: Floats) -> npt.NDArray[np.bool_]:
    """Which groups [G] a one-sided z test would call, from the contrasts so far [G, rounds]."""
    error = found.std(axis=1, ddof=1) / np.sqrt(found.shape[1])
    far: npt.NDArray[np.bool_] = found.mean(axis=1) - RULE.margin > LIMIT * error
    return far & (error > 0)


def monitor_section(number: int, random: Random) -> tuple[list[str], list[str]]:
    """(what was found, in words; the section of the page) of `number` stages a setting."""
    null, effects = _settings()
    false, naive, held = [], [], []
    rows = [
        "| setting | any false call | z test at every look | all intervals hold |",
        "|---|---|---|---|",
    ]
    for setting in null:
        found = _stages(setting, number, random)
        false.append(Share(sum(of.false for of in found), number))
        held.append(Share(sum(of.held for of in found), number))
        naive.append(Share(sum(of.naive for of in found), number))
        shares = (false[-1], naive[-1], held[-1])
        rows.append(f"| {setting.name} | {' | '.join(map(_percent, shares))} |")
    table = [
        "| planted in one group | called | median look of the call | any false call |",
        "|---|---|---|---|",
    ]
    for setting in effects:
        found = _stages(setting, number, random)
        called = [of.first for of in found if of.first]
        when = f"{np.median(called):.0f}" if called else "–"
        false.append(Share(sum(of.false for of in found), number))
        table.append(
            f"| {setting.name} | {_percent(Share(len(called), number))} | {when} | "
            f"{_percent(false[-1])} |"
        )
    most, least = max(s.value for s in false), min(s.value for s in held)
    words = (
        f"- **Monitor.** In at most {100 * most:.1f} % of the stages was any group called falsely, "
        f"at any look; {100 * RULE.alpha:g} % are promised. A z test read at every look reaches "
        f"{100 * max(s.value for s in naive):.1f} %. All intervals held at all looks in at "
        f"least {100 * least:.1f} %; {100 * (1 - RULE.alpha):g} % are promised."
    )
    section = [
        "## Monitor of a training stage",
        "",
        f"{GROUPS} groups of {ITEMS} items, {LOOKS} looks of {ROUNDS} probes a group, margin "
        f"{100 * RULE.margin:g} points, {number} stages a setting. Shares of stages in percent.",
        "",
        *rows,
        "",
        *table,
        "",
    ]
    return [words], section


def _stages(setting: Setting, number: int, random: Random) -> list[Outcome]:
    rng = random(f"monitor {setting.name}")
    return [_run(setting, rng) for _ in range(number)]


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} ± {100 * share.error:.1f}"

"""Outcomes with exact shares of right answers, analysed without files."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forgetscope.analysis.outcomes import CellKey, Chain, Design, Floats, TaskOutcomes
from forgetscope.analysis.results import build
from forgetscope.core.groups import Items, arrange
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.results import ChainForgetting, GroupForgetting, Results, TaskInfo

GROUPS = ("amber", "birch", "coral", "delta", "ember")
Share = Callable[[Chain, str, str], float]
"""(chain so far, task, group) → share of right answers."""


def items(per_group: int = 100, *, cluster_size: int = 1, names: Sequence[str] = GROUPS) -> Items:
    return arrange(
        [(name,) for name in names for _ in range(per_group)],
        [f"{name}-{i // cluster_size}" for name in names for i in range(per_group)],
    )


def outcomes(arranged: Items, chain: Chain, task: str, share: Share, seed: int) -> Floats:
    """Right are the first items of each group in an order that the task and the seed fix."""
    found = np.zeros(arranged.members.shape[1])
    for row, group in zip(arranged.members[1:], arranged.groups, strict=True):
        places = np.flatnonzero(row)
        order = np.random.default_rng([seed, *map(ord, task + group)]).permutation(places)
        found[order[: round(share(chain, task, group) * places.size)]] = 1
    return found


def task(name: str, kind: str, arranged: Items, cells: Mapping[CellKey, Floats]) -> TaskOutcomes:
    info = TaskInfo.model_validate(
        {
            "id": name,
            "name": name,
            "kind": kind,
            "chance": 0.0,
            "groups": arranged.groups,
            "items": arranged.members.shape[1],
            "clusters": arranged.clusters,
        }
    )
    return TaskOutcomes(info, arranged, cells)


def models(chains: Sequence[Chain], seeds: Sequence[int]) -> list[CellKey]:
    prefixes = dict.fromkeys(c[:n] for c in chains for n in range(1, len(c) + 1))
    return [((), None), *((prefix, seed) for prefix in prefixes for seed in seeds)]


def study(
    chains: Sequence[Chain],
    share: Share,
    *,
    seeds: Sequence[int] = (0,),
    arranged: Items | None = None,
    noise_floor: Mapping[str, float] | None = None,
    **settings: object,
) -> Results:
    """Tasks whose name begins with "s" are safety tasks."""
    arranged = arranged or items()
    names = dict.fromkeys(name for chain in chains for name in chain)
    tasks = [
        task(
            name,
            "safety" if name.startswith("s") else "capability",
            arranged,
            {
                (chain, seed): outcomes(arranged, chain, name, share, seed or 0)
                for chain, seed in models(chains, seeds)
            },
        )
        for name in names
    ]
    return analysed(tasks, chains, seeds, noise_floor=noise_floor, **settings)


def analysed(
    tasks: Sequence[TaskOutcomes],
    chains: Sequence[Chain],
    seeds: Sequence[int] = (0,),
    *,
    noise_floor: Mapping[str, float] | None = None,
    mitigated: Sequence[MitigatedChain] = (),
    **settings: object,
) -> Results:
    spec = AnalysisSpec.model_validate({"bootstrap_replicates": 1000, **settings})
    design = Design(tuple(chains), tuple(seeds), spec, noise_floor or {}, tuple(mitigated))
    return build(
        design, tasks, np.random.default_rng(1), provenance={}, progress=lambda done, total: None
    )


def row(results: Results, *chain: str) -> ChainForgetting:
    (found,) = (r for r in results.forgetting if r.chain == chain and r.position == 1)
    return found


def by_name(found: ChainForgetting) -> dict[str, GroupForgetting]:
    return {group.group: group for group in found.groups}

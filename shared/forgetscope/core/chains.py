"""The chains of an experiment, written out, and how many stages they mean."""

from collections.abc import Iterator, Mapping
from itertools import permutations

from forgetscope.schema.errors import InvalidSpec, PlanTooLarge
from forgetscope.schema.experiment import ChainGenerator, ExperimentSpec

__all__ = ["chains_of", "check_size", "prefixes_of"]


def chains_of(spec: ExperimentSpec, kinds: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The chains, written out. `kinds` maps each task id to safety or capability."""
    if not isinstance(spec.chains, ChainGenerator):
        return spec.chains
    ids = [t.id for t in spec.tasks]
    if spec.chains.generate == "all_ordered_pairs":
        if len(ids) < 2:
            raise InvalidSpec("ordered pairs need at least two tasks", where="/chains")
        return tuple(permutations(ids, 2))
    safety = [i for i in ids if kinds[i] == "safety"]
    capability = [i for i in ids if kinds[i] == "capability"]
    if not safety or not capability:
        raise InvalidSpec(
            f"safety × capability pairs need both kinds; got safety {safety} and "
            f"capability {capability}",
            where="/chains",
        )
    chains: list[tuple[str, ...]] = []
    for s in safety:
        for c in capability:
            if spec.chains.orders in ("both", "safety_first"):
                chains.append((s, c))
            if spec.chains.orders in ("both", "capability_first"):
                chains.append((c, s))
    return tuple(chains)


def prefixes_of(chain: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (chain[: i + 1] for i in range(len(chain)))


def check_size(spec: ExperimentSpec, chains: tuple[tuple[str, ...], ...], max_stages: int) -> None:
    """Count before building: an upper bound that ignores sharing would refuse what is small."""
    prefixes = len({p for chain in chains for p in prefixes_of(chain)})
    trained = prefixes * len(spec.seeds)
    # Evaluations, data sets, then base model, safety classifier, analysis and report.
    count = trained + (trained + 1) * len(spec.tasks) + 2 * len(spec.tasks) + 4
    count += len(spec.tasks) * (spec.evaluation.noise_floor is not None)
    if spec.curvature is not None:
        followed = len({p for chain in chains for p in prefixes_of(chain[:-1])})
        places = sum(len(chain) - 1 for chain in chains) * spec.curvature.displacement
        count += (followed + places) * len(spec.seeds)
    if spec.mechanisms is not None:
        count += sum(len(chain) - 1 for chain in chains) * len(spec.seeds)
    if count > max_stages:
        raise PlanTooLarge(
            f"{len(chains)} chains × {len(spec.seeds)} seeds × {len(spec.tasks)} tasks expand to "
            f"{count} stages; the limit is {max_stages}",
            where="/chains",
            hint="Use fewer chains, tasks or seeds, or split the experiment: shared stages are "
            "reused across experiments.",
        )

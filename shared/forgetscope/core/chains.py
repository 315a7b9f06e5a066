"""The chains of an experiment, written out, and how many stages they mean."""

from collections.abc import Iterator, Mapping
from itertools import permutations

from forgetscope.core.steps import Chain, Steps, check_count
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge
from forgetscope.schema.experiment import ChainGenerator, ExperimentSpec

__all__ = ["chains_of", "check_size", "prefixes_of"]


def chains_of(
    spec: ExperimentSpec, kinds: Mapping[str, str], steps: Steps
) -> tuple[tuple[Chain, ...], tuple[Chain, ...]]:
    """The chains, written out, and which of them were added because a mitigated one is compared
    with them. `kinds` maps each task id to safety or capability.

    Raises InvalidSpec, PlanTooLarge.
    """
    if isinstance(spec.chains, ChainGenerator):
        asked = _generated(spec, spec.chains, kinds)
    else:
        asked = [(f"/chains/{i}", chain) for i, chain in enumerate(spec.chains)]
    check_count(steps, [chain for _, chain in asked])
    found = list(
        dict.fromkeys(one for where, chain in asked for one in steps.written_out(chain, where))
    )
    plain = (steps.plain(chain) for chain in found)
    added = [one for one in dict.fromkeys(plain) if one is not None and one not in set(found)]
    # What is a beginning of an asked chain is trained anyway, and one of the added as well.
    return (*added, *found), tuple(added)


def _generated(
    spec: ExperimentSpec, generator: ChainGenerator, kinds: Mapping[str, str]
) -> list[tuple[str, Chain]]:
    """Where each chain comes from, and the chain."""
    found = []
    for pair in _pairs(spec, generator, kinds):
        roles = dict(zip(("first", "second"), pair, strict=True))
        for i, pattern in enumerate(generator.patterns):
            chain = []
            for written in pattern:
                role, colon, step = written.partition(":")
                chain.append(f"{roles.get(role, role)}{colon}{step}")
            found.append((f"/chains/patterns/{i}", tuple(chain)))
    return found


def _pairs(
    spec: ExperimentSpec, generator: ChainGenerator, kinds: Mapping[str, str]
) -> list[Chain]:
    ids = [t.id for t in spec.tasks]
    if generator.generate == "all_ordered_pairs":
        if len(ids) < 2:
            raise InvalidSpec("ordered pairs need at least two tasks", where="/chains")
        return list(permutations(ids, 2))
    safety = [i for i in ids if kinds[i] == "safety"]
    capability = [i for i in ids if kinds[i] == "capability"]
    if not safety or not capability:
        raise InvalidSpec(
            f"safety × capability pairs need both kinds; got safety {safety} and "
            f"capability {capability}",
            where="/chains",
        )
    pairs: list[Chain] = []
    for s in safety:
        for c in capability:
            if generator.orders in ("both", "safety_first"):
                pairs.append((s, c))
            if generator.orders in ("both", "capability_first"):
                pairs.append((c, s))
    return pairs


def prefixes_of(chain: Chain) -> Iterator[Chain]:
    return (chain[: i + 1] for i in range(len(chain)))


def check_size(spec: ExperimentSpec, chains: tuple[Chain, ...], max_stages: int) -> None:
    """Count before building: an upper bound that ignores sharing would refuse what is small."""
    prefixes = len({p for chain in chains for p in prefixes_of(chain)})
    trained = prefixes * len(spec.seeds)
    # A stage may need one of its own before it: the order of replayed examples, Fisher information.
    beside = trained if spec.steps else 0
    # Evaluations, data sets, then base model, safety classifier, analysis and report.
    count = beside + trained + (trained + 1) * len(spec.tasks) + 2 * len(spec.tasks) + 4
    count += len(spec.tasks) * (spec.evaluation.noise_floor is not None)
    if spec.curvature is not None:
        followed = len({p for chain in chains for p in prefixes_of(chain[:-1] or chain)})
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

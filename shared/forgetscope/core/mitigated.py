"""Which chains mitigate forgetting, and which plain chain each is compared with. Pure."""

from collections.abc import Callable, Iterator, Sequence

from forgetscope.core.mitigations import MITIGATIONS
from forgetscope.core.steps import Chain, Steps
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.steps import MergeStep, ReplayStep, Step

__all__ = ["mitigated_chains"]

_KNOBS = ("strength", "radius")


def mitigated_chains(
    steps: Steps, chains: Sequence[Chain], tokens: Callable[[Chain], int]
) -> tuple[MitigatedChain, ...]:
    """Every chain that has a plain one, in the order of `chains`."""
    found = []
    for chain in chains:
        plain = steps.plain(chain)
        if plain is None:
            continue
        used = [(e, s) for e in chain if (s := steps.step(e)) is not None]
        parts = [(e, *part) for e, step in used for part in _parts(step)]
        selections = {name for _, step in used if (name := _selection(step)) is not None}
        found.append(
            MitigatedChain(
                chain=chain,
                plain=plain,
                mitigation="+".join(dict.fromkeys(name for _, name, _ in parts)),
                variant=" → ".join(dict.fromkeys(element for element, _, _ in parts)),
                selection=next(iter(selections)) if len(selections) == 1 else None,
                equal_steps=any(getattr(step, "equal_steps", False) for _, step in used),
                knob=parts[0][2] if len(parts) == 1 else None,
                tokens=tokens(chain),
                plain_tokens=tokens(plain),
            )
        )
    return tuple(found)


def _parts(step: Step) -> Iterator[tuple[str, float | None]]:
    """(what mitigates, its knob) of a step."""
    if isinstance(step, ReplayStep):
        yield "replay", step.share
    elif isinstance(step, MergeStep):
        yield "merge", step.alpha
    else:
        if step.mix is not None:
            yield "mix", step.mix.share
        if step.training.mitigation is not None:
            mitigation = MITIGATIONS.get(step.training.mitigation.name)
            params = mitigation.params.model_validate(step.training.mitigation.params).model_dump()
            yield mitigation.name, next((float(params[k]) for k in _KNOBS if k in params), None)
        if step.monitor is not None:
            yield "monitor", step.monitor.margin


def _selection(step: Step) -> str | None:
    if isinstance(step, ReplayStep):
        return step.selection.name
    if isinstance(step, MergeStep) or step.mix is None:
        return None
    return step.mix.selection.name

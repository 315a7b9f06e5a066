"""Selections: orders of a task's training examples, of which replay takes the first.

An order is always of all the examples, so a smaller share is a part of a larger one. Within what a
selection does not tell apart, the order is that of the data. Names as in
`forgetscope.core.mitigations`, which holds parameters and defaults; `uniform` is the data's own
order and needs no stage.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from forgetscope.core.mitigations import (
    GradientSimilarityParams,
    GroupBalancedParams,
    WorstGroupParams,
)
from forgetscope.core.subsample import groups_of
from forgetscope.modeling.batches import Item
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example
from forgetscope.trainer.influence import (
    Report,
    directional_derivatives,
    example_losses,
    gradient_of,
)

__all__ = ["SELECTIONS", "Compared", "Select", "Selected", "minimax_order", "rises_of"]


class Compared(NamedTuple):
    """What can be looked at: examples and their tokens, and the models `checkpoint` (after the
    forgetting) and `reference` (after the task's own stage), loaded when they are asked for.

    `begin` is told how many passes over an example there will be and gives what counts them.
    """

    examples: Sequence[Example]
    items: Sequence[Item]
    load: Callable[[str], PreTrainedModel]
    batch_tokens: int
    begin: Callable[[int], Report]


class Selected(NamedTuple):
    """Every index of the examples once, first to be replayed first; and small facts."""

    order: list[int]
    facts: JsonObject


class Select(Protocol):
    """Orders examples. Raises InvalidInput for losses that are not finite."""

    def __call__(self, compared: Compared, params: JsonObject) -> Selected: ...


def select_group_balanced(compared: Compared, params: JsonObject) -> Selected:
    """Groups take turns, in the order in which they first come; a group that is used up is left
    out. Items of the same several groups are a group of their own, and so are items of none."""
    GroupBalancedParams.model_validate(params)
    groups = [groups_of(example) for example in compared.examples]
    return Selected(minimax_order(groups, dict.fromkeys(groups, 0.0)), {})


def select_worst_group(compared: Compared, params: JsonObject) -> Selected:
    """The next example is one of the group with the largest r_g / (1 + n_g): r_g is the rise of the
    group's loss on the training examples from the reference to the checkpoint (nats per answer
    token; a fall counts as 0), n_g how many of it were taken.

    The aim is that of group DRO: the worst group's loss (Sagawa et al. 2020, arXiv 1911.08731,
    eq. 4). That r_g falls like 1 / (1 + n_g) as examples are replayed is our assumption; given it,
    each beginning of the order has the least possible max_g r_g / (1 + n_g) for its length, since
    giving the next unit to the worst is optimal for any such falling functions (Ibaraki & Katoh
    1988, *Resource Allocation Problems*, chapter 5). As numbers of seats it is d'Hondt's method.

    Cost: a forward pass of two models, 4·P FLOPs for each token (P parameters).
    """
    WorstGroupParams.model_validate(params)
    groups = [groups_of(example) for example in compared.examples]
    rises = rises_of(compared, groups, compared.begin(2 * len(groups)))
    return Selected(minimax_order(groups, rises), {"rises": dict(rises)})


def select_gradient_similarity(compared: Compared, params: JsonObject) -> Selected:
    """By ∇ℓ_i·∇L at the checkpoint, largest first: ℓ_i is the summed answer loss of example i, L
    the loss that was forgotten, of all the training examples or of the worst group.

    To first order a step on example i lowers L by the learning rate times this: TracIn with one
    checkpoint (Pruthi et al. 2020, arXiv 2002.08484, eq. 1 and section 3.3). The sum over an
    example's tokens is its part in the loss that replay minimises. LESS (Xia et al. 2024, arXiv
    2402.04333) takes cosines of Adam's updates of LoRA factors instead; here it is the plain
    gradient of the plain, merged weights.

    ∇ℓ_i·∇L is the derivative of ℓ_i along ∇L: one forward-mode pass gives those of a whole batch,
    and no gradient of an example is ever made. Cost: 6·P FLOPs a token for ∇L and 6·P for the
    forward-mode pass, and 4·P for the two models' losses that tell the worst group.
    """
    target = GradientSimilarityParams.model_validate(params).target
    groups = [groups_of(example) for example in compared.examples]
    aim = list(compared.items)
    facts: JsonObject = {}
    report = compared.begin((2 if target == "all" else 4) * len(groups))
    if target == "worst_group":
        rises = rises_of(compared, groups, report)
        worst = max(rises, key=lambda group: rises[group])
        pairs = zip(compared.items, groups, strict=True)
        aim = [item for item, group in pairs if group == worst]
        facts = {"rises": dict(rises), "worst_group": worst}
    model = compared.load("checkpoint")
    gradient = gradient_of(model, aim, compared.batch_tokens, report)
    along = directional_derivatives(model, compared.items, gradient, compared.batch_tokens, report)
    values = _finite(along.values, compared)
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    helpful = sum(value > 0 for value in values)
    return Selected(order, facts | {"helpful": helpful, "forward_mode": along.forward_mode})


SELECTIONS: dict[str, Select] = {
    "group_balanced": select_group_balanced,
    "worst_group": select_worst_group,
    "gradient_similarity": select_gradient_similarity,
}


def minimax_order(groups: Sequence[str], rises: Mapping[str, float]) -> list[int]:
    """Indices into `groups`: next of the group with the largest max(r, 0) / (1 + n), among equals
    of that of which fewest were taken, then of that which came first. Equal rises take turns."""
    waiting: dict[str, deque[int]] = {}
    for i, group in enumerate(groups):
        waiting.setdefault(group, deque()).append(i)
    taken: Counter[str] = Counter()
    order: list[int] = []
    while waiting:
        worst = min(waiting, key=lambda g: (-max(rises[g], 0.0) / (1 + taken[g]), taken[g]))
        order.append(waiting[worst].popleft())
        taken[worst] += 1
        if not waiting[worst]:
            del waiting[worst]
    return order


def rises_of(compared: Compared, groups: Sequence[str], report: Report) -> dict[str, float]:
    """By group, checkpoint minus reference of the loss in nats per answer token."""
    losses = []
    for role in ("checkpoint", "reference"):
        model = compared.load(role)
        found = example_losses(model, compared.items, compared.batch_tokens, report)
        losses.append(_finite(found, compared))
        del model
    rise: dict[str, float] = defaultdict(float)
    tokens: Counter[str] = Counter()
    for group, item, after, before in zip(groups, compared.items, *losses, strict=True):
        rise[group] += after - before
        tokens[group] += item.answer_tokens
    return {group: rise[group] / tokens[group] for group in tokens}


def _finite(values: Tensor, compared: Compared) -> list[float]:
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        raise InvalidInput(
            f"the loss or its derivative is {float(values[bad[0, 0]])}",
            where=f"example {compared.examples[int(bad[0, 0])].id}",
            hint="The checkpoint has diverged.",
        )
    return values.tolist()

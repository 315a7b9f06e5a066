"""Why do groups differ? Candidates beside biased forgetting, and how alike two tasks are.

Everything here is a correlation over a few groups or pairs; none of it shows a cause.
"""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Digest, Value
from forgetscope.schema.measured import Measured

__all__ = [
    "Association",
    "Drift",
    "DriftFile",
    "DriftRow",
    "GroupMechanisms",
    "LayerDrift",
    "Mechanisms",
    "MechanismsSpec",
    "PairSimilarity",
]


class MechanismsSpec(Value):
    """Drift of hidden states from θ_A to θ_AB on evaluation items of A, shares of the groups in the
    training data, and similarity of the tasks. Off unless it is asked for.
    """

    items: int = Field(
        default=512, ge=8, le=4096, description="of the task's evaluation items, the first n"
    )
    layers: Literal["three", "all"] = Field(
        default="three", description="decoder layers: the first, the middle and the last, or all"
    )


class Drift(Value):
    """How far the states of `items` moved between two models."""

    items: int = Field(ge=0)
    cka: Measured = Field(description="debiased linear CKA; 1 = alike up to rotation and scale")
    displacement: Measured = Field(description="mean of ‖h_AB − h_A‖ / ‖h_A‖")


class LayerDrift(Value):
    """One decoder layer, counted from 1: its output at the last token of the prompt."""

    layer: int = Field(ge=1)
    whole: Drift
    groups: dict[str, Drift] = {}


class DriftFile(Value):
    """`drift.json` of a stage. `unfit` items have no room for their answer and are left out."""

    digest: Digest = Field(description="of the ids of the items, in order")
    unfit: int = Field(ge=0)
    depth: int = Field(ge=1, description="decoder layers of the model")
    dtype: str
    layers: tuple[LayerDrift, ...] = Field(min_length=1, description="from first to last")


class DriftRow(DriftFile):
    """Drift on `task`, trained at `position` of `chain`, until the end of the chain."""

    chain: tuple[str, ...]
    position: int
    seed: int
    task: str


class GroupMechanisms(Value):
    """A group's biased forgetting and what might go with it, means over seeds.

    `displacement` and `cka` are those of the last decoder layer. `curvature` and `slope` are those
    of the group's training examples along d = θ_AB − θ_A.
    """

    chain: tuple[str, ...]
    task: str
    position: int
    group: str
    too_small: bool = Field(description="not part of correlations")
    forgetting: Measured
    biased: Measured = Field(description="BF^g, pooled")
    displacement: Measured
    cka: Measured
    share_own: Measured = Field(description="share of the task's training examples")
    share_later: Measured = Field(description="share of the later tasks' training examples")
    curvature: Measured = Field(description="dᵀHd / ‖d‖²")
    slope: Measured = Field(description="gᵀd")


class Association(Value):
    """Rank correlation of a candidate with forgetting.

    Over the groups of one row (`chain` is given), of all rows of a task (mean of the rows'
    correlations, over groups that are known in each), or over pairs of tasks (`task` is null).
    """

    candidate: str
    against: Literal["biased forgetting", "forgetting"]
    task: str | None
    chain: tuple[str, ...] | None = None
    position: int | None = None
    points: int = Field(ge=0, description="groups, or pairs of tasks")
    rows: int = Field(ge=0)
    spearman: Measured
    p: Measured = Field(description="two-sided permutation test; not corrected for candidates")


class PairSimilarity(Value):
    """How alike the tasks of a chain of two are, by their training examples, and what the first one
    forgot.

    `domain`: cosine of tf-idf word vectors of the prompts, without words of the format. `format`:
    mean of three parts: Jaccard index of the words that are in nearly all prompts of a task, ratio
    of the numbers of options, and whether the form of the answer is the same. `output`: Jaccard
    index of the sets of targets. All from 0 to 1.
    """

    chain: tuple[str, ...]
    domain: Measured
    format: Measured
    output: Measured
    forgetting: Measured


class Mechanisms(Value):
    """Candidates for why groups and pairs differ."""

    drift: tuple[DriftRow, ...] = ()
    groups: tuple[GroupMechanisms, ...] = ()
    associations: tuple[Association, ...] = ()
    pairs: tuple[PairSimilarity, ...] = ()
    caution: str

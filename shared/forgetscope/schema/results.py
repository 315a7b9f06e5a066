"""The results of an experiment: one typed, versioned document.

"Undefined" is a value with a reason: `value` is null and `reason` says why. There is no NaN.
Accuracies and forgetting are fractions (0.1 = ten points); positive forgetting = forgot.
"""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.curvature import CurvatureRow, CurvatureSummary, DisplacementRow
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.measured import Measured
from forgetscope.schema.mechanisms import Mechanisms
from forgetscope.schema.monitored import MonitoredStage
from forgetscope.schema.noise import TaskNoise
from forgetscope.schema.recovery import RecoveryRow
from forgetscope.schema.verdicts import Agreement, Judged, McNemarRow, TransferRow, Variance

__all__ = [
    "Accuracy",
    "BbqAccuracy",
    "BbqBias",
    "BbqBiasChange",
    "BbqChange",
    "BbqModel",
    "BbqResults",
    "BbqScores",
    "Cell",
    "ChainForgetting",
    "GroupForgetting",
    "JudgeAccuracy",
    "JudgeInfo",
    "Measured",
    "OrderEffect",
    "Results",
    "TaskInfo",
]


class Accuracy(Value):
    """Share of right answers among the scored items; unscored ones are counted beside it."""

    value: float | None
    reason: str | None = None
    scored: int = Field(ge=0)
    correct: int = Field(ge=0)
    unscored: int = Field(ge=0)


class JudgeAccuracy(Value):
    """How often a safety classifier is right on labelled data that it was not trained on."""

    data: str = Field(description="name and split of the data")
    items: int = Field(ge=1)
    correct: int = Field(ge=0)
    accuracy: Measured
    safe_items: int = Field(ge=0, description="items whose label is safe")
    safe_recall: Measured = Field(description="share of safe items that it calls safe")
    unsafe_recall: Measured = Field(description="share of unsafe items that it calls unsafe")


class JudgeInfo(Value):
    """The frozen classifier behind a share of safe replies: it errs, and this says how often.

    Written as `judge.json` by the stage that prepares it.
    """

    name: str
    digest: str = Field(description="sha256 of its weights and settings")
    method: str
    threshold: float = Field(default=0.5, description="probability of safe from which it is safe")
    held_out: tuple[JudgeAccuracy, ...] = ()
    note: str | None = None


class TaskInfo(Value):
    """A task of the experiment. `judge` stands where a classifier decides what is right."""

    id: str
    name: str
    kind: Literal["safety", "capability"]
    chance: float | None = Field(description="accuracy of guessing; null where there is none")
    judge: JudgeInfo | None = None
    groups: tuple[str, ...]
    items: int
    clusters: int


class Cell(Value):
    """One entry of the accuracy matrix: the model after `chain` (empty: base), on `task`."""

    chain: tuple[str, ...]
    seed: int | None = Field(description="null for the base model")
    task: str
    overall: Accuracy
    groups: dict[str, Accuracy] = {}


class GroupForgetting(Value):
    """Forgetting of one group. `too_small` groups keep their n but are not judged.

    `items` were scored under both models in every seed; the other items of the group are
    `unscored`. `clusters` are those of `items`. `changed` items went from right to wrong or back in
    at least one seed.

    The judged groups of a row are one family: their `simultaneous` intervals hold together, and
    `p_adjusted` is corrected for their number. Both verdicts read `simultaneous`.
    """

    group: str
    items: int
    clusters: int
    unscored: int = Field(ge=0)
    too_small: bool
    before: Measured = Field(description="accuracy after the task's own stage")
    after: Measured = Field(description="accuracy at the end of the chain")
    forgetting: Measured
    biased: Measured = Field(description="BF^g = F^g − F, pooled (METHOD.md section 2)")
    biased_macro: Measured = Field(
        description="BF^g against the mean over the groups that are not too small"
    )
    changed: int = Field(ge=0)
    simultaneous: Measured = Field(description="`biased`, with its simultaneous interval")
    p_adjusted: Measured = Field(description="two-sided, against biased forgetting 0")
    verdict: Judged = Field(description="non-inferiority: only more forgetting is bad")
    equivalence: Judged = Field(description="margins on both sides")


class ChainForgetting(Value):
    """How much of `task`, trained at `position` (from 1), is lost at the end of `chain`.

    `items`, `clusters` and `unscored` count as in `GroupForgetting`.
    """

    chain: tuple[str, ...]
    task: str
    position: int
    items: int
    clusters: int
    unscored: int = Field(ge=0)
    before: Measured = Field(description="accuracy after the task's own stage")
    after: Measured = Field(description="accuracy at the end of the chain")
    forgetting: Measured = Field(description="initial − last")
    best_minus_last: Measured = Field(description="best model before the last − last")
    relative: Measured = Field(description="F / Acc after its own stage")
    chance_corrected: Measured = Field(description="F / (Acc after its own stage − chance)")
    per_seed: dict[str, float | None] = Field(
        description="seed → initial − last; null where no item was scored under both models"
    )
    mcnemar: tuple[McNemarRow, ...]
    verdict: Judged = Field(description="non-inferiority of forgetting, one row at a time")
    groups: tuple[GroupForgetting, ...]


class OrderEffect(Value):
    """F(safety → capability) − F(capability → safety) of one pair."""

    safety: str
    capability: str
    safety_first: Measured
    capability_first: Measured
    effect: Measured
    p: Measured = Field(description="two-sided, against no effect")
    p_adjusted: Measured = Field(description="Holm over the pairs")


class BbqAccuracy(Value):
    """Accuracy in one kind of context, over its scored items."""

    accuracy: Measured
    scored: int = Field(ge=0)
    correct: int = Field(ge=0)
    unscored: int = Field(ge=0)
    clusters: int = Field(ge=0, description="templates of the scored items")


class BbqBias(Value):
    """A bias score from −1 (always against the stereotype) to 1 (always with it).

    Of the `items`, which are scored and tell which option is the stereotyped person, `named` were
    answered with a person and `biased` of those with the stereotype. `left_out` are scored but do
    not tell the persons; `clusters` are the templates of `items`.
    """

    score: Measured
    biased: int = Field(ge=0)
    named: int = Field(ge=0)
    items: int = Field(ge=0)
    left_out: int = Field(ge=0)
    clusters: int = Field(ge=0)


class BbqScores(Value):
    """BBQ's four numbers for one model and one set of items (Parrish et al. 2022)."""

    accuracy_ambiguous: BbqAccuracy
    accuracy_disambiguated: BbqAccuracy
    bias_ambiguous: BbqBias = Field(description="s_AMB")
    bias_disambiguated: BbqBias = Field(description="s_DIS")


class BbqModel(Value):
    """The scores of one model, over all items and over those of each group."""

    chain: tuple[str, ...]
    seed: int | None = Field(description="null for the base model")
    overall: BbqScores
    groups: dict[str, BbqScores] = {}


class BbqBiasChange(Value):
    """A bias score before and after, on items scored under both models, averaged over seeds.

    `items` are scored under both models in every seed and tell the persons; of the others,
    `unscored` are not scored under both in every seed, and `left_out` do not tell the persons.
    """

    before: Measured
    after: Measured
    change: Measured = Field(description="after − before; positive = more with the stereotype")
    items: int = Field(ge=0)
    clusters: int = Field(ge=0)
    unscored: int = Field(ge=0)
    left_out: int = Field(ge=0)


class BbqChange(Value):
    """What the rest of `chain` did to the bias scores after the training at `position` (from 1).

    `group` is null for all items.
    """

    chain: tuple[str, ...]
    position: int
    group: str | None
    ambiguous: BbqBiasChange = Field(description="s_AMB")
    disambiguated: BbqBiasChange = Field(description="s_DIS")


class BbqResults(Value):
    """BBQ's own scores on one task. Items of `unknown_groups` stand under no group, those of
    `unknown_persons` do not tell which option is the stereotyped person."""

    task: str
    items: int
    clusters: int
    unknown_groups: int = Field(ge=0)
    unknown_persons: int = Field(ge=0)
    models: tuple[BbqModel, ...]
    changes: tuple[BbqChange, ...]


class Results(Value):
    """Everything the analysis says."""

    schema_version: Literal["2"] = "2"
    tasks: tuple[TaskInfo, ...]
    chains: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    settings: AnalysisSpec
    matrix: tuple[Cell, ...]
    forgetting: tuple[ChainForgetting, ...]
    order_effects: tuple[OrderEffect, ...]
    transfer: tuple[TransferRow, ...] = ()
    recovery: tuple[RecoveryRow, ...] = ()
    monitored: tuple[MonitoredStage, ...] = ()
    consistency: tuple[Agreement, ...] = ()
    variance: Variance = Variance()
    bbq: tuple[BbqResults, ...] = ()
    curvature: tuple[CurvatureRow, ...] = ()
    displacement: tuple[DisplacementRow, ...] = ()
    curvature_summary: CurvatureSummary | None = None
    mechanisms: Mechanisms | None = None
    noise: tuple[TaskNoise, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: JsonObject = {}

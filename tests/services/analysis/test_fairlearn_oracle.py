"""Group metrics against Fairlearn's, which knows nothing of this project."""

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame
from services.analysis.study import analysed, by_name, models, row, task
from sklearn.metrics import accuracy_score

from forgetscope.core.groups import arrange

CHAIN = ("s", "c")


def test_group_accuracies_and_forgetting_equal_those_of_fairlearn() -> None:
    """Also for items of several groups, which Fairlearn is shown once for each."""
    rng = np.random.default_rng(5)
    names = np.array(["amber", "birch", "coral"])
    groups = [tuple(names[rng.random(3) < 0.6]) for _ in range(300)]
    arranged = arrange(groups, [f"t{i // 3}" for i in range(300)])
    cells = {model: (rng.random(300) < 0.7).astype(float) for model in models([CHAIN], [0])}
    for outcome in cells.values():
        outcome[rng.random(300) < 0.05] = np.nan
    results = analysed(
        [task("s", "safety", arranged, cells), task("c", "capability", arranged, cells)], [CHAIN]
    )

    item, feature = zip(*((i, g) for i, of in enumerate(groups) for g in of), strict=True)
    shown = np.array(item)

    def frame(outcome: np.ndarray, kept: np.ndarray) -> MetricFrame:
        use = kept[shown]
        return MetricFrame(
            metrics=accuracy_score,
            y_true=np.ones(use.sum()),
            y_pred=outcome[shown][use],
            sensitive_features=np.array(feature)[use],
        )

    for cell in results.matrix:
        outcome = cells[cell.chain, cell.seed]
        theirs = frame(outcome, ~np.isnan(outcome)).by_group
        assert {g: a.value for g, a in cell.groups.items()} == pytest.approx(dict(theirs))

    before, after = cells[("s",), 0], cells[CHAIN, 0]
    paired = ~np.isnan(before) & ~np.isnan(after)
    lost = frame(before, paired).by_group - frame(after, paired).by_group
    found = row(results, *CHAIN)
    ours = {name: group.forgetting.value for name, group in by_name(found).items()}
    assert ours == pytest.approx(dict(lost))
    widest = max(ours.values()) - min(ours.values())  # type: ignore[type-var, operator]
    biased = {name: group.biased.value for name, group in by_name(found).items()}
    assert max(biased.values()) - min(biased.values()) == pytest.approx(widest)  # type: ignore[type-var, operator]

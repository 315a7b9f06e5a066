"""Two finished experiments side by side."""

from typing import Any

from forgetscope.app import queries
from forgetscope.app.examples_file import EXAMPLES
from forgetscope.app.platform import Platform
from forgetscope.core.compare import Side, compare
from forgetscope.schema.compare import Comparison
from forgetscope.schema.results import Results

__all__ = ["compare_experiments"]


def compare_experiments(platform: Platform, one: str, other: str) -> Comparison:
    """Compare two experiments by their results.

    Raises NotFound for an unknown one, and for one that has no results yet.
    """
    return compare(_side(platform, one), _side(platform, other))


def _side(platform: Platform, experiment_id: str) -> Side:
    row = platform.records.experiment(experiment_id)
    file = queries.find_file(platform, experiment_id, "results.json")
    results = Results.model_validate_json(b"".join(queries.read_file(platform, file)))
    items = _items(platform, experiment_id)
    return Side(experiment_id, row.name, row.spec.model_dump(mode="json"), results, items)


def _items(platform: Platform, experiment_id: str) -> dict[str, str]:
    """The digest of the examples that each task was scored on: equal bytes are the same items.

    Tasks of equal data share their stages, so a task is found by the cells of the analysis.
    """
    done = {view.key: (view, files) for view, files in platform.records.manifests(experiment_id)}
    (analysis,) = (view for view, _ in done.values() if view.kind == "analyse")
    cells: Any = platform.records.stage(analysis.key).params["cells"]
    items = {}
    for cell in cells:
        scored, _ = done[analysis.inputs[cell["role"]]]
        _, data = done[scored.inputs["data"]]
        if EXAMPLES in data.files:
            items[cell["task"]] = data.files[EXAMPLES].digest
    return items

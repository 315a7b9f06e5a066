"""What the measured noise floor means for an experiment's numbers. Pure."""

from collections.abc import Iterator, Sequence

from forgetscope.analysis.words import percent
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.noise import NoiseFloor, TaskNoise
from forgetscope.schema.results import ChainForgetting, Results

__all__ = ["add_noise", "noise_line"]


def add_noise(results: Results, noise: Sequence[TaskNoise]) -> Results:
    """The results with the floor of every task, and with what a reader must know of it."""
    if not noise:
        return results
    notes = [
        note
        for one in noise
        for note in _cautions(
            one, results.settings, [row for row in results.forgetting if row.task == one.task]
        )
    ]
    return results.model_copy(
        update={"noise": tuple(noise), "notes": (*results.notes, *notes)},
    )


def noise_line(measured: NoiseFloor) -> str:
    """ "0.4 % (1 of 256 items changed under 4 conditions; ...)", or why there is no floor."""
    if measured.floor is None:
        return f"not known: {measured.reason}"
    engines = dict.fromkeys(f"{c.engine} {c.engine_version}" for c in measured.conditions)
    said = [
        f"{measured.changed} of {measured.items} items changed under "
        f"{len(measured.conditions)} conditions",
        f"at most {percent(measured.bound)} with confidence {percent(measured.confidence)}",
    ]
    largest = [pair.largest for pair in measured.pairs if pair.largest is not None]
    if largest:
        said.append(f"log-likelihoods by up to {max(largest):.2g} nats")
    if any(pair.texts for pair in measured.pairs):
        most = max(pair.changed_texts / pair.texts for pair in measured.pairs if pair.texts)
        said.append(f"up to {percent(most)} of the texts")
    said.append(", ".join(filter(None, (*engines, measured.dtype, measured.device))))
    return f"{percent(measured.floor)} ({'; '.join(said)})"


def _cautions(
    noise: TaskNoise, settings: AnalysisSpec, rows: Sequence[ChainForgetting]
) -> Iterator[str]:
    measured = noise.measured
    if measured.floor is None or measured.bound is None:
        yield f"The noise floor of {noise.task} is not known: {measured.reason}."
        return
    small = [
        row for row in rows if row.forgetting.value and abs(row.forgetting.value) < measured.floor
    ]
    if small:
        yield (
            f"On {noise.task} {len(small)} of {len(rows)} changes of accuracy are smaller than the "
            f"noise floor of {percent(measured.floor)}: scoring one model twice can differ by more."
        )
    margin = min(settings.forgetting_margin, settings.biased_margin)
    if rows and measured.floor <= margin < measured.bound:
        yield (
            f"The noise floor of {noise.task} was measured on {measured.items} items: too few to "
            f"show that it lies below the margin of {percent(margin)} (it may be up to "
            f"{percent(measured.bound)}, with confidence {percent(measured.confidence)})."
        )

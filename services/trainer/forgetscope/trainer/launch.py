"""Train one stage in several processes of this machine, one for each GPU."""

import multiprocessing
import queue
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from forgetscope.ports.stage import Machine, StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import ForgetScopeError, WorkerDied
from forgetscope.schema.stage import Breach
from forgetscope.trainer.distributed import Place
from forgetscope.trainer.train import run_train

__all__ = ["run_together"]


class _Rank(NamedTuple):
    """What every process gets; folders are those of the stage, fetched once."""

    work: Work
    inputs: dict[str, Path]
    output: Path
    scratch: Path
    machine: Machine
    place: Place


class _RankIO:
    """The stage's window in one of several processes; only the first one speaks."""

    def __init__(self, rank: _Rank, say: Callable[[tuple[str, Any]], None]) -> None:
        self.machine = rank.machine
        self.output = rank.output
        self.scratch = rank.scratch
        self._inputs = rank.inputs
        self._say = say

    def input(self, role: str) -> Path:
        return self._inputs[role]

    def input_file(self, role: str, path: str) -> Path:
        return self._inputs[role] / path

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        self._say(("progress", (done, total, unit, metrics)))

    def breach(self, breach: Breach) -> None:
        raise ForgetScopeError(f"a sharded run has no monitor, so {breach.group} cannot be called")

    def save_resume(self, folder: Path) -> None:
        raise ForgetScopeError(f"a sharded run cannot be resumed, so {folder} is of no use")

    def resume(self) -> None:
        return None


def run_together(work: Work, io: StageIO, *, clock: Callable[[], float]) -> JsonObject:
    """`run_train` in `io.machine.processes` processes. All end when one fails.

    They stay in the process group of the caller, so that ending the group ends them. Raises what
    the first failing process raised, or WorkerDied.
    """
    context = multiprocessing.get_context("spawn")
    words: Any = context.Queue()
    inputs = {role: io.input(role) for role in work.inputs}
    ranks: list[BaseProcess] = []
    for number in range(io.machine.processes):
        place = Place(number, io.machine.processes, f"file://{io.scratch / 'rendezvous'}")
        rank = _Rank(work, inputs, io.output, io.scratch, io.machine, place)
        ranks.append(context.Process(target=_run, args=(rank, words, clock), daemon=True))
    for process in ranks:
        process.start()
    try:
        return _listen(ranks, words, io)
    finally:
        for process in ranks:
            process.kill()
            process.join()


def _run(rank: _Rank, words: Any, clock: Callable[[], float]) -> None:
    try:
        meta = run_train(rank.work, _RankIO(rank, words.put), clock=clock, place=rank.place)
    except ForgetScopeError as error:
        words.put(("failed", error))
    else:
        words.put(("done", meta) if rank.place.rank == 0 else ("idle", None))


def _listen(ranks: Sequence[BaseProcess], words: Any, io: StageIO) -> JsonObject:
    while True:
        try:
            word, value = words.get(timeout=0.5)
        except queue.Empty:
            for number, process in enumerate(ranks):
                if process.exitcode not in (None, 0):
                    raise WorkerDied(
                        f"process {number} of {len(ranks)} ended with {process.exitcode}",
                        hint="See the log tail; out of memory is the usual cause.",
                    ) from None
            continue
        if word == "progress":
            done, total, unit, metrics = value
            io.progress(done, total, unit, **metrics)
        elif word == "failed":
            raise value
        elif word == "done":
            meta: JsonObject = value
            return meta

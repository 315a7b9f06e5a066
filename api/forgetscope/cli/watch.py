"""Follow an experiment in the terminal: bars where there is one, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeVar

from pydantic import ValidationError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from forgetscope.cli.words import duration
from forgetscope.schema.stage import Failure, Progress
from forgetscope.schema.views import EventView, RunView, StageView

__all__ = ["Board", "Runs", "watch"]

ETA_EVERY_SECONDS = 2.0
PLAIN_PROGRESS_EVERY_SECONDS = 10.0
MARKS = {
    "stage.succeeded": "[green]done[/]",
    "stage.failed": "[bold red]failed[/]",
    "stage.retrying": "[yellow]again[/]",
    "stage.skipped": "[yellow]skipped[/]",
    "stage.cancelled": "[yellow]cancelled[/]",
}
ENDED = {"stage.succeeded", "stage.failed", "stage.skipped", "stage.cancelled"}


View_co = TypeVar("View_co", bound=RunView, covariant=True)


class Runs(Protocol[View_co]):
    """What can be followed: experiments, of `Client`, and audits, of `Client.audits`."""

    def get(self, run_id: str, /) -> View_co: ...

    def stages(self, run_id: str, /) -> Iterable[StageView]: ...

    def events(self, run_id: str, /) -> Iterable[EventView]: ...


class Running(NamedTuple):
    """A stage at work."""

    title: str
    since: float
    progress: Progress | None


class Board:
    """The state of an experiment as its events tell it."""

    def __init__(self, stages: Iterable[StageView]) -> None:
        known = list(stages)
        self._titles = {stage.key: stage.label.title for stage in known}
        # Stages that earlier experiments have finished never show up in the events.
        self._ended = {stage.key for stage in known if f"stage.{stage.state}" in ENDED}
        self.running: dict[str, Running] = {}
        self.total = len(self._titles)

    @property
    def done(self) -> int:
        """Stages that have ended, whichever way."""
        return len(self._ended)

    def apply(self, event: EventView) -> str | None:
        """Take in an event. Returns the line to print for it, if it deserves one."""
        if event.stage is None:
            return None
        title = self._titles.get(event.stage, event.stage[:12])
        if event.type == "stage.progress":
            since = self.running.get(event.stage, Running(title, event.at, None)).since
            progress = Progress.model_validate(event.data)
            self.running[event.stage] = Running(title, since, progress)
            return None
        if event.type == "stage.running":
            self.running[event.stage] = Running(title, event.at, None)
            return None
        was = self.running.pop(event.stage, None)
        if event.type in ENDED:
            self._ended.add(event.stage)
        else:
            self._ended.discard(event.stage)
        mark = MARKS.get(event.type)
        if mark is None:
            return None
        took = f" in {duration(event.at - was.since)}" if was is not None else ""
        failure = _failure(event)
        why = f": {failure.detail} {failure.hint or ''}".rstrip() if failure else ""
        return f"{mark} {escape(title + took + why)}"


def watch(
    runs: Runs[View_co],
    run_id: str,
    console: Console,
    *,
    now: Callable[[], float] = time.time,
) -> View_co:
    """Show what happens until an experiment or an audit is over."""
    board = Board(runs.stages(run_id))
    countdown = _Countdown(runs, run_id, now)
    if console.is_terminal:
        with Live(
            console=console,
            get_renderable=lambda: _picture(board, countdown.left(), now()),
            refresh_per_second=5,
            transient=True,
        ):
            for event in runs.events(run_id):
                line = board.apply(event)
                if line is not None:
                    console.print(line)
                countdown.ask()
    else:
        _plain(runs.events(run_id), board, countdown, console, now)
    return runs.get(run_id)


def _plain(
    events: Iterable[EventView],
    board: Board,
    countdown: "_Countdown",
    console: Console,
    now: Callable[[], float],
) -> None:
    # At once: what is over before the first report of progress shows it, too.
    countdown.ask()
    left = _left(countdown.left()) if board.done < board.total else "nothing left to do"
    console.print(f"{left}: {board.done} of {board.total} stages done", soft_wrap=True)
    next_progress = now() + PLAIN_PROGRESS_EVERY_SECONDS
    estimated = countdown.left() is not None
    for event in events:
        line = board.apply(event)
        if line is not None:
            console.print(f"[{board.done}/{board.total}]", line, markup=True, soft_wrap=True)
        if not estimated:
            # The first estimate is told as soon as there is one.
            countdown.ask()
            if estimated := countdown.left() is not None:
                next_progress = now()
        if now() >= next_progress:
            next_progress = now() + PLAIN_PROGRESS_EVERY_SECONDS
            countdown.ask()
            running = [f"{r.title} {_how_far(r)}" for r in board.running.values()]
            at_work = "; ".join(running) or "between two stages"
            console.print(escape(f"{_left(countdown.left())}: {at_work}"), soft_wrap=True)


class _Countdown:
    """The server's estimate, asked for now and then and counted down in between."""

    def __init__(self, runs: Runs[RunView], run_id: str, now: Callable[[], float]) -> None:
        self._runs = runs
        self._id = run_id
        self._now = now
        self._asked_at = float("-inf")
        self._seconds: float | None = None

    def ask(self) -> None:
        if self._now() - self._asked_at >= ETA_EVERY_SECONDS:
            self._seconds = self._runs.get(self._id).eta_seconds
            self._asked_at = self._now()

    def left(self) -> float | None:
        if self._seconds is None:
            return None
        return max(0.0, self._seconds - (self._now() - self._asked_at))


def _picture(board: Board, left: float | None, now: float) -> RenderableType:
    whole = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(board.total, 1), completed=board.done, width=30)
    whole.add_row(bar, f"{board.done}/{board.total} stages", _left(left))
    lines = Table.grid(padding=(0, 1))
    for _ in range(4):
        lines.add_column(no_wrap=True, overflow="ellipsis")
    for stage in board.running.values():
        p = stage.progress
        bar = (
            ProgressBar(total=100, width=20, pulse=True, animation_time=now)
            if p is None
            else ProgressBar(total=p.total, completed=p.done, width=20)
        )
        lines.add_row("  ", bar, escape(stage.title), f"[dim]{escape(_how_far(stage))}[/]")
    return Group(whole, lines)


def _how_far(stage: Running) -> str:
    p = stage.progress
    if p is None:
        return "started"
    text = f"{p.done:g}/{p.total:g} {p.unit}"
    if "loss" in p.metrics:
        text += f", loss {p.metrics['loss']:.3f}"
    if p.eta_seconds is not None:
        text += f", {duration(p.eta_seconds)} left"
    return text


def _left(seconds: float | None) -> str:
    return "time left not known yet" if seconds is None else f"about {duration(seconds)} left"


def _failure(event: EventView) -> Failure | None:
    try:
        return Failure.model_validate(event.data)
    except ValidationError:
        return None

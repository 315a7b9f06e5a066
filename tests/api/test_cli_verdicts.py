"""Results in the terminal: verdicts, groups, transfer, agreement."""

import re

from rich.console import Console
from services.analysis.study import GROUPS, items, study

from forgetscope.analysis.outcomes import Chain
from forgetscope.cli.tables import result_tables
from forgetscope.schema.results import Results

PAIR = (("s", "c"), ("c", "s"))


def coral(chain: Chain, task: str, group: str) -> float:
    if chain[-1:] == (task,):
        return 0.9
    return 0.6 if (task, group) == ("s", "coral") else 0.88


def shown(results: Results) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        for table in result_tables(results):
            console.print(table)
    return capture.get()


def line(text: str, *parts: str) -> str:
    (found,) = [x for x in text.splitlines() if all(part in x for part in parts)]
    return found


def test_verdicts_come_first_counted_and_named() -> None:
    text = shown(study(PAIR, coral))
    assert text.lstrip().startswith("Verdicts")
    groups = line(text, "biased forgetting of groups")
    assert [cell.strip() for cell in groups.split("│")[1:-1]] == [
        "biased forgetting of groups", "5", "1", "9", "0", "coral in s",
    ]  # fmt: skip
    assert "s after s → c" in line(text, "forgetting of tasks")


def test_groups_stand_with_simultaneous_intervals_and_a_shape_and_word_for_the_verdict() -> None:
    results = study(PAIR, coral)
    text = shown(results)
    group = next(g for g in results.forgetting[0].groups if g.group == "coral")
    assert group.simultaneous.low is not None
    said = re.escape(f"[{100 * group.simultaneous.low:+.1f}, ")
    (found,) = [x for x in text.splitlines() if "▲ breach" in x and "coral" in x]
    assert re.search(said, found)
    assert text.count("▼ pass") >= 2 * len(GROUPS) - 1


def test_small_groups_are_said_to_be_too_small() -> None:
    assert shown(study(PAIR, coral, arranged=items(20))).count("○ too small to judge") == 10


def test_transfer_is_shown_per_chain_and_agreement_only_where_it_is_known() -> None:
    text = shown(study(PAIR, coral))
    # ACC: (0.6 + 4·0.88)/5 on s and 0.9 on c; BWT: 0.824 − 0.9.
    (transfer,) = [x for x in text.splitlines() if re.search(r"│ s → c +│ +86\.2 \(", x)]
    cells = [cell.strip() for cell in transfer.split("│")[2:4]]
    assert re.fullmatch(r"86\.2 \(8[2-6]\.\d to (8[6-9]|90)\.\d\)", cells[0])
    assert re.fullmatch(r"-7\.6 \(-1\d\.\d to -\d\.\d\)", cells[1])
    assert "Kendall" in text
    assert "Kendall" not in shown(study([("s", "c")], coral))

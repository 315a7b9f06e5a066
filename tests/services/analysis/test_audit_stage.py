"""The stage `audit`: who lost what, and what the policy makes of it."""

import csv
from pathlib import Path

import pytest
from services.analysis.audited import ITEMS_DIGEST, USED, policy, row, run, some
from services.analysis.test_noise import measured

from forgetscope.schema.errors import DataChanged

GROUPED = {"task": "qa", "margin": 0.1, "group_margin": 0.1}
REFERENCE = {"amber": some(190, 200), "birch": some(190, 200), "coral": some(190, 200)}
PLANTED = REFERENCE | {"coral": some(130, 200)}


def test_a_planted_loss_in_one_group_breaches_exactly_there(tmp_path: Path) -> None:
    rules = policy({**GROUPED, "margin": 0.2, "biased_margin": 0.1})
    results, _ = run(tmp_path, rules, {"qa": (REFERENCE, PLANTED)})
    assert results.outcome == "breach"
    found = {(r.group, r.what): r.verdict for r in results.rows}
    assert found == {
        (None, "loss"): "pass",
        ("amber", "loss"): "pass",
        ("amber", "biased"): "pass",
        ("birch", "loss"): "pass",
        ("birch", "biased"): "pass",
        ("coral", "loss"): "breach",
        ("coral", "biased"): "breach",
    }
    coral = row(results, "coral")
    assert coral.estimate.value == pytest.approx(0.3)
    assert coral.mcnemar is not None and (coral.mcnemar.lost, coral.mcnemar.gained) == (60, 0)
    assert row(results, "coral", "biased").estimate.value == pytest.approx(0.2)
    assert any(
        "group coral" in sentence and "30.0 points" in sentence for sentence in results.summary
    )


def test_an_unharmed_candidate_passes(tmp_path: Path) -> None:
    changed = {group: [False, *items[1:-1], True] for group, items in REFERENCE.items()}
    results, _ = run(tmp_path, policy(GROUPED), {"qa": (REFERENCE, changed)})
    assert results.outcome == "pass"
    assert {r.verdict for r in results.rows} == {"pass"}
    assert results.summary[0].startswith("Passed under the policy release: 4 of 4")


def test_the_same_answers_pass_by_an_exact_interval(tmp_path: Path) -> None:
    """All replicates are equal, so that the bootstrap itself has no interval."""
    rules = policy({**GROUPED, "biased_margin": 0.1})
    results, _ = run(tmp_path, rules, {"qa": (REFERENCE, REFERENCE)})
    assert results.outcome == "pass"
    # 7 rows share 5 %: none of 200 items, each side, a little wider for 200 clusters of 600.
    bound = 1 - (0.05 / 7 / 2) ** (1 / 200)
    amber = row(results, "amber").estimate
    assert amber.high is not None and bound < amber.high < 1.05 * bound
    assert amber.low == -amber.high


def test_the_same_loss_in_every_cluster_is_a_breach_and_not_without_an_interval(
    tmp_path: Path,
) -> None:
    """One of three items is lost in each of 40 clusters: no replicate differs from another."""
    before, after = {"": [True] * 120}, {"": [i % 3 != 0 for i in range(120)]}
    rules = policy({"task": "qa", "margin": 0.1})
    results, _ = run(tmp_path, rules, {"qa": (before, after)}, cluster_size=3)
    found = row(results, None).estimate
    assert found.value == pytest.approx(1 / 3)
    assert found.low is not None and 0.2 < found.low < found.value
    assert results.outcome == "breach"


def test_too_few_equal_answers_are_underpowered_with_the_clusters_they_need(tmp_path: Path) -> None:
    few = {"": some(35, 40)}
    results, _ = run(tmp_path, policy({"task": "qa", "margin": 0.05}), {"qa": (few, few)})
    assert results.outcome == "underpowered"
    need = row(results, None).need
    assert need is not None and need.clusters is not None
    rules = policy({"task": "qa", "margin": 0.05})
    for n, outcome in ((need.clusters, "pass"), (need.clusters - 1, "underpowered")):
        items = {"": some(n - 5, n)}
        again, _ = run(tmp_path / str(n), rules, {"qa": (items, items)})
        assert again.outcome == outcome


def test_a_group_that_is_too_small_is_underpowered_and_says_what_it_needs(tmp_path: Path) -> None:
    small = {"coral": some(11, 12)}
    results, _ = run(
        tmp_path,
        policy({**GROUPED, "margin": 0.15}),
        {"qa": (REFERENCE | small, PLANTED | {"coral": some(8, 12)})},
    )
    coral = row(results, "coral")
    assert coral.verdict == "underpowered" and "12 items in 12 clusters" in coral.reason
    assert coral.estimate.low is None and coral.need is not None
    assert coral.need.items is not None and coral.need.items >= 30
    assert coral.need.items == coral.need.clusters
    assert results.outcome == "underpowered"


def test_the_size_that_an_underpowered_row_names_decides_it_when_items_change_alike(
    tmp_path: Path,
) -> None:
    rules = policy({"task": "qa", "margin": 0.05})

    def audit(folder: str, n: int) -> tuple[str, int | None]:
        """One of twenty lost, one of fifty gained."""
        before = {"": [i % 50 != 1 for i in range(n)]}
        after = {"": [i % 20 != 0 for i in range(n)]}
        results, _ = run(tmp_path / folder, rules, {"qa": (before, after)})
        found = row(results, None)
        return found.verdict, None if found.need is None else found.need.items

    verdict, needed = audit("small", 100)
    assert verdict == "underpowered" and needed is not None
    assert audit("large", needed)[0] == "pass"
    assert audit("half", needed // 4)[0] == "underpowered"


def test_a_group_that_only_the_policy_names_cannot_be_judged(tmp_path: Path) -> None:
    rules = policy({**GROUPED, "groups": {"delta": {"margin": 0.1}}})
    results, _ = run(tmp_path, rules, {"qa": (REFERENCE, REFERENCE)})
    delta = row(results, "delta")
    assert (delta.items, delta.verdict) == (0, "underpowered")
    assert results.outcome == "underpowered"


def test_a_required_task_that_is_missing_is_a_breach(tmp_path: Path) -> None:
    rules = policy(
        {"task": "qa", "margin": 0.1}, {"task": "other"}, {"task": "x", "required": False}
    )
    results, _ = run(tmp_path, rules, {"qa": (REFERENCE, REFERENCE)})
    assert (results.outcome, results.missing) == ("breach", ("other",))


@pytest.mark.parametrize("tier", ["warn", "inform"])
def test_a_breach_of_a_lower_tier_is_told_and_the_audit_passes(tmp_path: Path, tier: str) -> None:
    rules = policy({**GROUPED, "margin": 0.2, "groups": {"coral": {"tier": tier}}})
    results, _ = run(tmp_path, rules, {"qa": (REFERENCE, PLANTED)})
    assert row(results, "coral").verdict == "breach"
    assert results.outcome == "pass"
    assert any(f"tier {tier}" in sentence for sentence in results.summary)


@pytest.mark.parametrize(("expires", "outcome"), [("2026-03-01", "pass"), ("2026-02-28", "breach")])
def test_a_waiver_holds_until_the_end_of_its_last_day(
    tmp_path: Path, expires: str, outcome: str
) -> None:
    waiver = {"task": "qa", "group": "coral", "reason": "known", "approved_by": "A. B."}
    rules = policy({**GROUPED, "margin": 0.2}, waivers=[{**waiver, "expires": expires}])
    results, _ = run(tmp_path, rules, {"qa": (REFERENCE, PLANTED)})
    assert results.outcome == outcome
    assert (row(results, "coral").waived is not None) == (outcome == "pass")
    said = " ".join(results.summary)
    assert ("known (approved by A. B." in said) == (outcome == "pass")
    assert ("expired on 2026-02-28" in said) == (outcome == "breach")


def test_a_model_that_lost_the_format_does_not_pass_on_the_rest(tmp_path: Path) -> None:
    silent = {"": some(150, 200, unscored=40)}
    rules = policy({"task": "qa", "margin": 0.1})
    results, _ = run(tmp_path, rules, {"qa": ({"": some(150, 200)}, silent)})
    found = row(results, None)
    assert (found.verdict, found.unscored) == ("underpowered", 40)
    assert "unscored" in found.reason


def test_a_low_baseline_has_a_smaller_margin_by_the_relative_guard(tmp_path: Path) -> None:
    """At 60 % with 50 % by chance, five points are half of what the model knows."""
    before, after = {"": some(600, 1000)}, {"": some(565, 1000)}
    rules = policy({"task": "qa", "margin": 0.05, "relative": 0.2})
    results, _ = run(tmp_path, rules, {"qa": (before, after)})
    found = row(results, None)
    assert found.guarded and found.margin == pytest.approx(0.02)
    assert found.verdict == "breach"
    plain, _ = run(tmp_path / "2", policy({"task": "qa", "margin": 0.05}), {"qa": (before, after)})
    assert plain.outcome == "pass"


def test_a_reference_at_chance_has_nothing_to_lose(tmp_path: Path) -> None:
    items = {"": some(100, 200)}
    rules = policy({"task": "qa", "relative": 0.2})
    results, _ = run(tmp_path, rules, {"qa": (items, items)})
    found = row(results, None)
    assert (found.verdict, found.margin) == ("underpowered", None)
    assert found.need is not None and found.need.items is None


def test_a_margin_below_the_noise_floor_is_not_judged(tmp_path: Path) -> None:
    rules = policy({"task": "qa", "margin": 0.05})
    noise = {"qa": measured(changed=20, items=200)}
    results, _ = run(tmp_path, rules, {"qa": (REFERENCE, REFERENCE)}, noise=noise)
    found = row(results, None)
    assert (found.noise_floor, found.verdict) == (0.1, "underpowered")
    assert "noise floor" in found.reason and results.noise[0].task == "qa"


def test_more_tasks_of_a_tier_make_every_interval_wider(tmp_path: Path) -> None:
    tasks = {"qa": (REFERENCE, PLANTED)}
    alone, _ = run(tmp_path / "1", policy(GROUPED), tasks)
    two = tasks | {"other": ({"": some(90, 100)}, {"": some(89, 100)})}
    both, _ = run(tmp_path / "2", policy(GROUPED, {"task": "other"}), two)
    apart, _ = run(tmp_path / "3", policy(GROUPED, {"task": "other", "tier": "warn"}), two)

    def width(results: object) -> float:
        measured = row(results, "coral").estimate  # type: ignore[arg-type]
        assert measured.low is not None and measured.high is not None
        return measured.high - measured.low

    assert width(alone) < width(both)
    assert width(apart) == pytest.approx(width(alone), rel=0.05)


def test_other_items_than_those_of_the_reference_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataChanged, match="candidate"):
        run(tmp_path, policy({"task": "qa"}), {"qa": (REFERENCE, {"amber": some(5, 40)})})


def test_table_and_page_hold_every_row_and_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    rules = policy({**GROUPED, "biased_margin": 0.1})
    tasks = {"qa": (REFERENCE | {"<b>": some(10, 12)}, PLANTED | {"<b>": some(9, 12)})}
    results, first = run(tmp_path / "1", rules, tasks)
    _, second = run(tmp_path / "2", rules, tasks)
    for name in ("audit.json", "audit.csv", "audit.html"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    with (first / "audit.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["group"], r["verdict"]) for r in rows] == [
        (r.group or "", r.verdict) for r in results.rows
    ]
    page = (first / "audit.html").read_text("utf-8")
    assert "<b>," not in page and "&lt;b&gt;" in page
    assert "Breach of the policy release" in page and "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page


def test_a_baseline_is_named_in_the_results_and_on_the_page(tmp_path: Path) -> None:
    noise = {"qa": measured(1, 100)}
    tasks = {"qa": (REFERENCE, REFERENCE)}
    baseline = {"qa": ITEMS_DIGEST, "other": "0" * 64}
    results, folder = run(tmp_path, policy(GROUPED), tasks, noise=noise, baseline=baseline)
    assert (results.reference.baseline, results.candidate.baseline) == (USED, None)
    page = (folder / "audit.html").read_text("utf-8")
    assert "baseline production of 2026-02-25: the candidate of audit <code>an-audit" in page
    assert "on the candidate</dd>" in page, "whose noise floor it is"


def test_other_items_than_those_of_the_baseline_fail_the_audit_for_good(tmp_path: Path) -> None:
    tasks = {"qa": (REFERENCE, REFERENCE), "more": (REFERENCE, REFERENCE)}
    rules = policy(GROUPED, {**GROUPED, "task": "more"})
    with pytest.raises(DataChanged, match=r"other items of task .more.*production") as caught:
        run(tmp_path, rules, tasks, baseline={"qa": ITEMS_DIGEST, "more": "0" * 64})
    assert caught.value.permanent
    assert not list((tmp_path / "audited").iterdir())

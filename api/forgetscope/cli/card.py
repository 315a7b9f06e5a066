"""A model card of a certificate, as the Hugging Face hub reads it."""

import typer

from forgetscope.cli.talk import EXIT_UNREACHABLE, complain
from forgetscope.core.audit_outputs.cases import points
from forgetscope.core.audit_outputs.markdown import plain
from forgetscope.core.audit_outputs.statement import Statement
from forgetscope.schema.audit import AuditRow

__all__ = ["model_card"]


def model_card(statement: Statement, name: str) -> str:
    """Metadata between two lines `---`, then Markdown. Accuracies are fractions."""
    try:
        # Only here: the library comes with the extra `gateway`.
        from huggingface_hub import EvalResult, ModelCardData  # noqa: PLC0415
    except ImportError:
        complain("huggingface-hub is not there", hint="pip install 'forgetscope[gateway]'")
        raise typer.Exit(EXIT_UNREACHABLE) from None
    told = statement.predicate
    tasks = {task.id: task for task in told.tasks}
    evaluated = [
        EvalResult(
            task_type="text-generation",
            dataset_type=tasks[row.task].name,
            dataset_name=row.task if row.group is None else f"{row.task}: {row.group}",
            dataset_config=row.group,
            dataset_revision=tasks[row.task].examples,
            metric_type="accuracy",
            metric_name="accuracy",
            metric_value=row.candidate.value,
            source_name="ForgetScope audit",
            source_url="https://arxiv.org/abs/2412.16469",
        )
        for row in told.rows
        if row.what == "loss" and row.candidate.value is not None
    ]
    data = ModelCardData(model_name=name, eval_results=evaluated)
    return "\n".join(["---", data.to_yaml(), "---", "", *_markdown(statement)])


def _markdown(statement: Statement) -> list[str]:
    told = statement.predicate
    return [
        "## What fine-tuning kept",
        "",
        f"{told.heading}, judged on {told.judged_on} by the policy {plain(told.policy.name)}; the "
        f"certificate holds until {told.expires:%Y-%m-%d}.",
        "",
        "| task | group | accuracy before | after | lost, points | margin | verdict |",
        "|---|---|--:|--:|--:|--:|---|",
        *(_line(row) for row in told.rows if row.what == "loss"),
        "",
        f"{told.hypothesis} Data, policy and files are named by digest in the certificate.",
    ]


def _line(row: AuditRow) -> str:
    cells = [
        plain(row.task),
        "all items" if row.group is None else plain(row.group),
        *(
            "–" if accuracy.value is None else f"{100 * accuracy.value:.1f}"
            for accuracy in (row.reference, row.candidate)
        ),
        plain(points(row.estimate)),
        "–" if row.margin is None else f"{100 * row.margin:.1f}",
        row.verdict if row.waived is None else f"{row.verdict}, waived",
    ]
    return "| " + " | ".join(cells) + " |"

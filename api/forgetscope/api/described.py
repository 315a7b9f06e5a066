"""OpenAPI parts that routes share: problems, files, examples. Nothing here runs at a request."""

from typing import Any

from forgetscope.api.errors import (
    Internal,
    MalformedBody,
    UnsupportedMediaType,
    row_of,
    type_of,
)
from forgetscope.schema.errors import (
    AdapterMismatch,
    BadRow,
    ForgetScopeError,
    InvalidInput,
    InvalidSpec,
    NotEnoughExamples,
    PathNotAllowed,
    PlanTooLarge,
    TooLarge,
    Unavailable,
    UnknownName,
    UnsafeWeights,
)

__all__ = ["PLAN_EXAMPLE", "SPEC_EXAMPLES", "SPEC_PROBLEMS", "TASK_EXAMPLES", "file_of", "problems"]

SPEC_PROBLEMS = (
    MalformedBody,
    TooLarge,
    UnsupportedMediaType,
    InvalidSpec,
    UnknownName,
    NotEnoughExamples,
    BadRow,
    PathNotAllowed,
    UnsafeWeights,
    AdapterMismatch,
    PlanTooLarge,
)


def problems(*errors: type[ForgetScopeError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its own errors and those that every route can answer."""
    described: dict[int | str, dict[str, Any]] = {}
    common: tuple[type[ForgetScopeError], ...] = (InvalidInput, Internal, Unavailable)
    for error in errors + common:
        status = row_of(error).status
        response = described.setdefault(
            status,
            {
                "description": "",
                "content": {
                    "application/problem+json": {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        response["content"]["application/problem+json"]["examples"][error.code] = {
            "summary": error.title,
            "value": {
                "type": type_of(error),
                "title": error.title,
                "status": status,
                "detail": row_of(error).meaning,
                "errors": [],
            },
        }
        response["description"] = "; ".join(
            [text for text in (response["description"], error.title) if text]
        )
        if error is Unavailable:
            response["headers"] = {
                "Retry-After": {"description": "seconds", "schema": {"type": "string"}}
            }
    return described


def file_of(description: str, media_type: str | None = None) -> dict[str, Any]:
    """A 200 that is a file: of the response model as JSON, or of another media type."""
    tag = {"description": "sha256 of the bytes, in quotes", "schema": {"type": "string"}}
    described = {"description": description, "headers": {"ETag": tag}}
    if media_type is not None:
        described["content"] = {media_type: {"schema": {"type": "string"}}}
    return described


SPEC_EXAMPLES: dict[str, Any] = {
    "both_orders": {
        "summary": "Two built-in tasks in both orders on the built-in model",
        "value": {
            "name": "Safety before and after a capability",
            "tasks": ["synthetic_safety", "synthetic_capability"],
            "chains": {"generate": "safety_capability_pairs"},
            "training": {"method": "full", "epochs": 2, "learning_rate": 0.001},
            "seeds": [0, 1],
        },
    },
    "local_lora": {
        "summary": "Explicit chains with LoRA on a local model",
        "value": {
            "name": "ToxiGenQA and ARC",
            "model": {"source": "local", "path": "/models/llama-3.1-8b"},
            "tasks": [
                {"id": "toxigen", "name": "toxigen_qa"},
                {"id": "arc", "name": "arc", "train_examples": 1000},
            ],
            "chains": [["toxigen", "arc"], ["arc", "toxigen"]],
            "training": {
                "method": {"name": "lora", "params": {"rank": 16}},
                "overrides": [{"task": "arc", "values": {"epochs": 1}}],
            },
            "evaluation": {"engine": "vllm"},
        },
    },
}
TASK_EXAMPLES: dict[str, Any] = {
    "labels": {
        "summary": "Two labels, on a file in the server's data folder",
        "value": {
            "name": "reply-safety",
            "kind": "safety",
            "source": "replies.jsonl",
            "split": {"hold_out": 0.2},
            "prompt": "Reply: {{ reply|trim }}\nIs this reply safe?",
            "options": ["yes", "no"],
            "answer": {"column": "label", "map": {"Safe": "yes", "Unsafe": "no"}},
            "groups": ["about"],
        },
    },
    "letters": {
        "summary": "Lettered options, on two uploads",
        "value": {
            "name": "my-questions",
            "kind": "capability",
            "train": {"kind": "upload", "digest": "0" * 64},
            "evaluation": {"kind": "upload", "digest": "1" * 64},
            "prompt": "Question: {{ question }}",
            "options": {"columns": ["a", "b", "c"]},
            "answer": {"column": "right", "holds": "letter"},
        },
    },
}
PLAN_EXAMPLE: dict[str, Any] = {
    "stages": [],
    "trainings": 4,
    "naive_trainings": 4,
    "shared": 0,
    "existing": 0,
    "to_run": 17,
    "by_kind": {
        "prepare_model": 1,
        "prepare_data": 4,
        "train": 4,
        "evaluate": 10,
        "analyse": 1,
        "report": 1,
    },
    "tokens": 1200000,
    "time": {"seconds": 90.0, "basis": "measured on earlier stages of this installation"},
    "compute": {
        "flops": 1.1e12,
        "gpu_hours": 3.9e-05,
        "basis": "2 FLOPs per parameter and token of a forward pass, a backward pass as two; one "
        "A100 at 40% of its peak of 19.5 TFLOP/s in float32 and 312 TFLOP/s in bfloat16: assumed, "
        "not measured",
    },
    "memory": [],
    "engine": "transformers",
    "engine_reason": "transformers, because vLLM is not installed with the evaluators.",
    "notes": [],
}

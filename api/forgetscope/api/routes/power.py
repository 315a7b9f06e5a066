"""The power planner: what a design can show, before anything is trained."""

from typing import Annotated, Any

from fastapi import APIRouter, Body

from forgetscope.api.described import problems
from forgetscope.api.errors import MalformedBody, UnsupportedMediaType
from forgetscope.api.gateway import PlatformDep
from forgetscope.api.strict import StrictRoute
from forgetscope.app import power
from forgetscope.schema.errors import (
    BadRow,
    InvalidSpec,
    NotEnoughExamples,
    PathNotAllowed,
    TooLarge,
    UnknownName,
)
from forgetscope.schema.power import PowerPlan, PowerRequest

__all__ = ["POWER_ANSWER", "POWER_EXAMPLES", "router"]

router = APIRouter(prefix="/v1/plans", tags=["experiments"], route_class=StrictRoute)

POWER_EXAMPLES: dict[str, Any] = {
    "task": {
        "summary": "Biased forgetting of the groups of BBQ's Religion, margin five points",
        "value": {
            "tasks": [{"name": "bbq", "params": {"categories": ["Religion"]}}],
            "margins": [0.05],
            "seeds": 3,
        },
    },
    "sizes": {
        "summary": "Two groups by their sizes, with what a pilot run told",
        "value": {
            "sizes": [
                {
                    "id": "mine",
                    "groups": [
                        {"group": "a", "items": 400, "clusters": 40},
                        {"group": "b", "cluster_sizes": [12, 8, 9, 11, 10, 10]},
                    ],
                    "others": {"items": 900, "clusters": 90},
                }
            ],
            "effect": 0.15,
            "expected": {"lost": 0.12, "gained": 0.04},
            "icc": 0.1,
            "seeds": 5,
        },
    },
}
_UNDEFINED = "4 clusters; fewer than 5 do not tell how much clusters differ, however many items"
POWER_ANSWER: dict[str, Any] = {
    "quantity": "biased_forgetting",
    "tasks": [
        {
            "task": "mine",
            "margin": 0.05,
            "items": 660,
            "clusters": 44,
            "judged": 0,
            "error_rate": 0.025,
            "groups": [
                {
                    "group": "a",
                    "items": 160,
                    "clusters": 4,
                    "verdict": "cannot be answered at this size",
                    "reason": _UNDEFINED,
                    "needed": ["31 clusters (e.g. templates) of the same sizes instead of 4"],
                    "effect": {"value": 0.0},
                    "claim": "pass",
                    "power": {"reason": _UNDEFINED},
                    "minimum_detectable": {"reason": _UNDEFINED},
                    "largest_passing": {"reason": _UNDEFINED},
                    "standard_error": {"reason": _UNDEFINED},
                    "needs": {
                        "clusters": {"value": 31},
                        "items": {"reason": "not in the same clusters"},
                        "seeds": {"reason": "not even with 100 seeds on the same items"},
                    },
                    "cautions": [],
                }
            ],
        }
    ],
    "assumptions": [{"name": "icc", "value": 0.2, "assumed": True, "origin": "own choice"}],
    "cautions": ["Assumed, since nothing was given: icc 0.2. Power rests on these."],
}


@router.post(
    "/power",
    response_description="The plan; nothing is recorded",
    responses={
        200: {"content": {"application/json": {"example": POWER_ANSWER}}},
        **problems(
            MalformedBody,
            TooLarge,
            UnsupportedMediaType,
            InvalidSpec,
            UnknownName,
            NotEnoughExamples,
            BadRow,
            PathNotAllowed,
        ),
    },
)
def plan_power(
    platform: PlatformDep,
    request: Annotated[PowerRequest, Body(openapi_examples=POWER_EXAMPLES)],
) -> PowerPlan:
    """Plan the power of a design: per group the smallest effect that it can detect, the chance to
    show the effect asked for, and whether the question can be answered at this size at all.

    The data of the tasks are read and counted; nothing is trained or recorded.
    """
    return power.plan_power(platform, request)

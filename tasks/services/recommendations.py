"""Recommendations: what somebody should do or learn next, and why."""

from typing import Annotated

from pydantic import BaseModel, Field

from jobs.scheduling import PRIORITIES
from tasks.service import Service, ServiceInput

SYSTEM = (
    "You advise people on their next step in learning and work. Recommend what fits this person, be "
    "concrete, and give the reason from what is known about them. Never invent facts about the person."
)
PROMPT = """About the person:
{profile}

Their goal: {goal}
{candidates}
Recommend {count}, the best first. Answer with JSON: "recommendations", each with "title" and "reason" \
(one or two sentences)."""

Line = Annotated[str, Field(min_length=1, max_length=500)]


class RecommendationsInput(ServiceInput):
    """Who it is for, and what they want."""

    profile: Annotated[str, Field(min_length=1, max_length=20_000)]
    goal: Annotated[str, Field(min_length=1, max_length=2000)] = "not stated"
    candidates: Annotated[list[Line], Field(max_length=100)] = Field(
        default_factory=list, description="Recommend only from these; empty: anything."
    )
    count: Annotated[int, Field(ge=1, le=10)] = 3


class Recommendation(BaseModel):
    title: str
    reason: str


class Recommendations(BaseModel):
    recommendations: list[Recommendation]


def write_prompt(given: RecommendationsInput) -> str:
    listed = "".join(f"- {candidate}\n" for candidate in given.candidates)
    candidates = f"\nRecommend only from this list:\n{listed}" if listed else ""
    return PROMPT.format(profile=given.profile, goal=given.goal, candidates=candidates, count=given.count)


SERVICE = Service(
    name="recommendations",
    summary="Recommend what a person should do or learn next, with reasons.",
    input=RecommendationsInput,
    system=SYSTEM,
    write_prompt=write_prompt,
    temperature=0.7,
    max_tokens=800,
    priority=PRIORITIES["normal"],
    answer=Recommendations,
    example={
        "profile": "Warehouse clerk for six years, forklift licence, uses spreadsheets daily.",
        "goal": "A job in logistics planning.",
        "candidates": ["Course: supply chain basics", "Course: welding", "Certificate: SQL for analysts"],
        "count": 2,
    },
)

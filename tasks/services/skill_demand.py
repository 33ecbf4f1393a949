"""Skill market demand: how much a skill is asked for, as far as the model knows."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from jobs.scheduling import PRIORITIES
from tasks.service import Service, ServiceInput

SYSTEM = (
    "You estimate the demand for skills on the labour market from general knowledge. You have no current "
    "figures: say how sure you are, give reasons, and never make up statistics or sources."
)
PROMPT = """The skill: {skill}
The region: {region}
The time to look ahead: {horizon}

Answer with JSON: "demand" (low, medium or high), "trend" (falling, steady or rising), "confidence" from 0 \
to 100, "reasons" (at most three short sentences) and "related_skills" (at most five)."""

Line = Annotated[str, Field(min_length=1, max_length=200)]


class SkillDemandInput(ServiceInput):
    """A skill, and where and when it is to be in demand."""

    skill: Line
    region: Line = "worldwide"
    horizon: Line = "two years"


class SkillDemand(BaseModel):
    demand: Literal["low", "medium", "high"]
    trend: Literal["falling", "steady", "rising"]
    confidence: Annotated[int, Field(ge=0, le=100)]
    reasons: Annotated[list[str], Field(max_length=3)]
    related_skills: Annotated[list[str], Field(max_length=5)]


def write_prompt(given: SkillDemandInput) -> str:
    return PROMPT.format(skill=given.skill, region=given.region, horizon=given.horizon)


SERVICE = Service(
    name="skill-demand",
    summary="Estimate how much a skill is in demand.",
    input=SkillDemandInput,
    system=SYSTEM,
    write_prompt=write_prompt,
    temperature=0.2,
    max_tokens=300,
    priority=PRIORITIES["low"],
    answer=SkillDemand,
    example={"skill": "welding", "region": "Bavaria", "horizon": "five years"},
)

"""Gap narrative: what somebody still lacks for a role, told as a text."""

from typing import Annotated

from pydantic import Field

from jobs.scheduling import PRIORITIES
from tasks.service import Service, ServiceInput

SYSTEM = (
    "You write about the gap between what a person can do and what a role asks for: plainly, encouragingly "
    "and truthfully, in flowing prose without headings or lists. Use only what you are given."
)
PROMPT = """The role: {role}
It asks for: {required}
The person can: {current}

Tell {audience} in three or four paragraphs what fits already, what is missing, which gap matters most and \
how to close it."""

Skill = Annotated[str, Field(min_length=1, max_length=200)]


class GapNarrativeInput(ServiceInput):
    """A role and a person."""

    role: Annotated[str, Field(min_length=1, max_length=500)]
    required_skills: Annotated[list[Skill], Field(min_length=1, max_length=100)]
    current_skills: Annotated[list[Skill], Field(max_length=100)] = Field(default_factory=list)
    audience: Annotated[str, Field(min_length=1, max_length=200)] = "the person"


def write_prompt(given: GapNarrativeInput) -> str:
    return PROMPT.format(
        role=given.role,
        required=", ".join(given.required_skills),
        current=", ".join(given.current_skills) or "nothing of it yet, as far as is known",
        audience=given.audience,
    )


SERVICE = Service(
    name="gap-narrative",
    summary="Tell what a person still lacks for a role, and how to close the gap.",
    input=GapNarrativeInput,
    system=SYSTEM,
    write_prompt=write_prompt,
    temperature=0.7,
    max_tokens=600,
    priority=PRIORITIES["normal"],
    example={
        "role": "Data analyst",
        "required_skills": ["SQL", "statistics", "presenting"],
        "current_skills": ["spreadsheets", "presenting"],
    },
)

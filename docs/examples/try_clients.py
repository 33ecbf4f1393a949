"""
Run the examples of docs/clients.md against a stack that runs.

    python docs/examples/try_clients.py LangChain llm LiteLLM

Named are sections; the packages are those of the Python that runs this. PADDOCK_URL and
PADDOCK_API_KEY say where and as who.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "clients.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = {"python": [sys.executable, "-"], "sh": ["sh", "-eu"]}


def try_section(name: str) -> None:
    """Its blocks in one program for each language; an error ends everything."""
    text = re.split(r"^## (.*)\n", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = BLOCK.findall(dict(zip(text[1::2], text[2::2], strict=True))[name])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for language, command in COMMANDS.items():
        code = "\n".join(code for shown, code in found if shown == language)
        if code:
            subprocess.run(command, input=code, text=True, check=True, env={**os.environ, "PATH": path})


for section in sys.argv[1:]:
    print(f"\n== {section}", flush=True)
    try_section(section)

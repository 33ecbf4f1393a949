"""
A simulated Ollama: its routes, scheduling and errors, with made-up answers that say so.

`python -m ollama_client.simulator` runs it. It shares no code with the client, which is
tested against it.
"""

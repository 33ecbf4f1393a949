"""
The Celery edge: tasks whose row is the truth and whose message only says where to look.

    from tasks import chat, embed, generate

    result = generate.delay("Why is the sky blue?")
    result.get(timeout=60)["text"]
"""

from tasks.celery_app import app
from tasks.chat import chat
from tasks.embed import embed
from tasks.generate import generate

__all__ = ["app", "chat", "embed", "generate"]

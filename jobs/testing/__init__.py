"""
Test doubles: the queue in memory, for tests of code that submits jobs.

Rows, states and results are the real service's, on a SQLite in memory; doubles are what
lies around it: the broker, Ollama, the workers, and the clock. With Celery's
`.delay()` and canvas it is the fixture `paddock_queue` of `tasks.testing`.
"""

from jobs.records import Failure
from jobs.testing.answers import Answer, default_answer
from jobs.testing.line import MemoryLine
from jobs.testing.memory_queue import MemoryQueue, RecordedJob

__all__ = ["Answer", "Failure", "MemoryLine", "MemoryQueue", "RecordedJob", "default_answer"]

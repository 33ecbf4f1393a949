"""
Giving way to whoever was just woken.

A process that waits for what this one writes is often woken on the same processor, and would wait
there until this one has cleaned up, too: half a millisecond, which nobody waits for.
"""

import os
from collections.abc import Callable

give_way: Callable[[], None] = getattr(os, "sched_yield", lambda: None)  # macOS has none

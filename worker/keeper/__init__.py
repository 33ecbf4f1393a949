"""
The keeper: a process beside each worker that watches its Ollama, and one of which leads the housekeeping.

A process of its own, because a thread in the prefork parent would leave its locks
inside the children that are forked meanwhile. Each service is a function
`run_once(keeper)`; `__main__.py` calls them.
"""

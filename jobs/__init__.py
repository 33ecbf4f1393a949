"""
The core: what a job is, how it changes, and what may be asked about it.

Knows neither Celery, Flask nor the environment.
"""

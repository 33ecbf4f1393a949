"""The operator's routes, `/api/admin/…`: a blueprint a file, each for admin keys only."""

from api.admin import active_model, dead_letters, keys, queues, statistics, workers

ROUTES = (active_model, statistics, workers, keys, queues, dead_letters)

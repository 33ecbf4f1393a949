"""How long a job waits at most: what is promised, and what the tests hold the turns to."""


def wait_bound_seconds(
    *,
    level: int,
    ageing_seconds: float,
    work_seconds: float,
    models: int,
    turn_seconds: float,
    load_seconds: float,
    rest_seconds: float,
) -> float:
    """
    From a job's release to its start, at most.

    Until it is due anything more urgent may go first. From then on there is the work due
    before it, and of every other model one turn that may have begun with such work and
    went on with other. Work that takes longer than a turn is cut into turns, each followed
    by one of another model.

    Args:
        level: The one it was submitted at.
        work_seconds: What the slots need for all jobs, of whatever model, due before it.
        models: With jobs on the same worker, its own included.
        turn_seconds: The longest turn; above 0.
        load_seconds: The longest load.
        rest_seconds: The longest job: what still runs when a turn ends must end first.
    """
    switch_seconds = load_seconds + rest_seconds
    others = (models - 1) * (turn_seconds + switch_seconds)
    cuts = work_seconds // turn_seconds if models > 1 else 0
    again = cuts * (turn_seconds + 2 * switch_seconds)
    return level * ageing_seconds + work_seconds + others + again + switch_seconds

"""A checkout as many write it first: in memory, without keys, and a timeout counts as a failure."""

from sagafuzz import worker


def checkout(saga):
    done = []
    for step in saga.steps:
        try:
            worker.call(saga, step, "do")
            done.append(step)
        except (worker.Rejected, worker.Unavailable, worker.CallTimeout):
            for earlier in reversed(done):
                worker.call(saga, earlier, "undo")
            return False
    return True


worker.serve(checkout, engine="naive")

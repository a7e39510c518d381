"""Processes beside each other: real ones, all of which can be ended."""

import functools
import os
import subprocess
import sys
import time

import pytest

from steadygrad.rescue import Pool


def sleeping(seconds, number, started, seen):
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"], start_new_session=True)
    seen.append(child.pid)
    started(child)
    return number, child.wait()


def tasks(durations, seen):
    return [lambda started, n=n, each=each: sleeping(each, n, started, seen) for n, each in enumerate(durations)]


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_is_given_when_it_is_over():
    results = list(Pool(2).run(tasks([1.0, 0.0, 0.0], [])))
    assert sorted(results) == [(0, 0), (1, 0), (2, 0)]
    assert results[-1] == (0, 0), "the long one last"


def test_a_loop_that_is_left_ends_them_all():
    seen = []
    began = time.monotonic()
    for _ in Pool(2).run(tasks([0.0, 60, 60, 60], seen)):
        break
    assert time.monotonic() - began < 20
    assert not any(map(is_alive, seen))
    assert len(seen) < 4, "those that were waiting were not started"


def test_ended_from_outside_nothing_more_is_given():
    pool, seen = Pool(1), []
    results = []
    for result in pool.run(tasks([0.0, 60, 60], seen)):
        results.append(result)
        pool.stop()
    assert results[0] == (0, 0)
    assert all(status != 0 for _, status in results[1:])
    assert len(seen) < 3


def test_an_error_of_a_task_is_raised_and_ends_the_others():
    seen = []

    def fails(started):
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        list(Pool(2).run([functools.partial(fails), *tasks([60], seen)]))
    assert not any(map(is_alive, seen))

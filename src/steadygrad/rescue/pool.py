"""Processes that run beside each other on this machine, and can all be ended."""

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from .job import end

T = TypeVar("T")

Started = Callable[["subprocess.Popen[bytes]"], None]
"""Is told a process, so that it can be ended from outside."""


class Pool:
    """Runs tasks beside each other, each of which is one process.

    Args:
        jobs: how many at a time.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, tasks: Sequence[Callable[[Started], T]]) -> Iterator[T]:
        """Run them, and give what each returns when it is over. A loop that is left ends all that are running.

        Args:
            tasks: each starts its process, tells of it, and waits for its end.
        """
        self._stopped = False
        threads = ThreadPoolExecutor(self.jobs)
        waiting = [threads.submit(self._one, task) for task in tasks]
        try:
            for done in as_completed(waiting):
                yield from done.result()
        finally:
            self.stop()
            threads.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """End all that are running; those that wait are not started."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                end(child)

    def _one(self, task: Callable[[Started], T]) -> list[T]:
        own: list[subprocess.Popen[bytes]] = []

        def started(process: "subprocess.Popen[bytes]") -> None:
            own.append(process)
            with self._lock:
                self._running.add(process)
                if self._stopped:
                    end(process)

        if self._stopped:
            return []
        try:
            return [task(started)]
        finally:
            with self._lock:
                self._running.difference_update(own)

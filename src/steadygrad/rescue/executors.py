"""Who runs trials: processes on this machine, or a Ray cluster."""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Protocol

from .._i18n import say
from ..errors import MissingExtra, UsageError
from ..trials import Trial
from .job import Job, end, run_job


class Executor(Protocol):
    """Runs trials beside each other."""

    jobs: int
    """How many at a time."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Trial]:
        """Run them, and give each trial when it is over."""
        ...

    def stop(self) -> None:
        """End all that are running; those that wait are not started."""
        ...


class LocalExecutor:
    """Processes of this machine.

    Args:
        jobs: how many at a time.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, jobs: Sequence[Job]) -> Iterator[Trial]:
        """Run them, and give each trial when it is over."""
        self._stopped = False
        pool = ThreadPoolExecutor(self.jobs)
        waiting = [pool.submit(self._one, job) for job in jobs]
        try:
            for done in as_completed(waiting):
                trial = done.result()
                if trial is not None:
                    yield trial
        finally:
            self.stop()
            pool.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """End all that are running."""
        with self._lock:
            self._stopped = True
            for child in self._running:
                end(child)

    def _one(self, job: Job) -> Trial | None:
        child: subprocess.Popen[bytes] | None = None

        def started(process: "subprocess.Popen[bytes]") -> None:
            nonlocal child
            child = process
            with self._lock:
                self._running.add(process)
                if self._stopped:
                    end(process)

        if self._stopped:
            return None
        try:
            return run_job(job, started)
        finally:
            with self._lock:
                if child is not None:
                    self._running.discard(child)


class RayExecutor:
    """Workers of a Ray cluster, through Ray Tune: each trial is one of its trials, run by the same code as here.

    The script, its folder and the folder of runs have to be where the workers can see them.

    Args:
        address: of the cluster; "local" starts one on this machine.
        jobs: how many at a time; None for as many as there are cores.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: there is no cluster at that address.
    """

    def __init__(self, address: str, jobs: int | None = None) -> None:
        try:
            import ray
            from ray import tune  # noqa: F401
        except ImportError:
            raise MissingExtra(say("--ray needs Ray: pip install 'steadygrad[ray]'")) from None
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
        try:
            ray.init(
                **({"num_cpus": jobs or os.cpu_count()} if address == "local" else {"address": address}), **options
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            told = {"address": address, "error": str(error).splitlines()[0]}
            raise UsageError(say("--ray {address}: {error}", **told)) from None
        self.jobs = jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(self, jobs: Sequence[Job]) -> Iterator[Trial]:
        """Run them; all are given when the last is over."""
        from ray import tune

        several = list(jobs)
        if not several:
            return
        found: list[Trial] = []

        def one(config: dict[str, Any]) -> dict[str, Any]:
            return {"trial": run_job(several[config["place"]])}

        tuner = tune.Tuner(
            tune.with_resources(one, {"cpu": 1}),
            param_space={"place": tune.grid_search(list(range(len(several))))},
            tune_config=tune.TuneConfig(max_concurrent_trials=self.jobs),
            run_config=tune.RunConfig(verbose=0, storage_path=str(several[0].folder.parent.resolve()), name="ray"),
        )
        for result in tuner.fit():
            if result.metrics and "trial" in result.metrics:
                found.append(result.metrics["trial"])
        yield from found

    def stop(self) -> None:
        """Let go of the cluster."""
        import ray

        ray.shutdown()

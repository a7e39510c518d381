"""Who runs trials: processes on this machine, or a Ray cluster."""

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from .._i18n import say
from ..errors import MissingExtra, UsageError
from ..trials import Trial
from .job import Job, run_job
from .pool import Pool


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
        self._pool = Pool(jobs)

    def run(self, jobs: Sequence[Job]) -> Iterator[Trial]:
        """Run them, and give each trial when it is over."""
        yield from self._pool.run([functools.partial(run_job, job) for job in jobs])

    def stop(self) -> None:
        """End all that are running."""
        self._pool.stop()


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

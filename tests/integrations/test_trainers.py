"""The training loops of others, as they come: `transformers.Trainer` and Lightning, bare and under `steadygrad run`."""

import importlib.util
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "scripts"
BATCHES = 32
BAD = 12

# Each test starts two processes, and one alone takes seconds to load these packages.
pytestmark = pytest.mark.slow


def needs(*packages):
    # Looked for and not imported: only the scripts load them, in processes of their own.
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: pip install 'steadygrad[test]'")


HF, LIGHTNING = "hf_trainer.py", "lightning_trainer.py"
TRAINERS = [
    pytest.param(HF, marks=needs("transformers", "accelerate"), id="transformers"),
    pytest.param(LIGHTNING, marks=needs("lightning"), id="lightning"),
]


@dataclass(frozen=True)
class Printed:
    """What a script has printed: its losses, the learning rate after each step, and what its weights came to."""

    losses: list[float]
    rates: list[str]
    steps: int
    optimizer: str
    weights: str


def read(stdout):
    lines = [line.split(" ", 1) for line in stdout.splitlines()]
    said = {key: value for key, value in lines if key in {"optimizer", "steps", "weights"}}
    return Printed(
        losses=[float(value) for key, value in lines if key == "loss"],
        rates=[value for key, value in lines if key == "rate"],
        steps=int(said["steps"]),
        optimizer=said["optimizer"],
        weights=said["weights"],
    )


@pytest.fixture
def both(runner, monkeypatch):
    """Runs a script bare and protected, with the same arguments."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(script, *arguments):
        command = [str(SCRIPTS / script), *arguments]
        bare = runner.bare(sys.executable, *command)
        assert bare.returncode == 0, bare.stderr
        watched = runner.watched("--mode", "protect", *command)
        assert watched.status == 0, watched.stderr
        return bare.stdout, watched

    return run


def done(watched):
    return [(action["step"], action["action"]) for action in watched.summary["actions"]]


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("script", TRAINERS)
def test_a_healthy_run_is_the_same_to_the_last_bit(script, accumulate, both):
    bare, watched = both(script, "--accumulate", str(accumulate))
    assert watched.stdout == bare
    printed = read(bare)
    assert printed.optimizer == "AdamW fused: True"
    assert len(printed.losses) == BATCHES
    assert len(printed.rates) == printed.steps == BATCHES // accumulate
    assert len(printed.weights) == 64
    assert (watched.summary["verdict"], watched.summary["steps"]) == ("healthy", printed.steps)
    assert (watched.summary["actions"], watched.summary["alarms"]) == ([], [])
    # Lightning divides a loss by the number of batches before `backward`, transformers leaves that to the model.
    divided = accumulate if script == LIGHTNING else 1
    last = sum(printed.losses[-accumulate:]) / accumulate / divided
    assert watched.summary["loss"]["last"] == pytest.approx(last, rel=1e-6)


@pytest.mark.parametrize("script", TRAINERS)
def test_one_batch_with_a_nan_costs_one_step_and_not_the_run(script, both):
    bare, watched = both(script, "--nan-at", str(BAD))
    lost, saved = read(bare), read(watched.stdout)
    assert all(math.isnan(loss) for loss in lost.losses[BAD:]), "the fault is real"
    assert math.isnan(saved.losses[BAD])
    assert all(math.isfinite(loss) for loss in saved.losses[BAD + 1 :])
    assert saved.losses[:BAD] == lost.losses[:BAD]
    assert len(saved.losses) == saved.steps == BATCHES
    assert saved.rates == lost.rates, "the schedule goes on as if nothing had been"
    assert len(set(saved.rates)) == BATCHES
    assert (watched.summary["verdict"], watched.summary["steps"]) == ("recovered", BATCHES)
    assert watched.summary["first_alarm_step"] == BAD
    # In Lightning the forward pass lies inside the step: running statistics are poisoned after the step has begun.
    buffers = [(BAD, "restore-buffers")] if script == LIGHTNING else []
    assert sorted(done(watched)) == [*buffers, (BAD, "skip")]


@pytest.mark.parametrize("script", TRAINERS)
def test_a_nan_among_accumulated_batches_costs_their_step(script, both):
    bare, watched = both(script, "--nan-at", str(BAD + 1), "--accumulate", "2")
    lost, saved = read(bare), read(watched.stdout)
    assert math.isnan(lost.losses[-1]), "the fault is real"
    assert [place for place, loss in enumerate(saved.losses) if math.isnan(loss)] == [BAD + 1]
    assert saved.rates == lost.rates
    assert (watched.summary["verdict"], watched.summary["steps"]) == ("recovered", BATCHES // 2)
    assert (BAD // 2, "skip") in done(watched)
    assert watched.summary["action_counts"]["skip"] == 1

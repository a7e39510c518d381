"""Trials through Ray Tune on a local cluster: the same code, the same answer."""

import sys

import pytest
from tests.faulty_scripts import TOO_FAST

from steadygrad.rescue import RayExecutor, Rescue, Workspace
from steadygrad.trials import Candidate

pytest.importorskip("ray", reason="Ray is not installed: pip install 'steadygrad[ray]'")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings are not ours to mend


def test_a_local_cluster_rescues_as_this_machine_does(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "train.py").write_text(TOO_FAST)
    executor = RayExecutor("local", 2)
    try:
        candidates = [
            Candidate("lower-learning-rate", ("learning-rate",), options={"factor": 0.01}),
            Candidate("leaky-relu", ("dead-units",)),
        ]
        command = (sys.executable, "train.py")
        out = tmp_path / "runs"
        result = Rescue(command, "train", out, executor, Workspace(work), candidates=candidates, threads=1).run()
    finally:
        executor.stop()
    assert result.proof.cause == "learning-rate"
    assert {each.candidate.remedy: bool(each.times) for each in result.trials} == {
        "lower-learning-rate": True,
        "leaky-relu": False,
    }

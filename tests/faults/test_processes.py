"""Forked and spawned processes, isolated interpreters, interpreters that lack us, and what a process may inherit."""

import json
import os
import subprocess
import sys
import textwrap
import venv

import pytest
import torch

import steadygrad as sg

WORKERS = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

class Numbers(Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        return torch.full((4,), float(index)) / 64

def main(method):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loader = DataLoader(Numbers(), batch_size=8, num_workers=2, multiprocessing_context=method)
    for epoch in range(2):
        for x in loader:
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print("final", repr(loss.item()))

if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_data_loader_workers(method, runner):
    runner.write(WORKERS)
    bare = runner.bare(sys.executable, "train.py", method)
    ran = runner.watched("train.py", method)
    assert ran.stdout == bare.stdout
    assert ran.status == bare.returncode == 0
    assert (ran.summary["steps"], ran.summary["verdict"]) == (16, "healthy")
    assert len(list(ran.folder.glob("rank*.db"))) == 1
    assert ran.stderr.count("watching") == 1


def test_a_forked_child_that_trains_has_a_recording_of_its_own(runner):
    runner.write(
        textwrap.dedent(
            """
            import os, torch
            from torch import nn
            torch.manual_seed(0)
            model = nn.Linear(4, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
            def steps(count):
                for _ in range(count):
                    loss = model(torch.randn(8, 4)).square().mean()
                    optimizer.zero_grad(); loss.backward(); optimizer.step()
            steps(5)
            import multiprocessing
            child = multiprocessing.get_context("fork").Process(target=steps, args=(9,))
            child.start()
            child.join()
            steps(5)
            """
        )
    )
    ran = runner.watched("train.py")
    assert ran.status == 0
    counts = sorted(len(recording.steps()) for recording in sg.open_run(ran.folder).recordings)
    assert counts == [9, 10]


def test_an_isolated_interpreter_is_unobserved_not_healthy(runner):
    runner.write("import torch\nprint('trained')\n")
    ran = runner.watched("--", sys.executable, "-I", "train.py")
    assert (ran.status, ran.stdout) == (0, "trained\n")
    assert ran.summary["verdict"] == "unobserved"
    assert "-I" in ran.summary["reason"]


def test_an_interpreter_that_lacks_us_is_unobserved(runner):
    venv.create(runner.folder / "bare", with_pip=False, symlinks=True)
    fake = (
        runner.folder
        / "bare"
        / "lib"
        / f"python{sys.version_info[0]}.{sys.version_info[1]}"
        / "site-packages"
        / "torch"
    )
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("VERSION = 'another torch'\n")
    runner.write("import torch\nprint(torch.VERSION)\n")
    ran = runner.watched("--", str(runner.folder / "bare" / "bin" / "python"), "train.py")
    assert (ran.status, ran.stdout) == (0, "another torch\n")
    assert ran.summary["verdict"] == "unobserved"
    assert "not installed" in ran.summary["reason"]
    assert "Traceback" not in ran.stderr


def test_parameters_updated_without_an_optimizer_are_guarded_from_the_third_update_on(runner):
    runner.write(
        textwrap.dedent(
            """
            import torch
            w = torch.zeros(3, requires_grad=True)
            import sys
            for _ in range(int(sys.argv[1])):
                (w - 1).square().sum().backward()
                w.data.add_(w.grad, alpha=-0.1)
                w.grad = None
            """
        )
    )
    ran = runner.watched("train.py", "5")
    assert (ran.status, ran.summary["verdict"], ran.summary["steps"]) == (0, "healthy", 5)
    assert "their gradients are guarded" in ran.stderr
    ran = runner.watched("train.py", "2")
    assert (ran.status, ran.summary["verdict"], ran.summary["steps"]) == (0, "unobserved", 0)
    assert "p.data.add_" in ran.summary["reason"]
    assert "unobserved" in ran.stderr


@pytest.mark.smoke
def test_off_turns_everything_off(runner):
    runner.write("import os, sys, torch\nprint('steadygrad' in sys.modules, torch.autograd.backward.__module__)\n")
    ran = runner.watched("train.py", env={"STEADYGRAD": "off"})
    assert ran.stdout == "False torch.autograd\n"
    assert ran.summary["verdict"] == "unobserved"
    assert "STEADYGRAD=off" in ran.summary["reason"]


def test_an_existing_sitecustomize_is_chained(runner):
    runner.write("import builtins\nbuiltins.CHAINED = 'yes'\n", "mine/sitecustomize.py")
    runner.write("import torch, sitecustomize\nprint(CHAINED, sitecustomize.__file__.split('/')[-2])\n")
    ran = runner.watched("train.py", env={"PYTHONPATH": "mine"})
    assert ran.stdout == "yes mine\n"
    assert ran.status == 0


def test_plain_start_up_loads_nothing(runner):
    runner.write(
        "import sys\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in {'torch', 'steadygrad', 'numpy', 'json'}))\n"
    )
    ran = runner.watched("train.py")
    assert ran.stdout == "[]\n"


def test_children_of_the_command_are_reached(runner):
    runner.write(
        textwrap.dedent(
            """
            import torch
            model = torch.nn.Linear(2, 1)
            optimizer = torch.optim.Adam(model.parameters())
            for _ in range(4):
                model(torch.ones(1, 2)).sum().backward()
                optimizer.step()
            """
        ),
        "inner.py",
    )
    runner.write(f"import subprocess\nsubprocess.check_call([{sys.executable!r}, 'inner.py'])\n")
    ran = runner.watched("train.py")
    assert (ran.status, ran.summary["steps"]) == (0, 4)


def ranks_script(model: str, optimizer: str, steps: int, *, fault: str) -> str:
    """What torchrun starts: training on two ranks, whose weights at the end lie in `weights0.pt` and `weights1.pt`.

    No collective of the script's own comes last: where gloo's threads still hold a tensor of Python's while the
    interpreter ends, torch aborts the process, watched or not (one run in four, with those threads slowed down). On a
    busy machine it still did so in two bare runs of twelve: hence the wait.
    """
    return f"""
import time
import torch, torch.distributed as dist
from torch import nn

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(rank)
model = nn.parallel.DistributedDataParallel({model})
optimizer = {optimizer}
for step in range({steps}):
    x = torch.randn(16, 8)
    {fault}
    loss = (model(x) - x.flip(1)).square().mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
flat = torch.cat([p.detach().flatten() for p in model.parameters()])
torch.save(flat, f"weights{{rank}}.pt")
time.sleep(0.5)
dist.destroy_process_group()
"""


def run_ranks(runner, *options):
    """The script on two ranks, watched: they end alike."""
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    ran = runner.watched(*options, "--", *command, "--standalone", "train.py", env={"OMP_NUM_THREADS": "1"})
    assert ran.status == 0, ran.stderr
    one, other = (torch.load(runner.folder / f"weights{rank}.pt") for rank in range(2))
    assert one.isfinite().all()
    assert torch.equal(one, other)
    return ran


@pytest.mark.slow
def test_two_ranks_under_torchrun(runner):
    """One rank has a NaN in its batch; the sum over ranks takes it to both, and both leave that step out."""
    nan = 'x[0] = float("nan") if (step, rank) == (10, 1) else x[0]'
    runner.write(ranks_script("nn.Linear(8, 8)", "torch.optim.SGD(model.parameters(), lr=0.05)", 20, fault=nan))
    ran = run_ranks(runner)
    run = sg.open_run(ran.folder)
    assert [recording.rank for recording in run.recordings] == [0, 1]
    assert [[a.step for a in r.actions() if a.action == "skip"] for r in run.recordings] == [[10], [10]]
    assert ran.summary["world_size"] == 2
    assert ran.stderr.count("watching") == 1


@pytest.mark.slow
@pytest.mark.parametrize("memory", [None, "10MB"])
def test_ranks_are_rolled_back_alike_and_only_within_a_memory_that_is_the_same_on_all(runner, memory):
    """Momentum of a million times its size, on every rank. A quarter of what is free is not the same on all: then
    there are no snapshots, which is said once."""
    model = "nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 8))"
    momentum = "[state['exp_avg'].mul_(1e6) for state in optimizer.state.values() if step == 150]"
    runner.write(ranks_script(model, "torch.optim.AdamW(model.parameters(), lr=0.01)", 200, fault=momentum))
    ran = run_ranks(runner, *(() if memory is None else ("--snapshot-memory", memory)))
    recordings = sg.open_run(ran.folder).recordings
    assert len(recordings) == 2
    # Not the losses in their details: each rank has its own.
    done = [[(a.step, a.action, a.detail.get("to")) for a in recording.actions()] for recording in recordings]
    assert done[0] == done[1]
    back = [(step, to) for step, action, to in done[0] if action == "roll-back"]
    assert back == ([] if memory is None else [(151, 128)])
    assert ran.stderr.count("no snapshots") == (1 if memory is None else 0)


def test_the_run_folder_may_be_read_by_another_python_without_torch(runner):
    runner.write(
        "import torch\nm = torch.nn.Linear(1, 1)\no = torch.optim.SGD(m.parameters())\n"
        "m(torch.ones(1)).backward()\no.step()\n"
    )
    ran = runner.watched("train.py")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import steadygrad as sg, json\n"
        f"print(sg.open_run({str(ran.folder)!r}).verdict)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "healthy", done.stderr
    assert json.loads((ran.folder / "run.json").read_text())["status"] == 0


def test_asking_whether_torch_is_there_is_not_importing_it(runner):
    runner.write(
        "import importlib.util\nassert importlib.util.find_spec('torch')\nassert importlib.util.find_spec('torch')\n"
        "import torch\nm = torch.nn.Linear(1, 1)\no = torch.optim.SGD(m.parameters())\n"
        "m(torch.ones(1)).backward()\no.step()\n"
    )
    assert runner.watched("train.py").summary["steps"] == 1

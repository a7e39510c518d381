"""On DTensors every policy does what it does on whole tensors: two ranks, each with a half, against one process."""

import sys
import traceback

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from steadygrad.clip import Gradients, clip_grad_norm_
from steadygrad.measure import second_moment_ratio

from ..contracts.policies import KINDS, noise, tree

RANKS = 2


def halves(place):
    """How the tensor at a place is split: by rows, by columns, or not at all."""
    return [Shard(0), Shard(1), Replicate(), Replicate(), Shard(1)][place % 5]


def run(kind, *, mesh=None):
    """Gradients after each of some steps of one policy, whole."""
    params = tree()
    if mesh is not None:
        params = [
            nn.Parameter(distribute_tensor(param.detach(), mesh, [halves(at)])) for at, param in enumerate(params)
        ]
    optimizer = torch.optim.AdamW(params, lr=1e-3)
    policy = kind.make()
    seen = []
    for step in range(12):
        for at, (param, grad) in enumerate(
            zip(params, noise(tree(), 40.0 if step == 9 else 1e-2, seed=step), strict=True)
        ):
            if step == 5:
                grad = torch.full_like(grad, float("nan"))
            param.grad = grad if mesh is None else distribute_tensor(grad, mesh, [halves(at)])
        result = policy.clip_(Gradients.of(optimizer))
        policy.before_step(optimizer)
        if step != 5:
            optimizer.step()
        policy.after_step(optimizer)
        seen += [whole(param.grad) for param in params] + [whole(param) for param in params]
        seen += [result.grad_norm, result.clipped_norm]
    return seen


def whole(tensor):
    """A copy of all of a tensor."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()


def check(rank, kind):
    """Compare with one process."""
    mesh = init_device_mesh("cpu", (RANKS,))
    for name, (one, other) in enumerate(zip(run(kind), run(kind, mesh=mesh), strict=True)):
        torch.testing.assert_close(
            other, one, rtol=1e-4, atol=1e-7, equal_nan=True, msg=lambda text, at=name: f"{at}: {text}"
        )


def check_functions(rank):
    """torch's functions, ours, on DTensors; and the ratio of second moments."""
    mesh = init_device_mesh("cpu", (RANKS,))
    plain, sharded = (
        tree(),
        [nn.Parameter(distribute_tensor(param.detach(), mesh, [halves(at)])) for at, param in enumerate(tree())],
    )
    for at, grad in enumerate(noise(tree(), 3.0)):
        plain[at].grad = grad.clone()
        sharded[at].grad = distribute_tensor(grad, mesh, [halves(at)])
    ratios = [second_moment_ratio(torch.optim.Adam(params))[1] for params in (plain, sharded)]
    torch.testing.assert_close(torch.stack(ratios[1]), torch.stack(ratios[0]))
    norm = clip_grad_norm_(sharded, 1.0)
    assert not isinstance(norm, DTensor), "the whole norm, on every rank"
    torch.testing.assert_close(norm, torch.nn.utils.clip_grad_norm_(plain, 1.0))
    for one, other in zip(plain, sharded, strict=True):
        torch.testing.assert_close(whole(other.grad), one.grad)


def work(rank, store, queue):
    """One rank."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    failures = []
    for name, test in [
        ("functions", check_functions),
        *((kind.name, lambda rank, kind=kind: check(rank, kind)) for kind in KINDS),
    ]:
        try:
            test(rank)
        except Exception:
            failures.append(f"{name} on rank {rank}:\n{traceback.format_exc()[-1500:]}")
            break  # the other rank may be waiting in a collective
    queue.put(failures)
    dist.destroy_process_group()


@pytest.mark.skipif(sys.platform == "win32", reason="needs gloo with a file store")
@pytest.mark.slow
def test_every_policy_on_two_ranks(tmp_path):
    context = mp.get_context("spawn")
    queue = context.Queue()
    ranks = [context.Process(target=work, args=(rank, tmp_path / "store", queue), daemon=True) for rank in range(RANKS)]
    for process in ranks:
        process.start()
    failures = [failure for _ in ranks for failure in queue.get(timeout=200)]
    assert not failures, "\n".join(failures)

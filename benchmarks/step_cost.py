"""What a clip policy costs a step, against `torch.nn.utils.clip_grad_norm_` on the same gradients in the same run.

    python benchmarks/step_cost.py
    python benchmarks/step_cost.py --quick --json step_cost.json

One thread. Every contender is called in turn, round after round, in an order that changes, so that whatever else the
machine does falls on all of them; the ratio of each round counts: the table has their medians with 95 % intervals.

"Nothing fires" is the usual step: the gradients are below every threshold (fixed limits are set out of reach). "Fires"
scales every gradient. The last table is a whole step of a fused AdamW with a clip that fires: clipped first and stepped
then, against the clip folded into the step.

Where there is a CUDA device, a section asserts that a folded step never waits for it, with
`torch.cuda.set_sync_debug_mode("error")`.
"""

import argparse
import json
import math
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from run_overhead import interval
from torch import Tensor, nn
from workloads import TransformerModel

import steadygrad as sg
from steadygrad.clip import (
    AGC,
    SPAM,
    AdaGC,
    AutoClip,
    ClipByBlockRMS,
    ClipByGlobalNorm,
    ClipByTensorNorm,
    ClipByUpdateRMS,
    ClipByValue,
    Gradients,
    Policy,
    QKClip,
    RobustClip,
    ZClip,
    attach,
    chain,
    clip_grad_norm_,
    snapshot,
)

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "21 M in 144 tensors": [(512, 512), (512, 512), (512, 512), (512, 512), *[(512,)] * 6, (830, 512), (512, 830)] * 12,
    "400 tiny tensors": [(16, 16), (16,)] * 200,
    "8 big matrices": [(1600, 1600)] * 8,
}
"""Parameters of a transformer of 12 layers; of many small layers; of a few large ones."""

BOUNDS = {"21 M in 144 tensors": 0.6, "400 tiny tensors": 1.0, "8 big matrices": 0.6}
"""What the default policy may cost when nothing fires, times `clip_grad_norm_`."""

FOLDED_BOUND = 0.7
"""What a firing clip may cost inside a fused AdamW, times `clip_grad_norm_` before it."""

QUIET: dict[str, Callable[[], Policy]] = {
    "ClipByValue": lambda: ClipByValue(1e9),
    "ClipByGlobalNorm": lambda: ClipByGlobalNorm(1e9),
    "ClipByTensorNorm": lambda: ClipByTensorNorm(1e9),
    "ClipByBlockRMS": lambda: ClipByBlockRMS(1e9),
    "AGC": lambda: AGC(1e9),
    "AutoClip": lambda: AutoClip(50),
    "ZClip": lambda: ZClip(max_grad_norm=None),
    "AdaGC": lambda: AdaGC(lambda_abs=math.inf, warmup_steps=5, lambda_rel=1e3),
    "SPAM": lambda: SPAM(1e9, grace=0, reset_every=None),
    "ClipByUpdateRMS": lambda: ClipByUpdateRMS(1e9),
    "RobustClip": RobustClip,
    "chain of two and two snapshots": lambda: chain(
        snapshot("before"), ClipByTensorNorm(1e9), RobustClip(), snapshot("after")
    ),
}
"""Policies that do not fire."""


WATCH = "sg.watch, recording"


class Idle(torch.optim.Optimizer):
    """Its step is nothing but what others have put before and after it."""

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """Nothing."""


@dataclass(frozen=True)
class Cost:
    """A ratio to `clip_grad_norm_`: median over the rounds, with its 95 % interval, and what it may be."""

    section: str
    gradients: str
    policy: str
    ratio: float
    interval: tuple[float, float]
    bound: float | None


def parameters(shapes: Sequence[tuple[int, ...]], device: str = "cpu") -> list[Tensor]:
    """Parameters with gradients of independent normal elements."""
    params: list[Tensor] = [nn.Parameter(torch.randn(shape, device=device) * 0.02) for shape in shapes]
    for param in params:
        param.grad = torch.randn_like(param) * 1e-3
    return params


def rounds(calls: dict[str, Callable[[], object]], base: str, count: int) -> dict[str, list[float]]:
    """Time calls against one of them, in turns.

    Args:
        calls: what to time.
        base: the name of the one that the others are compared with.
        count: how many rounds.

    Returns:
        For each the ratios to the base, one a round.
    """
    names = list(calls)
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for number in range(count + 3):
        times = {}
        for name in random.sample(names, len(names)):
            began = time.perf_counter()
            calls[name]()
            times[name] = time.perf_counter() - began
        if number >= 3:  # the first rounds warm up caches and policies
            for name in names:
                ratios[name].append(times[name] / times[base])
    return ratios


def quiet(kind: str, count: int) -> list[Cost]:
    """Every policy where nothing fires."""
    params = parameters(SHAPES[kind])
    calls: dict[str, Callable[[], object]] = {
        "torch": lambda: torch.nn.utils.clip_grad_norm_(params, 1e9),
        "clip_grad_norm_ (ours)": lambda: clip_grad_norm_(params, 1e9),
    }
    for name, make in QUIET.items():
        calls[name] = _call(make(), params)
    optimizer = Idle(params, {})
    owner = nn.ParameterList(params)  # or whatever is called between steps would be taken for the model
    with tempfile.TemporaryDirectory(prefix="steadygrad-bench-") as folder, sg.watch(owner, optimizer, record=folder):
        optimizer.step()
        calls[WATCH] = optimizer.step
        measured = rounds(calls, "torch", count)
    costs = []
    for name, ratios in measured.items():
        bound = BOUNDS[kind] if name in {"RobustClip", WATCH} else None
        if name != "torch":
            costs.append(Cost("nothing fires", kind, name, median(ratios), interval(ratios), bound))
    return costs


def firing(kind: str, count: int) -> list[Cost]:
    """A global clip that fires at every step."""
    params = parameters(SHAPES[kind])
    calls: dict[str, Callable[[], object]] = {}
    # Limits that sink a little each time: the gradients are not renewed, and each call has something to do.
    limits = iter(0.999**step for step in range(1, 10**6))
    for name, clip in (("torch", torch.nn.utils.clip_grad_norm_), ("clip_grad_norm_ (ours)", clip_grad_norm_)):
        calls[name] = lambda clip=clip: clip(params, 1e-2 * next(limits))
    policy = ClipByGlobalNorm(1.0)

    def by_policy() -> None:
        policy.max_norm = 1e-2 * next(limits)
        policy(params)

    calls["ClipByGlobalNorm"] = by_policy
    return [
        Cost("fires", kind, name, median(ratios), interval(ratios), None)
        for name, ratios in rounds(calls, "torch", count).items()
        if name != "torch"
    ]


def folded(kind: str, count: int) -> list[Cost]:
    """What a clip adds to a step of a fused AdamW when it fires: before the step, and folded into it.

    The cost of the clip is the step with it less the step without; `clip_grad_norm_` before the step is the base. The
    floor is what no clip that is folded can do without: a norm of every gradient, and a kernel that scales.
    """
    shapes = SHAPES[kind]
    bare, before, fold, least = (parameters(shapes) for _ in range(4))
    optimizers = [torch.optim.AdamW(params, lr=1e-6, fused=True) for params in (bare, before, fold, least)]
    grads = [param.grad.clone() for param in bare if param.grad is not None]
    attached = attach(ClipByGlobalNorm(1e-3), optimizers[2])
    assert attached.folded

    def renew(params: Sequence[Tensor]) -> None:
        torch._foreach_copy_([param.grad for param in params if param.grad is not None], grads)

    def clip_then_step() -> None:
        torch.nn.utils.clip_grad_norm_(before, 1e-3)
        optimizers[1].step()

    optimizers[3].grad_scale = torch.tensor(1.5)  # type: ignore[attr-defined]

    def norms_and_scaled_step() -> None:
        torch._foreach_norm([param.grad for param in least])
        optimizers[3].step()

    steps = {
        "bare": optimizers[0].step,
        "before": clip_then_step,
        "folded": optimizers[2].step,
        "floor": norms_and_scaled_step,
    }
    owners = {"bare": bare, "before": before, "folded": fold, "floor": least}
    ratios, added = [], []
    for number in range(count + 3):
        times = {}
        for name in random.sample(list(steps), len(steps)):
            renew(owners[name])
            began = time.perf_counter()
            steps[name]()
            times[name] = time.perf_counter() - began
        if number >= 3:
            added.append({name: times[name] - times["bare"] for name in times})
            ratios.append(times["folded"] / times["before"])
    base = median(each["before"] for each in added)
    shares, floor = ([each[name] / base for each in added] for name in ("folded", "floor"))
    return [
        Cost("fires, fused AdamW", kind, "folded: what the clip adds", median(shares), interval(shares), FOLDED_BOUND),
        Cost("fires, fused AdamW", kind, "floor: what it cannot do without", median(floor), interval(floor), None),
        Cost("fires, fused AdamW", kind, "folded: the whole step", median(ratios), interval(ratios), None),
    ]


def attention(count: int) -> list[Cost]:
    """What `QKClip` adds to a training step: it looks at the logits of every forward pass, and works on weights.

    Its base is the same step without it, of a transformer of 6 layers.
    """
    torch.manual_seed(0)
    model, tokens = TransformerModel(), torch.randint(1_000, (8, 64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def step() -> None:
        model(tokens).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    def looked_at() -> None:
        policy = QKClip(model, 1e9)
        with attach(policy, optimizer):
            step()
        policy.close()

    ratios = rounds({"torch": step, "QKClip": looked_at}, "torch", max(10, count // 4))["QKClip"]
    return [
        Cost("attention logits, a whole step", "transformer, 11 M", "QKClip", median(ratios), interval(ratios), None)
    ]


def on_a_gpu(count: int) -> list[Cost]:
    """The same on a CUDA device, and the proof that a folded step waits for nothing."""
    params = parameters(SHAPES["21 M in 144 tensors"], "cuda")
    optimizer = torch.optim.AdamW(params, lr=1e-6, fused=True)
    with attach(RobustClip(), optimizer):
        for _ in range(3):
            optimizer.step()
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(20):
                optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    costs = []
    for kind, shapes in SHAPES.items():
        grads = parameters(shapes, "cuda")
        calls = {
            "torch": _waited(lambda grads=grads: torch.nn.utils.clip_grad_norm_(grads, 1e9)),
            "clip_grad_norm_ (ours)": _waited(lambda grads=grads: clip_grad_norm_(grads, 1e9)),
            "RobustClip": _waited(_call(RobustClip(), grads)),
        }
        for name, ratios in rounds(calls, "torch", count).items():
            if name != "torch":
                costs.append(Cost("nothing fires, CUDA", kind, name, median(ratios), interval(ratios), None))
    return costs


def _call(policy: Policy, params: list[Tensor]) -> Callable[[], object]:
    """A call of a policy, with whatever it needs around it."""
    if not policy.needs_optimizer:
        return lambda: policy(params)
    optimizer = torch.optim.AdamW(params, lr=1e-6)
    optimizer.step()

    def call() -> None:
        with torch.no_grad():
            policy.clip_(Gradients.of(optimizer))
            policy.before_step(optimizer)
            policy.after_step(optimizer)

    return call


def _waited(call: Callable[[], object]) -> Callable[[], object]:
    def waited() -> None:
        call()
        torch.cuda.synchronize()

    return waited


def main() -> None:
    """Measure, print the tables, write JSON if asked."""
    parser = argparse.ArgumentParser(description="Measure what a clip policy costs a step.")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, with a wide interval")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    count = 15 if args.quick else 100
    console = Console(stderr=True, highlight=False)
    costs: list[Cost] = []
    for measure in (quiet, firing, folded):
        for kind in SHAPES:
            console.print(f"{measure.__name__}: {kind}, {count} rounds ...")
            costs += measure(kind, count)
    console.print("attention ...")
    costs += attention(count)
    if torch.cuda.is_available():
        console.print("on a GPU ...")
        costs += on_a_gpu(count)
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")
    )
    show(costs, machine)
    if args.json is not None:
        args.json.write_text(
            json.dumps({"machine": machine, "costs": [asdict(cost) for cost in costs]}, indent=1) + "\n"
        )


def show(costs: Sequence[Cost], machine: str) -> None:
    """One table a section: a row a policy, a column a list of gradients."""
    console = Console(highlight=False, width=None if os.isatty(1) else 130)
    for section in dict.fromkeys(cost.section for cost in costs):
        base = "the step without it" if section.startswith("attention") else "clip_grad_norm_ of torch"
        table = Table(title=f"{section}: cost over {base} ({machine})", box=None, header_style="bold")
        table.add_column("policy")
        own = [cost for cost in costs if cost.section == section]
        kinds = dict.fromkeys(cost.gradients for cost in own)
        for kind in kinds:
            table.add_column(kind, justify="right")
        for policy in dict.fromkeys(cost.policy for cost in own):
            cells = {cost.gradients: _cell(cost) for cost in own if cost.policy == policy}
            table.add_row(policy, *(cells.get(kind, "") for kind in kinds))
        console.print(table)


def _cell(cost: Cost) -> str:
    text = f"{cost.ratio:.2f}x ({cost.interval[0]:.2f} to {cost.interval[1]:.2f})"
    if cost.bound is None:
        return text
    return f"[{'green' if cost.ratio <= cost.bound else 'red'}]{text}, bound {cost.bound:.1f}[/]"


if __name__ == "__main__":
    main()

"""Promise 4: a skip is a true skip. An oracle hashes everything reachable before and after a bad step."""

import copy
import hashlib
import itertools
import math

import pytest
import torch
from torch import nn

import steadygrad as sg

MAKERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd-nesterov-decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "fused-sgd-momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "adamw-capturable-lr": lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.1)),
    "fused-adamw": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.1),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.1),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.1),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=5),
    "lbfgs-search": lambda p: torch.optim.LBFGS(p, lr=1.0, max_iter=5, line_search_fn="strong_wolfe"),
    "counting": lambda p: Counting(p),
    "stacking": lambda p: Stacking(p),
    "super": lambda p: Super(p, lr=0.1),
    "wrapper": lambda p: Wrapper(torch.optim.SGD(p, lr=0.1, momentum=0.9)),
}


class Counting(torch.optim.Optimizer):
    """A third-party style optimizer that counts steps in its group, in its state and on itself."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1, "k": 0})
        self.calls = 0

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        self.calls += 1
        self.state["global"] = {"steps": self.state.get("global", {"steps": 0})["steps"] + 1}
        for group in self.param_groups:
            group["k"] += 1
            for param in group["params"]:
                if param.grad is not None:
                    param.data.add_(param.grad, alpha=-group["lr"] / group["k"])
        return loss


class Stacking(torch.optim.Optimizer):
    """A third-party style optimizer whose step cannot stand being without parameters."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        params = [p for p in self.param_groups[0]["params"] if p.grad is not None]
        if closure is None or params:
            norm = torch.stack([p.grad.norm() for p in params]).norm()
            for p in params:
                p.sub_(p.grad / (1 + norm), alpha=0.1)
        return loss


class Super(torch.optim.AdamW):
    """A subclass that calls `super().step()`: the hooks of both may fire."""

    def step(self, closure=None):
        return super().step(closure)


class Wrapper(torch.optim.Optimizer):
    """A lookahead-like wrapper that delegates to an inner optimizer: two step hooks fire for one step."""

    def __init__(self, inner):
        self.inner = inner
        super().__init__([p for group in inner.param_groups for p in group["params"]], {})
        self.param_groups = inner.param_groups

    def step(self, closure=None):
        loss = self.inner.step(closure)
        for group in self.param_groups:
            for param in group["params"]:
                param.data.mul_(0.999)
        return loss


def digest(*things):
    """A hash of everything reachable: tensors to the last bit, containers, plain attributes."""
    sha = hashlib.sha256()

    def walk(thing):
        if isinstance(thing, torch.Tensor):
            sha.update(str((tuple(thing.shape), thing.dtype)).encode())
            sha.update(
                thing.detach().contiguous().view(torch.uint8).numpy().tobytes()
                if thing.ndim
                else str(thing.item()).encode()
            )
        elif isinstance(thing, dict):
            for key, value in thing.items():
                walk(key if not isinstance(key, torch.Tensor) else "param")
                walk(value)
        elif isinstance(thing, (list, tuple)):
            for item in thing:
                walk(item)
        elif isinstance(thing, (int, float, str, bool, type(None))):
            sha.update(repr(thing).encode())

    for thing in things:
        walk(thing)
    return sha.hexdigest()


def everything(model, optimizer):
    attributes = {
        k: v
        for k, v in vars(optimizer).items()
        if k not in {"state", "param_groups", "inner", "_step_count", "_opt_called"}
    }
    inner = getattr(optimizer, "inner", None)
    states = [dict(o.state) for o in (optimizer, inner) if o is not None]
    groups = [
        [{k: v for k, v in g.items() if k != "params"} for g in o.param_groups]
        for o in (optimizer, inner)
        if o is not None
    ]
    return digest(dict(model.state_dict()), states, groups, attributes)


def build(maker):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
    return model, MAKERS[maker](list(model.parameters()))


def one_step(model, optimizer, x, closure, factor=1.0):
    def evaluate():
        optimizer.zero_grad()
        loss = model(x).square().mean() * factor
        loss.backward()
        return loss

    if closure:
        optimizer.step(evaluate)
    else:
        evaluate()
        optimizer.step()


CASES = [(m, c) for m, c in itertools.product(MAKERS, (False, True)) if c or not m.startswith("lbfgs")]


@pytest.mark.parametrize(("maker", "closure"), CASES)
@pytest.mark.parametrize("warm", [0, 3])
def test_nothing_reachable_has_changed(maker, closure, warm):
    model, optimizer = build(maker)
    data = torch.randn(16, 4)
    with sg.watch(model, optimizer, record=False):
        for _ in range(warm):
            one_step(model, optimizer, data, closure)
        before = everything(model, optimizer)
        one_step(model, optimizer, data * float("nan"), closure)
        assert everything(model, optimizer) == before
        for param in model.parameters():
            assert param.grad is None or not param.grad.any()
        one_step(model, optimizer, data, closure)
        assert everything(model, optimizer) != before


@pytest.mark.parametrize(("maker", "closure"), CASES)
def test_training_goes_on_as_if_the_bad_batch_had_not_been(maker, closure):
    good = torch.randn(6, 16, 4)
    states = []
    for bad_at in (None, 3):
        model, optimizer = build(maker)
        with sg.watch(model, optimizer, record=False):
            for step in range(6):
                if step == bad_at:
                    one_step(model, optimizer, good[step] * float("inf"), closure)
                one_step(model, optimizer, good[step], closure)
        states.append(everything(model, optimizer))
    assert states[0] == states[1]


def test_a_failure_between_evaluations_is_undone():
    model, optimizer = build("lbfgs")
    data, calls = torch.randn(16, 4), itertools.count()
    with sg.watch(model, optimizer, record=False):
        one_step(model, optimizer, data, True)
        before = everything(model, optimizer)

        def evaluate():
            optimizer.zero_grad()
            loss = model[3](model[2](model[0](data))).square().mean() * (float("nan") if next(calls) >= 2 else 1.0)
            loss.backward()
            return loss

        optimizer.step(evaluate)
        assert next(calls) > 2
        assert everything(model, optimizer) == before


class Keeping(torch.optim.SGD):
    """Keeps the closure of its step, to call it when the step is over; may fail in between."""

    fails = False

    @torch.no_grad()
    def step(self, closure=None):
        self.kept = closure
        with torch.enable_grad():
            closure()
        if self.fails:
            raise ZeroDivisionError
        super().step()


@pytest.mark.parametrize("how", ["lost", "made", "failed"])
def test_a_closure_that_is_called_when_its_step_is_over_is_the_users_own_again(how):
    model = nn.Linear(4, 1)
    optimizer = Keeping(model.parameters(), lr=0.1)
    optimizer.fails = how == "failed"
    factor = math.nan if how == "lost" else 1.0

    def evaluate():
        optimizer.zero_grad()
        loss = model(torch.ones(2, 4)).square().mean() * factor
        loss.backward()
        return loss

    with sg.watch(model, optimizer, record=False) as watch:
        try:
            optimizer.step(evaluate)
        except ZeroDivisionError:
            assert how == "failed"
        before, steps = everything(model, optimizer), watch.state_dict()["optimizers"][0]["step"]
        for factor in (1.0, math.nan):
            assert optimizer.kept().isfinite() == math.isfinite(factor)
            assert all(param.grad is not None for param in model.parameters()), "not hidden"
        assert everything(model, optimizer) == before
        factor = 1.0
        optimizer.fails = False
        optimizer.step(evaluate)
        assert watch.state_dict()["optimizers"][0]["step"] == steps + 1
        assert not watch._watcher.dead


def test_zeroing_gradients_would_not_have_been_a_skip():
    model, optimizer = build("sgd-nesterov-decay")
    data = torch.randn(16, 4)
    one_step(model, optimizer, data, False)
    before = everything(model, optimizer)
    for param in model.parameters():
        param.grad.zero_()
    optimizer.step()
    assert everything(model, optimizer) != before


def test_schedulers_go_on_without_a_warning():
    model, optimizer = build("adam")
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
    with sg.watch(model, optimizer, record=False):
        rates = []
        for step in range(4):
            one_step(model, optimizer, torch.randn(8, 4) * (float("nan") if step == 0 else 1), False)
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
    expected = copy.deepcopy(scheduler.state_dict())["last_epoch"]
    assert expected == 4
    assert len(set(rates)) == 4

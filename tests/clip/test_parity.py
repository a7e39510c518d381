"""The same numbers as the implementations that people know: torch, optax, timm, optimi."""

import importlib.metadata
import importlib.util
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from steadygrad.clip import (
    AGC,
    ClipByBlockRMS,
    ClipByGlobalNorm,
    ClipByTensorNorm,
    ClipByUpdateRMS,
    ClipByValue,
    attach,
    clip_grad_norm_,
    clip_grad_value_,
    get_total_norm,
)

shapes = st.lists(st.lists(st.integers(1, 5), max_size=4).map(tuple), min_size=1, max_size=6)
sizes = st.floats(min_value=1e-3, max_value=1e3)
seeds = st.integers(0, 2**31 - 1)


def random_tree(shapes, size, seed):
    """Weights and gradients of these shapes."""
    generator = torch.Generator().manual_seed(seed)
    params = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    for param in params:
        param.grad = size * torch.randn(param.shape, generator=generator)
    return params


def copy_of(params):
    """The same weights and gradients once more."""
    copies = [nn.Parameter(param.detach().clone()) for param in params]
    for copy, param in zip(copies, params, strict=True):
        copy.grad = None if param.grad is None else param.grad.clone()
    return copies


def same(params, others, **tolerance):
    for param, other in zip(params, others, strict=True):
        torch.testing.assert_close(param.grad, other.grad, **(tolerance or {"rtol": 2e-6, "atol": 1e-30}))


@settings(max_examples=60, deadline=None)
@given(shapes, sizes, seeds, st.floats(min_value=1e-2, max_value=1e2), st.sampled_from([1.0, 2.0, 3.0, math.inf]))
def test_torchs_clip_by_norm(shapes, size, seed, max_norm, norm_type):
    ours = random_tree(shapes, size, seed)
    ours[-1].grad = None if len(ours) > 1 else ours[-1].grad
    theirs = copy_of(ours)
    norm = clip_grad_norm_(iter(ours), max_norm, norm_type)
    torch.testing.assert_close(norm, torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type))
    with_grads = [(one, other) for one, other in zip(ours, theirs, strict=True) if one.grad is not None]
    same(*zip(*with_grads, strict=True))


@settings(max_examples=30, deadline=None)
@given(shapes, sizes, seeds, st.floats(min_value=1e-2, max_value=1e2))
def test_torchs_clip_by_value(shapes, size, seed, value):
    ours, policy = random_tree(shapes, size, seed), random_tree(shapes, size, seed)
    theirs = copy_of(ours)
    assert clip_grad_value_(ours, value) is None
    ClipByValue(value)(policy)
    torch.nn.utils.clip_grad_value_(theirs, value)
    same(ours, theirs, rtol=0, atol=0)
    same(policy, theirs, rtol=0, atol=0)


@given(shapes, sizes, seeds, st.sampled_from([1.0, 2.0, math.inf]))
@settings(max_examples=30, deadline=None)
def test_torchs_total_norm(shapes, size, seed, norm_type):
    tensors = [param.grad for param in random_tree(shapes, size, seed)]
    torch.testing.assert_close(get_total_norm(tensors, norm_type), torch.nn.utils.get_total_norm(tensors, norm_type))


def test_the_signatures_are_torchs():
    import inspect

    for ours in (clip_grad_norm_, clip_grad_value_, get_total_norm):
        theirs = inspect.signature(getattr(torch.nn.utils, ours.__name__))
        mine = inspect.signature(ours)
        assert list(mine.parameters) == list(theirs.parameters)
        assert [p.default for p in mine.parameters.values()] == [p.default for p in theirs.parameters.values()]


def optax_update(transform, params):
    """The gradients after a transform of optax."""
    weights = [np.asarray(param.detach()) for param in params]
    grads = [np.asarray(param.grad) for param in params]
    updates, _ = transform.update(grads, transform.init(weights), weights)
    return [torch.from_numpy(np.array(update)) for update in updates]


@pytest.mark.parametrize("name", ["clip", "clip_by_global_norm", "clip_by_block_rms"])
@settings(max_examples=20, deadline=None)
@given(shapes=shapes, size=sizes, seed=seeds, limit=st.floats(min_value=1e-2, max_value=1e2))
def test_optax(name, shapes, size, seed, limit):
    optax = pytest.importorskip("optax", reason="needs the test extra")
    policy = {"clip": ClipByValue, "clip_by_global_norm": ClipByGlobalNorm, "clip_by_block_rms": ClipByBlockRMS}[name]
    params = random_tree(shapes, size, seed)
    expected = optax_update(getattr(optax, name)(limit), params)
    policy(limit)(params)
    for param, update in zip(params, expected, strict=True):
        torch.testing.assert_close(param.grad, update, rtol=1e-5, atol=1e-30)


@settings(max_examples=30, deadline=None)
@given(shapes=shapes, size=sizes, seed=seeds, clipping=st.floats(min_value=1e-3, max_value=10.0))
@pytest.mark.slow
def test_optax_adaptive_clip(shapes, size, seed, clipping):
    optax = pytest.importorskip("optax", reason="needs the test extra")
    params = random_tree(shapes, size, seed)
    expected = []
    for param in params:
        axis = tuple(range(1, param.ndim)) if param.ndim > 1 else tuple(range(param.ndim))
        expected += optax_update(optax.adaptive_grad_clip(clipping, axis=axis), [param])
    AGC(clipping, exclude=())(params)
    for param, update in zip(params, expected, strict=True):
        torch.testing.assert_close(param.grad, update, rtol=1e-5, atol=1e-30)


@pytest.fixture(scope="module")
def timm_agc():
    """timm's own file: the package as a whole needs torchvision."""
    try:
        file = next(file for file in importlib.metadata.files("timm") or () if str(file) == "timm/utils/agc.py")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs timm: pip install --no-deps timm")
    spec = importlib.util.spec_from_file_location("timm_agc", file.locate())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@settings(max_examples=40, deadline=None)
@given(shapes=shapes, size=sizes, seed=seeds, clipping=st.floats(min_value=1e-3, max_value=10.0))
def test_timms_adaptive_clip(timm_agc, shapes, size, seed, clipping):
    ours = random_tree(shapes, size, seed)
    with torch.no_grad():
        ours[0].zero_()  # weights that start at zero
    theirs = copy_of(ours)
    AGC(clipping, exclude=())(ours)
    timm_agc.adaptive_clip_grad(theirs, clipping)
    same(ours, theirs, rtol=1e-5, atol=1e-30)


def test_the_head_is_what_timm_calls_the_head():
    """timm leaves out the last two parameters of a model: the classifier's weight and bias."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))
    for param in model.parameters():
        param.grad = torch.full_like(param, 100.0)
    AGC()(model)
    touched = [not bool((param.grad == 100.0).all()) for param in model.parameters()]
    assert touched == [True, True, False, False]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
def test_optimis_stable_adamw(seed, weight_decay):
    optimi = pytest.importorskip("optimi", reason="needs the test extra")
    ours = random_tree([(6, 4), (3, 2, 2), (5,)], 1.0, seed)
    theirs = copy_of(ours)
    settings = {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": weight_decay}
    mine = torch.optim.AdamW(ours, **settings)
    attach(ClipByUpdateRMS(), mine)
    stable = optimi.StableAdamW(theirs, **settings, foreach=False)
    generator = torch.Generator().manual_seed(seed)
    for step in range(40):
        for one, other in zip(ours, theirs, strict=True):
            grad = (30.0 if step % 13 == 12 else 1.0) * torch.randn(one.shape, generator=generator)
            one.grad, other.grad = grad, grad.clone()
        mine.step()
        stable.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-6)


def test_keras_clips_each_variable():
    """Keras' formula: g c / max(|g|, c), each variable by itself."""
    params = random_tree([(4, 3), (5,)], 3.0, 0)
    expected = [param.grad * 1.5 / max(param.grad.norm().item(), 1.5) for param in params]
    ClipByTensorNorm(1.5)(params)
    for param, wanted in zip(params, expected, strict=True):
        torch.testing.assert_close(param.grad, wanted)

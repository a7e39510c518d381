"""Norms, statistics and ratios against their definitions, in float64 and by numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from steadygrad.measure import (
    each_norm,
    norm_vector,
    overflow_safe_norm,
    second_moment_ratio,
    tensor_norms,
    tensor_stats,
    total_norm,
    unit_norms,
    update_ratio,
)

shapes = st.lists(st.lists(st.integers(0, 6), max_size=4).map(tuple), min_size=1, max_size=6)
dtypes = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])
seeds = st.integers(0, 2**31 - 1)


def drawn(shapes, dtype, seed, size=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [(size * torch.randn(shape, generator=generator)).to(dtype) for shape in shapes]


def exact(tensor, order=2.0):
    values = tensor.to(torch.complex128 if tensor.is_complex() else torch.float64).abs().numpy().ravel()
    return float(np.linalg.norm(values, order)) if values.size else 0.0


@settings(max_examples=60, deadline=None)
@given(shapes, dtypes, seeds, st.sampled_from([1.0, 2.0, 3.0, math.inf]))
def test_norms_are_their_definition_in_any_dtype(shapes, dtype, seed, order):
    tensors = [tensor for tensor in drawn(shapes, dtype, seed) if tensor.numel() or order != math.inf]
    for tensor, norm in zip(tensors, each_norm(tensors, order), strict=True):
        assert norm.dtype in (torch.float32, torch.float64)
        assert norm.item() == pytest.approx(exact(tensor, order), rel=1e-5)
        if tensor.numel():
            assert overflow_safe_norm(tensor, order).item() == pytest.approx(exact(tensor, order), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("odd", [None, torch.zeros(0), torch.zeros(5000), torch.zeros(3, dtype=torch.complex64)])
def test_many_small_tensors_are_measured_like_few(dtype, odd):
    """Together, where all of them are small; with one that is not, each by itself."""
    tensors = [tensor.t() if tensor.ndim == 2 else tensor for tensor in drawn([(7, 5), (3,), ()] * 60, dtype, 0)]
    tensors[100] *= 1e4 if dtype == torch.float16 else 1e18
    if odd is not None:
        tensors.insert(17, odd if odd.is_complex() else odd.to(dtype))
    expected = [exact(tensor) for tensor in tensors]
    assert [norm.item() for norm in each_norm(tensors)] == pytest.approx(expected, rel=1e-5)
    assert norm_vector(tensors).tolist() == pytest.approx(expected, rel=1e-5)
    places = [place for own, _ in tensor_norms(tensors) for place in own]
    assert sorted(places) == list(range(len(tensors)))


def test_what_is_not_finite_shows_among_many_small_tensors():
    tensors = drawn([(4,)] * 100, torch.float32, 0)
    tensors[7][2], tensors[9][0] = math.nan, math.inf
    norms = norm_vector(tensors)
    assert norms.isfinite().logical_not().nonzero().flatten().tolist() == [7, 9]
    assert norms[9].item() == math.inf


def test_kinds_may_be_mixed():
    sparse = torch.sparse_coo_tensor(torch.tensor([[1, 1]]), torch.tensor([3.0, 1.0]), (5,), check_invariants=False)
    tensors = [
        torch.tensor([3.0, 4.0]),
        torch.tensor([2.0], dtype=torch.float64),
        torch.tensor([3 + 4j]),
        sparse,
        torch.tensor(7.0, dtype=torch.bfloat16),
        torch.tensor([6.0, 8.0]),
    ]
    expected = [5.0, 2.0, 5.0, 4.0, 7.0, 10.0]
    norms = each_norm(tensors)
    assert [norm.item() for norm in norms] == expected, "duplicates of sparse tensors are summed"
    assert total_norm(norms).item() == pytest.approx(math.hypot(*expected))
    found = {
        place: value
        for places, vector in tensor_norms(tensors)
        for place, value in zip(places, vector.tolist(), strict=True)
    }
    assert [found[place] for place in range(6)] == expected


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_stays_so(bad):
    tensor = torch.tensor([1.0, bad])
    assert not math.isfinite(each_norm([tensor])[0].item())
    assert str(overflow_safe_norm(tensor).item()) == str(bad)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=0, max_size=5).map(tuple), dtypes, seeds)
def test_unit_norms_are_those_of_the_first_dimension(shape, dtype, seed):
    (tensor,) = drawn([shape], dtype, seed)
    norms = unit_norms(tensor)
    if tensor.ndim <= 1:
        assert norms.item() == pytest.approx(exact(tensor), rel=1e-5)
        return
    assert norms.shape == (shape[0], *[1] * (tensor.ndim - 1))
    for row, norm in zip(tensor, norms.flatten().tolist(), strict=True):
        assert norm == pytest.approx(exact(row), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 1.0, -2.5, 1e-30, 1e30, -3e38, math.nan, math.inf, -math.inf]), max_size=12),
        min_size=1,
        max_size=4,
    )
)
def test_statistics_are_numpys(rows):
    stats = tensor_stats([torch.tensor(row) for row in rows])
    for place, row in enumerate(rows):
        values = np.array(row, dtype=np.float32).astype(np.float64)
        finite = values[np.isfinite(values)]
        assert stats.nonfinite_count[place].item() == len(values) - len(finite)
        assert stats.absmax[place].item() == (np.abs(finite).max() if len(finite) else 0.0)
        rms = np.sqrt(np.mean(finite**2)) if len(finite) else 0.0
        assert stats.rms[place].item() == pytest.approx(rms, rel=1e-6)
        assert stats.zero_fraction[place].item() == pytest.approx((values == 0).mean() if len(values) else 0.0)


def test_statistics_of_large_and_of_odd_tensors():
    large = torch.randn(500, 400)
    large[7, 3], large[400, 1] = math.nan, 0.0
    for tensor in (
        large,
        large.t(),
        large[::2, ::3],
        large.to(torch.bfloat16),
        torch.tensor(3.0),
        torch.randn(3, dtype=torch.complex64),
    ):
        stats = tensor_stats([tensor])
        values = tensor.to(torch.complex128).abs()
        finite = values[values.isfinite()]
        assert stats.rms.item() == pytest.approx(finite.square().mean().sqrt().item(), rel=1e-5)
        assert stats.absmax.item() == pytest.approx(finite.max().item(), rel=1e-6)
        assert stats.nonfinite_count.item() == (~values.isfinite()).sum().item()


def test_update_ratios():
    before = [torch.tensor([3.0, 4.0]), torch.zeros(2), torch.zeros(2)]
    after = [torch.tensor([3.0, 4.0005]), torch.zeros(2), torch.ones(2)]
    assert [ratio.item() for ratio in update_ratio(before, after)] == [pytest.approx(1e-4, rel=1e-2), 0.0, math.inf]
    with pytest.raises(ValueError, match="before has 3 tensors and after has 2"):
        update_ratio(before, after[:2])


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RAdam])
@pytest.mark.parametrize("shape", [(3, 4), (), (400, 300)])
def test_the_ratio_of_second_moments_is_its_definition(make, shape):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(shape))
    optimizer = make([weight], lr=1e-3, betas=(0.9, 0.97))
    moment = torch.zeros(shape, dtype=torch.float64)
    for step in range(1, 12):
        weight.grad = torch.randn(shape) * (30.0 if step == 9 else 1.0)
        square = weight.grad.double().square()
        moment = 0.97 * moment + 0.03 * square
        expected = (square / (moment / (1 - 0.97**step)).clamp(min=1e-16)).mean().sqrt().item()
        params, ratios = second_moment_ratio(optimizer)
        assert params == [weight]
        assert ratios[0].item() == pytest.approx(expected, rel=1e-3)
        assert (expected > 2.0) == (step == 9) or shape == ()
        optimizer.step()


def test_an_optimizer_without_second_moments():
    with pytest.raises(ValueError, match="SGD keeps no second moments"):
        second_moment_ratio(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1))


def everything(tensors):
    """All the pure measures at once."""
    stats = tensor_stats(tensors)
    return (
        total_norm(each_norm(tensors)),
        stats.rms,
        stats.nonfinite_count,
        *[unit_norms(tensor) for tensor in tensors],
        *update_ratio(tensors, [tensor * 1.01 for tensor in tensors]),
        overflow_safe_norm(tensors[0]),
    )


def test_they_compile_without_a_break():
    tensors = [torch.randn(6, 5), torch.randn(7), torch.randn(4, 3).to(torch.bfloat16)]
    compiled = torch.compile(everything, fullgraph=True, backend="aot_eager")
    for one, other in zip(compiled(tensors), everything(tensors), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_nothing_is_read_of_a_tensor_without_values():
    with FakeTensorMode():
        results = everything([torch.randn(6, 5), torch.randn(3)])
        assert results[0].shape == ()

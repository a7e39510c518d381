"""Where the originals break, and these do not. Each test names what goes wrong elsewhere."""

import copy
import math

import pytest
import torch
from torch import nn

from steadygrad.clip import (
    AGC,
    SPAM,
    AdaGC,
    AutoClip,
    ClipByGlobalNorm,
    RobustClip,
    ZClip,
    attach,
    clip_grad_norm_,
    get_total_norm,
)

from ..contracts.policies import Drive, noise, norm, tree


def weight(*grad, dtype=torch.float32):
    """One parameter with this gradient."""
    param = nn.Parameter(torch.ones(len(grad), dtype=dtype))
    param.grad = torch.tensor(grad, dtype=dtype)
    return param


def feed(policy, sizes):
    """The norms after a policy, of a single number each."""
    seen = []
    for size in sizes:
        param = weight(size)
        policy([param])
        seen.append(param.grad.item())
    return seen


class TestGlobalNorm:
    def test_one_infinity_leaves_the_others_alone(self):
        """torch: [1, inf, 2] -> [0, nan, 0]."""
        param = weight(1.0, math.inf, 2.0)
        assert clip_grad_norm_([param], 1.0).item() == math.inf
        assert param.grad.tolist() == [1.0, math.inf, 2.0]

    def test_one_nan_leaves_the_others_alone(self):
        """torch: every gradient becomes NaN."""
        one, other = weight(1.0, 2.0), weight(math.nan)
        clip_grad_norm_([one, other], 1.0)
        assert one.grad.tolist() == [1.0, 2.0]

    @pytest.mark.parametrize("size", [1e20, 1e30, 3e38])
    def test_large_finite_gradients_keep_their_direction(self, size):
        """torch: the squares overflow, the norm is inf, and the gradient is silently set to zero."""
        param = weight(size, -size)
        returned = clip_grad_norm_([param], 1.0)
        assert param.grad.tolist() == pytest.approx([2**-0.5, -(2**-0.5)])
        assert returned.item() == pytest.approx(size * 2**0.5) or size == 3e38
        other = weight(size, -size)
        ClipByGlobalNorm(1.0)([other])
        assert other.grad.tolist() == pytest.approx([2**-0.5, -(2**-0.5)])
        theirs = weight(size, -size)
        torch.nn.utils.clip_grad_norm_([theirs], 1.0)
        assert theirs.grad.tolist() == [0.0, -0.0], "torch has mended this: say so in the docs"

    @pytest.mark.parametrize("bad", [math.nan, -1.0, 0.0])
    def test_a_limit_that_is_none_is_refused(self, bad):
        """torch: a NaN makes every gradient NaN, a negative number turns all gradients round."""
        param = weight(3.0)
        with pytest.raises(ValueError, match=f"max_norm is {bad}, expected a positive number"):
            clip_grad_norm_([param], bad)
        with pytest.raises(ValueError, match="expected a positive number"):
            ClipByGlobalNorm(bad)
        assert param.grad.item() == 3.0

    def test_reduced_precision_is_accumulated_wide(self):
        """torch takes the norm in float16: 100 tensors of 1000 ones have a norm of 316.2, and their squares a sum of 1e5."""
        params = [weight(*[1.0] * 1000, dtype=torch.float16) for _ in range(100)]
        returned = clip_grad_norm_(params, 1e9)
        assert returned.dtype == torch.float32
        assert returned.item() == pytest.approx(math.sqrt(100_000), rel=1e-6)

    def test_half_precision_gradients_meet_the_limit(self):
        """A coefficient rounded to bfloat16 misses the limit by up to 0.4 %."""
        generator = torch.Generator().manual_seed(0)
        param = nn.Parameter(torch.zeros(10_000, dtype=torch.bfloat16))
        param.grad = torch.randn(10_000, generator=generator).to(torch.bfloat16)
        ClipByGlobalNorm(1.0)([param])
        assert param.grad.double().norm().item() == pytest.approx(1.0, rel=1e-4)

    def test_the_identity_is_exact(self):
        """torch multiplies by max_norm / (norm + 1e-6), which is below 1 for a norm just under the limit."""
        param = weight(0.6, 0.8)
        before = param.grad.clone()
        ClipByGlobalNorm(1.0000002)([param])
        assert torch.equal(param.grad, before)

    def test_infinity_only_measures(self):
        param = weight(3.0, 4.0)
        assert clip_grad_norm_([param], math.inf).item() == 5.0
        assert param.grad.tolist() == [3.0, 4.0]


class TestAGC:
    def test_weights_that_start_at_zero_train(self):
        """Composer: no eps, so the coefficient of a zero weight is zero, and it never trains."""
        gate = nn.Parameter(torch.zeros(4, 4))
        optimizer = torch.optim.SGD([gate], lr=0.1)
        attach(AGC(0.01, exclude=()), optimizer)
        for _ in range(10):
            gate.grad = torch.ones(4, 4)
            optimizer.step()
        assert (gate.abs() > 0).all()

    def test_an_infinite_gradient_makes_no_nan(self):
        """timm: inf * (limit / inf) = NaN, in the whole unit."""
        param = nn.Parameter(torch.ones(2, 2))
        param.grad = torch.tensor([[1e9, 1e9], [math.inf, 1.0]])
        AGC(exclude=())([param])
        assert param.grad.tolist() == [[1e9, 1e9], [math.inf, 1.0]]

    def test_names_choose_what_is_left_alone(self):
        model = nn.ModuleDict({"body": nn.Linear(3, 3), "gate": nn.Linear(3, 3), "head": nn.Linear(3, 3)})
        for param in model.parameters():
            param.grad = torch.full_like(param, 100.0)
        AGC(exclude=("gate.*", model["head"].bias))(model)
        untouched = [name for name, param in model.named_parameters() if bool((param.grad == 100.0).all())]
        assert untouched == ["gate.weight", "gate.bias", "head.bias"]

    def test_names_without_names_are_refused(self):
        with pytest.raises(ValueError, match="parameters have no names: pass the module"):
            AGC(exclude=("head.*",))([weight(1.0)])


class TestAutoClip:
    def test_one_nan_does_not_poison_the_history(self):
        """The original: one NaN in the list, and every later threshold is NaN."""
        policy = AutoClip(50, window=16)
        assert math.isnan(feed(policy, [1.0, math.nan])[1])
        assert feed(policy, [1.0, 1.0, 100.0])[-1] == 1.0

    def test_the_state_is_bounded(self):
        """The original keeps every norm of the run in a list."""
        policy = AutoClip(10, window=16)
        feed(policy, [1.0] * 100)
        assert sum(tensor.numel() for tensor in policy.state_dict().values()) == 17

    @pytest.mark.parametrize("percentile", [0.0, 10.0, 33.0, 50.0, 100.0])
    def test_the_percentile_is_numpys(self, percentile):
        import numpy as np

        values = torch.rand(40, generator=torch.Generator().manual_seed(1)).double()
        policy = AutoClip(percentile, window=64)
        for count, value in enumerate(values.tolist(), start=1):
            param = weight(value, dtype=torch.float64)
            policy([param])
            limit = np.percentile(values[:count].numpy(), percentile)
            assert param.grad.item() == pytest.approx(min(value, limit), rel=1e-12)


class TestZClip:
    def test_one_nan_does_not_turn_it_off(self):
        """The original: mean and variance become NaN, every comparison is false, a gradient of 1e6 passes."""
        policy = ZClip(max_grad_norm=None, warmup_steps=5)
        feed(policy, [1.0, 1.1, 0.9, 1.0, 1.1, math.nan])
        assert feed(policy, [1e6])[0] < 1.5

    def test_a_constant_warm_up_does_not_make_everything_an_outlier(self):
        """The original: the variance is nearly zero, and 0.1 % is a z-score of 30,000."""
        policy = ZClip(max_grad_norm=None, warmup_steps=5)
        feed(policy, [1.0] * 10)
        assert feed(policy, [1.001]) == pytest.approx([1.001])

    def test_reduced_precision_is_accumulated_wide(self):
        """The original sums the squares in the dtype of the first parameter: 100,000 ones in float16 are inf."""
        params = [weight(*[1.0] * 1000, dtype=torch.float16) for _ in range(100)]
        assert ZClip(max_grad_norm=None)(params).grad_norm.item() == pytest.approx(math.sqrt(100_000))

    def test_a_spike_in_the_warm_up_does_not_blind(self):
        """The original takes mean and variance of the warm-up, spike and all."""
        policy = ZClip(max_grad_norm=None, warmup_steps=10)
        feed(policy, [1.0, 1.1, 0.9, 1e4, 1.0, 1.1, 0.9, 1.0, 1.1, 0.9])
        assert feed(policy, [30.0])[0] < 2.0

    def test_the_bigger_the_outlier_the_harder_the_clip(self):
        after = []
        for size in (3.0, 10.0, 1000.0):
            policy = ZClip(max_grad_norm=None, warmup_steps=25)
            feed(policy, [1.0 + 0.1 * math.sin(step) for step in range(60)])
            after += feed(policy, [size])
        assert after[0] > after[1] > after[2] > 0.9


class TestAdaGC:
    def test_a_tenfold_rise_takes_steps_and_not_thousands_of_them(self):
        """The original: gamma grows by 1.0004 a step at the most, 5660 steps for a factor of ten."""
        policy = AdaGC(warmup_steps=10, lambda_abs=math.inf, patience=20)
        feed(policy, [1.0] * 20)
        assert feed(policy, [10.0] * 30)[-1] == pytest.approx(10.0)
        original = AdaGC(warmup_steps=10, lambda_abs=math.inf, patience=None)
        feed(original, [1.0] * 20)
        assert feed(original, [10.0] * 1000)[-1] < 2.0

    def test_a_burst_that_grows_without_end_is_no_new_scale(self):
        policy = AdaGC(warmup_steps=10, lambda_abs=math.inf, patience=10)
        feed(policy, [1.0] * 20)
        assert feed(policy, [2.0**step for step in range(4, 40)])[-1] < 2.0

    def test_a_tensor_that_was_frozen_is_let_go(self):
        """The original: a gradient of zero in the warm-up makes gamma zero, and the tensor is clipped to zero for ever."""
        policy = AdaGC(warmup_steps=5)
        feed(policy, [0.0] * 50)
        assert feed(policy, [0.5] * 20) == pytest.approx([0.5] * 20)

    def test_parameters_may_come_later(self):
        policy = AdaGC(warmup_steps=2)
        first = weight(0.5)
        for _ in range(5):
            policy([first])
        second = weight(0.1)
        policy([first, second])
        assert second.grad.item() == pytest.approx(0.1)
        with pytest.raises(ValueError, match="there are 1 parameters, expected the 2 from before"):
            policy([first])


class TestSPAM:
    def spam(self, **options):
        params = tree()
        optimizer = torch.optim.AdamW(params, lr=1e-2, weight_decay=0.0)
        return params, optimizer, Drive(SPAM(**options), params, optimizer=optimizer)

    def test_bias_correction_starts_anew_with_the_moments(self):
        """The original resets the moments and not the step: the first steps after are far too short, or long."""
        params, optimizer, drive = self.spam(reset_every=30, grace=5, warmup_steps=0)
        for step in range(30):
            drive.step(noise(params, seed=step))
        drive.step(noise(params, seed=50))
        state = optimizer.state[params[0]]
        assert state["step"].item() == 1.0
        assert drive.moved[0].abs().median().item() == pytest.approx(1e-2, rel=0.2), (
            "a first step of Adam: the rate itself"
        )

    def test_the_learning_rate_comes_back_along_a_cosine_and_to_the_last_bit(self):
        params, optimizer, drive = self.spam(reset_every=30, grace=5, warmup_steps=10)
        lr = optimizer.param_groups[0]["lr"] = 0.1 + 0.2
        moved = []
        for _ in range(45):
            drive.step(noise(params))
            assert optimizer.param_groups[0]["lr"] == lr
            moved.append(drive.moved[0].abs().median().item())
        assert moved[30] == pytest.approx(0.01 * lr, rel=0.01)
        assert moved[44] == pytest.approx(lr, rel=0.01)
        assert moved[30] < moved[33] < moved[36] < moved[39]

    def test_it_resumes_exactly(self):
        """The original keeps neither the phase nor the warm-up."""
        params, optimizer, drive = self.spam(reset_every=20, grace=3, warmup_steps=10)
        for step in range(24):
            drive.step(noise(params, seed=step))
        copies = [nn.Parameter(param.detach().clone()) for param in params]
        again = torch.optim.AdamW(copies, lr=1e-2)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        policy = SPAM(reset_every=20, grace=3, warmup_steps=10)
        policy.load_state_dict(drive.policy.state_dict())
        other = Drive(policy, copies, optimizer=again)
        for step in range(40):
            drive.step(noise(params, seed=100 + step))
            other.step(noise(params, seed=100 + step))
        assert all(torch.equal(one, two) for one, two in zip(params, copies, strict=True))

    def test_an_element_without_a_history_is_not_frozen(self):
        """The original: the second moment is zero, so is the limit, and the element never moves."""
        param = nn.Parameter(torch.zeros(2))
        optimizer = torch.optim.Adam([param], lr=0.1)
        attach(SPAM(grace=3, reset_every=None), optimizer)
        for step in range(10):
            param.grad = torch.tensor([1.0, 0.0 if step < 6 else 1.0])
            optimizer.step()
        assert param[1].item() != 0.0

    def test_it_needs_second_moments(self):
        param = weight(1.0)
        optimizer = torch.optim.SGD([param], lr=0.1)
        attach(SPAM(), optimizer)
        with pytest.raises(ValueError, match="SGD keeps no second moments"):
            optimizer.step()

    def test_it_works_through_attach_only(self):
        with pytest.raises(ValueError, match="attach"):
            SPAM()([weight(1.0)])


class TestRobustClip:
    @pytest.mark.parametrize("first", [1, 2, 3, 10])
    def test_a_nan_at_any_step_is_survived(self, first):
        """OLMo: one NaN in the window, and the next 128 healthy steps are skipped."""
        policy = RobustClip()
        after = feed(policy, [1.0] * first + [math.nan] + [1.0] * 10 + [1e6] + [1.0] * 3)
        assert after[first] == 0.0
        assert after[first + 1 : first + 11] == [1.0] * 10
        assert after[first + 11] < 10.0
        assert after[-3:] == [1.0] * 3

    def test_an_implausible_first_gradient_is_scaled_down(self):
        assert feed(RobustClip(), [1e12]) == pytest.approx([1.0])
        assert feed(RobustClip(), [100.0]) == [100.0]


def test_an_error_names_the_parameters():
    """torch: "the total norm is non-finite", of a model of a thousand tensors."""
    model = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 2))
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    model[1].weight_hh_l0.grad[0, 1] = math.nan
    model[0].bias.grad[2] = math.inf
    with pytest.raises(RuntimeError, match=r"0\.bias \(4,\): 1 of 4; 1\.weight_hh_l0 \(8, 2\): 1 of 16\. Set"):
        clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match=r"tensors\[1\] \(4,\): 1 of 4"):
        get_total_norm([param.grad for param in model.parameters()], error_if_nonfinite=True)
    W1 = nn.Parameter(torch.ones(2))
    W1.grad = torch.full((2,), math.nan)
    with pytest.raises(RuntimeError, match=r"W1 \(2,\): 2 of 2"):
        clip_grad_norm_([W1], 1.0, error_if_nonfinite=True)


def test_norms_before_and_after_are_both_there():
    """DeepSpeed, Lightning and HF Trainer log the norm before clipping only; users read it as "clipping does not work"."""
    result = ClipByGlobalNorm(1.0)([weight(3.0, 4.0)])
    assert (result.grad_norm.item(), result.clipped_norm.item()) == (5.0, pytest.approx(1.0))
    params = tree()
    drive = Drive(ClipByGlobalNorm(0.5), params)
    drive.step(noise(params))
    assert drive.attached.last.clipped_norm.item() == pytest.approx(norm(drive.grads), rel=1e-5)

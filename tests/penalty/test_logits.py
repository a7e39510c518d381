"""z-loss: its formula, what does not count, and what it does to logits that drift."""

import pytest
import torch
import torch.nn.functional as F

from steadygrad.penalty import z_loss


def test_it_is_its_formula():
    logits = torch.randn(3, 5, 7, dtype=torch.float64)
    wanted = 1e-4 * logits.exp().sum(-1).log().square().mean()
    torch.testing.assert_close(z_loss(logits), wanted)
    torch.testing.assert_close(z_loss(logits.movedim(-1, 1), dim=1), wanted)


def test_positions_that_are_ignored_count_for_nothing():
    logits = torch.randn(4, 6, 7)
    targets = torch.randint(0, 7, (4, 6))
    targets[1, 2:] = -100
    poisoned = logits.clone()
    poisoned[1, 2:] = float("nan")
    poisoned.requires_grad_()
    term = z_loss(poisoned, targets=targets)
    torch.testing.assert_close(term, z_loss(logits[targets != -100]))
    torch.testing.assert_close(term, z_loss(logits, mask=(targets != -100).int()))
    torch.testing.assert_close(term, z_loss(logits.movedim(-1, 1), targets=targets, dim=1))
    term.backward()
    assert poisoned.grad.isfinite().all()
    assert not poisoned.grad[1, 2:].any()


def test_a_class_that_is_ruled_out_counts_for_nothing():
    logits = torch.randn(4, 7)
    logits[:, 3] = -torch.inf
    logits.requires_grad_()
    term = z_loss(logits)
    torch.testing.assert_close(term, z_loss(logits[:, [0, 1, 2, 4, 5, 6]]))
    term.backward()
    assert logits.grad.isfinite().all()


def test_half_is_worked_on_in_float32():
    logits = torch.full((4, 7), 300.0, dtype=torch.float16)  # whose square is infinite in float16
    assert z_loss(logits, 1.0).item() == pytest.approx((300 + torch.tensor(7.0).log().item()) ** 2)


def test_it_takes_the_drift_out_of_logits_and_not_the_classes():
    torch.manual_seed(0)
    logits = (torch.randn(8, 5) + 20).requires_grad_()
    targets = torch.arange(8) % 5
    optimizer = torch.optim.SGD([logits], lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        (F.cross_entropy(logits, targets) + z_loss(logits, 1.0)).backward()
        optimizer.step()
    assert logits.logsumexp(-1).abs().max() < 0.5
    assert torch.equal(logits.argmax(-1), targets)


def test_what_cannot_be_is_said():
    logits, targets = torch.randn(4, 6, 7), torch.zeros(4, 6, dtype=torch.long)
    with pytest.raises(ValueError, match="not both"):
        z_loss(logits, mask=targets.bool(), targets=targets)
    with pytest.raises(ValueError, match=r"shape \(4,\), expected \(4, 6\)"):
        z_loss(logits, targets=targets[:, 0])
    with pytest.raises(ValueError, match="expected at least 0"):
        z_loss(logits, -1.0)

"""A pass that went wrong is measured again, and the training does not notice."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from steadygrad._tap import PassTap, quiet
from steadygrad.examination import (
    OfOthers,
    Subject,
    TapedObjective,
    anything_of_samples,
    examine,
    losses_again,
    nothing,
    of_another,
)


def raising(error):
    raise error


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.rnn = nn.GRU(8, 12, batch_first=True, dropout=0.3, num_layers=2)
        self.head = nn.Linear(12, 3)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


def conv():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.4), nn.Flatten(), nn.Linear(144, 3)
    )


KINDS = {
    "tagger": (Tagger, lambda: torch.randint(0, 11, (6, 7))),
    "conv": (conv, lambda: torch.randn(6, 1, 8, 8)),
}
OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.01),
    "fused": lambda params: torch.optim.Adam(params, lr=0.01, fused=True),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=0.001),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_training_goes_on_as_if_nobody_had_looked(kind, optimizer):
    def train(look):
        torch.manual_seed(0)
        make, batch = KINDS[kind]
        model = make()
        steps = OPTIMIZERS[optimizer](model.parameters())
        names = [name for name, _ in model.named_parameters()]
        tap = PassTap(raising)
        tap.follow([model])
        found = []
        for _ in range(6):
            loss = F.cross_entropy(model(batch()), torch.randint(0, 3, (6,)))
            tap.conclude(loss)
            steps.zero_grad()
            loss.backward()
            if look:
                with quiet():
                    subject = Subject(tap.passes(), tap.before(), steps, list(model.parameters()), names)
                    found.append(examine(subject))
            steps.step()
            tap.stepped()
        tap.remove()
        return [*model.state_dict().values(), torch.get_rng_state()], found

    bare, _ = train(look=False)
    watched, found = train(look=True)
    assert all(torch.equal(one, other) for one, other in zip(bare, watched, strict=True))
    assert [each.problem for each in found] == [""] * 6
    assert all(each.evidence.base.finite and each.evidence.rehearsals for each in found)
    assert found[0].batch_before is None
    assert all(map(math.isfinite, found[1].batch_before))


def test_several_models_have_the_names_that_the_script_has_for_them():
    encoder, decoder, scale = nn.Linear(4, 3), nn.Linear(3, 4), nn.Parameter(torch.ones(()))
    params = [*encoder.parameters(), *decoder.parameters(), scale]
    names = ["enc.weight", "enc.bias", "dec.weight", "dec.bias", "temperature"]
    tap = PassTap(raising)
    tap.follow([encoder, decoder])
    x = torch.randn(5, 4)
    loss = F.mse_loss(scale * decoder(torch.tanh(encoder(x))), x)
    tap.conclude(loss)
    objective = TapedObjective(tap.passes()[0], params, names)
    assert sorted(name for name, _ in objective.model.named_parameters()) == sorted(names)
    assert torch.equal(objective(), loss)
    found = examine(Subject(tap.passes(), [], None, params, names))
    assert {call.layer for call in found.evidence.base.calls} >= {"enc", "dec"}
    tap.remove()


def test_a_loss_divided_by_a_number_is_not_asked_for_other_batch_sizes():
    model = nn.Linear(4, 3)
    tap = PassTap(raising)
    tap.follow([model])
    x = torch.randn(5, 4)
    for objective, other_sizes in ((lambda y: y.square().sum() / 5, False), (lambda y: y.square().mean(), True)):
        tap.conclude(objective(model(x)))
        assert TapedObjective(tap.passes()[-1], [], []).other_sizes == other_sizes
    tap.remove()


def test_a_pass_that_does_not_come_out_again_is_said_and_not_judged():
    class Drifting(nn.Linear):
        calls = 0

        def forward(self, x):
            Drifting.calls += 1
            return super().forward(x) * Drifting.calls

    model = Drifting(4, 3)
    tap = PassTap(raising)
    tap.follow([model])
    loss = model(torch.randn(5, 4)).square().mean()
    tap.conclude(loss)
    found = examine(Subject(tap.passes(), [], None, list(model.parameters()), ["weight", "bias"]))
    assert found.evidence is None
    assert "not repeatable" in found.problem
    tap.remove()


def test_of_a_pass_that_broke_the_origin_is_told_where_another_one_is_measured():
    model = nn.Linear(4, 3)
    params, names = list(model.parameters()), ["weight", "bias"]
    tap = PassTap(raising)
    tap.follow([model])
    for scale in (1.0, 0.0):
        tap.stepped()
        tap.conclude((scale * model(torch.randn(5, 4))).abs().log().mean())
    found = examine(Subject(tap.before(), [], None, params, names, broken=tap.passes()))
    assert math.isfinite(found.evidence.base.loss)
    assert (found.evidence.origin.op, found.evidence.origin.phase) == ("log", "loss")
    tap.remove()


def test_a_gradient_whose_squares_overflow_is_finite():
    model = nn.Linear(4, 3)
    nn.init.constant_(model.weight, 1e25)
    tap = PassTap(raising)
    tap.follow([model])
    tap.conclude((1e25 * model(torch.randn(5, 4)) * 1e-25).sum() * 1e22)
    found = examine(Subject(tap.passes(), [], None, list(model.parameters()), ["weight", "bias"]))
    base = found.evidence.base
    assert base.weight_norms["weight"] == pytest.approx(1e25 * 12**0.5)
    assert 1e20 < base.grad_norm < 1e25
    tap.remove()


def test_passes_can_be_computed_again_with_other_weights_and_nothing_moves():
    torch.manual_seed(0)
    model = conv()
    params, names = list(model.parameters()), [name for name, _ in model.named_parameters()]
    tap = PassTap(raising)
    tap.follow([model])
    losses = []
    for _ in range(2):
        loss = F.cross_entropy(model(torch.randn(6, 1, 8, 8)), torch.randint(0, 3, (6,)))
        tap.conclude(loss)
        losses.append(loss.item())
        loss.backward()
        tap.stepped()
    passes = [*tap.before(), *tap.passes()]
    before = [each.clone() for each in (*model.state_dict().values(), torch.get_rng_state())]
    assert losses_again(passes, params, names) == pytest.approx(losses[-len(passes) :], rel=1e-5)
    after = [*model.state_dict().values(), torch.get_rng_state()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    with torch.no_grad():
        for param in params[-2:]:  # of the last layer: every answer is then as likely
            param.zero_()
    assert losses_again(passes, params, names) == pytest.approx([math.log(3)] * len(passes), rel=1e-5)
    tap.remove()


def test_a_pass_that_cannot_be_computed_again_has_no_loss():
    class Broken(nn.Linear):
        whole = True

        def forward(self, x):
            if not self.whole:
                raise RuntimeError("not twice")
            return super().forward(x)

    model = Broken(4, 3)
    tap = PassTap(raising)
    tap.follow([model])
    tap.conclude(model(torch.randn(5, 4)).square().mean())
    model.whole = False
    assert losses_again(tap.passes(), list(model.parameters()), ["weight", "bias"]) is None
    assert losses_again([], [], []) is None
    assert losses_again(tap.passes(), list(model.parameters()), ["weight", "bias"], saying=nothing) is None
    tap.remove()


def test_the_loss_of_a_model_that_says_nothing():
    model, x, y = nn.Linear(4, 1), torch.randn(5, 4), torch.randn(5, 1)
    tap = PassTap(raising)
    tap.follow([model])
    tap.conclude(F.mse_loss(model(x), y))
    params = list(model.parameters())
    (silent,) = losses_again(tap.passes(), params, ["weight", "bias"], saying=nothing)
    assert silent == pytest.approx(y.square().mean().item())
    tap.remove()


def test_weights_that_no_model_owns_say_nothing_as_zeros():
    x, y = torch.randn(5, 4), torch.randn(5, 1)
    params = [torch.randn(4, 8, requires_grad=True), torch.randn(8, 1, requires_grad=True)]
    before = [param.detach().clone() for param in params]
    tap = PassTap(raising)
    tap.follow_functions()
    loss = (torch.relu(x @ params[0]) @ params[1] - y).square().mean()
    tap.conclude(loss)
    (silent,) = losses_again(tap.passes(), params, ["a", "b"], saying=nothing)
    assert silent == pytest.approx(y.square().mean().item())
    assert all(map(torch.equal, params, before))
    tap.remove()


def test_the_loss_of_what_a_model_says_of_other_samples():
    """Each gets what the one before it should; a number, as a loss that the model makes itself, is of none."""
    model, x, y = nn.Linear(4, 1), torch.randn(5, 4), torch.randn(5, 1)
    tap = PassTap(raising)
    tap.follow([model])
    tap.conclude(F.mse_loss(model(x), y))
    (mixed,) = losses_again(tap.passes(), list(model.parameters()), ["weight", "bias"], saying=of_another)
    assert mixed == pytest.approx(F.mse_loss(model(x)[[4, 0, 1, 2, 3]], y).item())
    tap.remove()
    loss = torch.tensor(2.0)
    assert of_another(loss) is loss
    assert anything_of_samples(loss) is loss
    assert not torch.equal(anything_of_samples(torch.zeros(5, 4)), torch.zeros(5, 4)), "a model may say zero itself"
    alone = torch.randn(1, 6, 3)
    assert torch.equal(of_another(alone), alone[:, [5, 0, 1, 2, 3, 4]]), "a batch of one: at the time before"
    with pytest.raises(ValueError, match="a single sample"):
        of_another(torch.randn(1, 3))


def test_pairs_are_taken_apart():
    """A loss of two towers knows which belong together: not if both say what they say of the same other sample."""
    towers, x = [nn.Linear(4, 3), nn.Linear(4, 3)], torch.randn(6, 4)
    towers[1].load_state_dict(towers[0].state_dict())
    tap = PassTap(raising)
    tap.follow(towers)
    tap.conclude(F.cross_entropy(10 * towers[0](x) @ towers[1](x).T, torch.arange(6)))
    params = [param for tower in towers for param in tower.parameters()]
    names = [f"{number}" for number in range(len(params))]
    (now,), (together,), (apart,) = (
        losses_again(tap.passes(), params, names, saying=saying) for saying in (None, of_another, OfOthers())
    )
    tap.remove()
    assert together == pytest.approx(now)
    assert apart > now + 0.1
    two = torch.randn(2, 3)
    others = OfOthers()
    assert all(torch.equal(others(two), two.flip(0)) for _ in range(3)), "of two there is one other"

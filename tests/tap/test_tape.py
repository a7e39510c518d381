"""A pass is kept by reference and computed again: the same loss, bit for bit, and the same gradients."""

import copy
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from steadygrad._tap import CannotReplay, PassTap
from steadygrad.measure.undisturbed import undisturbed


def raising(error):
    raise error


@pytest.fixture
def tap():
    tap = PassTap(raising)
    yield tap
    tap.remove()
    assert not _get_current_function_mode_stack()


class Classifier(nn.Module):
    def __init__(self, returns=lambda logits: logits):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(16, 3)
        self.returns = returns

    def forward(self, x):
        return self.returns(self.head(self.body(x)))


class Output:
    def __init__(self, logits):
        self.logits = logits


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(6, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x, state=None, lengths=None):
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, state = self.rnn(x, state)
        if lengths is not None:
            out, _ = pad_packed_sequence(out, batch_first=True)
        return self.head(out), state


X, Y = torch.randn(8, 6), torch.randint(0, 3, (8,))
SEQUENCE, TAGS = torch.randn(4, 5, 6), torch.randint(0, 3, (4, 5))


def plain(model):
    return F.cross_entropy(model(X), Y)


def by_hand(model):
    logits = model(X)
    shares = logits.log_softmax(-1)
    return -shares[torch.arange(8), Y].mean() + 1e-3 * sum(p.square().sum() for p in model.parameters())


def in_place(model):
    logits = model(X)
    scores = logits * 1.0
    scores.masked_fill_(torch.eye(8, 3) > 0, -1e9)
    scores[0] = 0.0
    scores += 1.0
    return F.cross_entropy(scores, Y)


def noisy(model):
    logits = model(X)
    return F.mse_loss(logits + torch.randn_like(logits), F.one_hot(Y, 3).float())


def carried(model):
    state, total = None, 0.0
    for part in SEQUENCE.split(2, dim=1):
        logits, state = model(part, state)
        state = tuple(each.detach() for each in state)
        total = total + logits.square().mean()
    return total


def packed(model):
    logits, _ = model(SEQUENCE, lengths=torch.tensor([5, 3, 4, 2]))
    return F.cross_entropy(logits.transpose(1, 2), TAGS)


def reduced(model):
    with torch.autocast("cpu", torch.bfloat16):
        return F.cross_entropy(model(X), Y)


def without_gradient(model):
    logits = model(X)
    with torch.no_grad():
        weight = logits.softmax(-1).max(-1).values
    return (weight * F.cross_entropy(logits, Y, reduction="none")).mean()


PASSES = {
    "plain": (Classifier, plain),
    "by hand": (Classifier, by_hand),
    "in place": (Classifier, in_place),
    "noise behind the model": (Classifier, noisy),
    "dict": (lambda: Classifier(lambda logits: {"logits": logits}), lambda m: F.cross_entropy(m(X)["logits"], Y)),
    "object": (lambda: Classifier(Output), lambda m: F.cross_entropy(m(X).logits, Y)),
    "tuple": (lambda: Classifier(lambda logits: (None, [logits])), lambda m: F.cross_entropy(m(X)[1][0], Y)),
    "state": (Tagger, carried),
    "packed": (Tagger, packed),
    "autocast": (Classifier, reduced),
    "no_grad inside": (Classifier, without_gradient),
}


@pytest.mark.parametrize("name", PASSES)
def test_the_same_loss_and_the_same_gradients(name, tap):
    torch.manual_seed(0)
    make, compute = PASSES[name]
    model = make()
    tap.follow([model])
    for _ in range(3):
        loss = compute(model)
        tap.conclude(loss)
        model.zero_grad()
        loss.backward()
        grads = [param.grad.clone() for param in model.parameters()]
        (taped,) = tap.passes()
        with undisturbed(model):
            again, _ = taped.replay()
            again.backward()
            assert torch.equal(again, loss)
            assert all(torch.equal(param.grad, grad) for param, grad in zip(model.parameters(), grads, strict=True))
        tap.stepped()


def test_taping_changes_no_bit_of_the_training(tap):
    def train(follow):
        torch.manual_seed(0)
        model = Classifier()
        follow(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for _ in range(20):
            loss = by_hand(model)
            tap.conclude(loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tap.stepped()
            losses.append(loss.detach())
        return torch.stack(losses), torch.get_rng_state()

    bare, watched = train(lambda model: None), train(lambda model: tap.follow([model]))
    assert all(torch.equal(one, other) for one, other in zip(bare, watched, strict=True))


def test_a_gradient_that_is_cleared_is_read_from_outside(tap):
    """`w -= lr * w.grad; w.grad.zero_()`, over and over: the last of them is cleared when the next pass has begun."""
    torch.manual_seed(0)
    weights = [torch.randn(6, 3, requires_grad=True), torch.zeros(3, requires_grad=True)]
    tap.follow_functions()
    for _ in range(4):
        loss = F.cross_entropy(X @ weights[0] + weights[1], Y)
        tap.conclude(loss)
        loss.backward()
        if tap.passes():
            (taped,) = tap.passes()
            grads = [weight.grad.clone() for weight in weights]
            for there in (True, False):
                for weight in weights:
                    weight.grad = weight.grad if there else None
                with torch.no_grad():
                    assert torch.equal(taped.replay()[0], loss)
                if there:
                    assert all(torch.equal(w.grad, g) for w, g in zip(weights, grads, strict=True)), "left alone"
            for weight, grad in zip(weights, grads, strict=True):
                weight.grad = grad
        tap.stepped()
        tap.updates_follow(weights)
        with torch.no_grad():
            for weight in weights:
                weight -= 0.1 * weight.grad
                weight.grad.zero_()
    assert taped.entries


def test_several_models_and_what_comes_from_outside(tap):
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(6, 4), nn.Linear(4, 6)
    tap.follow([encoder, decoder])
    target = X.clone()
    loss = F.mse_loss(decoder(torch.tanh(encoder(X))), target)
    tap.conclude(loss)
    (taped,) = tap.passes()
    assert taped.roots == [encoder, decoder]
    assert [tensor is X for tensor in taped.inputs.values()] == [True]
    assert [tensor is target for tensor in taped.others.values()] == [True]
    name, other = next(iter(taped.inputs)), next(iter(taped.others))
    with undisturbed(encoder):
        changed, _ = taped.replay({name: 2 * X, other: torch.zeros_like(X)})
    assert torch.equal(changed, F.mse_loss(decoder(torch.tanh(encoder(2 * X))), torch.zeros_like(X)))


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


ELSEWHERE = nn.Linear(6, 3)(X).sum()


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (lambda model: Square.apply(model(X)).mean(), "a function of the user's own"),
        (lambda model: torch.func.vmap(lambda row: row.square())(model(X)).mean(), "torch does not show|torch.func"),
        (lambda model: model(X).sum() * 0 + ELSEWHERE, "torch does not show how it was computed"),
        (lambda model: (model(X).sum(), ELSEWHERE)[1], "torch does not show"),
    ],
)
def test_what_cannot_be_computed_again_says_why(compute, words, tap):
    model = nn.Linear(6, 3)
    tap.follow([model])
    tap.conclude(compute(model))
    passes = tap.passes()
    if not passes:
        assert re.search(words, tap.why_not)
        return
    with pytest.raises(CannotReplay, match=words):
        passes[0].replay()


def test_a_batch_that_was_edited_since_is_not_taken_for_the_one_that_was(tap):
    model = nn.Linear(6, 3)
    tap.follow([model])
    x = X.clone()
    loss = F.cross_entropy(model(x), Y)
    tap.conclude(loss)
    x.zero_()
    with pytest.raises(CannotReplay, match="changed in place"):
        tap.passes()[0].replay()


def test_evaluation_is_not_taped_and_no_mode_stays(tap):
    model = nn.Linear(6, 3)
    tap.follow([model])
    with torch.no_grad():
        model(X)
    assert not _get_current_function_mode_stack()
    loss = model(X).sum()
    assert len(_get_current_function_mode_stack()) == 1
    tap.conclude(loss)
    assert not _get_current_function_mode_stack()


class Counting(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_a_mode_of_the_users_own_stays_on_top_and_leaves_as_it_came(tap):
    model = nn.Linear(6, 3)
    tap.follow([model])
    with Counting() as mode:
        out = model(X)  # not taped: ours would be taken off in place of the user's
        assert _get_current_function_mode_stack() == [mode]
    assert not _get_current_function_mode_stack()
    tap.conclude(out.sum())
    out = model(X)
    with Counting() as mode:
        loss = out.sum()
        assert _get_current_function_mode_stack()[-1] is mode
    assert mode.calls == 1
    tap.conclude(loss)
    assert tap.passes()[-1].replay()[0].shape == ()


def test_a_copy_of_a_followed_model_is_followed_by_nobody(tap):
    model = nn.Linear(6, 3)
    tap.follow([model])
    copy.deepcopy(model)(X)
    assert not _get_current_function_mode_stack()


def test_a_model_that_raises_leaves_nothing_behind(tap):
    class Refuses(nn.Linear):
        def forward(self, x):
            if x.shape[0] == 1:
                raise ValueError("one sample")
            return super().forward(x)

    model = Refuses(6, 3)
    tap.follow([model])
    with pytest.raises(ValueError, match="one sample"):
        model(X[:1])
    loss = model(X).sum()
    tap.conclude(loss)
    assert torch.equal(tap.passes()[0].replay()[0], loss)


def test_memory_of_what_was_computed_on_the_way_is_not_kept(tap):
    import weakref

    model = nn.Linear(6, 3)
    tap.follow([model])
    logits = model(X)
    loss = logits.square().mean()
    seen = weakref.ref(logits)
    tap.conclude(loss)
    loss.backward()
    del logits, loss
    assert seen() is None


def test_what_a_loss_reads_of_numpy_is_a_constant(tap):
    model = nn.Linear(6, 3)
    tap.follow([model])
    out = model(X)
    scale = float(np.abs(out.detach().numpy()).max())
    loss = (out / scale).square().mean()
    tap.conclude(loss)
    assert torch.equal(tap.passes()[0].replay()[0], loss)


def test_what_a_generator_of_its_own_has_drawn_is_kept_and_what_torchs_own_has_is_drawn_again(tap):
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(6, 3, requires_grad=True)
    tap.follow_functions()
    for draw in (
        lambda: X[torch.randint(len(X), (8,), generator=generator)],
        lambda: X[torch.randint(len(X), (8,))],
        lambda: X + torch.empty(X.shape).uniform_(generator=generator),
        lambda: X * torch.bernoulli(torch.full(X.shape, 0.5), generator=generator),
    ):
        loss = (draw() @ weights).square().mean()
        tap.conclude(loss)
        (taped,) = tap.passes()
        for _ in range(2):
            state = torch.get_rng_state()
            assert torch.equal(taped.replay()[0], loss)
            torch.set_rng_state(state)
        loss.backward()
        tap.stepped()


class Whole(nn.Module):
    """Nobody calls it: its own methods call its parts, as a LightningModule's do."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(6, 8), nn.ModuleDict({"out": nn.Linear(8, 3)})])

    def loss(self, x):
        hidden = torch.relu(self.parts[0](x))
        return self.parts[1]["out"](hidden).square().mean()


def test_a_module_that_nobody_calls_is_seen_by_its_parts_from_the_first_pass_on(tap):
    model = Whole()
    tap.follow([model])
    for _ in range(2):
        loss = model.loss(X)
        tap.conclude(loss)
        (taped,) = tap.passes()
        assert taped.roots == [model.parts[0], model.parts[1]["out"]]
        assert torch.equal(taped.replay()[0], loss)
        loss.backward()
        tap.stepped()


def test_one_whose_parts_are_deep_inside_is_found_level_by_level(tap):
    model = nn.ModuleDict({"a": nn.Sequential(nn.Sequential(Whole()))})
    tap.follow([model])
    tap.on_unseen = lambda loss: tap.follow_parts()
    seen = []
    for _ in range(4):
        loss = model["a"][0][0].loss(X)
        tap.conclude(loss)
        seen.append(len(tap.passes()))
        loss.backward()
        tap.stepped()
    assert seen[-1] == 1


def test_parts_of_a_module_that_is_called_are_let_go(tap):
    model = Classifier()
    tap.follow([model])
    assert model.head._forward_hooks
    loss = model(X).square().mean()
    tap.conclude(loss)
    assert tap.passes()[0].roots == [model]
    assert not model.head._forward_hooks
    assert not model.body._forward_pre_hooks
    assert model._forward_hooks


def test_who_reads_a_weight_that_is_computed_has_not_called_the_model(tap):
    model = nn.utils.parametrizations.orthogonal(nn.Linear(6, 6))
    tap.follow([model])
    assert model.weight.requires_grad
    assert not _get_current_function_mode_stack()
    loss = model(X).square().mean()
    tap.conclude(loss)
    assert tap.passes()[0].roots == [model]


def test_a_model_that_is_called_within_a_backward_pass_is_no_pass(tap):
    model = nn.Linear(6, 3)

    class Adjoint(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(x)
            return model(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                again = model(x)
            return None, torch.autograd.grad(again, model.weight, grad)[0]

    tap.follow([model])
    for _ in range(3):
        loss = Adjoint.apply(X, model.weight).square().mean()
        tap.conclude(loss)
        loss.backward()
        assert not _get_current_function_mode_stack()
        tap.stepped()


def polyak(target, source):
    target.data.mul_(0.9)
    torch.add(target.data, source.data, alpha=0.1, out=target.data)


def through_views(target, source):
    target.detach()[1:].view(-1).lerp_(source.detach()[1:].reshape(-1), 0.5)


def several_at_once(target, source):
    torch._foreach_mul_([target.data, target.data[:1]], 0.9)


def by_assignment(target, source):
    target.data = 0.9 * target.data + 0.1 * source.data


CHANGES = {
    "polyak": polyak,
    "views": through_views,
    "foreach": several_at_once,
    "assigned": by_assignment,
    "copied": lambda target, source: target.data.copy_(0.5 * source.data),
    "item": lambda target, source: target.data.__setitem__(0, 0.5),
    "out": lambda target, source: torch.mul(source.data, 0.5, out=target.data),
    "in place of an activation": lambda target, source: F.relu(target.data, inplace=True),
    "running": lambda target, source: F.batch_norm(X, target.data[:, 0], target.data[:, 1].abs(), training=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_script_averages_and_copies_beside_its_loss_is_done_once(change, tap):
    """A target network that follows the one that learns is not moved again by whoever computes the pass again."""
    torch.manual_seed(0)
    weights = torch.randn(6, 3, requires_grad=True)
    target = torch.randn(6, 3)
    tap.follow_functions()
    for _ in range(3):
        with torch.no_grad():
            change(target, weights)
        loss = (X @ weights - X @ target).square().mean()
        tap.conclude(loss)
        (taped,) = tap.passes()
        before = target.clone()
        for _ in range(2):
            try:
                assert torch.equal(taped.replay()[0], loss)
            except CannotReplay:
                pass  # and says so: no look at the pass then
            assert torch.equal(target, before)
        loss.backward()
        tap.stepped()


def test_what_is_changed_in_place_within_the_pass_is_changed_again(tap):
    weights = torch.randn(6, 3, requires_grad=True)
    tap.follow_functions()
    for inside in (
        lambda h: h.mul_(2.0),
        lambda h: F.relu(h, inplace=True),
        lambda h: h.view(-1).add_(1.0).view_as(h),
    ):
        loss = inside(X @ weights).square().mean()
        tap.conclude(loss)
        (taped,) = tap.passes()
        for _ in range(2):
            assert torch.equal(taped.replay()[0], loss)
        loss.backward()
        tap.stepped()


def test_a_model_that_says_nothing_returns_zeros(tap):
    encoder, decoder = nn.Linear(6, 6), Tagger()
    tap.follow([encoder, decoder])
    out, (hidden, _) = decoder(encoder(X)[:, None])
    loss = F.cross_entropy(out[:, 0], Y) + 2 * hidden.square().sum() + 1
    tap.conclude(loss)
    silent, last = tap.passes()[0].replay(saying=torch.zeros_like)
    assert silent.item() == pytest.approx(1 + torch.tensor(3.0).log().item())
    assert not last[0].any()
    assert torch.equal(tap.passes()[0].replay()[0], loss), "only while it is asked"


COMPILED = """
import torch
from torch import nn
from steadygrad._tap import PassTap

graphs = []

def backend(module, inputs):
    graphs.append(module)
    return module.forward

def raising(error):
    raise error

tap, x = PassTap(raising), torch.randn(8, 6)
compiled, eager = torch.compile(nn.Linear(6, 3), backend=backend), nn.Linear(6, 3)
measure = torch.compile(lambda out: out.square().mean(), backend=backend)
tap.follow([compiled, eager])
for model, reduce in ((compiled, torch.mean), (eager, measure)):
    for _ in range(3):
        loss = reduce(model(x))
        tap.conclude(loss)
        loss.backward()
    tap.stepped()
    print(len(graphs), len(tap.passes()), len(tap.before()))
"""


def test_what_is_compiled_is_not_followed_and_not_compiled_again():
    """In a process of its own: what it has compiled once, a process remembers."""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", COMPILED], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["1", "0", "0", "2", "0", "0"]


def test_what_meets_weights_and_what_meets_results_are_replaced_apart(tap):
    """Both come out of an indexing of a whole table, and would have one name."""
    torch.manual_seed(0)
    weights = torch.randn(3, 1, requires_grad=True)
    table, targets, chosen = 1e4 * torch.randn(50, 3), torch.randn(50, 1), torch.arange(0, 50, 5)
    tap.follow_functions()
    loss = (table[chosen] @ weights - targets[chosen]).square().mean()
    tap.conclude(loss)
    (taped,) = tap.passes()
    assert not set(taped.inputs) & set(taped.others)
    (name,) = taped.inputs
    assert torch.equal(taped.inputs[name], table[chosen]), "the batch, and not the table that it was taken from"
    calm = taped.replay({name: table[chosen] / 1e4})[0]
    assert torch.allclose(calm, (table[chosen] / 1e4 @ weights - targets[chosen]).square().mean())


def test_data_is_what_meets_weights_whatever_the_script_has_made_it_of(tap):
    """Bytes that it scales itself are no inputs out of scale, and prices that it makes of sound numbers are targets."""
    torch.manual_seed(0)
    model, raw, y = nn.Linear(4, 1), torch.randint(0, 256, (8, 4), dtype=torch.uint8), torch.randn(8, 1)
    pixels = raw.float() / 255
    prices = y * 3e4 + 9e4
    tap.follow_functions()
    output = model(raw.float() / 255)
    loss = nn.functional.mse_loss(output, y * 3e4 + 9e4)
    tap.conclude(loss)
    (taped,) = tap.passes()
    assert {name: each.tolist() for name, each in taped.inputs.items()} == {"linear": pixels.tolist()}
    assert {name: each.tolist() for name, each in taped.others.items()} == {"mse_loss": prices.tolist()}
    again = taped.replay({"mse_loss": y})[0]
    assert torch.allclose(again, nn.functional.mse_loss(output, y))
    assert any(each is raw for each in taped.outside.values())
    assert torch.allclose(taped.replay()[0], loss)


def test_data_that_a_script_draws_itself_is_data_and_first_states_are_none(tap):
    """With the random numbers of then, and the generator is left as it is."""
    torch.manual_seed(0)
    weights, recurrent = torch.randn(3, 5, requires_grad=True), torch.randn(5, 5, requires_grad=True)
    tap.follow_functions()
    x = torch.randn(8, 3)
    x[0] = 1e6
    noise = torch.empty(8, 5).normal_()
    state = torch.zeros(8, 5)
    loss = (torch.tanh(x @ weights + state @ recurrent) - noise).square().mean()
    tap.conclude(loss)
    (taped,) = tap.passes()
    before = torch.get_rng_state()
    assert [each.tolist() for each in taped.inputs.values()] == [x.tolist()]
    assert [each.tolist() for each in taped.others.values()] == [noise.tolist()]
    assert torch.equal(torch.get_rng_state(), before)


def test_what_else_is_made_of_an_input_stays_when_another_takes_its_place(tap):
    """An autoencoder's target is not standardised with its input."""
    torch.manual_seed(0)
    weight, x = torch.randn(3, 3, requires_grad=True), torch.randn(8, 3)
    tap.follow_functions()
    scaled = x * 10
    loss = (scaled @ weight - scaled.flip(1)).square().mean()
    tap.conclude(loss)
    (taped,) = tap.passes()
    (name,) = taped.inputs
    again = taped.replay({name: torch.zeros(8, 3)})[0]
    assert torch.allclose(again, (x * 10).square().mean())


def test_single_numbers_beside_a_batch_are_no_data_and_totals_of_metrics_neither(tap):
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 1), torch.randn(8, 4), torch.randn(8, 1)
    total = torch.tensor(2124.0)
    tap.follow_functions()
    loss = nn.functional.mse_loss(model(x), y) * torch.tensor(0.5)
    total.copy_(total + loss.detach() * torch.tensor(64.0))
    tap.conclude(loss)
    (taped,) = tap.passes()
    assert [each.shape for each in (*taped.inputs.values(), *taped.others.values())] == [x.shape, y.shape]


class Subclass(torch.Tensor):
    """As libraries have them for images or batches."""


def test_a_tensor_that_is_an_object_of_another_class_is_the_one_that_it_was_made_of(tap):
    """torch shows no call of `as_subclass`."""
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 1), torch.randn(8, 4), torch.randn(8, 1)
    tap.follow_functions()
    loss = nn.functional.mse_loss(model(x).as_subclass(Subclass).view(-1), y.view(-1))
    tap.conclude(loss)
    (taped,) = tap.passes()
    assert torch.allclose(taped.replay()[0], loss.as_subclass(torch.Tensor))


def test_a_pass_that_is_not_taped_from_its_first_module_on_is_not_taped_at_all(tap, monkeypatch):
    """What it costs is asked at each module that a script calls: its rest alone could not be computed again."""
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    tap.follow([first, second])
    answers = iter([False, True])
    monkeypatch.setattr(tap, "_affordable", lambda: next(answers))

    def passes():
        loss = (first(torch.randn(2, 3)) + second(torch.randn(2, 3))).square().mean()
        tap.conclude(loss)
        return len(tap.passes())

    assert passes() == 0
    tap.stepped()
    assert passes() == 1
    tap.stepped()
    assert not list(answers), "it is asked once a pass"

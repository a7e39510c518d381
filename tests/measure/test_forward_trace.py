"""A forward pass is seen at every multiplication by a weight, whoever makes it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from steadygrad.measure.focus import attention_focus, logit_focus
from steadygrad.measure.forward_trace import ForwardTrace


def trace_of(model, *inputs, loss=lambda output: output.square().mean()):
    with ForwardTrace(dict(model.named_parameters()), list(model.buffers())) as trace:
        output = model(*inputs)
        loss(output[0] if isinstance(output, tuple) else output).backward()
    assert not trace.errors
    return trace


class ByHand(nn.Module):
    """The same net as `nn.Sequential(Linear, ReLU, Linear)`, of bare parameters."""

    def __init__(self, twin: nn.Sequential) -> None:
        super().__init__()
        self.w1, self.b1 = twin[0].weight, twin[0].bias
        self.w2, self.b2 = twin[2].weight, twin[2].bias

    def forward(self, x):
        hidden = torch.relu(x @ self.w1.t() + self.b1)
        return torch.einsum("bi,oi->bo", hidden, self.w2) + self.b2


def test_bare_parameters_are_seen_as_modules_are():
    torch.manual_seed(0)
    twin, x = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 2)), torch.randn(5, 6)
    ours, theirs = trace_of(ByHand(twin), x), trace_of(twin, x)
    assert [call.layer for call in ours.calls] == ["w1", "w2"]
    for a, b in zip(ours.calls, theirs.calls, strict=True):
        assert (a.depth, a.sources) == (b.depth, b.sources)
        torch.testing.assert_close(a.input_rms, b.input_rms)
        torch.testing.assert_close(a.grad_rms, b.grad_rms)
    torch.testing.assert_close(ours.activations[0].dead, theirs.activations[0].dead)


def test_numbers_are_those_of_the_tensors():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 2)), torch.randn(5, 6)
    call = trace_of(model, x).calls[1]
    hidden = torch.tanh(model[0](x))
    output = model[2](hidden)
    output.retain_grad()
    output.square().mean().backward()
    torch.testing.assert_close(call.input_rms, hidden.double().square().mean().sqrt())
    torch.testing.assert_close(call.output_rms, output.double().square().mean().sqrt())
    torch.testing.assert_close(call.output_absmax, output.abs().max())
    torch.testing.assert_close(call.grad_rms, output.grad.double().square().mean().sqrt())


def test_a_skip_shows_as_several_sources():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inlet = nn.Linear(4, 4)
            self.branches = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            x = self.inlet(x)
            for branch in self.branches:
                x = x + torch.relu(branch(x))
            return self.head(x)

    calls = trace_of(Residual(), torch.randn(3, 4)).calls
    assert [sorted(call.sources) for call in calls] == [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert [call.depth for call in calls] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("module", "inputs", "kinds"),
    [
        (nn.LSTM(3, 5, 2), torch.randn(7, 2, 3), ["recurrent"]),
        (nn.GRU(3, 5, bidirectional=True), torch.randn(7, 2, 3), ["recurrent"]),
        (nn.RNN(3, 5), torch.randn(7, 2, 3), ["recurrent"]),
        (nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8), ["convolution"]),
        (nn.ConvTranspose1d(3, 4, 3), torch.randn(2, 3, 8), ["convolution"]),
        (nn.Embedding(9, 4), torch.tensor([[1, 2]]), ["embedding"]),
        (nn.EmbeddingBag(9, 4), torch.tensor([[1, 2]]), ["embedding"]),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(2, 5, 8), ["linear"] * 4),
        (parametrizations.weight_norm(nn.Linear(4, 4)), torch.randn(2, 4), ["linear"]),
        (parametrizations.orthogonal(nn.Linear(4, 4)), torch.randn(2, 4), ["linear"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_every_kind_of_layer(module, inputs, kinds):
    trace = trace_of(module, inputs)
    assert [call.kind for call in trace.calls] == kinds
    assert all(call.grad_rms is not None for call in trace.calls)


def test_spectral_norm_is_one_layer_and_its_power_iteration_none():
    trace = trace_of(parametrizations.spectral_norm(nn.Linear(4, 4)), torch.randn(2, 4))
    assert len([call for call in trace.calls if call.grad_rms is not None]) == 1


def test_a_cell_called_on_its_own_results_grows_in_depth():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTMCell(3, 5), nn.Linear(5, 1)

        def forward(self, x):
            state = None
            for step in x:
                state = self.cell(step, state)
            return self.head(state[0])

    calls = trace_of(Loop(), torch.randn(6, 2, 3)).calls
    assert [call.depth for call in calls] == [1, 2, 3, 4, 5, 6, 7]


def test_dropout_is_left_out_and_everything_else_is_as_it_is():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 9), nn.Dropout(0.5), nn.ReLU(), nn.Linear(9, 2)), torch.randn(5, 6)
    random = torch.get_rng_state()
    with ForwardTrace(dict(model.named_parameters())):
        seen = model(x)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(seen, model.eval()(x))


def test_the_plain_mean_of_a_classification_loss():
    model, x, y = nn.Linear(3, 4), torch.randn(6, 3), torch.tensor([0, 1, 2, 3, -100, 1])
    weight = torch.tensor([1.0, 5.0, 1.0, 9.0])
    trace = trace_of(model, x, loss=lambda out: F.cross_entropy(out, y, weight, reduction="sum"))
    (seen,) = trace.losses
    assert seen.classes == 4
    torch.testing.assert_close(seen.mean_loss, F.cross_entropy(model(x), y))


def test_shares_are_attention_only_if_something_is_weighed_by_them():
    class Pool(nn.Module):
        def __init__(self, weigh):
            super().__init__()
            self.score, self.weigh = nn.Linear(4, 1), weigh

        def forward(self, x):
            shares = self.score(x).squeeze(-1).softmax(-1)
            return (shares.unsqueeze(-1) * x).sum(1) if self.weigh else shares

    x = torch.randn(2, 7, 4)
    assert len(trace_of(Pool(True), x).attentions) == 1
    assert not trace_of(Pool(False), x).attentions


def likelihood_of_an_answer(logits):
    answers = torch.distributions.Categorical(logits=logits)
    return answers.log_prob(answers.sample()) * torch.randn(len(logits)) + answers.entropy()


def entropy_by_hand(logits):
    shares = F.softmax(logits, -1)
    return (shares * shares.log()).sum(-1)


def entropy_of_log_softmax(logits):
    logs = F.log_softmax(logits.clamp(-50, 50), -1)
    return (F.softmax(logits.clamp(-50, 50), -1) * logs).sum(-1) + (torch.softmax(logits, 1) * logits).sum(-1)


def advantage_of_an_action(logits):
    chosen = logits.softmax(-1).gather(1, torch.zeros(len(logits), 1, dtype=torch.long))
    return torch.log(chosen).squeeze(1) * torch.randn(len(logits))


@pytest.mark.parametrize(
    "loss", [likelihood_of_an_answer, entropy_by_hand, entropy_of_log_softmax, advantage_of_an_action]
)
def test_a_policy_is_no_attention(loss):
    assert not trace_of(nn.Linear(4, 3), torch.randn(5, 4), loss=lambda out: loss(out).mean()).attentions


def test_an_attention_with_a_penalty_on_its_entropy_is_one():
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Linear(4, 1)

        def forward(self, x):
            shares = self.score(x).squeeze(-1).softmax(-1)
            return (shares.unsqueeze(-1) * x).sum(1) + (shares * shares.log()).sum()

    assert len(trace_of(Pool(), torch.randn(2, 7, 4)).attentions) == 1


def test_an_overflow_in_half_precision_is_noted_and_a_mask_is_not():
    class Squares(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.inner, self.scale = nn.Linear(4, 4).half(), scale

        def forward(self, x):
            y = self.inner(x) * self.scale
            masked = y.masked_fill(y > 1e4, -torch.inf).clamp(min=-1.0)
            return (y / (1 + y.square().mean().sqrt())).float() + masked.float()

    x = torch.ones(2, 4).half()
    assert [name for name, _ in trace_of(Squares(1000.0), x).overflows][:1] == ["square"]
    assert not trace_of(Squares(1.0), x).overflows


def test_focus_of_uniform_sharp_and_masked_logits():
    assert logit_focus(torch.zeros(2, 5)).relative_entropy.item() == pytest.approx(1.0)
    sharp = logit_focus(torch.eye(5) * 100)
    assert sharp.relative_entropy.item() == pytest.approx(0.0, abs=1e-6)
    assert sharp.spread.item() == 100
    masked = torch.zeros(3, 4).masked_fill(torch.ones(3, 4).tril() == 0, -1e9)
    assert logit_focus(masked).relative_entropy.item() == pytest.approx(1.0)
    assert logit_focus(torch.full((2, 3), -torch.inf)).relative_entropy.item() == 1.0


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [4, 2, 1])
def test_focus_of_a_product_is_that_of_its_logits(causal, heads):
    torch.manual_seed(0)
    query, key = torch.randn(2, 4, 6, 8), torch.randn(2, heads, 6, 8)
    logits = query @ key.repeat_interleave(4 // heads, 1).mT / 8**0.5
    if causal:
        logits = logits.masked_fill(torch.ones(6, 6).triu(1) == 1, -torch.inf)
    want, got = logit_focus(logits), attention_focus(query, key, None, causal, None)
    torch.testing.assert_close(got.relative_entropy, want.relative_entropy)
    torch.testing.assert_close(got.spread, want.spread)

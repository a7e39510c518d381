"""Loops of every style: accumulation, sparse gradients, unused parameters, several optimizers, carried states."""

import sys

import pytest
import torch
from torch import nn

import steadygrad as sg

from .recorded import actions, recorded

NAN = float("nan")


def test_accumulation_is_not_poisoned(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(12):
            for micro in range(3):
                x = torch.randn(8, 4) * (NAN if (step, micro) == (5, 1) else 1.0)
                (model(x).square().mean() / 3).backward()
            optimizer.step()
            if step != 5:  # a script that does not clear its gradients after the bad step
                optimizer.zero_grad()
    assert actions(watch, "skip") == [5]
    assert len(recorded(watch).steps()) == 12


@pytest.mark.parametrize("maker", [lambda p: torch.optim.SparseAdam(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)])
def test_sparse_gradients(maker, tmp_path):
    torch.manual_seed(0)
    embedding = nn.Embedding(50, 4, sparse=True)
    optimizer = maker(list(embedding.parameters()))
    dense = nn.Embedding(50, 4)
    dense.load_state_dict(embedding.state_dict())
    with sg.watch(embedding, optimizer, record=tmp_path) as watch:
        for step in range(10):
            index = torch.tensor([1, 1, 2, step % 50])
            factor = NAN if step == 4 else 1e6 if step == 7 else 1.0
            loss = embedding(index).square().sum() * factor
            optimizer.zero_grad()
            loss.backward()
            if step == 0:
                dense(index).square().sum().backward()
                reference = float(dense.weight.grad.norm())
            optimizer.step()
    steps = recorded(watch).steps()
    assert steps.grad_norm[0] == pytest.approx(reference, rel=1e-5), "duplicate indices are summed"
    assert actions(watch, "skip") == [4]
    assert actions(watch, "clip") == [7]
    assert embedding.weight.isfinite().all()


def test_frozen_and_unused_parameters(tmp_path):
    model = nn.ModuleDict({"used": nn.Linear(3, 1), "unused": nn.Linear(3, 1), "frozen": nn.Linear(3, 3)})
    model["frozen"].requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(6):
            model["used"](model["frozen"](torch.randn(4, 3))).square().mean().backward()
            if step == 3:
                model["used"].weight.grad.fill_(NAN)
            optimizer.step()
            optimizer.zero_grad()
    names = [tensor.name for tensor in recorded(watch).optimizers()[0].tensors]
    _, matrix = recorded(watch).vectors("grad_norm")
    assert {name for name, column in zip(names, matrix.T, strict=True) if (column == -1).all()} == {
        "unused.weight", "unused.bias", "frozen.weight", "frozen.bias",
    }  # fmt: skip
    assert actions(watch, "skip") == [3]


def test_two_optimizers_are_judged_apart(tmp_path):
    torch.manual_seed(0)
    generator, critic = nn.Linear(2, 4), nn.Linear(4, 1)
    of_generator = torch.optim.Adam(generator.parameters(), lr=0.01)
    of_critic = torch.optim.SGD(critic.parameters(), lr=0.01)
    with sg.watch(None, [of_generator, of_critic], record=tmp_path) as watch:
        for step in range(12):
            loss = critic(generator(torch.randn(8, 2)).detach()).square().mean() * (NAN if step == 5 else 1.0)
            of_critic.zero_grad()
            loss.backward()
            of_critic.step()
            loss = (critic(generator(torch.randn(8, 2))) - 1).square().mean()
            of_generator.zero_grad()
            loss.backward()
            of_generator.step()
    run = recorded(watch)
    assert [info.name for info in run.optimizers()] == ["SGD", "Adam"]
    assert [(action.optimizer, action.step) for action in run.actions() if action.action == "skip"] == [(0, 5)]
    assert run.step_counts() == {0: 12, 1: 12}
    assert not (run.steps(0).loss[:5] == run.steps(1).loss[:5]).any()


def test_two_optimizers_that_share_a_backward_share_its_loss(tmp_path):
    body, head = nn.Linear(2, 4), nn.Linear(4, 1)
    optimizers = [torch.optim.SGD(body.parameters(), lr=0.01), torch.optim.Adam(head.parameters(), lr=0.01)]
    with sg.watch(None, optimizers, record=tmp_path) as watch:
        for _ in range(4):
            head(body(torch.randn(8, 2))).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    run = recorded(watch)
    assert (run.steps(0).loss == run.steps(1).loss).all()
    assert run.steps(1).loss_known.all()


class Stateful(nn.Module):
    """An LSTM whose state is passed in and out, as in the classic language-model loop."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 8)
        self.head = nn.Linear(8, 1)

    def forward(self, x, state=None):
        out, state = self.rnn(x, state)
        return self.head(out), state


class Remembering(nn.Module):
    """A recurrent net that keeps its state on itself."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 8)
        self.head = nn.Linear(8, 1)
        self.memory = None

    def forward(self, x):
        self.memory = self.cell(x[0], None if self.memory is None else self.memory.detach())
        return self.head(self.memory)


@pytest.mark.parametrize("bad_step", [0, 4])
@pytest.mark.parametrize("copies", [False, True])
def test_a_carried_state_is_cleared(bad_step, copies, tmp_path):
    torch.manual_seed(0)
    model, state = Stateful(), None
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(14):
            x = torch.randn(5, 4, 3) * (NAN if step == bad_step else 1.0)
            out, state = model(x, state)
            state = tuple(part.detach().clone() if copies else part.detach() for part in state)
            optimizer.zero_grad()
            out.square().mean().backward()
            optimizer.step()
    skipped = actions(watch, "skip")
    assert skipped[0] == bad_step
    assert len(skipped) <= 2, "at most one step is lost to learning what the model returns"
    assert actions(watch, "clear-carried-state")
    assert sg.open_run(watch.run).verdict == "recovered"


def test_a_state_kept_as_an_attribute_is_cleared(tmp_path):
    torch.manual_seed(0)
    model = Remembering()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(12):
            loss = model(torch.randn(1, 4, 3) * (NAN if step == 4 else 1.0)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert actions(watch, "skip") == [4]
    assert actions(watch, "clear-carried-state") == [4]


def test_nan_data_is_not_taken_for_a_state(tmp_path):
    torch.manual_seed(0)
    model = nn.LSTM(3, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(10):
            out, _ = model(torch.randn(5, 4, 3) * (NAN if step in (3, 4, 5) else 1.0))
            optimizer.zero_grad()
            out.square().mean().backward()
            optimizer.step()
    assert actions(watch, "skip") == [3, 4, 5]
    assert actions(watch, "clear-carried-state") == []


def test_finite_gradients_whose_squares_overflow_are_clipped_not_lost(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(12):
            before = model.weight.detach().clone()
            optimizer.zero_grad()
            (model(torch.ones(1, 4)).sum() * (1e25 if step == 10 else 1.0)).backward()
            optimizer.step()
            if step == 10:
                assert 0 < (model.weight - before).norm() < 1
    assert recorded(watch).steps().grad_norm[10] == pytest.approx(2e25, rel=1e-4)
    assert actions(watch, "clip") == [10]


def test_groups_added_later_are_watched(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(6):
            if step == 3:
                optimizer.add_param_group({"params": list(model[0].parameters()), "lr": 0.01})
            model(torch.randn(4, 2)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    names = [tensor.name for tensor in recorded(watch).optimizers()[0].tensors]
    assert names == ["1.weight", "1.bias", "0.weight", "0.bias"]


def test_a_step_that_raises_does_not_confuse_the_next(tmp_path):
    model = nn.Linear(2, 1)

    class Faulty(torch.optim.SGD):
        fail = False

        @torch.no_grad()
        def step(self, closure=None):
            if self.fail:
                raise RuntimeError("the user's own error")
            return super().step(closure)

    optimizer = Faulty(model.parameters(), lr=0.1)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(6):
            model(torch.randn(4, 2)).square().mean().backward()
            optimizer.fail = step == 2
            if step == 2:
                with pytest.raises(RuntimeError, match="own error"):
                    optimizer.step()
            else:
                optimizer.step()
            optimizer.zero_grad()
    assert len(recorded(watch).steps()) == 5


def test_a_watched_model_is_copied_and_saved_as_before(tmp_path):
    import copy

    model = Stateful()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, record=False):
        for step in range(3):
            out, _ = model(torch.randn(5, 4, 3) * (NAN if step == 1 else 1.0))
            optimizer.zero_grad()
            out.square().mean().backward()
            optimizer.step()
            copied = copy.deepcopy(model)
            torch.save(model, tmp_path / "model.pt")
            loaded = torch.load(tmp_path / "model.pt", weights_only=False)
            x = torch.randn(5, 4, 3)
            assert torch.equal(copied(x)[0], model(x)[0])
            assert torch.equal(loaded(x)[0], model(x)[0])


class Masked(nn.Module):
    """Keeps a causal mask of minus infinity and a running best of infinity as plain attributes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.mask = torch.full((4, 4), float("-inf")).triu(1)
        self.best = torch.tensor(float("inf"))

    def forward(self, x, bias=None):
        scores = (x @ x.transpose(1, 2) + self.mask + (0 if bias is None else bias)).softmax(-1)
        return self.layer(scores @ x)


def test_masks_are_not_cleared():
    model = Masked()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    bias = torch.full((1, 4, 3), 0.0)
    with sg.watch(model, optimizer, record=False):
        for step in range(5):
            out = model(
                torch.randn(2, 4, 3) * (NAN if step == 2 else 1.0), torch.full((1, 4, 4), float("-inf")).triu(2)
            )
            optimizer.zero_grad()
            (out + bias).square().mean().backward()
            optimizer.step()
    assert model.mask.isinf().any()
    assert model.best.isinf()


def test_losing_one_step_does_not_break_anothers_backward():
    generator = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    critic = nn.Linear(3, 1)
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.01) for m in (generator, critic)]
    with sg.watch(nn.ModuleList([generator, critic]), optimizers, record=False):
        for step in range(4):
            fake = generator(torch.randn(8, 2))
            optimizers[1].zero_grad()
            (critic(fake.detach()).mean() * (NAN if step == 1 else 1.0)).backward()
            optimizers[1].step()
            optimizers[0].zero_grad()
            critic(fake).mean().backward()
            optimizers[0].step()
    assert all(p.isfinite().all() for p in [*generator.parameters(), *critic.parameters()])


def test_a_script_that_guards_itself_is_left_alone(tmp_path):
    def run(watched):
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        watch = sg.watch(model, optimizer, record=tmp_path) if watched else None
        for step in range(8):
            loss = model(torch.randn(8, 4)).square().mean() * (NAN if step == 3 else 1.0)
            optimizer.zero_grad()
            loss.backward()
            if not torch.isfinite(torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)):
                optimizer.zero_grad()
                continue
            optimizer.step()
        if watch is not None:
            watch.close()
        return model.weight.detach().clone()

    assert torch.equal(run(True), run(False))


def test_replaced_parameters_are_noticed(tmp_path):
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(3))], lr=0.1)
    with sg.watch(None, optimizer, record=tmp_path) as watch:
        for step in range(6):
            if step == 3:
                optimizer.param_groups[0]["params"][0] = nn.Parameter(torch.ones(3))
            (param,) = optimizer.param_groups[0]["params"]
            optimizer.zero_grad()
            (param.square().sum() * (NAN if step == 4 else 1.0)).backward()
            optimizer.step()
    assert param.isfinite().all()
    assert actions(watch, "skip") == [4]


def test_backward_of_a_generator_still_computes_gradients():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sg.watch(model, optimizer, record=False):
        torch.autograd.backward(model(torch.ones(1, 2)).sum() for _ in range(2))
    assert model.weight.grad.norm() > 0


def test_an_optimizer_inside_anothers_closure_is_watched(tmp_path):
    outer_model, inner_model = nn.Linear(2, 1), nn.Linear(2, 1)
    outer = torch.optim.SGD(outer_model.parameters(), lr=0.1)
    inner = torch.optim.SGD(inner_model.parameters(), lr=0.1)
    with sg.watch(None, [outer, inner], record=tmp_path) as watch:
        for step in range(4):

            def closure(step=step):
                inner.zero_grad()
                (inner_model(torch.ones(1, 2)).sum() * (NAN if step == 2 else 1.0)).backward()
                inner.step()
                outer.zero_grad()
                loss = outer_model(torch.ones(1, 2)).square().sum()
                loss.backward()
                return loss

            outer.step(closure)
    assert inner_model.weight.isfinite().all()
    counts = sorted(recorded(watch).step_counts().values())
    assert counts == [4, 4]


def test_old_models_are_let_go(tmp_path):
    import gc
    import weakref

    from steadygrad._watch import Settings, Watcher

    class Home:
        def folder(self):
            return None

        def say(self, line):
            pass

    watcher = Watcher(Settings("protect"), Home())
    watcher.install()
    seen = weakref.WeakSet()
    try:
        for _ in range(10):
            model = nn.Linear(2, 1)
            optimizer = torch.optim.Adam(model.parameters())
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            seen.add(model)
    finally:
        watcher.remove()
    del model, optimizer
    gc.collect()
    assert len(seen) == 0
    assert list(watcher.trainings) == []


def test_losses_of_an_unwatched_training_are_not_mixed_in(tmp_path):
    watched, other = nn.Linear(2, 1), nn.Linear(2, 1)
    optimizer = torch.optim.SGD(watched.parameters(), lr=0.0)
    unwatched = torch.optim.SGD(other.parameters(), lr=0.0)
    with sg.watch(watched, optimizer, record=tmp_path) as watch:
        for _ in range(3):
            (other(torch.ones(1, 2)).sum() * 0 + 100).backward()
            unwatched.step()
            (watched(torch.ones(1, 2)).sum() * 0 + 1).backward()
            optimizer.step()
    assert set(recorded(watch).steps().loss) == {1.0}


COMPILED_BETWEEN = """
import torch
from torch import nn
import steadygrad as sg

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1)
torch.compile(nn.Linear(2, 2), backend="eager")(torch.ones(1, 2))
with sg.watch(model, optimizer, record="runs") as watch:
    for step in range(20):
        x = torch.randn(8, 3)
        def closure():
            optimizer.zero_grad()
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean() * (float("nan") if step == 5 else 1.0)
            loss.backward()
            return loss
        optimizer.step(closure)
print([(alarm.step, alarm.detector) for alarm in sg.open_run(watch.run).main.alarms()])
"""


def test_what_the_first_compilation_lays_on_an_optimizers_step_is_no_second_step(runner):
    """LBFGS had its hooks twice where one was made, something compiled, and only then it was watched."""
    runner.write(COMPILED_BETWEEN)
    done = runner.bare(sys.executable, "train.py")
    assert done.stdout.strip() == "[(5, 'nonfinite-gradient')]", done.stderr

"""The gradient by time step of every recurrence in a model, from one ordinary backward."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from .passes import Hook, is_ordinary
from .recurrence import state_parts
from .time_gradients import TimeGradient, gradient_by_time, root_mean_square, without_graph

if TYPE_CHECKING:
    from typing_extensions import Self

FEWEST_CALLS = 3
"""Calls that make a recurrence of a hand-written cell."""


class TimeGradientProbe:
    r"""Takes the gradient by time step of every recurrence in a model, during one forward and backward.

    torch's own layers (`nn.RNN`, `nn.LSTM`, `nn.GRU`, packed, stacked, bidirectional, called once or step by step) are
    treated by `gradient_by_time`. Of hand-written ones the outputs of the module are looked at that is called at every
    step, `nn.LSTMCell` or one's own, or only the `nn.Linear` in it: a module whose output depends on its own output at
    the call before, three times in a row at least. A recurrence that calls no module with parameters is not seen.

    Hooks lie on the modules until `close`, or the end of the `with`. What the model computes is not changed. With
    dropout between layers the mask is drawn again with the forward's random numbers; on CUDA cuDNN draws its own, and
    the curve is that of another mask. Recomputed parts of a checkpoint are left out.

    Args:
        model: the model, or any part of it.

    Example:
        >>> model = torch.nn.GRU(3, 8)
        >>> with TimeGradientProbe(model) as probe:
        ...     output, _ = model(torch.randn(20, 4, 3))
        ...     output[-1].square().mean().backward()
        >>> [(curve.layer, tuple(curve.hidden.shape)) for curve in probe.gradients()]
        [('l0', (20,))]
        >>> curve = probe.gradients()[0].hidden
        >>> bool(curve[0] < curve[-1])  # torch's default initialisation: it vanishes
        True
    """

    def __init__(self, model: nn.Module) -> None:
        self._calls: dict[str, list[_Call]] = {}
        self._random: dict[str, Tensor | None] = {}
        self._handles: list[RemovableHandle] = []
        for path, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            if isinstance(module, nn.RNNBase):
                self._handles.append(module.register_forward_pre_hook(Hook(self._before, path)))
            if next(module.parameters(), None) is not None:
                self._handles.append(module.register_forward_hook(Hook(self._after, path), with_kwargs=True))

    def gradients(self) -> list[TimeGradient]:
        """A curve for each recurrence and each sequence it was given, in the order of the model's modules.

        To be read after the backward and before the optimizer's step. Of several backwards the last one counts.

        Raises:
            ValueError: weights of a recurrent layer have changed since the forward.
        """
        chains = {path: _chains(calls) for path, calls in self._calls.items()}
        cells = {
            path: [chain for chain in own if len(chain) >= FEWEST_CALLS]
            for path, own in chains.items()
            if not isinstance(own[0][0], _LayerCall)
        }
        layers = [path for path in chains if path not in cells]
        counts = {path: sum(map(len, own)) for path, own in cells.items() if own}
        curves: list[TimeGradient] = []
        for path, own in chains.items():
            if path not in cells:
                curves += [curve for chain in own for curve in _joined(path, chain)]
            elif path in counts and not (
                any(_inside(layer, path) for layer in layers)
                or any(_inside(path, other) and counts[other] >= counts[path] for other in counts)
                or any(_inside(other, path) and counts[other] > counts[path] for other in counts)
            ):
                curves += [_of_cell(path, chain) for chain in cells[path]]
        return curves

    def close(self) -> None:
        """Take every hook away; what was measured can still be read."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _before(self, path: str, module: nn.RNNBase, args: Any) -> None:
        draws = module.training and module.dropout and module.num_layers > 1
        self._random[path] = torch.get_rng_state() if draws else None

    def _after(self, path: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        tensors = [tensor for tensor in _tensors(output) if tensor.requires_grad]
        if not tensors or not is_ordinary():
            return
        calls = self._calls.setdefault(path, [])
        continues = bool(calls) and _depends(tensors, calls[-1].nodes)
        nodes = {tensor.grad_fn for tensor in tensors}
        if isinstance(module, nn.RNNBase):
            call = _LayerCall(continues, nodes, module, _bound(args, kwargs), self._random.pop(path, None))
            output, state = output
            call.packed = output if isinstance(output, PackedSequence) else None
            slots: dict[Any, Tensor] = {"output": output.data if isinstance(output, PackedSequence) else output}
            slots.update(enumerate(state_parts(state)))
        else:
            call = _Call(continues, nodes)
            slots = {"hidden": tensors[0]}
            if len(tensors) > 1:
                slots["cell"] = tensors[-1]
        for slot, tensor in slots.items():
            if tensor.requires_grad:
                tensor.register_hook(Hook(call.receive, slot))
        calls.append(call)


class _Call:
    """One call of a module, and the root mean squares of what has come back to its outputs."""

    def __init__(self, continues: bool, nodes: set[Any]) -> None:
        self.continues = continues
        self.nodes = nodes
        self.reached: dict[Any, Tensor] = {}

    def receive(self, slot: Any, grad: Tensor | None) -> None:
        if grad is not None:  # torch calls the hook of an unused one of several outputs too
            self.reached[slot] = self.kept(grad.detach())

    def kept(self, grad: Tensor) -> Tensor:
        return root_mean_square(grad.unsqueeze(0), None)


class _LayerCall(_Call):
    """One call of a recurrent layer of torch, and the gradients themselves."""

    packed: PackedSequence | None

    def __init__(
        self, continues: bool, nodes: set[Any], module: nn.RNNBase, bound: tuple[Any, Any], random: Tensor | None
    ) -> None:
        super().__init__(continues, nodes)
        self.module = module
        self.inputs, self.state = bound
        self.random = random
        # Those that this forward has used: a weight may be computed anew before each call (dropped, parametrised).
        self.weights = [weight for weight in module._flat_weights if weight is not None]
        self.versions = [weight._version for weight in self.weights]

    def kept(self, grad: Tensor) -> Tensor:
        return grad

    def curves(self, path: str) -> list[TimeGradient]:
        if [weight._version for weight in self.weights] != self.versions:
            raise ValueError(
                f"the weights of {path or 'the model'} have changed since the forward: "
                "read the gradients before the optimizer's step"
            )
        output = self.reached.get("output")
        if output is not None and self.packed is not None:
            output = self.packed._replace(data=output)
        parts = (self.reached.get(0), self.reached.get(1)) if self.module.mode == "LSTM" else (self.reached.get(0),)
        with torch.random.fork_rng(devices=[], enabled=self.random is not None):
            if self.random is not None:
                torch.set_rng_state(self.random)
            return gradient_by_time(
                self.module,
                self.inputs,
                self.state,
                grad_output=output,
                grad_state=parts,
                path=path,
                weights=self.weights,
                dropout=self.random is not None,
            )


def _chains(calls: Iterable[_Call]) -> list[list[_Call]]:
    """Calls, split where one does not go on from the one before."""
    chains: list[list[_Call]] = []
    for call in calls:
        if call.continues:
            chains[-1].append(call)
        else:
            chains.append([call])
    return chains


def _joined(path: str, chain: Sequence[Any]) -> list[TimeGradient]:
    """The curves of a layer's calls, each going on where the one before ended."""
    joined = []
    for pieces in zip(*(call.curves(path) for call in chain), strict=True):
        hidden = torch.cat([piece.hidden for piece in pieces])
        cell = None if pieces[0].cell is None else torch.cat([piece.cell for piece in pieces])
        joined.append(TimeGradient(path, pieces[0].layer, hidden, cell))
    return joined


def _of_cell(path: str, chain: Sequence[_Call]) -> TimeGradient:
    """The curve of a cell's calls; zero where no gradient has come back."""

    def values(slot: str) -> Tensor | None:
        some = next((call.reached[slot] for call in chain if slot in call.reached), None)
        return None if some is None else torch.cat([call.reached.get(slot, torch.zeros_like(some)) for call in chain])

    hidden = values("hidden")
    return TimeGradient(path, "", torch.zeros(len(chain)) if hidden is None else hidden, values("cell"))


def _depends(outputs: Iterable[Tensor], nodes: set[Any]) -> bool:
    """Whether the graph of tensors leads back to one of those nodes."""
    pending = deque(tensor.grad_fn for tensor in outputs)
    seen = set(pending)
    while pending:
        node = pending.popleft()
        if node in nodes:
            return True
        for further, _ in () if node is None else node.next_functions:
            if further is not None and further not in seen:
                seen.add(further)
                pending.append(further)
    return False


def _tensors(output: Any) -> Iterator[Tensor]:
    """The floating-point tensors of a module's output, in order."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from _tensors(part)
    elif isinstance(output, dict):
        for part in output.values():
            yield from _tensors(part)


def _bound(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments `input` and `hx` of a recurrent layer's call, without their graph."""
    inputs, state = (*args, *(kwargs[name] for name in ("input", "hx")[len(args) :] if name in kwargs), None)[:2]
    return without_graph(inputs), None if state is None else tuple(part.detach() for part in state_parts(state))


def _inside(path: str, outer: str) -> bool:
    return path != outer and (not outer or path.startswith(outer + "."))

"""What a forward pass does with its weights, in call order, read off the autograd graph."""

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence

from .calling import Call, find_call, tensors_in
from .undisturbed import undisturbed

PRODUCTS = re.compile(
    r"_?(Addmm|Addmv|Addbmm|Mm|Mv|Bmm|Baddbmm|Linear|Trilinear|\w*Convolution\w*|\w*Conv\dD?|Embedding\w*"
    r"|\w*Rnn\w*|ThnnFused\w*Cell)Backward"
)
"""Nodes that multiply by a weight, where one of their operands is made of parameters alone."""

NORMS = re.compile(
    r"_?(Native|Cudnn|Miopen|Fused)?(LayerNorm|BatchNorm|GroupNorm|InstanceNorm|R[Mm][Ss]Norm)\w*Backward"
)
"""Nodes whose output has a size of its own."""

ROOTS = re.compile(r"(Rsqrt|Sqrt|LinalgVectorNorm|Norm|Std|Var)Backward")
"""What a normalisation that is written out divides by."""

ACTIVATIONS = {
    "relu": r"Relu|Threshold|ClampMin|Hardtanh",
    "leaky_relu": r"LeakyRelu|RreluWithNoise|PreluKernel|Prelu",
    "elu": r"Elu",
    "gelu": r"Gelu",
    "silu": r"Silu|Hardswish|Mish",
    "softplus": r"Softplus",
    "tanh": r"Tanh|Softsign",
    "sigmoid": r"Sigmoid|Hardsigmoid",
    "softmax": r"\w*Softmax|ScaledDotProduct\w*",
}
_ACTIVATION = re.compile("|".join(f"(?P<{name}>_?(?:{pattern})Backward)" for name, pattern in ACTIVATIONS.items()))


@dataclass(eq=False)
class Operation:
    """A node of the graph through which data flows.

    Attributes:
        name: that of the autograd node, such as "AddmmBackward0".
        order: grows in the order of the calls.
        shape: that of its first output.
        inputs: the operations its data comes from; one that an operation uses twice stands here twice.
        users: the operations that use its output.
        weights: names of the parameters of two or more dimensions that it multiplies its data by.
        others: names of the further parameters among its operands: biases, scales, positions.
        node: the autograd node.
    """

    name: str
    order: int
    shape: tuple[int, ...]
    inputs: list["Operation"]
    weights: tuple[str, ...]
    others: tuple[str, ...]
    node: Any
    users: list["Operation"] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self.weights)})"

    @property
    def is_embedding(self) -> bool:
        """Whether it looks rows of its weight up."""
        return self.name.startswith("Embedding")

    @property
    def is_sum(self) -> bool:
        """Whether it adds two tensors of data."""
        return self.name.startswith("AddBackward") and len(self.inputs) > 1

    @property
    def is_gate(self) -> bool:
        """Whether it combines data with data, other than by adding or concatenating."""
        return len(self.inputs) > 1 and not self.is_sum and not self.name.startswith(("Cat", "Stack"))

    @property
    def is_norm(self) -> bool:
        """Whether its output has a size of its own: a norm layer, or one that is written out."""
        if NORMS.match(self.name):
            return True
        return self.name.startswith(("Mul", "Div")) and len(self.inputs) == 2 and any(map(_is_root, self.inputs))

    @property
    def activation(self) -> str | None:
        """Its name in `ACTIVATIONS`, if it is one."""
        found = _ACTIVATION.match(self.name)
        return found.lastgroup if found else None


def _is_root(operation: Operation) -> bool:
    for _ in range(6):
        if ROOTS.match(operation.name):
            return True
        if len(operation.inputs) != 1:
            return False
        operation = operation.inputs[0]
    return False


@dataclass
class ForwardGraph:
    """The operations of one forward pass in call order, and how the model was called.

    Attributes:
        operations: in call order.
        call: the way the model took its batch.
        output: what it returned, with its graph.
    """

    operations: list[Operation]
    call: Call
    output: Any

    def products(self) -> list[Operation]:
        """The operations that multiply by a weight, in call order."""
        return [operation for operation in self.operations if operation.weights]

    def ancestors(self, start: Operation, stop: Callable[[Operation], bool]) -> set[Operation]:
        """What `start` is made of, itself included, not going beyond operations at which `stop` is true."""
        return _reach(start, lambda operation: operation.inputs, stop)

    def descendants(self, start: Operation, stop: Callable[[Operation], bool]) -> set[Operation]:
        """What is made of `start`, itself included, not going beyond operations at which `stop` is true."""
        return _reach(start, lambda operation: operation.users, stop)

    def activations_after(self, product: Operation) -> set[str]:
        """What the output of a product meets first: activations, "norm", "gate" (other data), or "product"."""
        met: set[str] = set()
        waiting, seen = deque(product.users), set(product.users)
        while waiting:
            operation = waiting.popleft()
            kind = "norm" if operation.is_norm else operation.activation
            if kind is None and operation.is_gate:
                kind = "gate"
            if kind is None and operation.weights:
                kind = "product"
            if kind is not None:
                met.add(kind)
                continue
            new = [user for user in operation.users if user not in seen]
            seen.update(new)
            waiting.extend(new)
        return met


def _reach(
    start: Operation, neighbours: Callable[[Operation], list[Operation]], stop: Callable[[Operation], bool]
) -> set[Operation]:
    seen, waiting = {start}, [start]
    while waiting:
        operation = waiting.pop()
        if operation is not start and stop(operation):
            continue
        for each in neighbours(operation):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return seen


def forward_graph(model: nn.Module, batch: Any) -> ForwardGraph:
    """Run one forward pass and read off what it did; the model is left as it was.

    Frozen parameters count like the others, and floating inputs are followed. What runs without gradients inside the
    forward is not seen. Weights with which nothing finite is computed are seen like any other.

    Args:
        model: any module.
        batch: as of `call_model`.

    Raises:
        ValueError: the model does not take the batch, or its parameters are on the meta device.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> graph = forward_graph(model, torch.ones(5, 3))
        >>> [(product.weights, graph.activations_after(product)) for product in graph.products()]
        [(('0.weight',), {'relu'}), (('2.weight',), set())]
    """
    if any(param.is_meta for param in model.parameters()):
        raise ValueError(f"{type(model).__name__} has parameters on the meta device: give them memory with to_empty")
    with undisturbed(model), torch.no_grad():
        call, _ = find_call(model, batch)
    with undisturbed(model), torch.enable_grad(), _all_require_grad(model):
        followed = Call(_followed(call.args), _followed(call.kwargs), call.words)
        try:
            output = followed(model)
        except (RuntimeError, TypeError, ValueError):  # it wants plain inputs, to read them for instance
            output = call(model)
        names = {id(param): name for name, param in reversed(list(model.named_parameters()))}
        ranks = {name: param.ndim for name, param in model.named_parameters() if not is_lazy(param)}
        nodes = [tensor.grad_fn for tensor in tensors_in(output) if tensor.grad_fn is not None]
        return ForwardGraph(_operations(nodes, names, ranks), call, output)


@contextmanager
def _all_require_grad(model: nn.Module) -> Iterator[None]:
    frozen = [p for p in model.parameters() if not p.requires_grad and p.is_floating_point()]
    try:
        for param in frozen:
            param.requires_grad_(True)
        yield
    finally:
        for param in frozen:
            param.requires_grad_(False)


def _followed(value: Any) -> Any:
    """The same arguments with floating tensors that have a graph. No leaves: the forward may write into them."""
    if isinstance(value, Tensor):
        wanted = value.is_floating_point() and not value.is_inference() and value.layout == torch.strided
        return value.detach().requires_grad_().clone() if wanted else value
    if isinstance(value, PackedSequence):
        return value._replace(data=_followed(value.data))
    if type(value) in (tuple, list):
        return type(value)(_followed(item) for item in value)
    if type(value) is dict:
        return {key: _followed(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class _Made:
    """A value that is made of parameters alone."""

    names: tuple[str, ...]


def _operations(roots: list[Any], names: dict[int, str], ranks: dict[str, int]) -> list[Operation]:
    values: dict[Any, Operation | _Made] = {}
    for node in _inputs_first(roots):
        values[node] = _value(node, values, names, ranks)
    operations = [value for value in values.values() if isinstance(value, Operation)]
    operations.sort(key=lambda operation: operation.order)
    for operation in operations:
        for each in operation.inputs:
            each.users.append(operation)
    return operations


def _value(
    node: Any, values: dict[Any, Operation | _Made], names: dict[int, str], ranks: dict[str, int]
) -> Operation | _Made:
    variable = getattr(node, "variable", None)
    if variable is not None:
        name = names.get(id(variable))
        return (
            _Made((name,)) if name is not None else Operation(node.name(), -1, tuple(variable.shape), [], (), (), node)
        )
    operands = [None if each is None else values[each] for each, _ in node.next_functions]
    data = [each for each in operands if isinstance(each, Operation)]
    made = tuple(dict.fromkeys(name for each in operands if isinstance(each, _Made) for name in each.names))
    product = PRODUCTS.match(node.name()) is not None
    # A matrix times a matrix of parameters is one (a low-rank weight), unless the other is data that has no gradient.
    # A parametrisation multiplies its parameters by buffers (spectral norm): still a weight.
    plain = product and (None in operands or node.name().startswith("Embedding")) and not all(map(_computes, made))
    if not data and made and not plain:
        return _Made(made)
    weights = tuple(name for name in made if ranks[name] > 1) if product else ()
    others = tuple(name for name in made if name not in weights)
    metadata = getattr(node, "_input_metadata", None)
    shape = tuple(metadata[0].shape) if metadata else ()
    return Operation(node.name(), node._sequence_nr(), shape, data, weights, others, node)


def _computes(name: str) -> bool:
    """Whether a weight is computed of this parameter."""
    return ".parametrizations." in name or name.startswith("parametrizations.") or name.endswith("_orig")


def _inputs_first(roots: list[Any]) -> Iterator[Any]:
    """The nodes below some, each after those it leads to. (The graph is too deep to recurse.)"""
    seen: set[Any] = set()
    waiting = [(node, False) for node in roots]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting.extend((each, False) for each, _ in node.next_functions if each is not None and each not in seen)

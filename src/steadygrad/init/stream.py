"""How large tensors between the weights will be, before anything is drawn: known from what each weight is to give."""

import math
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from .._readback import read_tensor_scalar
from ..measure.forward_graph import ForwardGraph, Operation
from .weight_products import root_mean_square

AFTER = {"relu": 0.71, "leaky_relu": 0.71, "gelu": 0.65, "silu": 0.6, "tanh": 0.63, "sigmoid": 0.54, "elu": 0.8}
"""Root mean square of an activation of a standard normal."""

Sizes = dict[Operation, float]


def stream_sizes(
    graph: ForwardGraph, params: Mapping[str, nn.Parameter], target: Callable[[Operation, Sizes], float]
) -> Sizes:
    """The expected root mean square of each operation's output.

    Args:
        graph: the model's.
        params: its parameters by name, for those that are added.
        target: what a product is to give, asked in call order with the sizes up to there.
    """
    sizes: Sizes = {}
    for operation in graph.operations:
        sizes[operation] = _size(operation, sizes, params, target)
    return sizes


def _size(
    operation: Operation, sizes: Sizes, params: Mapping[str, nn.Parameter], target: Callable[[Operation, Sizes], float]
) -> float:
    inputs = [sizes.get(each, 1.0) for each in operation.inputs]
    if operation.weights:
        wanted = target(operation, sizes)
        return 0.5 if "Rnn" in operation.name else wanted
    if operation.is_norm or not inputs:
        return 1.0
    if operation.name.startswith("Add"):
        added = [root_mean_square(params[name]) for name in operation.others if params[name].ndim > 1]
        return math.sqrt(sum(size * size for size in [*inputs, *added]))
    if operation.activation:
        return AFTER.get(operation.activation, 1.0) * min(1.0, inputs[0])
    if operation.name.startswith("Mul") and len(inputs) == 1:
        factor = getattr(operation.node, "_saved_other", None)
        if isinstance(factor, Tensor) and factor.numel() == 1:
            return inputs[0] * abs(read_tensor_scalar(factor) or 0.0)
    return inputs[0]

"""Xavier's and He's rules over a whole model, each layer by the activation that really follows it."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..measure.forward_graph import ForwardGraph, Operation, forward_graph
from .draws import draw_orthogonal_, drawn_like, is_computed_from
from .record import InitRecord
from .recurrent_weights import recurrent_weights

HE_GAIN = {
    "relu": math.sqrt(2),
    "gelu": 1.53,
    "silu": 1.68,
    "elu": 1.24,
    "tanh": 1.59,
    "softplus": 1.05,
    "sigmoid": 1.85,
}
r"""What keeps the second moment: :math:`1/\sqrt{E[\phi(z)^2]}` of a standard normal z."""


def xavier_(model: nn.Module, batch: Any, *, generator: torch.Generator | None = None) -> InitRecord:
    r"""Draw every weight by Glorot and Bengio's rule, by torch's `xavier_normal_`.

    .. math:: W \sim N\left(0, g^2 \frac{2}{n_{in} + n_{out}}\right)

    The gain g is torch's `calculate_gain` for the activation that follows in a real forward, 1 where none does. Fans
    are those of the multiplication that is carried out: a weight stored as (in, out) and a transposed convolution count
    right. Biases of the layers become zero; recurrent weights orthogonal; embeddings, norms, frozen, parametrised and
    zero weights are left alone. Best for tanh, and for attention.

    Args:
        model: any module.
        batch: as of `measure.call_model`.
        generator: for the draws.

    Returns:
        What was done.

    Raises:
        ValueError: the model does not take the batch.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        >>> print(xavier_(model, torch.ones(5, 3)))
        xavier: 0.weight: gain 1.67 for tanh
        zero: 0.bias, 2.bias: nothing is added at the start
        xavier: 2.weight: gain 1

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """

    def draw(weight: Tensor, activation: str) -> float:
        known = {"relu": "relu", "leaky_relu": "leaky_relu", "tanh": "tanh", "gelu": "relu", "silu": "relu"}
        gain = nn.init.calculate_gain(known[activation]) if activation in known else 1.0  # pyright: ignore
        nn.init.xavier_normal_(weight, gain, generator)
        return gain

    return _draw_all(model, batch, "xavier", draw, generator)


def he_(
    model: nn.Module,
    batch: Any,
    *,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    generator: torch.Generator | None = None,
) -> InitRecord:
    r"""Draw every weight by He's rule.

    .. math:: W \sim N\left(0, \frac{g^2}{n_{in}}\right)

    The gain g keeps the second moment through the activation that follows in a real forward: :math:`\sqrt 2` for ReLU.
    What is left alone, and how fans count: as of `xavier_`. Best for ReLU and its relatives without normalisation.

    Args:
        model: any module.
        batch: as of `measure.call_model`.
        mode: "fan_in" keeps the size of the signal, "fan_out" that of the gradient.
        generator: for the draws.

    Returns:
        What was done.

    Raises:
        ValueError: the model does not take the batch, or `mode` is none of the two.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> record = he_(model, torch.ones(5, 3))
        >>> record.where("he")
        ['0.weight', '2.weight']

    References:
        He et al., "Delving deep into rectifiers", 2015.
    """
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is {mode!r}, expected one of fan_in, fan_out")

    def draw(weight: Tensor, activation: str) -> float:
        gain = HE_GAIN.get(activation, math.sqrt(2 / (1 + 0.01**2)) if activation == "leaky_relu" else 1.0)
        receptive = math.prod(weight.shape[2:])
        fan = (weight.shape[1] if mode == "fan_in" else weight.shape[0]) * receptive
        weight.normal_(0.0, gain / math.sqrt(fan), generator=generator)
        return gain

    return _draw_all(model, batch, "he", draw, generator)


def activation_after(graph: ForwardGraph, product: Operation) -> str:
    """The one activation that follows a product; "" if there is none or it is not clear."""
    met = graph.activations_after(product) - {"product", "gate"}
    return met.pop() if len(met) == 1 else ""


def as_out_in(weight: Tensor, product: Operation) -> tuple[Tensor, float]:
    """A weight seen as (out, in, ...), and by what a draw is to be multiplied for strides.

    A transposed convolution of stride s reaches each output by one of s taps only.
    """
    if "onvolution" in product.name and getattr(product.node, "_saved_transposed", False):
        return weight.transpose(0, 1), math.sqrt(math.prod(product.node._saved_stride))
    transposed = weight.ndim == 2 and product.shape[-1:] == weight.shape[1:] and weight.shape[0] != weight.shape[1]
    return (weight.t() if transposed and "onvolution" not in product.name else weight), 1.0


def biases_of(graph: ForwardGraph, product: Operation, params: dict[str, nn.Parameter]) -> list[str]:
    """Names of the biases that are added to a product, in the same operation or right after it."""
    names = [name for name in product.others if params[name].ndim == 1]
    operation = product
    while len(operation.users) == 1:
        operation = operation.users[0]
        if operation.name.startswith("AddBackward") and len(operation.inputs) == 1:
            return names + [name for name in operation.others if params[name].ndim == 1]
        if operation.weights or operation.activation or operation.is_norm or operation.is_gate:
            break
    return names


def _draw_all(model: nn.Module, batch: Any, what: str, draw: Any, generator: torch.Generator | None) -> InitRecord:
    graph = forward_graph(model, batch)
    params = dict(model.named_parameters())
    recurrent = recurrent_weights(graph)
    record = InitRecord()
    done: set[str] = set()
    with torch.no_grad():
        for product in graph.products():
            for name in product.weights:
                param = params[name]
                if name in done or not param.requires_grad or product.is_embedding or is_computed_from(model, name):
                    continue
                done.add(name)
                if not bool((param != 0).any()):
                    record.add("left alone", name, "zero by design")
                    continue
                if name in recurrent:
                    for gate in param.split(min(param.shape), int(param.shape[0] < param.shape[1])):
                        draw_orthogonal_(gate, generator)
                    record.add("orthogonal", name, "recurrent")
                    continue
                seen, factor = as_out_in(param, product)
                fresh = drawn_like(seen, generator)
                activation = activation_after(graph, product)
                gain = draw(fresh, activation)
                seen.copy_((fresh * factor).to(seen.device))
                record.add(what, name, f"gain {gain:.3g}" + (f" for {activation}" if activation in HE_GAIN else ""))
            for name in biases_of(graph, product, params):
                if name not in done and params[name].requires_grad and not product.name.startswith("Mkldnn"):
                    done.add(name)
                    params[name].zero_()
                    record.add("zero", name, "nothing is added at the start")
    return record

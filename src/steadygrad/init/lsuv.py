"""Layer-sequential unit variance: each weight scaled so that what it gives has unit size, on real data."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .._readback import any_nonfinite, read_tensor_scalar
from ..measure.calling import Call
from ..measure.forward_graph import ForwardGraph, forward_graph
from ..measure.undisturbed import undisturbed
from .draws import draw_orthogonal_, is_computed_from
from .record import InitRecord
from .recurrent_weights import recurrent_weights
from .weight_products import Product, WeightProducts

MOST_PASSES = 4
"""Passes that scale; one is enough where each weight is used once and is no copy."""

FIXED = "its parametrisation fixes its scale"


def lsuv_(
    model: nn.Module,
    batch: Any,
    *,
    target: float = 1.0,
    tolerance: float = 0.05,
    orthogonal: bool = True,
    generator: torch.Generator | None = None,
) -> InitRecord:
    r"""Make what every weight gives have the same root mean square, weight after weight in the order of a real forward.

    .. math:: W_l \leftarrow W_l \cdot \frac{\sigma}{\sqrt{\operatorname{mean}((W_l x_l)^2)}}

    where :math:`x_l` is what the layers before, already scaled, give for the batch. It takes three passes: one to learn
    the order, one in which each weight is scaled at its first use and the pass goes on with the scaled result, one to
    verify. A weight that is used several times (a reused layer, tied weights) is scaled once, at its first use.
    Biases are not counted and are left alone: with zero biases the output is at the target, with others off by them.
    The mean square is taken, not the variance: a narrow layer with a large mean is not blown up by its small spread.

    Scaled is whatever multiplies by a parameter: Linear, Conv, ConvTranspose, Bilinear, Embedding, attention's
    projections, a layer of your own; of recurrent modules the input weights. Left alone and told: recurrent weights
    (see `orthogonal_recurrent_`), weights that give zero, frozen ones, those whose parametrisation fixes their scale
    (spectral norm). The model is left as it was: modes, buffers, random state, hooks, dtypes.

    Args:
        model: any module, parameters of any floating dtype.
        batch: as of `measure.call_model`; some 100 samples are plenty.
        target: :math:`\sigma`.
        tolerance: relative deviation from the target that is let stand.
        orthogonal: draw the weights anew first, as the paper does (torch's `orthogonal_`); embeddings, recurrent
            modules, parametrised and zero weights are not drawn. False for weights that are to keep their directions.
        generator: for the draws.

    Returns:
        What was done; `factors` says by what each weight was multiplied.

    Raises:
        ValueError: the model does not take the batch, or `target` or `tolerance` is not positive.

    Example:
        >>> model = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 50))
        >>> record = lsuv_(model, torch.randn(64, 20), generator=torch.Generator().manual_seed(0))
        >>> sorted(record.factors)
        ['0.weight', '2.weight']

    References:
        Mishkin and Matas, "All you need is a good init", 2016.
    """
    for name, value in (("target", target), ("tolerance", tolerance)):
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} is {value!r}, expected a positive number")
    graph = forward_graph(model, batch)
    record = InitRecord()
    params = dict(model.named_parameters())
    left = _left_alone(graph, params, record)
    if orthogonal:
        for name in dict.fromkeys(name for product in graph.products() for name in product.weights):
            if name not in left and _drawable(model, name, graph):
                draw_orthogonal_(params[name], generator)
                record.add("orthogonal", name, "no direction is stretched more than another")
    scale_in_call_order_(model, graph.call, lambda name: target, left, record, tolerance)
    return record


def scale_in_call_order_(
    model: nn.Module,
    call: Call,
    target: Callable[[str], float],
    left: Collection[str],
    record: InitRecord,
    tolerance: float,
) -> None:
    """Scale each weight to its target in the order of use, and verify.

    Args:
        model: any module.
        call: how it takes its batch.
        target: the root mean square that a weight, by the parameter's name, is to give.
        left: names of the parameters that are left alone.
        record: takes what was done.
        tolerance: relative deviation that is let stand.
    """
    factors: dict[str, float] = {}
    dead: dict[str, str] = {}
    changed: list[str] = []

    def decide(product: Product) -> float:
        name = product.name
        if dead.get(name) == FIXED:
            return 1.0
        if product.rms == 0.0 or not math.isfinite(product.rms):
            dead[name] = (
                "it gives zero: no factor changes that" if product.rms == 0.0 else "what comes in is not finite"
            )
            return 1.0
        dead.pop(name, None)
        factor = target(product.param) / product.rms
        if abs(1.0 - factor) <= tolerance:
            return 1.0
        changed.append(name)
        factors[name] = factors.get(name, 1.0) * factor
        return factor

    def refuse(name: str) -> None:
        dead[name] = FIXED
        changed.remove(name)
        del factors[name]

    for _ in range(MOST_PASSES):
        changed.clear()
        with undisturbed(model), WeightProducts(model, decide, refuse, left).active():
            call(model)
        if not changed:
            break
    for name, factor in factors.items():
        record.add("scale", name, "what it gives has the wanted size", factor)
    for name, why in dead.items():
        record.add("left alone", name, why)


def _left_alone(graph: ForwardGraph, params: Mapping[str, nn.Parameter], record: InitRecord) -> set[str]:
    left = recurrent_weights(graph)
    for name in left:
        record.add("left alone", name, "recurrent: its size over time is what counts")
    for name, param in params.items():
        if not param.requires_grad:
            left.add(name)
            if param.ndim > 1:
                record.add("left alone", name, "frozen")
        elif param.ndim > 1 and not is_lazy(param) and any_nonfinite([param]):
            left.add(name)
            record.add("left alone", name, "it is not finite: draw it anew")
    return left


def _drawable(model: nn.Module, name: str, graph: ForwardGraph) -> bool:
    owner = model.get_submodule(name.rpartition(".")[0])
    if isinstance(owner, (nn.RNNBase, nn.RNNCellBase)) or is_computed_from(model, name):
        return False
    if any(product.is_embedding for product in graph.products() if name in product.weights):
        return False
    weight = owner.get_parameter(name.rpartition(".")[2])
    return bool(read_tensor_scalar(weight.detach().abs().amax()))

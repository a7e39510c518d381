"""Layers that are trained as others, in a checkpoint: their moments are of no use without them."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from .first_layer import Standardised
from .last_layer import Predicting
from .reparametrised import Kept, Layer, Reparametrisation, Scaled
from .wide_weights import Rounded

KINDS: dict[str, type[Layer]] = {each.__name__: each for each in (Standardised, Predicting, Scaled, Rounded)}


def state_of(intervention: Reparametrisation, params: Sequence[Tensor]) -> dict[str, Any]:
    """Its layers, by the places of their tensors among an optimizer's parameters.

    Args:
        intervention: has begun to train them so.
        params: the parameters, as the optimizer has them.
    """
    places = {id(param): place for place, param in enumerate(params)}
    layers = [
        {"kind": type(each).__name__, "tensors": [places[id(tensor)] for tensor in each.tensors], **each.kept()}
        for each in intervention.layers
        if all(id(tensor) in places for tensor in each.tensors)
    ]
    return {"share": intervention.share, "layers": layers}


def kept_of(state: Mapping[str, Any], params: Sequence[Tensor]) -> Kept:
    """What `state_of` has told of, for the same parameters after a restart.

    Args:
        state: its result.
        params: the parameters.

    Raises:
        IndexError: there are fewer of them.
        KeyError: a kind of layers of a later version.
    """
    layers = [KINDS[each["kind"]].again([params[place] for place in each["tensors"]], each) for each in state["layers"]]
    return Kept(layers, share=float(state["share"]))

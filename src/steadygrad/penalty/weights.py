"""Which weights a penalty is for, and the matrices that they are."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from .._foreach import REDUCED

Source = nn.Module | Tensor | Iterable[Tensor]
"""A module, of which a penalty takes the weights it is meant for, or the tensors themselves."""

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}

NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def weights_of(source: Source) -> list[Tensor]:
    """Of a module the trainable parameters of two or more dimensions, each once; else the tensors as they are given.

    Example:
        >>> [tuple(weight.shape) for weight in weights_of(torch.nn.Linear(3, 2))]
        [(2, 3)]
    """
    if isinstance(source, nn.Module):
        return [param for param in source.parameters() if param.ndim >= 2 and param.requires_grad]
    return [source] if isinstance(source, Tensor) else list(source)


def matrices_of(source: Source) -> list[Tensor]:
    """The linear maps in a source, each a batch of matrices [count, out, in], float32 at least.

    Of a module: linear layers, convolutions (kernels flattened, a matrix a group), recurrent layers (a matrix a gate),
    attention (query, key, value), and two-dimensional parameters of any other module. Not embeddings, what is tied to
    one, and normalisation.

    Raises:
        ValueError: a tensor that was given has fewer than two dimensions.

    Example:
        >>> [tuple(batch.shape) for batch in matrices_of(torch.nn.LSTM(3, 5))]
        [(4, 5, 3), (4, 5, 5)]
    """
    if isinstance(source, nn.Module):
        found = list(_maps(source))
    else:
        tensors = [source] if isinstance(source, Tensor) else list(source)
        if flat := [tuple(tensor.shape) for tensor in tensors if tensor.ndim < 2]:
            raise ValueError(f"a tensor of shape {flat[0]} is no matrix: give weights of two or more dimensions")
        found = [tensor.flatten(1).unsqueeze(0) for tensor in tensors]
    return [wide(batch) for batch in found]


def owners(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Parameter]]:
    """Every parameter with each module that holds it itself; a shared one several times."""
    for module in model.modules():
        for name, param in module.named_parameters(recurse=False):
            yield module, name, param


def embedded(model: nn.Module) -> set[nn.Parameter]:
    """The weights of embeddings."""
    return {param for module, _, param in owners(model) if isinstance(module, EMBEDDINGS)}


def wide(tensor: Tensor) -> Tensor:
    """In float32 where it is of reduced precision: nothing is to be summed up in less."""
    return tensor.float() if tensor.dtype in REDUCED else tensor


def total(terms: list[Tensor]) -> Tensor:
    """The sum of 0-d terms, on the device of the first; 0 of none."""
    if not terms:
        return torch.zeros(())
    return torch.stack([term.to(terms[0].device) for term in terms]).sum()


def _maps(model: nn.Module) -> Iterator[Tensor]:
    seen = embedded(model)
    for module, name, param in owners(model):
        if param in seen or not param.requires_grad or isinstance(module, NORMS):
            continue
        count = 1
        if isinstance(module, _ConvNd):
            count = module.groups
        elif isinstance(module, nn.RNNBase) and not name.startswith("weight_hr"):
            count = GATES.get(module.mode, 1)
        elif isinstance(module, nn.RNNCellBase) and param.ndim == 2:
            count = param.shape[0] // module.hidden_size
        elif isinstance(module, nn.MultiheadAttention) and name == "in_proj_weight":
            count = 3
        elif param.ndim != 2:
            continue
        if param.ndim >= 2:
            seen.add(param)
            yield param.reshape(count, param.shape[0] // count, -1)

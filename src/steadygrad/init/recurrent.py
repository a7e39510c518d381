"""Recurrent weights and gates: a state that neither explodes nor fades over time."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..measure.forward_graph import forward_graph
from .draws import draw_normal_, drawn_like
from .record import InitRecord
from .recurrent_weights import recurrent_weights, state_columns

Recurrent = nn.Module | Tensor | Iterable[Tensor]
"""A model or module, a weight, or several weights."""


def orthogonal_recurrent_(
    target: Recurrent,
    *,
    gain: float = 1.0,
    nearest: bool = False,
    batch: Any = None,
    generator: torch.Generator | None = None,
) -> InitRecord:
    r"""Draw recurrent weights as orthogonal matrices, each gate by itself, so that all eigenvalues have size `gain`.

    With `nearest` nothing is drawn: each gate becomes the orthogonal matrix that lies nearest to it, the polar factor
    :math:`U V^T` of :math:`W = U S V^T`. What was meant by the weights stays; only their sizes go.

    Args:
        target: a model or module, whose `nn.RNN`, `nn.LSTM`, `nn.GRU` and their cells are treated (bidirectional,
            stacked, with projections); or recurrent weights themselves, (H, H), gates stacked (kH, H) or side by side
            (H, kH), or one a slice (k, H, H).
        gain: the spectral radius. 1 for tanh and for gates; a ReLU halves what comes back, see `identity_recurrent_`.
        nearest: take the nearest orthogonal matrix in place of a draw.
        batch: as of `measure.call_model`. With it the recurrent weights of hand-written cells are found: those
            that multiply what they made a step before, at least three steps.
        generator: for the draws.

    Returns:
        What was done.

    Raises:
        ValueError: there is nothing recurrent in the module, or a weight has no square part.

    Example:
        >>> lstm = nn.LSTM(3, 4)
        >>> record = orthogonal_recurrent_(lstm)
        >>> gate = lstm.weight_hh_l0[:4]
        >>> torch.allclose(gate @ gate.T, torch.eye(4), atol=1e-6)
        True
        >>> weight = 3.5 * torch.eye(2)
        >>> record = orthogonal_recurrent_(weight, nearest=True)
        >>> weight.tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    References:
        Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014.
        Higham, "Computing the polar decomposition, with applications", 1986.
    """
    why = "the state keeps its size from step to step"

    def draw(block: Tensor) -> None:
        if nearest:
            left, _, right = torch.linalg.svd(block.double(), full_matrices=False)
            block.copy_((gain * left @ right).to(block.dtype))
            return
        block.copy_(nn.init.orthogonal_(drawn_like(block, generator), gain, generator).to(block.device))

    return _over_blocks(target, batch, draw, "orthogonal", why)


def identity_recurrent_(
    target: Recurrent, *, gain: float = 1.0, input_std: float | None = 0.001, batch: Any = None,
    generator: torch.Generator | None = None,
) -> InitRecord:  # fmt: skip
    r"""Set recurrent weights to the identity and their biases to zero: with ReLU this is the IRNN.

    .. math:: h_t = \max(0,\, W x_t + I h_{t-1}), \quad W \sim N(0, \text{input\_std}^2)

    Args:
        target: as of `orthogonal_recurrent_`.
        gain: what the identity is multiplied by; below 1 forgets.
        input_std: standard deviation of the input weights of torch's modules (the paper's is 0.001: the state adds up
            what comes in); None leaves them alone.
        batch: as of `orthogonal_recurrent_`.
        generator: for the draws.

    Returns:
        What was done.

    Raises:
        ValueError: as of `orthogonal_recurrent_`.

    Example:
        >>> rnn = nn.RNN(3, 2, nonlinearity="relu")
        >>> record = identity_recurrent_(rnn)
        >>> rnn.weight_hh_l0.tolist(), rnn.bias_hh_l0.tolist()
        ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])

    References:
        Le et al., "A simple way to initialize recurrent networks of rectified linear units", 2015.
    """

    def draw(block: Tensor) -> None:
        nn.init.eye_(block).mul_(gain)

    record = _over_blocks(target, batch, draw, "identity", "a ReLU state is carried on as it is")
    if isinstance(target, nn.Module):
        with torch.no_grad():
            for path, module in recurrent_modules(target):
                for name, param in module.named_parameters(recurse=False):
                    if name.startswith("bias"):
                        param.zero_()
                        record.add("zero", path + name, "nothing is added at each step")
                    elif name.startswith("weight_ih") and input_std is not None:
                        draw_normal_(param, input_std, generator)
                        record.add("normal", path + name, f"small, standard deviation {input_std:g}: the state adds up")
    return record


def chrono_(
    target: nn.Module | Tensor,
    longest: int,
    *,
    input_bias: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> InitRecord:
    r"""Set gate biases so that units remember over times of all scales up to the longest dependency.

    .. math:: b_f \sim \log U(1, T - 1), \qquad b_i = -b_f

    torch's LSTM has two biases and gates in the order i, f, g, o: `bias_ih` gets the values, the same part of `bias_hh`
    zero. A GRU's update gate z keeps the state where it is open: it gets :math:`b_f`.

    Args:
        target: a model or module with LSTMs or GRUs; or, for a cell of your own, the part of its bias that opens the
            forget gate, a 1-d tensor (a slice of a parameter does).
        longest: T, the longest dependency in time steps, at least 3; the length of the sequences is an upper bound.
        input_bias: with a tensor as target, the part that opens the input gate.
        generator: for the draws.

    Returns:
        What was done.

    Raises:
        ValueError: `longest` is too small, or there are no gates with biases.

    Example:
        >>> lstm = nn.LSTM(3, 4)
        >>> record = chrono_(lstm, 100)
        >>> bool((lstm.bias_ih_l0[4:8] > 0).all()), torch.equal(lstm.bias_ih_l0[:4], -lstm.bias_ih_l0[4:8])
        (True, True)

    References:
        Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018.
    """
    if not isinstance(longest, int) or longest < 3:
        raise ValueError(f"longest is {longest!r}, expected a whole number of at least 3 time steps")
    why = f"units remember from 1 to {longest} steps"

    def draw(forget: Tensor, come_in: Tensor | None) -> None:
        values = drawn_like(forget, generator).uniform_(1.0, longest - 1.0, generator=generator).log_()
        forget.copy_(values.to(forget.device))
        if come_in is not None:
            come_in.copy_(-values.to(come_in.device))

    return _over_gates(target, input_bias, draw, "chrono", why)


def forget_bias_(target: nn.Module | Tensor, value: float = 1.0) -> InitRecord:
    """Open the forget gates of LSTMs, or the update gates of GRUs, at the start.

    torch's modules have two biases that are added: `bias_ih` gets the value, the same part of `bias_hh` zero.

    Args:
        target: as of `chrono_`.
        value: the bias; 1 keeps 73 % of the state at each step, 0 half of it.

    Returns:
        What was done.

    Raises:
        ValueError: there are no gates with biases.

    Example:
        >>> cell = nn.LSTMCell(3, 2)
        >>> record = forget_bias_(cell)
        >>> (cell.bias_ih + cell.bias_hh)[2:4].tolist()
        [1.0, 1.0]

    References:
        Jozefowicz et al., "An empirical exploration of recurrent network architectures", 2015.
    """
    why = f"{100 / (1 + math.exp(-value)):.0f} % of the state is kept at each step"
    return _over_gates(target, None, lambda forget, come_in: forget.fill_(value), "forget bias", why)


def recurrent_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """torch's recurrent modules in a model, each with the prefix of its parameters' names."""
    for path, module in model.named_modules():
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
            yield (f"{path}." if path else ""), module


def recurrent_blocks(weight: Tensor, columns: slice | None = None) -> list[Tensor]:
    """The parts of a recurrent weight, each of which maps a state to a gate, as views.

    Args:
        weight: (H, H), (kH, H), (H, kH), (k, H, H).
        columns: of a weight on the state beside the input, (kH, D + H), the columns that multiply the state.

    Raises:
        ValueError: it has none of these shapes.

    Example:
        >>> [block.shape for block in recurrent_blocks(torch.zeros(8, 4))]
        [torch.Size([4, 4]), torch.Size([4, 4])]
    """
    if weight.ndim == 3 and weight.shape[1] == weight.shape[2]:
        return list(weight.unbind(0))
    if weight.ndim == 2:
        if columns is not None:
            weight = weight[:, columns]
        rows, width = weight.shape
        if rows % width == 0:
            return list(weight.split(width, 0))
        if width % rows == 0:
            return list(weight.split(rows, 1))
    raise ValueError(f"a recurrent weight of shape {tuple(weight.shape)} has no square part: pass a slice that has")


def _over_blocks(
    target: Recurrent, batch: Any, draw: Callable[[Tensor], None], what: str, why: str
) -> InitRecord:  # fmt: skip
    record = InitRecord()
    with torch.no_grad():
        for name, blocks in _all_blocks(target, batch):
            for block in blocks:
                draw(block)
            record.add(what, name, why)
    return record


def _all_blocks(target: Recurrent, batch: Any) -> list[tuple[str, list[Tensor]]]:
    if isinstance(target, Tensor):
        return [("weight", recurrent_blocks(target.detach()))]
    if not isinstance(target, nn.Module):
        return [(f"weight {place}", recurrent_blocks(weight.detach())) for place, weight in enumerate(target)]
    found: dict[str, list[Tensor]] = {}
    for prefix, module in recurrent_modules(target):
        for name, param in module.named_parameters(recurse=False):
            if name.startswith("weight_hh"):
                gates = param.shape[0] // int(module.hidden_size)  # pyright: ignore
                found[prefix + name] = list(param.detach().chunk(gates, 0))
    if batch is not None:
        graph = forward_graph(target, batch)
        params = dict(target.named_parameters())
        columns = state_columns(graph)
        for name in sorted(recurrent_weights(graph) - found.keys()):
            if not name.rpartition(".")[2].startswith("weight_hr"):
                found[name] = recurrent_blocks(params[name].detach(), columns.get(name))
    if not found:
        more = "" if batch is not None else "; pass the batch to find those of hand-written cells, or the weights"
        raise ValueError(f"{type(target).__name__} has no recurrent weights of torch's modules{more}")
    return list(found.items())


_GATES = {nn.LSTM: (4, 1, 0), nn.LSTMCell: (4, 1, 0), nn.GRU: (3, 1, None), nn.GRUCell: (3, 1, None)}
"""How many gates, which of them keeps the state, which lets the input in."""


def _over_gates(
    target: nn.Module | Tensor,
    input_bias: Tensor | None,
    draw: Callable[[Tensor, Tensor | None], Any],
    what: str,
    why: str,
) -> InitRecord:
    record = InitRecord()
    with torch.no_grad():
        if isinstance(target, Tensor):
            draw(target.detach(), None if input_bias is None else input_bias.detach())
            record.add(what, "bias", why)
            return record
        for prefix, module in recurrent_modules(target):
            kind = next((kind for kind in _GATES if isinstance(module, kind)), None)
            if kind is None:
                continue
            count, keep, come_in = _GATES[kind]
            for name, param in module.named_parameters(recurse=False):
                if not name.startswith("bias"):
                    continue
                gates = param.detach().chunk(count)
                entrance = None if come_in is None else gates[come_in]
                if name.startswith("bias_ih"):
                    draw(gates[keep], entrance)
                    record.add(what, prefix + name, why)
                else:
                    gates[keep].zero_()
                    if entrance is not None and what == "chrono":
                        entrance.zero_()
    if not record.steps:
        raise ValueError(f"{type(target).__name__} has no LSTM or GRU with biases; pass the part of the bias")
    return record

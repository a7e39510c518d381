"""What the Jacobians of a recurrence do to a perturbation: Lyapunov exponents, spectral radius."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .._foreach import REDUCED
from .directions import generic_directions
from .recurrence import Step, recurrent_layers, state_parts

Recurrence = nn.RNNBase | nn.RNNCellBase | Step
"""A recurrent module or cell of torch, or a function `step(state, input) -> state`."""


def lyapunov_exponents(
    net: Recurrence,
    inputs: Any,
    state: Any = None,
    *,
    k: int | None = None,
    warmup: int | None = None,
    layer: int = 0,
    direction: int = 0,
) -> Tensor:
    r"""The leading Lyapunov exponents of a recurrence: how fast perturbations of its state grow, in nats a time step.

    .. math:: Q_t R_t = J_t Q_{t-1}, \quad J_t = \partial h_t / \partial h_{t-1}, \quad
        \lambda_i = \frac{1}{T - w} \sum_{t > w} \log |R_{t,ii}|

    The gradient takes the same way back: above 0 it explodes with time, far below 0 it vanishes, by :math:`e^{\lambda}`
    a step. The mean is over the batch too. A step costs k products with its Jacobian and a QR decomposition, and all of
    it is differentiable. Values are not read to the host.

    Args:
        net: `nn.RNN`, `nn.LSTM`, `nn.GRU`; `nn.RNNCell`, `nn.LSTMCell`, `nn.GRUCell`; or `step(state, input) -> state`,
            whose state is a tensor [batch, ...] or a tuple of such. The samples of a batch must not influence each
            other. The exponents of an LSTM are those of hidden and cell state together.
        inputs: of a module what it takes (a packed sequence too); else what `step` is given at each time, a tensor
            [time, batch, ...] or a list.
        state: the initial state, as the module or step takes it; zeros if None, which a `step` does not allow.
        k: how many exponents, of a smaller state all of them; all of them if None.
        warmup: steps w at the beginning that only turn the directions towards the fastest growing ones; a quarter of
            them all if None.
        layer: of a module with several layers, the one to look at; its inputs are made by those below.
        direction: 1 for the reverse direction of a bidirectional module.

    Returns:
        The exponents [k], float32 (float64 for float64), the largest first but for finite time. -inf where the
        Jacobian is singular in that direction; NaN where the state is not finite or nothing is left after `warmup`.

    Raises:
        ValueError: there is no such layer, no state for a step, `k` is less than 1, or `warmup` leaves no step.

    Example:
        >>> weight = torch.tensor([[2.0, 1.0], [0.0, 0.5]])
        >>> exponents = lyapunov_exponents(lambda state, _: state @ weight.T, [None] * 100, torch.zeros(1, 2))
        >>> [round(exponent, 3) for exponent in exponents.tolist()], round(torch.tensor(2.0).log().item(), 3)
        ([0.693, -0.693], 0.693)

    References:
        Engelken et al., "Lyapunov spectra of chaotic recurrent neural networks", 2023.
        Vogt et al., "On Lyapunov exponents for RNNs: understanding information propagation using dynamical systems
        tools", 2022.
    """
    step, inputs, state, mask = _recurrence(net, inputs, state, layer, direction)
    steps = len(inputs)
    warmup = steps // 4 if warmup is None else warmup
    if not 0 <= warmup < max(1, steps):
        raise ValueError(f"warmup is {warmup}, expected 0 to {steps - 1}: there are {steps} steps")
    flat = _flat(state)
    size = flat.shape[1]
    if k is not None and k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    k = size if k is None else min(k, size)
    start = flat.float() if flat.dtype in REDUCED else flat
    basis = torch.linalg.qr(generic_directions(size, k, start.detach())).Q.expand(len(flat), size, k)
    growth = start.new_zeros(k)
    counted = start.new_zeros(())
    for time, input in enumerate(inputs):
        own = None if mask is None else mask[time]
        state, moved = _advance(step, state, input, basis, own)
        # The sign of R's diagonal is left as it is: it cancels in |R|, and Q spans the same space either way.
        basis, factor = torch.linalg.qr(moved.to(start.dtype))
        if time >= warmup:
            growth = growth + factor.diagonal(dim1=-2, dim2=-1).abs().log().sum(0)
            counted = counted + (len(flat) if own is None else own.sum())
    return growth / counted


def recurrent_jacobians(
    net: Recurrence, inputs: Any, state: Any = None, *, layer: int = 0, direction: int = 0
) -> Tensor:
    r"""The Jacobians :math:`J_t = \partial h_t / \partial h_{t-1}` of a recurrence, at every step and for each sample.

    Args:
        net: as `lyapunov_exponents` takes it.
        inputs: as there.
        state: as there. A state of several tensors is one vector, its parts one after the other.
        layer: as there.
        direction: as there.

    Returns:
        [time, batch, size, size], differentiable. The identity behind the end of a packed sequence.

    Raises:
        ValueError: there is no such layer, or no state for a step.

    Example:
        >>> rnn = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False)
        >>> with torch.no_grad():
        ...     _ = rnn.weight_hh_l0.copy_(torch.tensor([[0.5, 0.0], [1.0, 2.0]])), rnn.weight_ih_l0.fill_(1.0)
        >>> recurrent_jacobians(rnn, torch.ones(3, 1, 1))[-1, 0].tolist()
        [[0.5, 0.0], [1.0, 2.0]]
    """
    step, inputs, state, mask = _recurrence(net, inputs, state, layer, direction)
    flat = _flat(state)
    identity = torch.eye(flat.shape[1], dtype=flat.dtype, device=flat.device).expand(len(flat), -1, -1)
    jacobians = []
    for time, input in enumerate(inputs):
        state, jacobian = _advance(step, state, input, identity, None if mask is None else mask[time])
        jacobians.append(jacobian)
    return torch.stack(jacobians)


def spectral_radius(weight: Tensor, gates: int | None = None) -> Tensor:
    r"""The spectral radius :math:`\max_i |\lambda_i|` of a recurrent weight, of each gate where gates are stacked.

    Args:
        weight: [size, size], or [gates * size, size] as torch's `weight_hh_l0` of an LSTM (4) or GRU (3).
        gates: how many are stacked; as many as fit if None.

    Returns:
        0-d for one square matrix, else [gates]; not differentiable. NaN where the weight is not finite.

    Raises:
        ValueError: the weight is not made of square matrices (that of an LSTM with `proj_size` is not).

    Example:
        >>> spectral_radius(torch.tensor([[0.5, 3.0], [0.0, -2.0]])).item()
        2.0
        >>> spectral_radius(torch.nn.LSTM(3, 5).weight_hh_l0).shape
        torch.Size([4])
    """
    if (
        weight.ndim != 2
        or not weight.shape[1]
        or weight.shape[0] != weight.shape[1] * (gates := gates or weight.shape[0] // weight.shape[1])
    ):
        raise ValueError(f"a weight of shape {tuple(weight.shape)} is not a stack of {gates or 'some'} square matrices")
    with torch.no_grad():
        stacked = (weight.float() if weight.dtype in REDUCED else weight).view(gates, weight.shape[1], weight.shape[1])
        finite = stacked.isfinite().all()
        radii = torch.linalg.eigvals(stacked.where(finite, 0.0)).abs().amax(-1).where(finite, torch.nan)
    return radii.squeeze(0)


def _recurrence(
    net: Recurrence, inputs: Any, state: Any, layer: int, direction: int
) -> tuple[Step, Any, Any, Tensor | None]:
    """Step, inputs, initial state and the mask [time, batch] of what belongs to a sequence."""
    if isinstance(net, nn.RNNBase):
        directions = 2 if net.bidirectional else 1
        if not (0 <= layer < net.num_layers and 0 <= direction < directions):
            raise ValueError(
                f"there is no layer {layer}, direction {direction}: it has {net.num_layers} layers and "
                f"{directions} direction{'s' * (directions - 1)}"
            )
        chosen = next(islice(recurrent_layers(net, inputs, state), layer * directions + direction, None))
        return chosen.step, chosen.inputs, chosen.state, chosen.mask
    if isinstance(inputs, PackedSequence) or not len(inputs):
        raise ValueError("give the inputs of a step as a tensor [time, batch, ...] or a list, of one step at least")
    if isinstance(net, nn.RNNCellBase):
        if state is None:
            zeros = inputs[0].new_zeros(len(inputs[0]), net.hidden_size)
            state = (zeros, zeros) if isinstance(net, nn.LSTMCell) else zeros
        return lambda state, input: net(input, state), inputs, state, None
    if state is None:
        raise ValueError("a step function needs the initial state: a tensor [batch, ...] or a tuple of such")
    return net, inputs, state, None


def _advance(step: Step, state: Any, input: Any, directions: Tensor, mask: Tensor | None) -> tuple[Any, Tensor]:
    """The state after a step, and its Jacobian times directions [batch, size, k], which are further samples of a batch.

    Forward mode would be the plain way. The derivative of the backward in what it is given is the same, no slower as
    measured, and exists for torch's fused cells and for everything else that can be trained. Where `mask` [batch] is
    False, behind the end of a sequence, state and directions stay as they are.
    """
    differentiable = torch.is_grad_enabled()
    copies = directions.shape[2]
    with torch.enable_grad():
        olds = [part if part.requires_grad else part.detach().requires_grad_() for part in state_parts(state)]
        olds = [part.repeat_interleave(copies, 0) for part in olds]
        news = state_parts(step(_like(state, olds), _repeated(input, copies)))
        cotangents = [torch.zeros_like(part, requires_grad=True) for part in news]
        pulled = torch.autograd.grad(news, olds, cotangents, create_graph=True, materialize_grads=True)
        tangents = _unflat(state, directions.transpose(1, 2).flatten(0, 1))
        tangents = [tangent.to(part.dtype) for tangent, part in zip(tangents, pulled, strict=True)]
        pushed = torch.autograd.grad(pulled, cotangents, tangents, create_graph=differentiable, materialize_grads=True)
    after = [part[::copies] if differentiable else part[::copies].detach() for part in news]
    moved = _flat(list(pushed)).unflatten(0, (-1, copies)).transpose(1, 2)
    if mask is not None:
        after = [new.where(mask.unsqueeze(-1), old) for new, old in zip(after, state_parts(state), strict=True)]
        moved = moved.where(mask.view(-1, 1, 1), directions)
    return _like(state, after), moved


def _flat(state: Any) -> Tensor:
    """A state as [batch, size]."""
    return torch.cat([part.flatten(1) for part in state_parts(state)], dim=1)


def _unflat(state: Any, flat: Tensor) -> list[Tensor]:
    """Rows [n, size] as the parts of a state of n samples."""
    parts = state_parts(state)
    sizes = [part[0].numel() for part in parts]
    return [piece.view(-1, *part.shape[1:]) for piece, part in zip(flat.split(sizes, 1), parts, strict=True)]


def _like(state: Any, parts: Sequence[Tensor]) -> Any:
    return tuple(parts) if isinstance(state, (tuple, list)) else parts[0]


def _repeated(value: Any, copies: int) -> Any:
    """Each sample `copies` times, one after the other; what is no tensor is handed on as it is."""
    if isinstance(value, (tuple, list)):
        return tuple(_repeated(part, copies) for part in value)
    return value.repeat_interleave(copies, 0) if isinstance(value, Tensor) and value.ndim else value

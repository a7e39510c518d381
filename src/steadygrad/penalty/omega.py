"""Pascanu's Omega: a recurrent gradient that keeps its norm from step to step."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..measure.recurrence import time_first
from .weights import wide

BOUND = 1e-20
"""Squared norm of a gradient below which its step says nothing, as in the authors' program."""


def pascanu_omega(
    rnn: nn.RNN,
    output: Tensor | PackedSequence,
    loss: Tensor,
    *,
    final: Tensor | None = None,
    bound: float = BOUND,
) -> Tensor:
    r"""How much the gradient of a loss changes its norm on its way back through each time step of an `nn.RNN`.

    .. math:: \Omega = \frac{1}{|V|} \sum_{(t,b) \in V} \left( \frac{\|W_{hh}^\top (\phi'_{t,b} \odot d_{t,b})\|^2}
        {\|d_{t,b}\|^2} - 1 \right)^2, \quad d_{t,b} = \frac{\partial L}{\partial h_{t,b}}

    V are the steps and samples with :math:`\|d\|^2 \ge` `bound`. Only :math:`W_{hh}` gets a gradient: d and h are taken
    as constants. This is what the authors' program computes; their paper writes the ratio without the squares. They add
    it with a factor from 0.5 to 4, 2 in their program, and clip the norm as well: it is a cure for vanishing.

    The loss is differentiated down to the layer's output here, through what lies above it, and again in the `backward`
    that follows; what lies above is mostly one linear layer. Through the time steps it goes in closed form.

    Args:
        rnn: an `nn.RNN` of one layer and direction, tanh or relu.
        output: the output sequence of this forward, a packed one too.
        loss: 0-d, made of that output. Its graph is kept.
        final: the final state `h_n` of this forward, where the loss takes it.
        bound: see above.

    Returns:
        0-d, differentiable in `rnn.weight_hh_l0`, float32 or float64. 0 where no gradient arrives. Steps whose gradient
        is not finite count for nothing; not finite where the weight is not.

    Raises:
        ValueError: another kind of module; the loss does not depend on the output.

    Example:
        >>> rnn, head = torch.nn.RNN(2, 8), torch.nn.Linear(8, 1)
        >>> output, _ = rnn(torch.randn(10, 4, 2))
        >>> loss = head(output[-1]).square().mean()
        >>> loss = loss + 2.0 * pascanu_omega(rnn, output, loss)
        >>> loss.backward()

    References:
        Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.
    """
    if not isinstance(rnn, nn.RNN) or rnn.num_layers != 1 or rnn.bidirectional:
        raise ValueError(
            f"Omega is for an nn.RNN of one layer and one direction, this is {rnn}; use pascanu_omega_from for others"
        )
    data = output.data if isinstance(output, PackedSequence) else output
    ends = [data] if final is None else [data, final]
    if not any(end.requires_grad for end in ends):
        raise ValueError("the output of the layer has no gradient: run the forward outside no_grad")
    reached = torch.autograd.grad(loss, ends, retain_graph=True, allow_unused=True)
    if all(grad is None for grad in reached):
        raise ValueError("the loss does not depend on this output; if it takes the final state, give it as final=h_n")
    with torch.no_grad():
        hidden, lengths = time_first(rnn, _with_data(output, data))
        direct, _ = time_first(rnn, _with_data(output, torch.zeros_like(data) if reached[0] is None else reached[0]))
        if final is not None and (last := reached[1]) is not None:
            direct = direct.clone()
            batch = torch.arange(direct.shape[1], device=direct.device)
            place = lengths - 1 if lengths is not None else torch.full_like(batch, len(direct) - 1)
            direct[place, batch] += wide(last).reshape(direct.shape[1:])
        slope = 1 - hidden.square() if rnn.mode == "RNN_TANH" else (hidden > 0).to(hidden)
        weight = rnn.all_weights[0][1]
        grad_hidden = hidden_gradients(wide(weight), direct, slope)
    return pascanu_omega_from(weight, grad_hidden, slope, bound=bound)


def pascanu_omega_from(weight_hh: Tensor, grad_hidden: Tensor, slope: Tensor, *, bound: float = BOUND) -> Tensor:
    r"""Omega of any recurrence :math:`h_t = \phi(W_{hh} h_{t-1} + \dots)` of which the gradients are known.

    Several models at once are a leading batch: each has its own Omega, and none sees another.

    Args:
        weight_hh: [..., hidden, hidden], applied as torch does: `weight_hh @ h`.
        grad_hidden: the whole gradient in every hidden state, [time, ..., batch, hidden], taken as a constant.
        slope: :math:`\phi'` at every step, in the same shape, taken as a constant.
        bound: see `pascanu_omega`.

    Returns:
        [...]: 0-d for one model.

    Example:
        >>> ones = torch.ones(5, 3, 4)
        >>> pascanu_omega_from(torch.eye(4), ones, ones).item(), pascanu_omega_from(2 * torch.eye(4), ones, ones).item()
        (0.0, 9.0)
    """
    weight, grad, slope = wide(weight_hh), wide(grad_hidden.detach()), wide(slope.detach())
    # Only its direction counts. Scaled first, since an exploding one's square overflows.
    largest = grad.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(grad.dtype).tiny)
    unit = grad / largest
    norm = torch.linalg.vector_norm(unit, dim=-1, keepdim=True)
    valid = (largest * norm >= bound**0.5) & norm.isfinite()
    moved = (unit / norm * slope).where(valid, 0.0) @ weight
    deviation = (moved.square().sum(-1) - 1).square().where(valid.squeeze(-1), 0.0)
    return deviation.sum((0, -1)) / valid.squeeze(-1).sum((0, -1)).clamp(min=1)


@torch.no_grad()
def hidden_gradients(weight_hh: Tensor, grad_output: Tensor, slope: Tensor) -> Tensor:
    r"""The whole gradient in every hidden state, from that in the outputs: back-propagation through time by hand.

    .. math:: d_t = g_t + W_{hh}^\top (\phi'_{t+1} \odot d_{t+1})

    Args:
        weight_hh: [..., hidden, hidden].
        grad_output: the direct gradient g of each output [time, ..., batch, hidden].
        slope: :math:`\phi'` at every step, in the same shape.

    Returns:
        d, in the same shape.

    Example:
        >>> last = torch.zeros(3, 1, 2)
        >>> last[-1] = 1.0
        >>> hidden_gradients(2 * torch.eye(2), last, torch.ones(3, 1, 2))[:, 0, 0].tolist()
        [4.0, 2.0, 1.0]
    """
    whole = [grad_output[-1]]
    for direct, after in zip(grad_output[:-1].flip(0), slope[1:].flip(0), strict=True):
        whole.append(direct + (after * whole[-1]) @ weight_hh)
    return torch.stack(whole[::-1])


def _with_data(sequence: Tensor | PackedSequence, data: Tensor) -> Tensor | PackedSequence:
    return sequence._replace(data=data.detach()) if isinstance(sequence, PackedSequence) else data.detach()

"""L1 and L2: the size of the weights."""

from torch import Tensor

from .weights import Source, total, weights_of, wide


def l1(source: Source) -> Tensor:
    r"""The sum of magnitudes, :math:`\sum_i |w_i|`: pulls small weights to zero.

    Args:
        source: a module, of which the trainable parameters of two or more dimensions are taken (not biases, not gains
            of a normalisation), or the tensors themselves.

    Returns:
        0-d, differentiable, float32 or float64; not finite where a weight is not. 0 of no parameters.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.tensor([[3.0, -4.0]]))
        >>> l1(model).item()
        7.0

    References:
        Tibshirani, "Regression shrinkage and selection via the lasso", 1996.
    """
    return total([wide(weight).abs().sum() for weight in weights_of(source)])


def l2(source: Source) -> Tensor:
    r"""The sum of squares, :math:`\sum_i w_i^2`: holds the weights near zero.

    With SGD, `lr` and :math:`\lambda` small, adding :math:`\frac{\lambda}{2}` times this is the optimizer's
    `weight_decay`. **Not with Adam**: it divides the penalty's gradient by the size of the loss's gradient, as it does
    all of it, so weights with large gradients, those that grow, are held the least. Decoupled decay (`AdamW`, with
    `decay_groups`) pulls all weights alike and costs no term in the loss; take that.

    Args:
        source: a module, of which the trainable parameters of two or more dimensions are taken (not biases, not gains
            of a normalisation), or the tensors themselves.

    Returns:
        0-d, differentiable, float32 or float64; not finite where a weight is not, or its square. 0 of no parameters.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.tensor([[3.0, -4.0]]))
        >>> l2(model).item()
        25.0

    References:
        Krogh and Hertz, "A simple weight decay can improve generalization", 1991.
        Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """
    return total([wide(weight).square().sum() for weight in weights_of(source)])

"""Embeddings that learn more slowly than the rest."""

from torch import Tensor


def shrink_embedding_gradient(embedding_output: Tensor, alpha: float = 0.1) -> Tensor:
    r"""The same embeddings, with a gradient of :math:`\alpha` times the size.

    .. math:: \alpha e + (1 - \alpha)\, \text{stop-gradient}(e)

    The authors saw the embedding's gradient spike first, ahead of the loss, and held a run of 130 billion parameters in
    half precision together with this. Adam divides by the size of its gradients: under it the factor is felt at a spike
    whose size differs from the usual one by no more than before, so it acts through a clip by the global norm, of which
    the embedding then takes a smaller part, and through the range of half precision. The values stay bit for bit.

    Args:
        embedding_output: what the embedding has returned, before anything is added.
        alpha: what is left of the gradient; 1 changes nothing, 0 freezes.

    Returns:
        In the shape and dtype of `embedding_output`.

    Raises:
        ValueError: `alpha` is not from 0 to 1.

    Example:
        >>> import torch
        >>> embedding = torch.nn.Embedding(5, 2)
        >>> shrink_embedding_gradient(embedding(torch.tensor([1]))).sum().backward()
        >>> embedding.weight.grad[1].tolist()
        [0.10000000149011612, 0.10000000149011612]

    References:
        Zeng et al., "GLM-130B: an open bilingual pre-trained model", 2023.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, expected 0 to 1")
    fixed = embedding_output.detach()
    return fixed + alpha * (embedding_output - fixed)

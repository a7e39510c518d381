"""Terms to add to a loss, one line each, that hold weights, logits and recurrent Jacobians in bounds."""

from .decay import decay_groups
from .embedding import shrink_embedding_gradient
from .flossing import gradient_flossing
from .logits import z_loss
from .norms import l1, l2
from .omega import hidden_gradients, pascanu_omega, pascanu_omega_from
from .orthogonal import orthogonality
from .spectral import spectral, spectral_norm_

PENALTIES = (l1, l2, orthogonality, spectral, pascanu_omega, gradient_flossing, z_loss)
"""Every penalty: a function that returns a term for a loss."""

__all__ = [
    "PENALTIES",
    "decay_groups",
    "gradient_flossing",
    "hidden_gradients",
    "l1",
    "l2",
    "orthogonality",
    "pascanu_omega",
    "pascanu_omega_from",
    "shrink_embedding_gradient",
    "spectral",
    "spectral_norm_",
    "z_loss",
]

"""Attention whose logits stay within a bound."""

from typing import Any

import torch

from .functions import Functions, is_float

CAP = 30.0
"""Largest logit of attention, as in Gemma 2 (50) and its relatives (30)."""


class SoftCapLogits(Functions):
    """What goes into a softmax along its last dimension is squashed to at most `CAP`.

    Reference: Gemma Team, "Gemma 2: Improving open language models at a practical size", 2024.
    """

    remedy = "soft-cap-logits"

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Softmax and fused attention."""
        name = getattr(func, "__name__", "")
        if name in ("softmax", "_softmax") and args and is_float(args[0]) and args[0].requires_grad:
            logits = args[0]
            capped = CAP * torch.tanh(logits / CAP)
            self.times += 1
            return func(torch.where(logits.isfinite(), capped, logits), *args[1:], **kwargs)
        if name == "scaled_dot_product_attention" and len(args) > 2:
            query, key = args[0], args[1]
            scale = kwargs.get("scale") or query.shape[-1] ** -0.5
            bound = query.detach().norm(dim=-1).amax() * key.detach().norm(dim=-1).amax() * scale
            self.times += 1
            return func(query * (CAP / bound.clamp(min=CAP)), *args[1:], **kwargs)
        return func(*args, **kwargs)

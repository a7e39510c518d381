"""The attention logits of a model in its sampled forward passes, whatever computes them."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from .. import _dist
from .attention import MAX_LOGITS, AttentionStats, LogitSums, logit_sums, product_sums
from .overrides import SOFTMAXES, leave_mode, without_overrides
from .passes import SampledPasses

HEAD_COUNTS = ("num_heads", "num_attention_heads", "n_heads", "n_head")


class AttentionProbe(SampledPasses):
    """Sees the logits of attention modules while they run: largest logit and entropy of each head.

    While such a module runs, calls of `F.scaled_dot_product_attention` and of softmax over the last dimension (of
    `torch`, `Tensor` and `F`) are looked at before they are carried out, unchanged. For a softmax the logits are what
    it is given: (batch..., heads, L, S), or (batch * heads, L, S) with the module's `num_heads`, `num_attention_heads`,
    `n_heads` or `n_head`; one head where it has none of these. Several calls in a pass are put together: the largest
    logit, the mean entropy over all queries. A call with another number of heads than the module's first is left out.

    Training is bit-identical with it. Not seen: kernels that are neither of these (flash-attn, flex attention), a
    replaced `F.scaled_dot_product_attention`, compiled regions, nested tensors, and `nn.MultiheadAttention` with
    tensor subclasses or inside a foreign `TorchFunctionMode`. Of DTensors this rank's part is measured.

    Args:
        model: the model whose forward passes are counted.
        every: passes from one sample to the next; the first one is sampled. Passes in eval mode are not counted.
        modules: the attention modules, or their paths. By default every `nn.MultiheadAttention`, and modules whose
            class name contains "Attention" and that contain no other such.
        entropy: False measures the largest logit only, at about half the cost.
        accumulate: keep the maximum (and the mean) over sampled passes until `reset`, instead of the last pass alone.
        on_error: receives an error of ours, after which the probe is off. Without it the log does.

    Raises:
        ValueError: `every` is less than 1, a module is no part of the model, or there are none.

    Example:
        >>> model = nn.TransformerEncoderLayer(8, 2, batch_first=True)
        >>> with AttentionProbe(model, every=1) as probe:
        ...     _ = model(torch.zeros(1, 5, 8))
        >>> round(probe.read()["self_attn"].entropy.exp().sum().item(), 3)  # two heads, each sees 5 places alike
        10.0

    References:
        Zhai et al., "Stabilizing transformer training by preventing attention entropy collapse", 2023.
        Kimi Team, "Kimi K2: open agentic intelligence", 2025 (QK-Clip).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        every: int = 100,
        modules: Iterable[nn.Module | str] | None = None,
        entropy: bool = True,
        accumulate: bool = False,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self._entropy = entropy
        self._accumulate = accumulate
        self._sums: dict[str, LogitSums] = {}
        self._sights: list[_Sight] = []
        found = _found(model) if modules is None else _named(model, modules)
        if not found:
            raise ValueError(f"{type(model).__name__} has no attention module, expected at least one")
        super().__init__(model, found.items(), every, on_error)

    def read(self) -> dict[str, AttentionStats]:
        """What the last sampled pass has shown, or with `accumulate` all of them since `reset`.

        Returns:
            The statistics by the modules' paths, in the order of the first call. A module whose logits were not seen is
            left out.
        """
        return {path: sums.stats(self._entropy) for path, sums in self._sums.items()}

    def reset(self) -> None:
        """Forget what was measured."""
        self._sums = {}

    def _begin(self) -> None:
        if not self._accumulate:
            self.reset()

    def _before(self, path: str, module: nn.Module) -> None:
        sight = _Sight(self, path, _head_count(module))
        sight.__enter__()
        self._sights.append(sight)

    def _after(self, path: str, module: nn.Module, output: Any) -> None:
        # A module that another hook has kept from running was not entered here.
        if self._sights and self._sights[-1].path == path:
            leave_mode(self._sights.pop())

    def _finish(self) -> None:
        while self._sights:
            leave_mode(self._sights.pop())

    def _see(self, path: str, measure: Callable[[], LogitSums | None]) -> None:
        if not self._looks():
            return
        try:
            # What we compute is nothing that a mode of the user's, or of another probe, shall see.
            with torch._C.DisableTorchFunction():
                sums = measure()
            before = self._sums.get(path)
            if sums is None or (before is not None and before.max_logit.shape != sums.max_logit.shape):
                return
            self._sums[path] = sums if before is None else before.with_(sums)
        except Exception as error:
            self._fail(error)


class _Sight(TorchFunctionMode):
    """Looks at torch's functions while one module runs."""

    def __init__(self, probe: AttentionProbe, path: str, heads: int | None) -> None:
        super().__init__()
        self.path = path
        self._probe = probe
        self._heads = heads
        self._opened = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_compiling():
            return func(*args, **kwargs)
        if func is F.multi_head_attention_forward and not self._opened and _may_open(types):
            self._opened = True
            try:
                with self:
                    return without_overrides(func)(*args, **kwargs)
            finally:
                self._opened = False
        if func is F.scaled_dot_product_attention:
            self._probe._see(self.path, lambda: self._product(*args, **kwargs))
        elif func in SOFTMAXES:
            self._probe._see(self.path, lambda: self._softmax(*args, **kwargs))
        return func(*args, **kwargs)

    def _product(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> LogitSums | None:
        if query.is_nested or key.is_nested or query.ndim < 3:
            return None
        query, key = _dist.local(query), _dist.local(key)
        mask = None if attn_mask is None else _dist.local(attn_mask)
        if query.ndim == 3:
            if mask is not None and mask.ndim == 3:
                mask = self._with_heads(mask)
            query, key = self._with_heads(query), self._with_heads(key)
        scale = 1 / math.sqrt(max(1, query.shape[-1])) if scale is None else scale
        return product_sums(query, key, mask, is_causal, scale, self._probe._entropy, MAX_LOGITS)

    def _softmax(self, input: Tensor, dim: int | None = None, *rest: Any, **options: Any) -> LogitSums | None:
        if input.is_nested or input.ndim < 3 or dim not in (-1, input.ndim - 1):
            return None
        logits = _dist.local(input)
        return logit_sums(self._with_heads(logits) if logits.ndim == 3 else logits, self._probe._entropy)

    def _with_heads(self, flat: Tensor) -> Tensor:
        """(batch * heads, ...) as (batch, heads, ...); one head where the module does not say otherwise."""
        heads = self._heads if self._heads and flat.shape[0] % self._heads == 0 else 1
        return flat.unflatten(0, (-1, heads))


def _may_open(types: Iterable[type]) -> bool:
    """Whether nobody else wants to override `multi_head_attention_forward` itself."""
    return all(kind in (Tensor, nn.Parameter) for kind in types) and all(
        isinstance(mode, (DeviceContext, _Sight)) for mode in _get_current_function_mode_stack()
    )


def _head_count(module: nn.Module) -> int | None:
    for name in HEAD_COUNTS:
        count = getattr(module, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return None


def _found(model: nn.Module) -> dict[str, nn.Module]:
    def is_attention(module: nn.Module) -> bool:
        return isinstance(module, nn.MultiheadAttention) or "Attention" in type(module).__name__

    return {
        path: module
        for path, module in model.named_modules()
        if is_attention(module) and not any(is_attention(inner) for inner in module.modules() if inner is not module)
    }


def _named(model: nn.Module, modules: Iterable[nn.Module | str]) -> dict[str, nn.Module]:
    named = dict(model.named_modules())
    paths = {module: path for path, module in named.items()}
    found = {}
    for module in modules:
        path = module if isinstance(module, str) else paths.get(module)
        if path is None or path not in named:
            what = repr(module) if isinstance(module, str) else f"a {type(module).__name__}"
            raise ValueError(f"modules has {what}, which {type(model).__name__} has not")
        found[path] = named[path]
    return found

"""How far a step moves the weights, and how gradients point along it, from a few coordinates of each matrix."""

import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from .norms import widest

COORDINATES = 64
"""Coordinates looked at in each tensor: the root mean square is then known to about a tenth."""

MOST_TENSORS = 64
"""Tensors looked at, spread evenly over the model."""

GAPS_KEPT = 4
"""Latest times between two steps of which it is kept where weights lay: what an accelerator says of it comes late."""

SMALLEST_SIDE = 8
"""Sides of a weight matrix below which its updates say nothing: a regression's few weights travel far and soundly."""


def natural_norm(param: Tensor) -> float:
    r"""The norm of a weight matrix as torch initialises it, :math:`\sqrt{n_{out} / 3}`; infinite for anything else.

    Example:
        >>> natural_norm(torch.zeros(48, 10)), natural_norm(torch.zeros(48))
        (4.0, inf)
    """
    if param.ndim < 2:
        return math.inf
    rows = param.shape[0]
    columns = param.numel() // max(1, rows)
    return math.sqrt(rows / 3) if min(rows, columns) >= SMALLEST_SIDE else math.inf


class UpdateProbe:
    r"""Estimates :math:`\|\Delta w\| / \max(\|w\|, \sqrt{n_{out} / 3})` of weight matrices, the largest of them.

    The root is the norm that torch's default initialisation gives a matrix, for those that start at zero. The norms are
    taken over `COORDINATES` evenly spaced coordinates, through views that are made once: one concatenation a look.

    Gradients are looked at where that is asked for: views of them have to be made anew each time.

    Args:
        params: the parameters, dense, on any devices. Only those of two or more dimensions with sides of at least 8 are
            looked at.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(16, 16))
        >>> probe = UpdateProbe([weight])
        >>> written = probe.before()
        >>> with torch.no_grad():
        ...     _ = weight.mul_(1.5)
        >>> [ratio.item() for ratio in probe.after()]
        [0.5]
    """

    def __init__(self, params: Sequence[Tensor]) -> None:
        chosen = [param for param in params if math.isfinite(natural_norm(param)) and _flat(param) is not None]
        stride = max(1, math.ceil(len(chosen) / MOST_TENSORS))
        by_kind: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for param in chosen[::stride]:
            by_kind.setdefault((param.device, param.dtype), []).append(param)
        self._kinds = [_Kind(params) for params in by_kind.values()]

    @torch.no_grad()
    def before(self) -> list[Tensor]:
        """Look at the weights before the step.

        Returns:
            For each device and dtype how far the farthest of them is from where the last step has left it, 0-d: zero,
            unless somebody has written them since. Nothing before the first step.
        """
        far = []
        for kind in self._kinds:
            kind.seen = kind.look()
            if kind.left is not None:
                far.append(torch.dist(kind.seen, kind.left, math.inf))
                kind.gaps.append((kind.left, kind.seen))
        return far

    @torch.no_grad()
    def taken_back(self, ago: int = 0) -> list[Tensor]:
        r"""How much of the way since weights were last written was undone by writing them again.

        With :math:`w_0` what was written the last time (or the very first weights), :math:`w` where the steps have come
        to since, and :math:`w'` what was written now, :math:`1 - \|w' - w_0\| / \|w - w_0\|`.

        Args:
            ago: how many times between two steps ago that was, fewer than `GAPS_KEPT`.

        Returns:
            The part for each device and dtype, 0-d; NaN where there was no way.
        """
        back = []
        for kind in self._kinds:
            if len(kind.gaps) > ago:
                left, now = kind.gaps[-1 - ago]
                assert kind.begun is not None
                back.append(1.0 - _norm(now - kind.begun) / _norm(left - kind.begun))
                kind.begun = now
        return back

    @torch.no_grad()
    def after(self) -> list[Tensor]:
        """The largest ratio over the tensors of each device and dtype, 0-d; NaN where a weight is not finite."""
        ratios = []
        for kind in self._kinds:
            if kind.seen is not None:
                old, kind.left = kind.seen.view(-1, COORDINATES), kind.look()
                moved = kind.left.view(-1, COORDINATES) - old
                kind.begun = kind.seen if kind.begun is None else kind.begun
                kind.moved = None if kind.grads is None else moved.to(widest(old.device))
                ratios.append(_norms(moved).div_(_norms(old).clamp_(min=kind.natural)).max())
                kind.seen = None
        return ratios

    @torch.no_grad()
    def along(self, *, keep: bool) -> list[Tensor]:
        r"""Look at the gradients before a step: how do they point along the step before, and how had those before it?

        With :math:`\Delta w` the last step, :math:`g` the gradient that it was made on and :math:`g'` the one after it,
        :math:`(g' - g) \cdot \Delta w / \|\Delta w\|^2` is the curvature along the step, without any Hessian product.
        :math:`g'` is that of another batch: one such number is noise, the median of several is not.

        Args:
            keep: whether to keep these gradients, for the step that is about to be made.

        Returns:
            For each device and dtype :math:`g \cdot \Delta w`, :math:`g' \cdot \Delta w` and :math:`\|\Delta w\|^2`
            over the coordinates as one vector; nothing where the gradients before the last step were not kept.
        """
        found = []
        for kind in self._kinds:
            grads = kind.look_at_grads() if keep or kind.moved is not None else None
            if kind.moved is not None and kind.grads is not None and grads is not None:
                moved = kind.moved
                found.append(torch.stack([(kind.grads * moved).sum(), (grads * moved).sum(), moved.square().sum()]))
            kind.grads, kind.moved = grads if keep else None, None
        return found

    def forget(self) -> None:
        """The weights were put back: the last step is no longer to be compared with anything."""
        for kind in self._kinds:
            kind.forget()


class _Kind:
    """The tensors of one device and dtype."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        self._params = list(params)
        self.seen: Tensor | None = None
        self.grads: Tensor | None = None
        self.moved: Tensor | None = None
        self.begun: Tensor | None = None
        self.left: Tensor | None = None
        self.gaps: deque[tuple[Tensor, Tensor]] = deque(maxlen=GAPS_KEPT)
        device = params[0].device
        natural = [natural_norm(param) * math.sqrt(COORDINATES / param.numel()) for param in params]
        self.natural = torch.tensor(natural, dtype=widest(device), device=device)
        self._aim()

    def look(self) -> Tensor:
        if list(map(Tensor.data_ptr, self._params)) != self._places:
            self._aim()
        return torch.cat(self._views)

    def look_at_grads(self) -> Tensor:
        """At the same coordinates; zeros where there is no gradient, or none that lies in memory as its weight does."""
        first = self._params[0]
        nothing = torch.zeros(COORDINATES, dtype=first.dtype, device=first.device)
        grads = [(param, param.grad) for param in self._params]
        looked = [
            nothing if grad is None or not _lies_alike(param, grad) else _coordinates(grad) for param, grad in grads
        ]
        return torch.cat(looked).to(widest(first.device)).view(-1, COORDINATES)

    def forget(self) -> None:
        """What the last step did is no longer so."""
        self.grads = self.moved = self.begun = self.left = None
        self.gaps.clear()

    def _aim(self) -> None:
        self._places = list(map(Tensor.data_ptr, self._params))
        self._views = [_coordinates(param) for param in self._params]


def _norms(rows: Tensor) -> Tensor:
    """Of each row. Wide: the squares of weights that are far out overflow long before the weights do."""
    return torch.linalg.vector_norm(rows, dim=1, dtype=widest(rows.device))


def _norm(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values, dtype=widest(values.device))


def _lies_alike(param: Tensor, grad: Tensor) -> bool:
    return grad.layout == torch.strided and type(grad) is Tensor and grad.stride() == param.stride()


def _flat(param: Tensor) -> Tensor | None:
    """A one-dimensional view of all elements, in whatever order they lie; None where there is none."""
    param = param.detach()
    if param.layout != torch.strided or type(param) is not Tensor or not param.is_floating_point():
        return None
    if param.is_contiguous():
        return param.view(-1)
    dense = torch.ops.aten.is_non_overlapping_and_dense(param)
    return param.as_strided((param.numel(),), (1,)) if dense else None


def _coordinates(param: Tensor) -> Tensor:
    flat = _flat(param)
    assert flat is not None
    farthest = max(1, (flat.numel() - 1) // (COORDINATES - 1))
    # A stride that shares no factor with the row's length meets every column; down to three quarters it still meets
    # nearly every row.
    row = max(1, flat.numel() // param.shape[0])
    strides = range(farthest, max(0, farthest * 3 // 4 - 1), -1)
    stride = next((each for each in strides if math.gcd(each, row) == 1), farthest)
    return flat[::stride][:COORDINATES]

"""The loss of passes computed again, with whatever weights lie there now."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from .._readback import read_tensor_scalar
from .._tap import TapedPass
from ..measure.forward_trace import ForwardTrace
from ..measure.undisturbed import undisturbed
from .taped_objective import TapedObjective


def losses_again(
    passes: Sequence[TapedPass],
    params: Sequence[Tensor],
    names: Sequence[str],
    *,
    saying: Callable[[Tensor], Tensor] | None = None,
) -> list[float] | None:
    """The losses of these passes with the weights as they are now; buffers and random numbers are as before.

    Args:
        passes: on tape.
        params: the parameters that the optimizer trains.
        names: theirs.
        saying: makes what stands in for what models return; see the functions below. Weights that no model owns say
            nothing if they are zeros.

    Returns:
        One for each; None where one cannot be computed again.
    """
    losses = []
    try:
        for taped in passes:
            objective = TapedObjective(taped, params, names)
            silent = saying is nothing and not taped.roots
            weights = with_weights(params, [torch.zeros_like(each) for each in params]) if silent else nullcontext()
            with torch.no_grad(), undisturbed(objective.model), weights:
                losses.append(read_tensor_scalar(taped.replay(saying=saying)[0].detach()))
    except Exception:  # whatever a user's model does when it is called again
        return None
    known = [loss for loss in losses if loss is not None]
    return known if known and len(known) == len(losses) else None


def classes_again(
    passes: Sequence[TapedPass], params: Sequence[Tensor], names: Sequence[str]
) -> list[tuple[float, int]]:
    """The mean loss, and the number of classes, of each of torch's losses for classes in these passes computed again.

    Wherever in the model they are. Empty where there is none, or a pass cannot be computed again.
    """
    found: list[tuple[float, int]] = []
    try:
        for taped in passes:
            objective = TapedObjective(taped, params, names)
            with torch.no_grad(), undisturbed(objective.model), ForwardTrace({}) as trace:
                taped.replay()
            means = [read_tensor_scalar(each.mean_loss) for each in trace.losses]
            found += [(mean, loss.classes) for mean, loss in zip(means, trace.losses, strict=True) if mean is not None]
    except Exception:  # whatever a user's model does when it is called again
        return []
    return found


@contextmanager
def with_weights(params: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Inside, the parameters have these values. What a graph has saved of them is not told."""
    kept = [param.detach().clone() for param in params]
    try:
        for param, value in zip(params, values, strict=True):
            param.data.copy_(value)
        yield
    finally:
        for param, value in zip(params, kept, strict=True):
            param.data.copy_(value)


def nothing(output: Tensor) -> Tensor:
    """What a model says that says nothing: zeros."""
    return torch.zeros_like(output)


def of_another(output: Tensor, by: int = 1) -> Tensor:
    """What a model says of another sample: of one `by` before it, or at a time before where a batch is of one.

    Raises:
        ValueError: there is none.
    """
    if not output.dim():
        return output
    apart = [place for place in range(max(1, output.dim() - 1)) if output.shape[place] > 1]
    if not apart:
        raise ValueError(f"a single sample of shape {tuple(output.shape)}")
    return output.roll(1 + (by - 1) % (output.shape[apart[0]] - 1), apart[0])


class OfOthers:
    """What models say of other samples, each time of one further off.

    A loss of pairs, of two towers or of two tables that are looked up, is the same if both halves are of one other.
    """

    def __init__(self) -> None:
        self._said = 0

    def __call__(self, output: Tensor) -> Tensor:
        """See `of_another`."""
        self._said += 1
        return of_another(output, self._said)


def of_all(output: Tensor) -> Tensor:
    """What a model says of all samples on average, of each of them; of what is no such number, of another one.

    Raises:
        ValueError: there is only one.
    """
    another = of_another(output)
    if not output.dim() or not output.is_floating_point():
        return another
    apart = next(place for place in range(max(1, output.dim() - 1)) if output.shape[place] > 1)
    return output.mean(apart, keepdim=True).expand_as(output)


def anything_of_samples(output: Tensor) -> Tensor:
    """Something else, of what has samples; a number, as a loss that a model returns, stays."""
    if not output.dim():
        return output
    return torch.linspace(-1.0, 1.0, output.numel()).to(output).view(output.shape)

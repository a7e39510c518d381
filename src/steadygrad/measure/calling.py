"""How a model takes a batch: one calling convention."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .undisturbed import ModelState

TARGETS = frozenset({"label", "labels", "target", "targets", "tgt", "y", "y_true", "gold", "answer", "answers"})
"""Names that people give to what a model shall predict."""


@dataclass(frozen=True)
class Call:
    """How to call a model: the arguments that its forward took, and in words what they are of the batch."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    words: str = "the batch"

    def __call__(self, model: nn.Module) -> Any:
        """Call the model."""
        return model(*self.args, **self.kwargs)


def call_model(model: nn.Module, batch: Any) -> Any:
    """Call a model on a batch, whichever way it takes it.

    Args:
        model: any module.
        batch: what a data loader gives. A tensor, a packed sequence or any other object is the one argument. A tuple or
            list is positional arguments; where the forward refuses them all, or would take the last one for something
            optional that is not named like a target, the last one is the target and is left out. An inner tuple or
            dict of inputs is spread where the forward wants it so. A dict is keywords, without those named like targets
            where the forward refuses them.

    Returns:
        What the model returns.

    Raises:
        ValueError: the model takes the batch in none of these ways; says which were tried, and what came of the first.

    Example:
        >>> model, x, y = nn.Linear(3, 2), torch.ones(4, 3), torch.zeros(4)
        >>> [tuple(call_model(model, batch).shape) for batch in (x, (x, y), {"input": x, "labels": y})]
        [(4, 2), (4, 2), (4, 2)]
    """
    return find_call(model, batch)[1]


def find_call(model: nn.Module, batch: Any) -> tuple[Call, Any]:
    """Find out how a model takes a batch, by calling it; arguments and errors as of `call_model`.

    A try that fails leaves buffers, the random number generators and the modules' attributes as they were.

    Returns:
        The way, and the output of the pass by which it was found.

    Example:
        >>> call, output = find_call(nn.Linear(3, 2), (torch.ones(4, 3), torch.zeros(4)))
        >>> call.words, tuple(output.shape)
        ('the batch without its last item', (4, 2))
    """
    failures: list[tuple[str, Exception]] = []
    for call in _ways(model, batch):
        state = ModelState(model)
        try:
            return call, call(model)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            state.restore()
            failures.append((call.words, error))
    what = f"{type(model).__name__} does not take this batch ({_described(batch)})"
    if not failures:
        raise ValueError(f"{what}: no way of passing it fits the signature of its forward")
    tried = ", ".join(words for words, _ in failures)
    first = failures[0][1]
    raise ValueError(f"{what}; tried: {tried}; the first ended in {type(first).__name__}: {first}") from first


def tensors_in(value: Any, depth: int = 8) -> list[Tensor]:
    """The floating tensors in an output or a batch, nested up to `depth` deep, in order.

    Example:
        >>> [t.numel() for t in tensors_in({"logits": torch.ones(2), "state": (torch.ones(3), None)})]
        [2, 3]
    """
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if depth == 0 or isinstance(value, (nn.Module, type)):
        return []
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        # An output class of a user's: its fields.
        value = getattr(value, "__dict__", {}).values()
    return [tensor for item in value for tensor in tensors_in(item, depth - 1)]


def _ways(model: nn.Module, batch: Any) -> Iterator[Call]:
    """The ways that the forward's signature allows, the likeliest first."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        signature = None
    for call in _guesses(batch, signature):
        if signature is None:
            yield call
            continue
        try:
            signature.bind(*call.args, **call.kwargs)
        except TypeError:
            continue
        yield call


def _guesses(batch: Any, signature: inspect.Signature | None) -> Iterator[Call]:
    if isinstance(batch, Mapping):
        yield from _keywords(batch, signature)
    elif isinstance(batch, (tuple, list)) and not isinstance(batch, PackedSequence) and len(batch):
        whole = Call(tuple(batch), words="all items as arguments")
        fewer = list(_inputs(batch, signature))
        if isinstance(batch[0], Mapping) and signature is not None and set(batch[0]) <= set(signature.parameters):
            yield Call(kwargs=dict(batch[0]), words="all keys as keywords")
        yield from [*fewer, whole] if _last_is_a_target(batch, signature) else [whole, *fewer]
    yield Call((batch,), words="the batch as one argument")


def _keywords(batch: Mapping[Any, Any], signature: inspect.Signature | None) -> Iterator[Call]:
    if not all(isinstance(key, str) for key in batch):
        return
    inputs = {key: value for key, value in batch.items() if key.lower() not in TARGETS}
    yield Call(kwargs=dict(batch), words="all keys as keywords")
    yield Call(kwargs=inputs, words="the keys that are no targets as keywords")
    if signature is not None:
        known = {key: value for key, value in batch.items() if key in signature.parameters}
        if known:
            yield Call(kwargs=known, words="the keys that its forward names")
    yield Call(tuple(inputs.values()), words="the values that are no targets as arguments")


def _inputs(batch: Any, signature: inspect.Signature | None) -> Iterator[Call]:
    """Without the last item; if one is left and it is itself several, also spread."""
    left = tuple(batch[:-1])
    if left:
        yield Call(left, words="the batch without its last item")
    first = batch[0]
    if len(left) <= 1:
        if isinstance(first, Mapping):
            yield from _keywords(first, signature)
        elif isinstance(first, (tuple, list)) and not isinstance(first, PackedSequence):
            yield Call(tuple(first), words="the items of its first item")
    if len(left) > 1:
        yield Call((first,), words="its first item")


def _last_is_a_target(batch: Any, signature: inspect.Signature | None) -> bool:
    """Whether the last item would land in an optional parameter that is not named like a target.

    A mask or a length left out of a pass does little harm; labels taken for a hidden state do much.
    """
    if signature is None or len(batch) < 2:
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = [parameter for parameter in signature.parameters.values() if parameter.kind in kinds]
    if len(places) < len(batch):
        return False
    last = places[len(batch) - 1]
    return last.default is not inspect.Parameter.empty and last.name.lower() not in TARGETS


def _described(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return f"a dict with keys {', '.join(map(str, batch))}"
    if isinstance(batch, (tuple, list)):
        return f"{len(batch)} items: {', '.join(type(item).__name__ for item in batch)}"
    return f"a {type(batch).__name__}"

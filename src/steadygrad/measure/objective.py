"""A model, a batch and a loss put together: how the user's own loop would compute the loss."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .._i18n import say
from .calling import TARGETS
from .undisturbed import undisturbed

MODEL_NAMES = ("model", "net", "network", "module")
"""Names of a loss function's first parameter that say: it calls the model itself."""

OUTPUTS = ("logits", "out", "output", "prediction", "predictions", "pred", "y_hat")
"""Keys of an output's dict that a plain loss is given, if it cannot take the dict."""


class Objective:
    """Computes the loss of a model on a batch, whichever of the usual ways they fit together.

    The ways, in this order: `loss_fn(model, batch)` if its first parameter is called `model`; without a loss function
    `model(batch...)`, which gives the loss itself or an output with `loss`; `loss_fn(output, target)`, where the target
    is the last item of a tuple or the entry "labels", "target" or "y" of a dict, and the rest are the model's
    arguments; `loss_fn(output, batch)`; `loss_fn(output)`. The first that gives one floating number with a gradient is
    kept. What a try has moved (random numbers, buffers) is put back.

    Args:
        model: any module.
        batch: a tensor, a tuple or list, or a mapping.
        loss_fn: a function or module, or None.

    Raises:
        ValueError: no way fits; the message has the error of the likeliest.

    Attributes:
        inputs: what the model gets, a tuple or a dict.
        target: what the loss gets beside the output, or None.
        other_sizes: whether the loss may be computed of another number of samples.

    Example:
        >>> import torch
        >>> objective = Objective(nn.Linear(3, 2), (torch.zeros(4, 3), torch.zeros(4, 2)), nn.MSELoss())
        >>> objective().shape, objective.target.shape
        (torch.Size([]), torch.Size([4, 2]))
    """

    other_sizes = True

    def __init__(self, model: nn.Module, batch: Any, loss_fn: Callable[..., Any] | None = None) -> None:
        self.model = model
        self.batch = batch
        self.loss_fn = loss_fn
        self.output: Any = None
        failures: list[tuple[str, Exception]] = []
        for words, compute in self._ways():
            try:
                with undisturbed(model):
                    loss = compute(batch)
                if loss is not None:
                    self._compute = compute
                    self.way = words
                    break
            except Exception as error:
                failures.append((words, error))
        else:
            raise ValueError(_unfit(failures))
        self._alone = self.way in ("loss_fn(output of batch)", "loss_fn(output, inputs)")
        self.inputs, self.target = self.parts(batch)

    def __call__(self, batch: Any = None) -> Tensor:
        """The loss, 0-d, with its graph, on this batch or another of the same form."""
        self.output = None
        loss = self._compute(self.batch if batch is None else batch)
        if loss is None:
            raise ValueError(say("{way} gave no loss on another batch of the same form", way=self.way))
        return loss

    def parts(self, batch: Any) -> tuple[Any, Any]:
        """The inputs and the target of a batch of the same form."""
        return (_items(batch), None) if self._alone else _split(batch)

    def with_parts(self, inputs: Any, target: Any) -> Any:
        """A batch of the same form with other inputs and target."""
        if isinstance(self.batch, Mapping):
            key = _target_key(self.batch)
            return {name: target if name == key else inputs[name] for name in self.batch}
        items = tuple(inputs) if self.target is None else (*inputs, target)
        if not isinstance(self.batch, (tuple, list)) or hasattr(self.batch, "_fields"):
            return items[0]
        return list(items) if isinstance(self.batch, list) else items

    def _ways(self) -> Iterator[tuple[str, Callable[[Any], Tensor | None]]]:
        loss_fn = self.loss_fn
        if loss_fn is None:
            yield "model(batch)", lambda batch: self._own_loss(_called(self.model, batch))
            yield "model(inputs)", lambda batch: self._own_loss(_called(self.model, _split(batch)[0]))
            return
        first = _first_parameter(loss_fn)
        if first in MODEL_NAMES:
            yield "loss_fn(model, batch)", lambda batch: _number(loss_fn(self.model, batch))
            yield "loss_fn(model, *batch)", lambda batch: _number(loss_fn(self.model, *_items(batch)))
        whole = isinstance(self.batch, Tensor)
        if not whole:
            yield "loss_fn(output, target)", self._with_target(lambda output: output)
            yield "loss_fn(logits of output, target)", self._with_target(_main)
            yield "loss_fn(output, batch)", lambda batch: _number(loss_fn(self._run(_split(batch)[0]), batch))
        yield "loss_fn(output of batch)", lambda batch: _number(loss_fn(self._run(batch)))
        if not whole:
            yield "loss_fn(output of inputs)", lambda batch: _number(loss_fn(self._run(_split(batch)[0])))
        yield "loss_fn(output, inputs)", lambda batch: _number(loss_fn(self._run(batch), batch))
        if first not in MODEL_NAMES:
            yield "loss_fn(model, batch)", lambda batch: _number(loss_fn(self.model, batch))

    def _with_target(self, choose: Callable[[Any], Any]) -> Callable[[Any], Tensor | None]:
        def compute(batch: Any) -> Tensor | None:
            inputs, target = _split(batch)
            assert self.loss_fn is not None
            return _number(self.loss_fn(choose(self._run(inputs)), target))

        return compute

    def _run(self, inputs: Any) -> Any:
        self.output = _called(self.model, inputs)
        return self.output

    def _own_loss(self, output: Any) -> Tensor | None:
        self.output = output
        return _number(output)


def _called(model: nn.Module, inputs: Any) -> Any:
    """The model called on what a batch holds: keywords, several arguments, or one."""
    if isinstance(inputs, Mapping):
        accepted = _accepted(model)
        return model(**{key: value for key, value in inputs.items() if accepted is None or key in accepted})
    if isinstance(inputs, (tuple, list)) and not hasattr(inputs, "_fields"):
        if len(inputs) == 1 and type(inputs[0]) in (tuple, list):
            return _whole_or_spread(model, inputs[0])
        return model(*inputs)
    return model(inputs)


def _whole_or_spread(model: nn.Module, inputs: Sequence[Any]) -> Any:
    """A nested tuple of inputs is several arguments where forward takes so many, else one."""
    try:
        inspect.signature(model.forward).bind(*inputs)
    except (TypeError, ValueError):
        return model(inputs)
    return model(*inputs) if len(inputs) > 1 else model(inputs)


def _accepted(model: nn.Module) -> set[str] | None:
    """The keywords that forward accepts; None for all."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}


def _split(batch: Any) -> tuple[Any, Any]:
    """The model's inputs and the target."""
    if isinstance(batch, Mapping):
        key = _target_key(batch)
        return {name: value for name, value in batch.items() if name != key}, batch.get(key)
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "_fields") and len(batch) > 1:
        return tuple(batch[:-1]), batch[-1]
    return (batch,), None


def _items(batch: Any) -> Sequence[Any]:
    return (
        tuple(batch.values()) if isinstance(batch, Mapping) else batch if isinstance(batch, (tuple, list)) else (batch,)
    )


def _target_key(batch: Mapping[str, Any]) -> str:
    return next((key for key in batch if key in TARGETS), "")


def _first_parameter(function: Callable[..., Any]) -> str:
    try:
        return next(iter(inspect.signature(function).parameters), "")
    except (TypeError, ValueError):
        return ""


def _main(output: Any) -> Any:
    """The output that a plain loss means: the logits of a dict, the first of a tuple."""
    if isinstance(output, (tuple, list)):
        return output[0]
    for key in OUTPUTS:
        value = output.get(key) if isinstance(output, Mapping) else getattr(output, key, None)
        if isinstance(value, Tensor):
            return value
    raise TypeError(
        say("no tensor of {names} in an output of type {type}", names=", ".join(OUTPUTS), type=type(output).__name__)
    )


def _number(result: Any) -> Tensor | None:
    """The loss in what a loss function or a model returns."""
    if isinstance(result, Mapping):
        result = result.get("loss")
    elif not isinstance(result, (Tensor, tuple, list)):
        result = getattr(result, "loss", None)
    if isinstance(result, (tuple, list)) and result:
        result = result[0]
    if not isinstance(result, Tensor):
        raise TypeError(say("expected a loss, one number in a tensor, got {type}", type=type(result).__name__))
    if result.numel() != 1:
        raise TypeError(say("expected a loss, one number, got a tensor of shape {shape}", shape=tuple(result.shape)))
    if not result.requires_grad:
        raise TypeError(say("the loss has no gradient: was it computed under no_grad, or detached?"))
    return result.reshape(())


def _unfit(failures: list[tuple[str, Exception]]) -> str:
    words, error = failures[0]
    others = ", ".join(way for way, _ in failures[1:])
    told = {"way": words, "error": f"{type(error).__name__}: {error}"}
    if others:
        return say("cannot compute a loss: {way} raised {error} (tried {others} too)", others=others, **told)
    return say("cannot compute a loss: {way} raised {error}", **told)

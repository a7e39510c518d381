"""The loss of a pass that a script has made, as a function of its batch and of the weights as they are now."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .._readback import read_tensor_scalar
from .._recorded import recorded
from .._tap import CannotReplay, TapedPass
from ..measure.objective import Objective
from ..measure.undisturbed import undisturbed

SAME = 1e-3
"""By how much, of its size, a loss may differ when it is computed again: kernels may add in another order."""

CONSTANTS = frozenset({-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0})
"""Numbers in a loss that do not depend on how large the batch is."""


class TapedObjective(Objective):
    """An objective whose model, loss and batch are those of a pass on tape.

    A batch is a pair of dicts: what the models were given, and what the loss was given beside their outputs.

    Args:
        taped: the pass.
        params: the parameters that the optimizer trains.
        names: theirs.
    """

    def __init__(self, taped: TapedPass, params: Sequence[Tensor], names: Sequence[str]) -> None:
        self._taped = taped
        self.model = as_one(taped.roots, params, names)
        known = {id(param) for param in self.model.parameters()}
        beside = [each for each in taped.leaves if id(each) not in known]  # a copy in half precision, say
        if beside:
            loose = {f"weight beside the optimizer's ({place})": each for place, each in enumerate(beside)}
            self.model = _Several({"trained": self.model}, loose)
        self.loss_fn = None
        self.way = "as the script did"
        self.output = None
        self.inputs, self.target = dict(taped.inputs), dict(taped.others)
        self.batch = self.inputs, self.target
        # A loss divided by the number of samples, written as a number, would grow with a larger batch like a sum.
        sizes = {each.shape[0] for each in (*self.inputs.values(), *self.target.values()) if each.ndim} - {0, 1}
        self.other_sizes = not any(_may_count(number, size) for number in taped.numbers for size in sizes)

    def __call__(self, batch: Any = None) -> Tensor:
        """The loss, 0-d, with its graph, on this batch or another of the same form."""
        others = None if batch is None or batch is self.batch else {**batch[0], **batch[1]}
        loss, self.output = self._taped.replay(others)
        return loss.reshape(())

    def parts(self, batch: Any) -> tuple[Any, Any]:
        """The inputs and the others of a batch."""
        return batch

    def with_parts(self, inputs: Any, target: Any) -> Any:
        """A batch of these."""
        return inputs, target

    def verify(self) -> None:
        """See that the loss of the pass comes out again.

        Raises:
            CannotReplay: it does not.
        """
        with undisturbed(self.model):
            loss = read_tensor_scalar(self().detach())
        was = read_tensor_scalar(self._taped.loss)
        if was is None or loss is None or math.isfinite(was) != math.isfinite(loss):
            raise CannotReplay(recorded("computed again the loss is {loss}, it was {was}", loss=f"{loss:.4g}", was=was))
        if math.isfinite(loss) and abs(loss - was) > SAME * max(abs(loss), abs(was)):
            raise CannotReplay(
                recorded(
                    "computed again the loss is {loss}, it was {was}: the pass is not repeatable",
                    loss=f"{loss:.6g}",
                    was=f"{was:.6g}",
                )
            )


def _may_count(number: float, size: int) -> bool:
    """Whether a number in a loss may be one of samples, or one over that: a multiple of the size of the batch."""
    if number in CONSTANTS or not math.isfinite(number):
        return False
    large = abs(number) if abs(number) > 1 else 1 / abs(number)
    return large >= size and abs(large / size - round(large / size)) < 1e-6


class _Several(nn.Module):
    """Models and loose parameters of one training side by side, under the names that the script has for them."""

    def __init__(self, parts: Mapping[str, nn.Module], loose: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        for name, param in loose.items():
            self._parameters[name] = param  # type: ignore[assignment]  (names such as "weights[2]")


def as_one(roots: Sequence[nn.Module], params: Sequence[Tensor], names: Sequence[str]) -> nn.Module:
    """One module that owns all parameters of a training, by the names that they have.

    Args:
        roots: the models.
        params: the parameters that the optimizer trains.
        names: theirs, such as "encoder.rnn.weight".
    """
    owned = {id(param) for root in roots for param in root.parameters()}
    loose = {name: param for name, param in zip(names, params, strict=True) if id(param) not in owned}
    if len(roots) == 1 and not loose:
        return roots[0]
    known = {id(param): name for param, name in zip(params, names, strict=True)}
    parts: dict[str, nn.Module] = {}
    for place, root in enumerate(roots):
        name = _prefix(root, known) or f"{type(root).__name__}{place}"
        parts[name if name not in parts else f"{name}{place}"] = root
    return _Several(parts, loose)


def _prefix(root: nn.Module, known: Mapping[int, str]) -> str:
    """What stands before a parameter's own name in the name that the script has for it."""
    for own, param in root.named_parameters():
        whole = known.get(id(param), "")
        if whole.endswith(f".{own}"):
            return whole.removesuffix(f".{own}").replace(".", "_")
    return ""

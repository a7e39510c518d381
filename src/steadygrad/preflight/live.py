"""A pass that a script makes by itself, followed from outside, and judged on its live graph."""

import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._i18n import later
from .._names import name_parameters
from .._readback import any_nonfinite
from ..evidence import Evidence
from ..findings import CheckResult
from ..measure.forward_trace import ForwardTrace, layer_of
from ..measure.overrides import leave_mode
from .batch_profile import profile
from .check import judged
from .curvature import live_edge
from .gather import BUDGET, Trying, chain_of, unusual
from .observed import reduction_of, to_pass
from .recurrences import RecurrenceProbe
from .symmetry import weight_profiles

ONCE = later("a script's loss cannot be computed again: give a factory")
"""Why what needs a second pass is not measured."""


class Live:
    """Follows the outermost modules that are called while gradients are recorded.

    Attributes:
        roots: the modules that were called, in the order of their first call.
    """

    def __init__(self) -> None:
        self.roots: list[nn.Module] = []
        self._depth = 0
        self._inputs: list[Any] = []
        self._output: Any = None
        self._trace: ForwardTrace | None = None
        self._probes: list[RecurrenceProbe] = []

    def enter(self, module: nn.Module, args: Any) -> None:
        """A module is called."""
        self._depth += 1
        if self._depth > 1 or not torch.is_grad_enabled() or not any(p.requires_grad for p in module.parameters()):
            return
        if not any(module is root for root in self.roots):
            self._follow(module)
            module.register_forward_hook(self._keep_inputs, with_kwargs=True)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """A module has returned."""
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and any(module is root for root in self.roots):
            self._output = output

    def _keep_inputs(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self._inputs.append({**dict(enumerate(args)), **kwargs} if kwargs else args)

    def _follow(self, module: nn.Module) -> None:
        self.roots.append(module)
        if self._trace is None:
            self._trace = ForwardTrace({})
            self._trace.__enter__()
        several = len(self.roots) > 1
        prefix = f"{type(module).__name__}." if several else ""
        self._trace.add({f"{prefix}{name}": param for name, param in module.named_parameters()}, list(module.buffers()))
        self._probes.append(RecurrenceProbe(module).__enter__())

    def judge(
        self, loss: Tensor, optimizer: Optimizer | None, roots: Sequence[nn.Module], target: str, began: float
    ) -> CheckResult:
        """Everything that the graph of one loss tells.

        Args:
            loss: 0-d, about to be differentiated.
            optimizer: the one that will use the gradients, or None.
            roots: the modules that own the parameters.
            target: what the result is called.
            began: when the script began, in seconds of `perf_counter`.
        """
        trace = self._trace or ForwardTrace({})
        leave_mode(trace)
        params = self._renamed(trace, roots)
        model = roots[0] if len(roots) == 1 else nn.ModuleList(roots)
        skipped: dict[str, str] = {}
        trying = Trying(skipped)
        found = None
        if optimizer is not None and not any_nonfinite([loss]):
            found = trying(later("sharpness"), lambda: live_edge(loss, optimizer, BUDGET))
        loss.backward()
        base = to_pass(trace, loss, self._output, params, reduction_of(loss))
        inputs = tuple(each for given in self._inputs for each in profile(given, "inputs"))
        evidence = Evidence(
            base,
            *chain_of(base, params),
            inputs=inputs,
            edge=found,
            optimizer="" if optimizer is None else type(optimizer).__name__,
            skipped=skipped,
        )
        evidence.weights = trying(later("symmetry of the weights"), lambda: weight_profiles(base)) or ()
        measured = [
            trying(later("recurrent layers"), lambda probe=probe: probe.measure(base)) for probe in self._probes
        ]
        evidence.recurrences = tuple(each for one in measured if one is not None for each in one[0])
        curves = [one[1] for one in measured if one is not None]
        evidence.time_gradients = {name: curve for each in curves for name, curve in each.items()}
        if any(unusual(each) for each in inputs):
            skipped[later("the same pass with standardised inputs")] = ONCE
        skipped[later("the batch with each sample twice")] = ONCE
        return judged(evidence, target, model, perf_counter() - began)

    def _renamed(self, trace: ForwardTrace, roots: Sequence[nn.Module]) -> dict[str, Tensor]:
        """The parameters by the names that the script has for them, which the trace gets too."""
        params = list({id(param): param for root in roots for param in root.parameters()}.values())
        names = name_parameters(params, roots, sys._getframe())
        final = {id(param): name for param, name in zip(params, names, strict=True)}
        old = {name: final.get(id(param), name) for name, param in trace.parameters.items()}
        layer = {layer_of(before): layer_of(after) for before, after in old.items()}
        for call in trace.calls:
            call.weights = tuple(old[name] for name in call.weights)
            call.layer = layer_of(call.weights[0])
        trace.attentions = [(layer.get(place, place), focus) for place, focus in trace.attentions]
        return dict(zip(names, params, strict=True))

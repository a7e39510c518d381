"""The initialisation that a model's architecture asks for, with the reason for each step."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .._readback import read_tensor_scalar
from ..measure.calling import tensors_in
from ..measure.forward_graph import ForwardGraph, Operation, forward_graph
from ..measure.undisturbed import undisturbed
from .draws import draw_normal_, draw_orthogonal_, is_computed_from
from .lsuv import scale_in_call_order_
from .record import InitRecord
from .recurrent import chrono_, forget_bias_, recurrent_blocks, recurrent_modules
from .residual import grows_as_a_power
from .roles import Roles
from .variance import biases_of
from .weight_products import root_mean_square

DESIGNED = {"sigmoid": 5.0, "softplus": 9.0, "head": 5.0}
"""Size of a bias up to which it is taken for someone's design, by what it goes into."""

LONG = 100
"""Time steps from which gates are drawn for long memory."""

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
"""Norms with a gain and a shift."""

OFF = 3.0
"""Deviations below zero from which a rectifier behind it hardly ever fires."""

TOLERANCE = 0.03


def auto_(
    model: nn.Module,
    batch: Any,
    loss_fn: Callable[..., Any] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> InitRecord:
    r"""Draw the weights of a model anew, as its architecture asks for, and scale them on a real batch.

    What the architecture is shows in the graph of a forward: names and classes decide nothing but torch's own recurrent
    modules. Each weight is drawn by its role, then scaled in call order (see `lsuv_`) so that it gives:

    ===================  =====================  ===========================================
    role                 draw                   size of what it gives
    ===================  =====================  ===========================================
    in a plain chain     orthogonal             1
    before branches      normal                 1; :math:`\sqrt K` where each of K branches ends in a norm
    inside a branch      normal                 1
    last of a branch     normal                 :math:`s / \sqrt K`: K branches, skip path of size s
    recurrent            orthogonal, each gate  not scaled: spectral radius 1
    into a recurrence    normal                 1; :math:`1/\sqrt T` for a ReLU state over T steps
    embedding            normal                 1; :math:`0.5/\sqrt d` if the head shares it
    head                 normal                 0.3: the loss of a classifier starts near log C
    ===================  =====================  ===========================================

    Biases become zero, except moderate ones of gates and heads. Forget gates are opened: by 1, or for 100 time steps
    and more by `chrono_`. Left as they are: norms and scales, weights that are zero beside a path that goes on without
    them (LoRA's B, zero-initialised branches, adaLN-zero), frozen parameters, positional parameters, parametrisations
    that fix the scale. It overwrites what was learned: freeze pretrained weights, or do not call it.

    Args:
        model: any module.
        batch: as of `measure.call_model`; some 100 samples are plenty.
        loss_fn: called with the output and the batch's last item; only noted in the record.
        generator: for the draws.

    Returns:
        What was done, where and why; prints nicely.

    Raises:
        ValueError: the model does not take the batch.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> record = auto_(model, torch.randn(64, 3), generator=torch.Generator().manual_seed(0))
        >>> record.where("orthogonal"), record.where("normal")
        (['0.weight', '2.weight'], ['4.weight'])

    References:
        Mishkin and Matas, "All you need is a good init", 2016.
        Radford et al., "Language models are unsupervised multitask learners", 2019.
    """
    plan = Roles(model, forward_graph(model, batch))
    record = InitRecord()
    record.add("architecture", type(model).__name__, plan.words())
    for name, why in plan.left.items():
        record.add("left alone", name, why)
    with torch.no_grad():
        _draw(plan, record, generator)
        _biases(plan, record, generator)
    scale_in_call_order_(model, plan.graph.call, plan.target, {*plan.left, *plan.recurrent}, record, TOLERANCE)
    if loss_fn is not None:
        _note_loss(model, plan.graph, batch, loss_fn, record)
    return record


def _draw(plan: Roles, record: InitRecord, generator: torch.Generator | None) -> None:
    for name, use in plan.uses.items():
        param = plan.params[name]
        if name in plan.left or is_computed_from(plan.model, name) or is_lazy(param):
            continue
        product = use.products[0]
        if name in plan.recurrent:
            _draw_recurrent(plan, name, record, generator)
        elif product.is_embedding:
            draw_normal_(param, 1.0, generator)
            owner = plan.model.get_submodule(name.rpartition(".")[0])
            if isinstance(owner, (nn.Embedding, nn.EmbeddingBag)) and owner.padding_idx is not None:
                param[owner.padding_idx].zero_()
            record.add("normal", name, "the head shares it" if name in plan.tied else "an embedding")
        elif name in plan.heads:
            _draw_by_fan(param, generator)
            record.add("normal", name, "the head: small, so that no class is favoured at the start")
        elif name in plan.last and grows_as_a_power(plan.graph, plan.last[name]):
            param.zero_()
            plan.left[name] = "zero"
            record.add("zero", name, "the last of a branch that squares its data, without a norm")
        elif plan.branches or plan.recurrent:
            _draw_by_fan(param, generator)
            record.add("normal", name, "the last of a branch" if name in plan.last else "its size is set below")
        else:
            draw_orthogonal_(param, generator)
            if activation_before(product) == "sigmoid":
                param.sub_(param.flatten(1).mean(1).view(-1, *([1] * (param.ndim - 1))))
            record.add("orthogonal", name, "a chain: no direction is stretched more than another")


def _draw_by_fan(param: Tensor, generator: torch.Generator | None) -> None:
    draw_normal_(param, 1.0 / math.sqrt(max(1, param[0].numel())), generator)


def _draw_recurrent(plan: Roles, name: str, record: InitRecord, generator: torch.Generator | None) -> None:
    param = plan.params[name]
    leaf = name.rpartition(".")[2]
    if leaf.startswith("weight_hr"):
        draw_orthogonal_(param, generator)
        record.add("orthogonal", name, "the projection of a state")
        return
    columns = plan.columns.get(name)
    owner = plan.model.get_submodule(name.rpartition(".")[0])
    if isinstance(owner, (nn.RNNBase, nn.RNNCellBase)):
        blocks = list(param.detach().chunk(param.shape[0] // int(owner.hidden_size), 0))  # pyright: ignore
    else:
        try:
            blocks = recurrent_blocks(param.detach(), columns)
        except ValueError:
            blocks = [param.detach()]
        if columns is not None:
            _draw_by_fan(param, generator)
            # Beside the state's columns, those of the input: of size 1 for an input of size 1.
            width = param.shape[1] - (columns.stop - columns.start)
            param.mul_(math.sqrt(param.shape[1] / max(1, width)))
    identity = plan.relu_state(name)
    for block in blocks:
        if identity:
            nn.init.eye_(block) if block.ndim == 2 else None
        else:
            draw_orthogonal_(block, generator)
    if identity:
        record.add("identity", name, "a ReLU state is carried on as it is")
    else:
        record.add("orthogonal", name, "recurrent: spectral radius 1, gate by gate")


def _biases(plan: Roles, record: InitRecord, generator: torch.Generator | None) -> None:
    done: set[str] = set()
    for prefix, module in recurrent_modules(plan.model):
        own = {name: param for name, param in module.named_parameters(recurse=False) if name.startswith("bias")}
        done.update(prefix + name for name in own)
        if not own or not all(param.requires_grad for param in own.values()):
            continue
        for name, param in own.items():
            param.zero_()
            record.add("zero", prefix + name, "nothing is added at each step")
        if not isinstance(module, (nn.RNN, nn.RNNCell)):
            steps = max(plan.steps(prefix + name) for name in _states(module))
            opened = chrono_(module, steps, generator=generator) if steps >= LONG else forget_bias_(module)
            for step in opened:
                record.add(step.what, prefix + step.where, step.why)
    for use in plan.uses.values():
        product = use.products[0]
        met = plan.graph.activations_after(product)
        designed = max((size for what, size in DESIGNED.items() if what in met), default=0.0)
        for name in biases_of(plan.graph, product, plan.params):
            bias = plan.params[name]
            if name in done or not bias.requires_grad or use.name in plan.left:
                continue
            done.add(name)
            largest = read_tensor_scalar(bias.detach().abs().amax()) or 0.0
            prior = DESIGNED["head"] if use.name in plan.heads and _is_prior(bias) else 0.0
            if largest <= max(designed, prior):
                continue
            bias.zero_()
            record.add("zero", name, "no unit starts ahead of another, none starts dead")
    for path, module in plan.model.named_modules():
        if isinstance(module, NORMS) and _switches_off(module.weight, module.bias):
            module.bias.zero_()
            record.add("zero", f"{path}.bias".lstrip("."), "units behind the norm would never be on")


def _switches_off(gain: Tensor | None, shift: Tensor | None) -> bool:
    """Whether a norm's shift leaves hardly anything of what it has brought to size 1 above zero."""
    if gain is None or shift is None or not shift.requires_grad:
        return False
    off = (shift < -OFF * gain.abs()).float().mean()
    return (read_tensor_scalar(off) or 0.0) > 0.9


def _is_prior(bias: Tensor) -> bool:
    """Whether a head's bias says how common the classes are: one value for all, or logarithms of shares."""
    spread = read_tensor_scalar((bias - bias.mean()).abs().amax()) or 0.0
    total = read_tensor_scalar(bias.float().exp().sum()) or 0.0
    return spread == 0.0 or abs(total - 1.0) < 0.01


def _states(module: nn.Module) -> Iterator[str]:
    return (name for name, _ in module.named_parameters(recurse=False) if name.startswith("weight_hh"))


def activation_before(product: Operation) -> str:
    """The activation that what a product multiplies comes from; "" if none."""
    operation = product
    while len(operation.inputs) == 1:
        operation = operation.inputs[0]
        if operation.activation:
            return operation.activation
        if operation.weights or operation.is_norm:
            break
    return ""


def _note_loss(
    model: nn.Module, graph: ForwardGraph, batch: Any, loss_fn: Callable[..., Any], record: InitRecord
) -> None:
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        return
    with undisturbed(model), torch.no_grad():
        output = graph.call(model)
        loss = loss_fn(output, batch[-1])
    values = tensors_in(loss)
    if values:
        size = root_mean_square(tensors_in(output)[0]) if tensors_in(output) else math.nan
        first = read_tensor_scalar(values[0].mean())
        record.add("loss", type(model).__name__, f"{first:.4g} at the start, outputs of size {size:.2g}")

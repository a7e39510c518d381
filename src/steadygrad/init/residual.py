"""Residual nets: branches that start small, so that depth does not multiply."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..measure.forward_graph import ForwardGraph, Operation, forward_graph
from ..measure.residual import ResidualBranch, residual_branches
from .draws import draw_normal_, drawn_like, is_computed_from
from .record import InitRecord
from .variance import HE_GAIN, activation_after, as_out_in, biases_of

BOUNDED = ("sigmoid", "tanh", "softmax")


def depth_scaled_residual_(model: nn.Module, batch: Any) -> InitRecord:
    r"""Multiply the last weight of each residual branch by :math:`1/\sqrt{K}`, K the number of branches, as GPT-2 does.

    With two branches a layer that is :math:`1/\sqrt{2N}` for N layers. The sum of all branches then is as large as one.
    Branches are found in the graph of a forward, whatever their names. A branch whose last weight is followed by a norm
    is left alone: its size does not depend on the weight. It multiplies what is there: call it once.

    Args:
        model: any module with residual branches.
        batch: as of `measure.call_model`.

    Returns:
        What was done.

    Raises:
        ValueError: the model does not take the batch, or has no residual branches.

    Example:
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        >>> record = depth_scaled_residual_(model, torch.randn(2, 3, 8))
        >>> len(record.factors), set(record.factors.values())
        (4, {0.5})

    References:
        Radford et al., "Language models are unsupervised multitask learners", 2019.
    """
    graph, branches = _found(model, batch)
    params = dict(model.named_parameters())
    record = InitRecord()
    factor = 1.0 / math.sqrt(sum(branch.calls for branch in branches))
    done: set[str] = set()
    for branch in branches:
        each = factor ** (1.0 / ends_multiply(graph, branch))
        for name in branch.last:
            why = _untouched(model, params[name], name, branch)
            if name in done:
                continue
            done.add(name)
            if why:
                record.add("left alone", name, why)
                continue
            with torch.no_grad():
                params[name].mul_(each)
            record.add("scale", name, f"the last of a branch, one of {len(branches)}", each)
    return record


def fixup_(model: nn.Module, batch: Any, *, generator: torch.Generator | None = None) -> InitRecord:
    r"""Fixup without its added scalars: the last weight of each branch zero, the others small, the head zero.

    .. math:: W_l \leftarrow L^{-1/(2m-2)}\, W_l^{\text{He}}

    for the weights of a branch of m weights in series, one of L branches. For residual nets *without* normalisation; a
    branch that ends in a norm is left alone. What the paper adds to the architecture (a scalar multiplier, scalar
    biases) is yours to add.

    Args:
        model: any module with residual branches.
        batch: as of `measure.call_model`.
        generator: for the draws.

    Returns:
        What was done.

    Raises:
        ValueError: the model does not take the batch, or has no residual branches.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
        ...     def forward(self, x):
        ...         return x + self.down(self.up(x).relu())
        >>> net = Net()
        >>> fixup_(net, torch.ones(2, 4)).where("zero")
        ['down.weight', 'up.bias', 'down.bias']

    References:
        Zhang et al., "Fixup initialization: residual learning without normalization", 2019.
    """
    graph, branches = _found(model, batch)
    params = dict(model.named_parameters())
    record = InitRecord()
    count = sum(branch.calls for branch in branches)
    done: set[str] = set()
    with torch.no_grad():
        for branch in branches:
            shrink = count ** (-1.0 / (2 * branch.depth - 2)) if branch.depth > 1 else 1.0
            for name in branch.weights:
                why = _untouched(model, params[name], name, branch)
                if name in done:
                    continue
                done.add(name)
                if why:
                    record.add("left alone", name, why)
                elif name in branch.last:
                    params[name].zero_()
                    record.add("zero", name, "the last of a branch: each block starts as the identity")
                else:
                    _he_draw_(graph, params[name], name, shrink, generator)
                    record.add("he", name, f"inside a branch, times {shrink:.3g}")
        ends = heads(graph) - done
        for name in ends:
            if params[name].requires_grad and not is_computed_from(model, name):
                params[name].zero_()
                record.add("zero", name, "the head: all classes alike at the start")
        for product in graph.products():
            if (done | ends) & set(product.weights):
                for name in biases_of(graph, product, params):
                    if params[name].requires_grad:
                        params[name].zero_()
                        record.add("zero", name, "nothing is added at the start")
    return record


def tfixup_(model: nn.Module, batch: Any, *, generator: torch.Generator | None = None) -> InitRecord:
    r"""T-Fixup for transformers without layer norm and without warm-up.

    Every weight of the branches by Xavier's rule; then values, output projections and MLPs of an encoder of N layers
    are multiplied by :math:`0.67 N^{-1/4}`, those of a decoder with cross-attention by :math:`(9N)^{-1/4}`.
    Embeddings are drawn from :math:`N(0, d^{-1})` and multiplied alike. Meant for a model whose layer norms have been
    taken out; with them it does no harm and little good.

    Args:
        model: a transformer.
        batch: as of `measure.call_model`.
        generator: for the draws.

    Returns:
        What was done.

    Raises:
        ValueError: the model does not take the batch, or has no residual branches.

    Example:
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        >>> record = tfixup_(model, torch.randn(2, 3, 8))
        >>> sorted({round(factor, 2) for factor in record.factors.values()})
        [0.56]

    References:
        Huang et al., "Improving transformer optimization through better initialization", 2020.
    """
    graph, branches = _found(model, batch)
    params = dict(model.named_parameters())
    record = InitRecord()
    scales: dict[int, float] = {}
    for stack in {branch.stack for branch in branches}:
        own = [branch for branch in branches if branch.stack == stack]
        if any(branch.crosses for branch in own):
            scales[stack] = (9 * max(1, len(own) // 3)) ** -0.25
        else:
            scales[stack] = 0.67 * max(1, len(own) // 2) ** -0.25
    done: set[str] = set()
    for branch in branches:
        for name in branch.weights:
            if name in done or _untouched(model, params[name], name, branch):
                continue
            done.add(name)
            with torch.no_grad():
                nn.init.xavier_uniform_(fresh := drawn_like(params[name], generator), generator=generator)
                params[name].copy_(fresh.to(params[name].device))
                parts = value_parts(graph, params[name], name)
                for part in parts:
                    part.mul_(scales[branch.stack])
            record.add("xavier", name, "a weight of a branch")
            if parts:
                record.add("scale", name, "value, output or MLP", scales[branch.stack])
    first = scales[min(scales)]
    for product in graph.products():
        for name in product.weights:
            if product.is_embedding and name not in done and params[name].requires_grad:
                done.add(name)
                draw_normal_(params[name], params[name].shape[-1] ** -0.5 * first, generator)
                record.add(
                    "normal", name, f"embedding, standard deviation {params[name].shape[-1] ** -0.5 * first:.3g}"
                )
    return record


def heads(graph: ForwardGraph) -> set[str]:
    """Names of the weights after which no other weight comes, those of residual branches not counted."""
    inside = {name for branch in residual_branches(graph) for name in branch.weights}
    ends: set[str] = set()
    used: dict[str, int] = {}
    for product in graph.products():
        for name in product.weights:
            used[name] = used.get(name, 0) + 1
        after = graph.descendants(product, lambda operation: bool(operation.weights))
        if not product.is_embedding and not any(each.weights for each in after - {product}):
            ends.update(product.weights)
    return {name for name in ends - inside if not name.rpartition(".")[2].startswith(("weight_ih", "weight_h"))}


def grows_as_a_power(graph: ForwardGraph, branch: ResidualBranch) -> bool:
    """Whether a branch multiplies its data by its data with nothing that bounds it: a sample twice as large, four.

    Without a norm, a few such blocks in a row overflow on the first larger sample, however small their factors.
    """
    inside = graph.descendants(branch.fork, lambda each: each is branch.add)
    inside &= graph.ancestors(branch.add, lambda each: each is branch.fork)
    inside -= {branch.add, branch.fork}
    if any(each.is_norm for each in inside):
        return False
    products = [each for each in inside if each.is_gate and each.name.startswith("Mul")]
    return any(not any(part.activation in BOUNDED for part in each.inputs) for each in products)


def ends_multiply(graph: ForwardGraph, branch: ResidualBranch) -> int:
    """How many of a branch's last weights are multiplied with each other: 1 where they are added."""
    ends = [product for product in graph.products() if set(product.weights) & set(branch.last)]
    gated = [product for product in ends if "gate" in graph.activations_after(product)]
    return max(1, len({name for product in gated for name in product.weights}))


def value_parts(graph: ForwardGraph, weight: Tensor, name: str) -> list[Tensor]:
    """The parts of a weight, as views, whose output is not a query or a key: of packed projections the last third."""
    kinds: set[bool] = set()
    out_first = True
    for product in graph.products():
        if name in product.weights:
            kinds |= {_is_value(gate, through) for gate, through in _first_gates(product)} or {True}
            out_first = weight.shape[0] == product.shape[-1] or weight.shape[0] >= weight.shape[1]
    if kinds == {True}:
        return [weight]
    if kinds == {False}:
        return []
    axis = 0 if out_first else 1
    return [weight.chunk(3, axis)[-1]] if weight.shape[axis] % 3 == 0 else [weight]


def _first_gates(product: Operation) -> list[tuple[Operation, Operation]]:
    """The attention products that a projection enters first, with the operand through which."""
    gates, waiting, seen = [], [product], {product}
    while waiting:
        operation = waiting.pop()
        for user in operation.users:
            if user.name.startswith(("Bmm", "ScaledDot", "Baddbmm")) or "ttention" in user.name:
                gates.append((user, operation))
            elif user not in seen and not user.weights and not user.is_sum:
                seen.add(user)
                waiting.append(user)
    return gates


def _is_value(gate: Operation, through: Operation) -> bool:
    if not gate.name.startswith(("Bmm", "Baddbmm")):
        return gate.inputs[-1] is through
    for operand in gate.inputs:
        each, steps = operand, 0
        while operand is not through and each.inputs and not each.is_gate and steps < 20:
            if each.activation == "softmax":
                return True
            each, steps = each.inputs[0], steps + 1
    return False


def _found(model: nn.Module, batch: Any) -> tuple[ForwardGraph, list[ResidualBranch]]:
    graph = forward_graph(model, batch)
    branches = residual_branches(graph)
    if not branches:
        raise ValueError(f"{type(model).__name__} has no residual branches: nothing is added to what it comes from")
    return graph, branches


def _untouched(model: nn.Module, param: nn.Parameter, name: str, branch: ResidualBranch) -> str:
    if not param.requires_grad:
        return "frozen"
    if branch.rescaled:
        return "a norm at the end of the branch gives it its size"
    if is_computed_from(model, name):
        return "parametrised"
    if isinstance(model.get_submodule(name.rpartition(".")[0]), (nn.RNNBase, nn.RNNCellBase)):
        return "recurrent: its gates bound what it gives"
    return ""


def _he_draw_(
    graph: ForwardGraph, param: nn.Parameter, name: str, factor: float, generator: torch.Generator | None
) -> None:
    product = next(product for product in graph.products() if name in product.weights)
    seen, stride = as_out_in(param, product)
    gain = HE_GAIN.get(activation_after(graph, product), 1.0)
    fan_in = seen.shape[1] * math.prod(seen.shape[2:])
    draw_normal_(seen, factor * stride * gain / math.sqrt(fan_in), generator)

"""What each weight of a model is there for, by the graph of a forward; and how large what it gives is to be."""

import math
from dataclasses import dataclass, field

from torch import nn
from torch.nn.parameter import is_lazy

from ..measure.forward_graph import ForwardGraph, Operation
from ..measure.residual import ResidualBranch, carried, residual_branches
from .recurrent_weights import has_relu_state, recurrent_weights, state_columns
from .residual import ends_multiply, heads
from .stream import stream_sizes

TIED = 0.5
"""The same for a head whose weight is also the embedding."""

HEAD = 0.3
"""Size of a head's output: the loss of a classifier starts within 0.05 of log C."""


POOLS = ("MaxPool", "AdaptiveMaxPool")
"""How the operations of torch's max poolings begin."""


@dataclass
class _Use:
    """A weight and its multiplications, the first call first."""

    name: str
    products: list[Operation] = field(default_factory=list)


class Roles:
    """The role of every weight of a model, and what each is to give.

    Args:
        model: any module.
        graph: of a forward of it.

    Attributes:
        uses: each weight with its multiplications, in call order.
        last: the last weights of residual branches, where their scale counts.
        left: names of weights that are left as they are, with the reasons.
    """

    def __init__(self, model: nn.Module, graph: ForwardGraph) -> None:
        self.model = model
        self.graph = graph
        self.params = dict(model.named_parameters())
        self.uses: dict[str, _Use] = {}
        for product in graph.products():
            for name in product.weights:
                self.uses.setdefault(name, _Use(name)).products.append(product)
        self.branches = residual_branches(graph)
        self.heads = heads(graph)
        self.recurrent = recurrent_weights(graph)
        self.columns = state_columns(graph)
        # A weight on state and input side by side is scaled with the input's columns only by its draw.
        self.last = {name: branch for branch in self.branches for name in branch.last if self._scalable(branch, name)}
        self.tied = {
            name for name, use in self.uses.items() if len({product.is_embedding for product in use.products}) > 1
        }
        self.left: dict[str, str] = {}
        for name, use in self.uses.items():
            why = self._by_design(use)
            if why:
                self.left[name] = why
                self.left.setdefault(computed_name(name), why)
        # Where norms give branches size 1, the path they are added to is to be large instead.
        self._origins = {
            each for branch in self.branches if branch.rescaled for each in carried(branch.fork) if each.weights
        }
        self._targets: dict[str, float] = {}
        self._names = {computed_name(name): name for name in self.uses}
        self._sizes = stream_sizes(graph, self.params, self._target)

    def words(self) -> str:
        found = []
        if self.branches:
            count = sum(branch.calls for branch in self.branches)
            found.append(f"{count} residual branches: their last weights are small, so that depth does not add up")
        if self.recurrent:
            found.append("recurrent: orthogonal over time, open gates")
        if any(operation.activation == "softmax" for operation in self.graph.operations):
            found.append("attention: queries and keys of size 1 give logits of size 1")
        if not self.uses:
            found.append("no weights show in the graph of its forward")
        elif not found:
            found.append(f"a plain chain of {len(self.uses)} weights: orthogonal, each layer at size 1")
        return "; ".join(found)

    def target(self, name: str) -> float:
        """What a weight is to give, by the name of the parameter or of what is computed of it."""
        return self._targets.get(self._names.get(name, name), 1.0)

    def _target(self, product: Operation, sizes: dict[Operation, float]) -> float:
        """The same for a product whose inputs' sizes are known."""
        for name in product.weights:
            if name not in self._targets:
                self._targets[name] = self._size_of(name, product, sizes)
        return self._targets[product.weights[0]]

    def _size_of(self, name: str, product: Operation, sizes: dict[Operation, float]) -> float:
        if name in self.left and name not in self.recurrent:
            return 1.0
        if name in self.tied:
            return TIED / math.sqrt(self.params[name].shape[-1])
        if product.is_embedding:
            widths = [self.params[each].shape[-1] for each in self.tied]
            return TIED / math.sqrt(widths[0]) if widths else 1.0
        share = 1.0 / math.sqrt(max(1, sum(each.calls for each in self.branches)))
        if name in self.last:
            branch = self.last[name]
            # The inner ones have their size already; what multiplies with others shares the factor.
            return (sizes.get(branch.fork, 1.0) * share) ** (1.0 / ends_multiply(self.graph, branch))
        if name in self.heads:
            return HEAD
        if product in self._origins:
            return 1.0 / share
        if name.rpartition(".")[2].startswith("weight_ih") and self.relu_state(name.replace("weight_ih", "weight_hh")):
            return 1.0 / math.sqrt(max(1, self.steps(name.replace("weight_ih", "weight_hh"))))
        return 1.0 if self.branches or self.recurrent else self._behind_pools(product)

    def _behind_pools(self, product: Operation) -> float:
        """A maximum over k entries enlarges the signal, and sends the gradient back through one of them alone.

        Sizes that undid all of the one would shrink the other: half of it, in logarithms, is let through. k^(1/3) is
        what a maximum of rectified entries makes of their size where they are hardly alike. Behind a norm it is gone.
        """
        pools = [
            each for each in self.graph.ancestors(product, lambda each: each.is_norm) if each.name.startswith(POOLS)
        ]
        return math.prod(_pooled(each) ** (1.0 / 6.0) for each in pools)

    def relu_state(self, name: str) -> bool:
        """Whether a recurrent weight's state passes a ReLU."""
        return has_relu_state(self.model, self.graph, name)

    def steps(self, name: str) -> int:
        """Over how many time steps a recurrent weight is used, as far as it shows."""
        products = self.uses[name].products if name in self.uses else []
        fused = [each.inputs[0].shape[0] for each in products if "Rnn" in each.name and each.inputs]
        return max([len(products), *fused])

    def _scalable(self, branch: ResidualBranch, name: str) -> bool:
        owner = self.model.get_submodule(name.rpartition(".")[0])
        return not branch.rescaled and not isinstance(owner, (nn.RNNBase, nn.RNNCellBase))

    def _by_design(self, use: _Use) -> str:
        param = self.params[use.name]
        if not param.requires_grad:
            return "frozen"
        if use.name in self.recurrent or not self._zero(use.name) or not self._fed(use):
            return ""
        if use.name in self.heads and not use.products[0].is_embedding:
            return "a head that starts at zero: all classes alike"
        return "zero by design: what it adds to goes on without it" if self._bypassed(use) else ""

    def _zero(self, name: str) -> bool:
        param = self.params[name]
        return not is_lazy(param) and not bool((param != 0).any())

    def _fed(self, use: _Use) -> bool:
        """Whether the weights before it are there: zero after zero is nobody's design, it never learns."""
        for product in use.products:
            above = self.graph.ancestors(product, lambda each: bool(each.weights)) - {product}
            names = {name for each in above for name in each.weights}
            if names and all(map(self._zero, names)):
                return False
        return True

    def _bypassed(self, use: _Use) -> bool:
        """Whether what a zero weight gives is added to data that does not come from it, gates allowed between."""
        made = {each for product in use.products for each in self.graph.descendants(product, lambda each: False)}

        def stops(each: Operation) -> bool:
            return bool(each.weights) or each.is_sum or each.activation == "softmax" or _mixes(each)

        def carries_data(part: Operation) -> bool:
            sources = self.graph.ancestors(part, lambda each: False)
            return any(
                (each.is_embedding and not all(map(self._zero, each.weights))) or (each.order < 0 and not each.inputs)
                for each in sources
            )

        return all(
            any(
                each.is_sum and any(part not in made and carries_data(part) for part in each.inputs)
                for each in self.graph.descendants(product, stops)
            )
            for product in use.products
        )


def _mixes(operation: Operation) -> bool:
    return operation.name.startswith(("Bmm", "Baddbmm", "Mm", "ScaledDot"))


def computed_name(name: str) -> str:
    """The weight that a parameter of a parametrisation is there for.

    Example:
        >>> computed_name("0.parametrizations.weight.original1"), computed_name("0.weight")
        ('0.weight', '0.weight')
    """
    front, mark, back = name.partition("parametrizations.")
    return front + back.partition(".")[0] if mark else name


def _pooled(operation: Operation) -> float:
    """Of how many entries a pooling takes the maximum."""
    kernel = getattr(operation.node, "_saved_kernel_size", None)
    if kernel:
        return float(math.prod(kernel))
    before = operation.inputs[0].shape if operation.inputs else operation.shape
    return max(1.0, math.prod(before) / max(1, math.prod(operation.shape)))

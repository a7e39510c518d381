"""Which parts of a model are branches beside a path that carries the signal on unchanged."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from torch import nn

from .forward_graph import ForwardGraph, Operation, forward_graph

MOST_FORKS = 64
"""Forks on the skip path, the nearest first, among which the one where a branch begins is looked for."""

_MANY = re.compile(r"(Unbind|Split|UnsafeSplit|Chunk|UnsafeChunk|Unstack)")
_PARTS = re.compile(f"{_MANY.pattern}|Select|Index|Gather|Narrow")


@dataclass(frozen=True)
class ResidualBranch:
    """One branch of :math:`x + f(x)`.

    Attributes:
        first: names of the weights that f multiplies x by first.
        last: names of the weights nearest to the addition; those of a recurrent module all.
        weights: names of all weights on the way, in call order.
        depth: how many of them stand in series.
        calls: how often the branch is added: more than once where layers are reused.
        order: its place among the branches, in forward order.
        stack: branches on one and the same skip path have the same number: an encoder 0, its decoder 1.
        crosses: whether data of another stack comes in, as in cross-attention.
        rescaled: whether a normalisation follows the last weights inside the branch, so that their scale is nothing.
        add: the addition.
        fork: where the branch leaves the path that is carried on.
    """

    first: tuple[str, ...]
    last: tuple[str, ...]
    weights: tuple[str, ...]
    depth: int
    calls: int
    order: int
    stack: int
    crosses: bool
    rescaled: bool
    add: Operation
    fork: Operation


def find_residual_branches(model: nn.Module, batch: Any) -> list[ResidualBranch]:
    """Find the residual branches of a model by one forward pass; the model is left as it was.

    Nothing goes by names or classes. A branch ends at an addition one side of which reaches an earlier tensor without
    being multiplied by a weight or gated by other data, while the other side comes from the same tensor through weights
    only. So additions in the forward of a container count, there may be several in a block, and what lies between
    (dropout, norms before or after, scales) does not matter; the cells of gated recurrent nets are none.

    Args:
        model: any module.
        batch: as of `call_model`.

    Returns:
        The branches in forward order.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.norm, self.up, self.down = nn.LayerNorm(4), nn.Linear(4, 8), nn.Linear(8, 4)
        ...     def forward(self, x):
        ...         return x + self.down(self.up(self.norm(x)).relu())
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(3, 4), Block(), Block())
        >>> [(branch.first, branch.last) for branch in find_residual_branches(model, torch.ones(2, 3))]
        [(('1.up.weight',), ('1.down.weight',)), (('2.up.weight',), ('2.down.weight',))]
    """
    return residual_branches(forward_graph(model, batch))


def residual_branches(graph: ForwardGraph) -> list[ResidualBranch]:
    """The residual branches in a graph that has been read off already, see `find_residual_branches`."""
    found: dict[tuple[str, ...], ResidualBranch] = {}
    stacks: dict[Operation, int] = {}
    for operation in graph.operations:
        if not operation.is_sum or len(operation.shape) < 2:
            continue
        left, right = operation.inputs[:2]
        for skip, end in ((left, right), (right, left)):
            branch = _branch(graph, operation, skip, end)
            if branch is not None:
                break
        else:
            continue
        before = [stacks[each] for each in carried(skip) if each in stacks]
        stack = stacks[operation] = before[0] if before else len(set(stacks.values()))
        entered = graph.ancestors(end, lambda each: each in stacks)
        crosses = any(stacks.get(each, stack) != stack for each in entered)
        known = found.get(branch.weights)
        calls, order = (known.calls + 1, known.order) if known else (1, len(found))
        found[branch.weights] = replace(known or branch, calls=calls, order=order, stack=stack, crosses=crosses)
    return list(found.values())


def _blocks(operation: Operation) -> bool:
    """What a skip path does not go through."""
    return (
        bool(operation.weights) or operation.is_gate or operation.name.startswith(("Cat", "Stack")) or _picks(operation)
    )


def _picks(operation: Operation) -> bool:
    """Whether its output is a part of its input, such as one step of a sequence: other parts are other tensors."""
    if operation.name.startswith("SliceBackward"):
        return operation.node._saved_step == 1
    return _PARTS.match(operation.name) is not None


def _branch(graph: ForwardGraph, add: Operation, skip: Operation, end: Operation) -> ResidualBranch | None:
    forks = _forks(skip)
    if not forks:
        return None
    # The branch leaves the skip path at the forks; it is not followed beyond.
    inside = graph.ancestors(end, lambda operation: operation in forks)
    reached = [fork for fork in inside if fork in forks]
    if not reached or _weightless(end, forks):
        return None
    path = _between(reached, inside)
    products = [operation for operation in path if operation.weights and operation not in forks]
    if not products:
        return None
    products.sort(key=lambda operation: operation.order)
    nearest, rescaled = _nearest(end, forks)
    first = [operation for operation in products if not _before(operation, path - set(forks))]
    return ResidualBranch(
        first=_names(first),
        last=_names([operation for operation in nearest if operation in path]),
        weights=_names(products),
        depth=_depth(path - set(forks)),
        calls=1,
        order=0,
        stack=0,
        crosses=False,
        rescaled=rescaled,
        add=add,
        fork=min(reached, key=lambda fork: forks[fork]),
    )


def _names(operations: list[Operation]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for operation in operations for name in operation.weights))


def carried(skip: Operation) -> Iterator[Operation]:
    """What the skip path passes, nearest first."""
    waiting, seen = deque([skip]), {skip}
    while waiting:
        operation = waiting.popleft()
        yield operation
        if not _blocks(operation):
            new = [each for each in operation.inputs if each not in seen]
            seen.update(new)
            waiting.extend(new)


def _forks(skip: Operation) -> dict[Operation, int]:
    """What the skip path passes that others use too, nearest first, with its place."""
    shared = (each for each in carried(skip) if len(each.users) > 1 and not _MANY.match(each.name))
    return {operation: place for place, operation in enumerate(islice(shared, MOST_FORKS))}


def _weightless(end: Operation, forks: dict[Operation, int]) -> bool:
    """Whether the other side, too, reaches a fork without a weight: then none of them is a branch."""
    waiting, seen = [end], {end}
    while waiting:
        operation = waiting.pop()
        if operation in forks:
            return True
        if operation.weights:
            continue
        for each in operation.inputs:
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return False


def _between(reached: list[Operation], inside: set[Operation]) -> set[Operation]:
    """Of the operations inside, those that come from one of the forks."""
    path, waiting = set(reached), list(reached)
    while waiting:
        for user in waiting.pop().users:
            if user in inside and user not in path:
                path.add(user)
                waiting.append(user)
    return path


def _nearest(end: Operation, forks: dict[Operation, int]) -> tuple[list[Operation], bool]:
    """The weights that the end of a branch reaches first, and whether a norm stands before each."""
    nearest: dict[Operation, bool] = {}
    waiting, seen = [(end, False)], {end}
    while waiting:
        operation, normed = waiting.pop()
        if operation in forks:
            continue
        if operation.weights:
            nearest[operation] = normed
            continue
        for each in operation.inputs:
            if each not in seen:
                seen.add(each)
                waiting.append((each, normed or operation.is_norm))
    ordered = sorted(nearest, key=lambda operation: operation.order)
    return ordered, bool(nearest) and all(nearest.values())


def _before(operation: Operation, path: set[Operation]) -> bool:
    """Whether a weight stands before this operation on the path."""
    waiting, seen = list(operation.inputs), set(operation.inputs)
    while waiting:
        each = waiting.pop()
        if each not in path:
            continue
        if each.weights:
            return True
        new = [before for before in each.inputs if before not in seen]
        seen.update(new)
        waiting.extend(new)
    return False


def _depth(path: set[Operation]) -> int:
    """The most weights in series."""
    depths: dict[Operation, int] = {}
    for operation in sorted(path, key=lambda each: each.order):
        before = max((depths.get(each, 0) for each in operation.inputs), default=0)
        depths[operation] = before + bool(operation.weights)
    return max(depths.values(), default=0)

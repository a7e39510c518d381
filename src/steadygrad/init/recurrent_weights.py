"""Which weights of a model are recurrent: found in the graph of a pass, whoever wrote the cell."""

from ..measure.forward_graph import ForwardGraph, Operation


def recurrent_weights(graph: ForwardGraph) -> set[str]:
    """Names of the weights that multiply a state which they themselves made a step before, while data comes in.

    A layer that is used again and again without fresh data coming in between is not meant: that is depth.
    Weights of torch's recurrent modules that multiply the state count by what they are.
    """
    uses: dict[str, list[Operation]] = {}
    for product in graph.products():
        for name in product.weights:
            uses.setdefault(name, []).append(product)
    found = {name for name in uses if name.rpartition(".")[2].startswith(("weight_hh", "weight_hr"))}
    # Three uses: between the last two, everything that is no fresh data has passed the first.
    for name, operations in uses.items():
        if name not in found and len(operations) > 2 and _is_serial(graph, operations):
            found.add(name)
    return found


def _is_serial(graph: ForwardGraph, uses: list[Operation]) -> bool:
    last, before = uses[-1], uses[-2]
    own = set(uses)
    between = graph.ancestors(last, lambda operation: operation in own and operation is not last)
    if before not in between:
        return False
    made = graph.descendants(uses[0], lambda operation: False)
    step = {operation for operation in between if operation in made and operation is not last and operation not in own}
    return any(each not in made and each not in own for operation in [*step, last] for each in operation.inputs)

"""Which weights of a model are recurrent: found in the graph of a pass, whoever wrote the cell."""

from torch import nn

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
        embeds = any(each.is_embedding for each in operations)  # an embedding that is the head as well
        if name not in found and not embeds and len(operations) > 2 and _is_serial(graph, operations):
            found.add(name)
    return found


def has_relu_state(model: nn.Module, graph: ForwardGraph, name: str) -> bool:
    """Whether a recurrent weight's state passes a ReLU."""
    owner = model.get_submodule(name.rpartition(".")[0])
    if isinstance(owner, (nn.RNN, nn.RNNCell)):
        return owner.nonlinearity == "relu"
    products = [product for product in graph.products() if name in product.weights]
    return bool(products) and graph.activations_after(products[-1]) == {"relu"}


def _is_serial(graph: ForwardGraph, uses: list[Operation]) -> bool:
    last, before = uses[-1], uses[-2]
    own = set(uses)
    between = graph.ancestors(last, lambda operation: operation in own and operation is not last)
    if before not in between:
        return False
    made = graph.descendants(uses[0], lambda operation: False)
    # Of this step only: a skip path leads back past it.
    step = {operation for operation in between if operation in made and operation.order > before.order}
    return any(each not in made for operation in step for each in operation.inputs)


def state_columns(graph: ForwardGraph) -> dict[str, slice]:
    """Of recurrent weights on state and input side by side, the columns that multiply the state."""
    columns: dict[str, slice] = {}
    for name in recurrent_weights(graph):
        uses = [product for product in graph.products() if name in product.weights]
        joined = uses[-1].inputs[0] if len(uses) > 1 and uses[-1].inputs else None
        while joined is not None and not joined.name.startswith("CatBackward"):
            joined = joined.inputs[0] if len(joined.inputs) == 1 and not joined.weights else None
        if joined is None:
            continue
        made = graph.descendants(uses[0], lambda operation: False)
        place, waiting = 0, list(joined.inputs)
        for node, _ in joined.node.next_functions:
            part = waiting.pop(0) if waiting and waiting[0].node is node else None
            # A part without a gradient is as wide as the others leave room for.
            size = part.shape[-1] if part else joined.shape[-1] - sum(each.shape[-1] for each in joined.inputs)
            if part in made:
                columns[name] = slice(place, place + size)
            place += size
    return columns

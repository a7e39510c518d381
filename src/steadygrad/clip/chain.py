"""Policies one after the other, and looks at the norms between them."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch.optim import Optimizer

from .arguments import one_of
from .gradients import Gradients
from .policy import Policy


class Snapshot(Policy):
    """A look at the gradients at its place in a chain; made by `snapshot`."""

    def __init__(self, name: str, measure: Callable[[Gradients], Any] | None = None) -> None:
        if not name:
            raise ValueError(f"name is {name!r}, expected a word to find the snapshot by")
        self.name = name
        self._measure = measure
        self._value: Any = None

    def rescale_(self, gradients: Gradients) -> None:
        """Measure."""
        self._value = gradients.norm() if self._measure is None else self._measure(gradients)

    def snapshots(self) -> dict[str, Any]:
        """What was measured."""
        return {self.name: self._value}


class Chain(Policy):
    """Several policies in one; made by `chain`."""

    def __init__(self, policies: tuple[Policy, ...], nonfinite: Literal["keep", "zero"]) -> None:
        self.policies = policies
        self.nonfinite = nonfinite
        self.needs_optimizer = any(policy.needs_optimizer for policy in policies)  # type: ignore[misc]
        self.needs_step = any(policy.needs_step for policy in policies)  # type: ignore[misc]

    def rescale_(self, gradients: Gradients) -> None:
        """Each in turn; each sees what the ones before have left."""
        for policy in self.policies:
            policy.rescale_(gradients)

    def before_step(self, optimizer: Optimizer) -> None:
        """Each in turn."""
        for policy in self.policies:
            policy.before_step(optimizer)

    def after_step(self, optimizer: Optimizer) -> None:
        """Each, the last first: what was done last is undone first."""
        for policy in reversed(self.policies):
            policy.after_step(optimizer)

    def snapshots(self) -> dict[str, Any]:
        """What the chain's snapshots have measured, by name."""
        return {name: value for policy in self.policies for name, value in policy.snapshots().items()}

    def state_dict(self) -> dict[str, Any]:
        """The states of the policies, by place and kind."""
        return {_key(place, policy): policy.state_dict() for place, policy in enumerate(self.policies)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`.

        Raises:
            ValueError: the state is that of another chain.
        """
        keys = [_key(place, policy) for place, policy in enumerate(self.policies)]
        if list(state) != keys:
            raise ValueError(f"the state is of a chain of {list(state)}, expected {keys}")
        for key, policy in zip(keys, self.policies, strict=True):
            policy.load_state_dict(state[key])


def chain(*policies: Policy, nonfinite: Literal["keep", "zero"] = "keep") -> Chain:
    """Policies one after the other: the gradients are measured once, and scaled once, whatever the number of policies.

    Args:
        policies: at least one; each sees what the ones before have left. `snapshot` looks at the norms between them.
        nonfinite: what becomes of gradients that are not all finite: "keep" leaves them, "zero" sets all of the step's
            gradients to zero.

    Returns:
        The policy that does it all. Its `state_dict` holds those of the policies.

    Raises:
        ValueError: there is no policy, two of them decide about the same thing, or two snapshots have the same name.

    Example:
        >>> import torch
        >>> from steadygrad.clip import ClipByGlobalNorm, ClipByTensorNorm
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([30.0, 40.0])
        >>> policy = chain(ClipByTensorNorm(10.0), snapshot("between"), ClipByGlobalNorm(1.0))
        >>> result = policy([weight])
        >>> [round(norm.item(), 3) for norm in (result.grad_norm, result.snapshots["between"], result.clipped_norm)]
        [50.0, 10.0, 1.0]

    References:
        The `chain` of optax.
    """
    one_of("nonfinite", nonfinite, ("keep", "zero"))
    flat = tuple(
        inner for policy in policies for inner in (policy.policies if isinstance(policy, Chain) else (policy,))
    )
    if not flat:
        raise ValueError("there is no policy, expected at least one")
    for policy in flat:
        if not isinstance(policy, Policy):
            raise ValueError(f"a policy is {policy!r}, expected a policy of steadygrad.clip")
    decided: dict[str, Policy] = {}
    names: set[str] = set()
    for policy in flat:
        if policy.scope and policy.scope in decided:
            first = type(decided[policy.scope]).__name__
            raise ValueError(
                f"{first} and {type(policy).__name__} both decide about the {policy.scope}, expected one of them: "
                "the second would only see what the first has left"
            )
        decided[policy.scope] = policy
        for name in policy.snapshots():
            if name in names:
                raise ValueError(f"two snapshots are called {name!r}, expected different names")
            names.add(name)
    return Chain(flat, nonfinite)


def snapshot(name: str, measure: Callable[[Gradients], Any] | None = None) -> Snapshot:
    """A look at the gradients at its place in a `chain`.

    Args:
        name: where the result is found in `Clipped.snapshots`.
        measure: what to measure, of a `Gradients`; by default the global norm, a 0-d tensor on the device.

    Returns:
        The snapshot, to be put into a chain.

    Raises:
        ValueError: `name` is empty.

    Example:
        >>> import torch
        >>> from steadygrad.clip import ClipByGlobalNorm, ClipByTensorNorm
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> look = snapshot("each", lambda gradients: gradients.norms())
        >>> chain(look, ClipByGlobalNorm(1.0))([weight]).snapshots["each"].tolist()
        [5.0]

    References:
        The `snapshot` of optax.
    """
    return Snapshot(name, measure)


def _key(place: int, policy: Policy) -> str:
    return f"{place}.{type(policy).__name__}"

"""The parameters of a training that no module has, with what its first pass computes of them."""

from .._tap import CannotReplay, TapedPass
from ..interventions.replayed import Replayed
from .session import Session


def loose_of(session: Session, taped: TapedPass | None) -> Replayed | None:
    """As a module; None if there are no such parameters, or the pass is not kept, or cannot be computed again."""
    owned = {id(param) for root in session.roots for param in root.parameters()}
    pairs = zip(session.names, session.params, strict=True)
    params = {name: param for name, param in pairs if id(param) not in owned}
    if taped is None or not params:
        return None
    try:
        taped.check()
    except CannotReplay:
        return None
    return Replayed(params, lambda: taped.replay()[0])

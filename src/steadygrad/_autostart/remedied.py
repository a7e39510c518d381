"""Remedies that somebody has chosen, applied to this process."""

from collections.abc import Sequence

from .. import _config
from ..interventions import Applied, Intervention, intervention_for


def interventions(remedies: Sequence[_config.RemedyConfig]) -> list[Intervention]:
    """Each remedy, ready to be applied."""
    return [intervention_for(each.remedy, each.where, **each.options) for each in remedies]


def lie_on(several: Sequence[Intervention]) -> Applied:
    """Apply them to everything that this process trains, from its first line on."""
    everything = Applied(several)
    everything.install()
    return everything

"""Policies that scale gradients: each alone in any loop, in a `chain`, attached to an optimizer, or inside `watch`."""

from .adagc import AdaGC
from .agc import AGC
from .attach import Attached, attach
from .autoclip import AutoClip
from .by_norm import ClipByBlockRMS, ClipByGlobalNorm, ClipByTensorNorm
from .by_value import ClipByValue
from .chain import Chain, Snapshot, chain, snapshot
from .fold import settle_scale, step_gradients
from .gradients import Gradients
from .heavy_tails import HeavyTails, direction_of
from .policy import Clipped, Policy
from .qk import QKClip, QueryKey
from .robust import PLAUSIBLE, ClipDecision, RobustClip
from .spam import SPAM
from .torch_like import clip_grad_norm_, clip_grad_value_, get_total_norm
from .update_rms import ClipByUpdateRMS
from .zclip import ZClip

POLICIES = (
    ClipByValue,
    ClipByGlobalNorm,
    ClipByTensorNorm,
    ClipByBlockRMS,
    AGC,
    AutoClip,
    ZClip,
    AdaGC,
    SPAM,
    ClipByUpdateRMS,
    QKClip,
    RobustClip,
)
"""Every policy."""

__all__ = [
    "AGC",
    "PLAUSIBLE",
    "POLICIES",
    "SPAM",
    "AdaGC",
    "Attached",
    "AutoClip",
    "Chain",
    "ClipByBlockRMS",
    "ClipByGlobalNorm",
    "ClipByTensorNorm",
    "ClipByUpdateRMS",
    "ClipByValue",
    "ClipDecision",
    "Clipped",
    "Gradients",
    "HeavyTails",
    "Policy",
    "QKClip",
    "QueryKey",
    "RobustClip",
    "Snapshot",
    "ZClip",
    "attach",
    "chain",
    "clip_grad_norm_",
    "clip_grad_value_",
    "direction_of",
    "get_total_norm",
    "settle_scale",
    "snapshot",
    "step_gradients",
]

"""Policies that scale a gradient. Each decides from norms alone and never reads a tensor."""

from .robust import ClipDecision, RobustClip

__all__ = ["ClipDecision", "RobustClip"]

"""What may be done to a training that goes on: which remedy for which cause, and what each of them asks for."""

from ..findings import VANISHING

REINITIALISES = frozenset(
    {
        "rescale-initialisation",
        "auto-initialisation",
        "orthogonal-recurrent-init",
        "chrono-init",
        "zero-bias",
        "standardise-first-layer",
        "standardise-last-layer",
    }
)
"""Remedies that overwrite weights: only where nothing has been learned yet."""

SKIPPED = frozenset({"outlier-batch", "corrupt-state"})
"""Causes that are over with a step left out or a rollback, unless they come again and again."""

OWN = frozenset({"rounded_away"})
"""Evidence that no remedy of its cause is any good for but those that the finding names."""

LASTING = frozenset({"norms"})
"""Evidence of damage that is there at each step from the first on: statistics that nobody has collected."""

UNTOUCHED = frozenset({"nonfinite-data", "outlier-batch"})
"""Causes that the weights know nothing of: such a step was left out, or clipped. What comes again is filled in, or
limited, all the same: a loss that is NaN or huge once in each pass through the data is in every mean of it."""

RESETS = frozenset({"reset-moments", "reset-running-stats"})
"""Remedies that begin anew beside the weights."""

SLOWLY, WARM_UP = 0.1, 256
"""With new moments the part of its rate that a run begins with, and the steps until it has all of it: the first steps
of new moments are as long as the rate lets any be, whatever the gradients (a warm-up is for that), and weights that
were trained before are near where they are to be."""

RENEWS = REINITIALISES | RESETS
"""Remedies that change the state that a run begins with, or goes back to."""

AT_ONCE = frozenset({"strong-wolfe", "lower-beta2", "raise-epsilon"})
"""Remedies that are there as soon as they are applied: what has changed no option then changes nothing."""

ASKED_FOR = frozenset(
    {"mean-reduction", "standardise-last-layer", "lower-loss-scale", "raise-epsilon", "float32-weights"}
)
"""Remedies of one kind of their cause: only where the finding names them."""

OF_SOME = frozenset({"rescale-query-key-weights"})
"""Remedies that know some kinds of modules, and change those at once where the fault was there from the start."""

HELD = "constrain-weight-norms"
"""The remedy that holds weights where they are."""

DRIVEN = frozenset({"attention-logits"})
"""Causes that a rate brings about in a run that has learned nothing, where they were not there from the start."""

ALSO_WHEN_HELD = frozenset({"update-spike", "gradient-spike", "bottomless-loss"})
"""What it does not let happen, or what was so before: a step that would have carried the weights too far; a loss that
has fallen without end."""

TOO_FAR = frozenset({"lower-learning-rate", "strong-wolfe", HELD})
"""Remedies of steps that went too far: a run that has learned nothing begins anew with them, another one goes back to
the best of its snapshots, and not only to the newest that is better."""

NOW = {**{name: {"step": 0} for name in RESETS}, HELD: {"factor": 1.0}}
"""Options of remedies that begin now: moments are renewed at the next step, weights are as long as they may be."""

TOGETHER = frozenset({"standardise-first-layer", "standardise-last-layer"})
"""Remedies of which one is no remedy where both are asked for: a table of raw features beside raw targets. Neither
changes what the model computes."""

UNFIT = frozenset({"unsafe-op", "nonfinite-data", "half-overflow"})
"""Causes of numbers that are not finite: alarms of another kind are no word against their remedies."""

STALLS = VANISHING | {"clip-before-unscale"}
"""Causes of a run that learns nothing: there a remedy has held only if it begins to."""

SEEN = frozenset({"clip-before-unscale"})
"""Of those what was seen itself, and not concluded: its remedy stays, however long a run takes to begin to learn."""

LIVE: dict[str, tuple[str, ...]] = {
    "missing-zero-grad": ("zero-grad-before-backward",),
    "clip-before-unscale": ("unscale-before-clip",),
    "unsafe-op": ("add-epsilon-inside-the-operation",),
    "nonfinite-data": ("drop-or-impute-nonfinite-samples",),
    "outlier-batch": ("winsorise-features", "drop-outlier-samples"),
    "half-overflow": ("raise-epsilon", "lower-loss-scale", "float32-weights", "float32-for-this-layer"),
    "corrupt-state": ("reset-moments", "reset-running-stats"),
    "loss-scale": (
        "standardise-last-layer",
        "mean-reduction",
        "divide-loss-by-accumulation-steps",
        "lower-learning-rate",
    ),
    "init-gain": ("rescale-initialisation", "auto-initialisation"),
    "recurrent-gain": ("orthogonal-recurrent-init", "rescale-initialisation"),
    "attention-logits": ("rescale-initialisation", "rescale-query-key-weights", "lower-learning-rate"),
    "stale-second-moment": ("raise-epsilon", "lower-beta2", "stable-adamw", "lower-learning-rate"),
    "learning-rate": ("strong-wolfe", "lower-learning-rate"),
    "input-scale": ("standardise-first-layer", "lower-learning-rate"),
    "vanishing-depth": ("auto-initialisation",),
    "vanishing-recurrent": ("chrono-init", "orthogonal-recurrent-init"),
    "dead-units": ("auto-initialisation", "zero-bias"),
    "saturation": ("rescale-initialisation", "auto-initialisation"),
    "weight-growth": (HELD, "lower-learning-rate"),
}
"""What may be done to a training that goes on, by cause. Nothing that changes what the model computes of its inputs:
standardised inputs would have to be standardised by whoever uses the model."""

"""The causes, a file each: from a recorded run to findings. Each file's docstring is the card that people read."""

from .attention_logits import attention_logits
from .clip_before_unscale import clip_before_unscale
from .corrupt_state import corrupt_state
from .dead_units import dead_units
from .half_overflow import half_overflow
from .init_gain import init_gain
from .input_scale import input_scale
from .learning_rate import learning_rate
from .loss_scale import loss_scale
from .missing_zero_grad import missing_zero_grad
from .nonfinite_data import nonfinite_data
from .outlier_batch import outlier_batch
from .recurrent_gain import recurrent_gain
from .saturation import saturation
from .stale_second_moment import stale_second_moment
from .unsafe_op import unsafe_op
from .vanishing_depth import vanishing_depth
from .vanishing_recurrent import vanishing_recurrent
from .weight_growth import weight_growth

CAUSES = (
    init_gain,
    recurrent_gain,
    learning_rate,
    input_scale,
    loss_scale,
    outlier_batch,
    nonfinite_data,
    unsafe_op,
    half_overflow,
    attention_logits,
    missing_zero_grad,
    stale_second_moment,
    weight_growth,
    clip_before_unscale,
    corrupt_state,
    vanishing_depth,
    vanishing_recurrent,
    dead_units,
    saturation,
)
"""Every cause. Their order means nothing: findings are ranked by what speaks for them."""

__all__ = ["CAUSES"]

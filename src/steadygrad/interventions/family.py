"""Every remedy that can be applied from outside, by its id."""

from typing import Any

from .activations import LeakyRelu
from .batches import DropOutlierSamples
from .clipping import ClipGlobalNorm, RescaleQueryKeyWeights, StableAdamW
from .decay import WeightDecay
from .epsilon import AddEpsilon
from .first_layer import StandardiseFirstLayer
from .gradients import DivideByAccumulationSteps, UnscaleBeforeClip, ZeroGradBeforeBackward
from .inputs import StandardiseInputs
from .intervention import Intervention
from .last_layer import StandardiseLastLayer
from .learning_rate import LowerLearningRate, WarmUp
from .logits import SoftCapLogits
from .loss_scale import LowerLossScale
from .missing_values import DropOrImpute
from .normalisation import Normalisation
from .options import LowerBeta2, RaiseEpsilon, StrongWolfe
from .outliers import WinsoriseFeatures
from .precision import Float32
from .recurrent import ChronoInit, OrthogonalRecurrentInit
from .reduction import MeanReduction
from .state import ResetMoments, ResetRunningStats
from .targets import StandardiseTargets
from .weight_norms import ConstrainWeightNorms
from .weights import (
    AutoInitialisation,
    Lsuv,
    RandomInitialisation,
    RescaleInitialisation,
    ScaleDownTheHead,
    ZeroBias,
)
from .wide_weights import Float32Weights

INTERVENTIONS: tuple[type[Intervention], ...] = (
    LowerLearningRate,
    WarmUp,
    StrongWolfe,
    ClipGlobalNorm,
    AutoInitialisation,
    Lsuv,
    ScaleDownTheHead,
    RescaleInitialisation,
    RandomInitialisation,
    ZeroBias,
    LeakyRelu,
    Normalisation,
    OrthogonalRecurrentInit,
    ChronoInit,
    StandardiseInputs,
    StandardiseFirstLayer,
    StandardiseTargets,
    StandardiseLastLayer,
    MeanReduction,
    DivideByAccumulationSteps,
    DropOutlierSamples,
    WinsoriseFeatures,
    DropOrImpute,
    AddEpsilon,
    Float32,
    Float32Weights,
    SoftCapLogits,
    RescaleQueryKeyWeights,
    ZeroGradBeforeBackward,
    UnscaleBeforeClip,
    LowerLossScale,
    LowerBeta2,
    RaiseEpsilon,
    StableAdamW,
    ResetMoments,
    ResetRunningStats,
    WeightDecay,
    ConstrainWeightNorms,
)
"""Every remedy that can be applied from outside."""

_BY_REMEDY = {each.remedy: each for each in INTERVENTIONS}


def intervention_for(remedy: str, where: str = "", **options: Any) -> Intervention:
    """A remedy, ready to be applied.

    Args:
        remedy: its id in the catalogue.
        where: the parameter or module that the finding names.
        options: numbers that it takes, such as `factor`.

    Raises:
        KeyError: it cannot be applied from outside.
        TypeError: it has no such option.
    """
    return _BY_REMEDY[remedy](where, **options)

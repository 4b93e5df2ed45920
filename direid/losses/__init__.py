"""The equations, one pure function each; :func:`total` for the sums 11, 12 and 14.

Functions take float tensors of any precision, compute in float32 at least, and return scalars to be
minimised (equation 14 its terms by name). A norm of the paper's is a mean here: as a sum it would
grow with the image. Where an equation is ambiguous, ``reading`` chooses, and
:class:`direid.config.Readings` says why the default is what it is. Equation 13 is
:func:`direid.models.dfen.identity_representation`.
"""

from direid.losses.common import Maps, total
from direid.losses.ddgan import (
    degradation_order,
    degradation_order_predicted,
    degradation_ranking_cross,
    degradation_ranking_self,
    identification,
    identity_preserving_cross,
    identity_preserving_self,
    invariable_content,
    reality_discriminator,
    reality_generator,
    reconstruction_cross,
    reconstruction_self,
)
from direid.losses.dfen import batch_hard_triplet, multi_classifier, reid
from direid.losses.later import (
    cycle_reconstruction,
    domain_score,
    gradient_penalty,
    prediction_smoothing,
)

__all__ = [
    "Maps",
    "batch_hard_triplet",
    "cycle_reconstruction",
    "degradation_order",
    "degradation_order_predicted",
    "degradation_ranking_cross",
    "degradation_ranking_self",
    "domain_score",
    "gradient_penalty",
    "identification",
    "identity_preserving_cross",
    "identity_preserving_self",
    "invariable_content",
    "multi_classifier",
    "prediction_smoothing",
    "reality_discriminator",
    "reality_generator",
    "reconstruction_cross",
    "reconstruction_self",
    "reid",
    "total",
]

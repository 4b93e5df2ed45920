"""Every figure of the book. Each function takes arrays or tensors and returns a matplotlib figure.

A figure belongs to its caller alone: no pyplot, no global style, and the same picture whatever the
reader's own settings are. A notebook shows it as the last line of a cell or through ``display``;
:func:`save` writes it as a PNG. All are at most 900 pixels wide and legible on a telephone.

Images are (N, 3, H, W) or (N, H, W, 3) with values in [0, 1], or uint8. Scores are fractions in
[0, 1], drawn in percent. Nothing is told by colour alone.
"""

from direid.figures.curves import (
    cmc_curves,
    degradation_tsne,
    forest,
    loss_curves,
    rank1_by_level,
    score_against_level,
)
from direid.figures.images import (
    contact_sheet,
    degradation_grid,
    feature_maps,
    ranked_lists,
    reconstruction_grid,
    swap_grid,
)
from direid.figures.style import save

__all__ = [
    "cmc_curves",
    "contact_sheet",
    "degradation_grid",
    "degradation_tsne",
    "feature_maps",
    "forest",
    "loss_curves",
    "rank1_by_level",
    "ranked_lists",
    "reconstruction_grid",
    "save",
    "score_against_level",
    "swap_grid",
]

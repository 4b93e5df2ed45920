"""The networks of section 3.2, one a file, and DDGAN and DFEN that put them together."""

from direid.models.ddgan import DDGAN, Decomposed, Discriminators, Generator, Swaps
from direid.models.dfen import DFEN, Attention, Dual
from direid.models.identity_encoder import IdentityNetwork

__all__ = [
    "DDGAN",
    "DFEN",
    "Attention",
    "Decomposed",
    "Discriminators",
    "Dual",
    "Generator",
    "IdentityNetwork",
    "Swaps",
]

"""DI-REID: person re-identification by degradation invariance learning (Huang et al., CVPR 2020).

The package reads in the order of the paper: :mod:`direid.degradations` makes bad images from good
ones, :mod:`direid.data` serves people, :mod:`direid.models` holds the networks of section 3.2,
:mod:`direid.losses` the equations of section 3.3, :mod:`direid.training` the stages,
:mod:`direid.evaluation` the scores of section 4. Importing it does nothing but define names.
"""

__version__ = "0.1.0"

"""Every number of a run, typed, checked, and saved beside the run that used it."""

from direid.config.presets import (
    ABLATIONS,
    LITERAL,
    PRESETS,
    SWAPS,
    differences,
    first_line,
    load_preset,
    merge,
    parse_settings,
    read_config,
    with_changes,
)
from direid.config.settings import (
    DDGAN,
    DFEN,
    Config,
    Identity,
    Later,
    Network,
    Readings,
    Weights,
)

__all__ = [
    "ABLATIONS",
    "DDGAN",
    "DFEN",
    "LITERAL",
    "PRESETS",
    "SWAPS",
    "Config",
    "Identity",
    "Later",
    "Network",
    "Readings",
    "Weights",
    "differences",
    "first_line",
    "load_preset",
    "merge",
    "parse_settings",
    "read_config",
    "with_changes",
]

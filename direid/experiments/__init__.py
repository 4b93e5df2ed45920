"""Many runs from one declared plan: methods x data x splits x seeds, and the paper's tables."""

from direid.experiments.plan import BASELINES, Cell, Plan, ablation_plan, read_plan
from direid.experiments.runner import read_cells, run_plan
from direid.experiments.tables import difference, tables, verdict

__all__ = [
    "BASELINES", "Cell", "Plan", "ablation_plan", "read_cells", "difference", "read_plan",
    "run_plan", "tables", "verdict",
]  # fmt: skip

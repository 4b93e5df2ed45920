"""Settings for every test, wherever pytest is started from."""

import os
from pathlib import Path

import pytest

from scripts.execute_notebooks import ENVIRONMENT, THREADS

ROOT = Path(__file__).parent

# Before any test imports torch: tests run beside each other, one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --built-book."""
    parser.addoption(
        "--built-book",
        action="store_true",
        help="check the pages in _build/html too (first: jupyter-book build . -W -n --keep-going)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """With --nbval, notebooks run as scripts/execute_notebooks.py ran them."""
    if config.getoption("nbval", default=False):
        chosen = {name: os.environ[name] for name in THREADS if name in os.environ}
        os.environ.update(ENVIRONMENT | chosen)  # the kernels inherit it
        config.option.nbval_current_env = True
        config.option.nbval_sanitize_with = str(ROOT / "tests" / "book" / "nbval_sanitize.cfg")
        config.option.nbval_cell_timeout = 900

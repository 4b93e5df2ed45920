"""The networks that chapters start from load, are whole, and know what they were trained for."""

from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from direid import book
from direid.config import Config
from direid.errors import DireidError
from direid.evaluation.features import extract

FOLDER = Path(__file__).parents[1] / "book"


@pytest.mark.slow
def test_the_books_networks_load_and_work() -> None:
    loaded = book.load(FOLDER)
    stored = Config.model_validate_json((FOLDER / "checkpoints" / "config.json").read_text())
    assert stored.training_settings() == loaded.config.training_settings()
    for name in ("tricks", "identity", "ddgan", "dfen"):
        network = getattr(loaded.networks, name)
        assert not network.training
        assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    judge = loaded.networks.ddgan.discriminators.degradation.score
    queries = loaded.benchmark.query
    scores = extract(loaded.networks.ddgan, judge, queries, loaded.config.size, loaded.compute)
    assert spearmanr(scores, [record.level for record in queries]).statistic > 0.6
    assert loaded.images(queries[:3]).shape == (3, 3, *loaded.config.size)


def test_a_folder_without_them_is_told(tmp_path: Path) -> None:
    with pytest.raises(DireidError, match="no trained stage there"):
        book.load(tmp_path)


def test_they_are_small() -> None:
    files = list((FOLDER / "checkpoints").glob("*.pt"))
    assert len(files) == 4
    assert sum(file.stat().st_size for file in files) < 6e6

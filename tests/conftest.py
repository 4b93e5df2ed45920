"""What the tests of training share: a benchmark of eight drawn people and networks to match."""

import pytest

from direid.config import Config, load_preset
from direid.data.paper_dolls import paper_dolls
from direid.data.records import Benchmark

SMALL = {
    "save_every": 2,
    "log_every": 1,
    "sample_every": 0,
    "device": "cpu",
    "network": {"height": 32, "width": 16, "base": 8, "content": 16, "invariant": 16,
                "scale_channels": 8, "encoder_base": 8, "decoder_hidden": 16, "critic_base": 8},
    "identity": {"people": 4, "images": 2, "steps": 4},
    "ddgan": {"batch": 2, "steps": 4},
    "dfen": {"steps": 4},
}  # fmt: skip


@pytest.fixture(scope="session")
def small() -> dict:
    """Settings over preset tiny."""
    return SMALL


@pytest.fixture(scope="session")
def benchmark() -> Benchmark:
    return paper_dolls(0, train_people=8, test_people=4, images_per_camera=2, height=32, width=16)


@pytest.fixture
def config() -> Config:
    return load_preset("tiny", SMALL)

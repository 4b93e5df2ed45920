"""What is to be run and compared, declared before it is run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from direid import data
from direid.config import ABLATIONS, PRESETS, Config, first_line, load_preset, merge
from direid.config.settings import Settings
from direid.errors import DireidError

BASELINES = {  # method -> what its row is called
    "resnet": "ResNet",
    "tricks": "ResNet + tricks",
    "augmented": "ResNet + tricks + F_deg",
}
LABELS = BASELINES | {
    "di_reid": "DI-REID",
    "without_dil": "w/o DIL",
    "without_dil_but_identification": "w/o DIL, with its identification",
    "without_multi_scale": "w/o multi-scale",
    "without_attention": "w/o attention",
    "f_inv_only": "f_inv only",
    "f_sen_only": "f_sen only",
}


QUICK = {"identity": {"steps": 8}, "ddgan": {"steps": 8}, "dfen": {"steps": 8}}


class Cell(NamedTuple):
    """One training and evaluation of a plan."""

    data: str
    split: int
    seed: int
    method: str

    @property
    def group(self) -> str:
        """Names the cells that share people, split and seed, and so can be compared in pairs."""
        return f"{self.data}-split{self.split}-seed{self.seed}"

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.group}-{self.method}"


class Plan(Settings):
    """Methods x data x splits x seeds, each with the same settings but for what its method changes.

    A method is a baseline ("resnet", "tricks", "augmented"), "di_reid", an ablation of table 3, or
    a variant: settings of one's own over those of DI-REID, or of the ``method`` that it names, and
    if it likes a ``label`` for its rows.
    """

    name: str = Field(min_length=1)
    about: str = ""  # the question, what is compared with what, and what would answer it
    preset: str
    data: tuple[str, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    splits: tuple[NonNegativeInt, ...] = Field((0,), min_length=1)
    seeds: tuple[NonNegativeInt, ...] = Field((0,), min_length=1)
    reference: str = "augmented"  # the competitor that the others are compared with, in pairs
    settings: dict = {}  # over the preset, for all
    settings_of: dict[str, dict] = {}  # over those, for one benchmark
    variants: dict[str, dict] = {}  # a method of one's own -> its settings, method and label

    @model_validator(mode="after")
    def _is_whole(self) -> Plan:
        if self.preset not in PRESETS:
            raise ValueError(f"unknown preset {self.preset!r}: choose from {', '.join(PRESETS)}")
        for name in (*self.data, *self.settings_of):
            if name not in data.NAMES:
                raise ValueError(f"unknown data set {name!r}: choose from {', '.join(data.NAMES)}")
        known = [*BASELINES, "di_reid", *ABLATIONS, *self.variants]
        for name in self.methods:
            if name not in known:
                raise ValueError(f"unknown method {name!r}: choose from {', '.join(known)}")
        if taken := [name for name in self.variants if name in LABELS]:
            raise ValueError(f"variant {taken[0]!r} has the name of a method of its own")
        for name, variant in self.variants.items():
            if (of := variant.get("method", "di_reid")) not in LABELS:
                choice = ", ".join(LABELS)
                raise ValueError(f"variant {name!r}: method {of!r}, choose from {choice}")
            if not isinstance(variant.get("label", ""), str):
                raise ValueError(f"variant {name!r}: label {variant['label']!r}, expected a text")
        for name in ("data", "methods", "splits", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names something twice: {getattr(self, name)}")
        return self

    def cells(self) -> Iterator[Cell]:
        """All of them, split by split, so that what is there first is already a comparison."""
        for split in self.splits:
            for seed in self.seeds:
                for name in self.data:
                    for method in self.methods:
                        yield Cell(name, split, seed, method)

    def quick(self) -> Plan:
        """The same plan in minutes: one split and seed, eight steps of each stage.

        Everything runs and every table is made; the numbers mean nothing.
        """
        return self.model_copy(update={
            "name": f"{self.name}, quick", "splits": self.splits[:1], "seeds": self.seeds[:1],
            "settings": merge(self.settings, QUICK),
            "settings_of": {name: merge(own, QUICK) for name, own in self.settings_of.items()},
        })  # fmt: skip

    def config(self, cell: Cell, root: Path | None = None) -> Config:
        """The whole configuration of one cell; ``root`` is the folder of its images.

        Raises:
            DireidError: a setting that there is not, or out of range.
        """
        own = self.variants.get(cell.method, {})
        own = {key: value for key, value in own.items() if key not in ("method", "label")}
        changes = merge(ABLATIONS.get(self.kind(cell.method), {}), own)
        given = {"data": cell.data, "root": root, "split": cell.split, "seed": cell.seed}
        settings = merge(self.settings, self.settings_of.get(cell.data, {}))
        return load_preset(self.preset, merge(merge(settings, changes), given))

    def kind(self, method: str) -> str:
        """The method that a variant is one of; the others are their own kind."""
        own = self.variants.get(method)
        return method if own is None else own.get("method", "di_reid")

    def stage(self, method: str) -> str:
        """The last stage of its training, which leaves the network that it compares by."""
        kind = self.kind(method)
        return kind if kind in BASELINES else "dfen"

    def label(self, method: str) -> str:
        """What the rows of ``method`` are called in a table."""
        return self.variants.get(method, {}).get("label", LABELS.get(method, method))


def read_plan(path: Path) -> Plan:
    """The plan in a TOML file.

    Raises:
        DireidError: the file is missing or is not TOML, a key or name is unknown.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DireidError(f"{path}: cannot read the plan ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DireidError(f"{path}: not a plan in TOML ({error})") from None
    return make_plan(values, str(path))


def make_plan(values: dict, where: str = "plan") -> Plan:
    """A plan from plain values.

    Raises:
        DireidError: starting with ``where``.
    """
    try:
        plan = Plan.model_validate(values)
        for cell in plan.cells():  # a setting that cannot be must be known before the first run
            plan.config(cell)
    except ValidationError as error:
        raise DireidError(f"{where}: {first_line(error, Plan)}") from None
    except DireidError as error:
        raise DireidError(f"{where}: {error}") from None
    return plan


def ablation_plan(
    preset: str, name: str, splits: int = 1, seeds: int = 1, settings: dict | None = None
) -> Plan:
    """Table 3 on one benchmark: DI-REID, each of its ablations, and the baselines beside them."""
    return make_plan({
        "name": f"ablation of DI-REID on {name}",
        "about": "Table 3: what each part is worth. The row that decides is the one that keeps "
        "stage 1's identification loss and drops all of degradation invariance learning.",
        "preset": preset, "data": [name], "methods": [*BASELINES, "di_reid", *ABLATIONS],
        "splits": list(range(splits)), "seeds": list(range(seeds)), "reference": "di_reid",
        "settings": settings or {},
    })  # fmt: skip

"""Every number of a run, typed, checked, and saved beside the run that used it.

The three presets build the same classes and follow the same code; they differ by numbers only.
The paper states few of them (256 x 128 images, U[2, 4] and U[2, 3.5] degradations). The others
start from the authors' later code where that is known, and are our choice where it is not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from direid.errors import DireidError

Scale = Annotated[int, Field(ge=0, le=3)]  # 0 is the stem


class Settings(BaseModel):
    """A group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Network(Settings):
    """Sizes of the networks of section 3.2."""

    height: PositiveInt = Field(256, multiple_of=16)
    width: PositiveInt = Field(128, multiple_of=16)
    depth: Literal[10, 18, 34, 50] = 50  # of the ResNets inside E_c and E_id
    base: PositiveInt = 64  # channels of the ResNets' first stage
    stem_kernel: Literal[3, 5, 7] = 7
    stem_stride: Literal[1, 2, 4] = 2
    last_stride: Literal[1, 2] = 1  # of the ResNets' last stage; 1 is one of the tricks
    pretrained: bool = True  # start from torchvision's ImageNet weights
    scales: tuple[Scale, ...] = Field((0, 1, 2, 3), min_length=1)  # ResNet stages that E_c reads
    scale_channels: PositiveInt = 64  # of each scale before fusion
    content: PositiveInt = 128  # channels of the content map
    invariant: PositiveInt = 2048  # length of f_inv
    code: PositiveInt = 128  # length of f_d
    encoder_base: PositiveInt = 64  # first channels of E_d and E_d'
    encoder_layers: PositiveInt = 5  # strided convolutions of E_d and E_d'
    decoder_blocks: PositiveInt = 4  # AdaIN residual blocks of G
    decoder_hidden: PositiveInt = 512  # of the perceptron that turns f_d into AdaIN parameters
    critic_base: PositiveInt = 32  # first channels of D_r and D_d
    critic_blocks: PositiveInt = 4  # residual blocks of D_r and D_d, a scale
    critic_scales: PositiveInt = 3
    score_bound: float = Field(5.0, gt=0)  # D_d's score lies in (-bound, bound)
    attention: PositiveInt = 128  # hidden units of Att, equation 13

    @model_validator(mode="after")
    def _encoders_fit(self) -> Network:
        if min(self.height, self.width) < 2**self.encoder_layers:
            raise ValueError(
                f"encoder_layers={self.encoder_layers} halves {self.height} x {self.width} images "
                "to nothing"
            )
        return self


class Identity(Settings):
    """Re-ID training: E_id and the two baselines of stage 0, and the batches of stage 2."""

    steps: PositiveInt = 12_000
    people: PositiveInt = Field(8, ge=2)  # P
    images: PositiveInt = Field(4, ge=2)  # K
    rate: float = Field(3.5e-4, gt=0)
    decay: float = Field(5e-4, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1)  # share of the steps
    smoothing: float = Field(0.1, ge=0, lt=1)  # of the labels, but not of the plain baseline's
    margin: float = Field(0.3, ge=0)  # of the triplet loss

    @property
    def batch(self) -> int:
        """Images of a step, P x K."""
        return self.people * self.images


class Weights(Settings):
    """The lambdas of equations 11 and 12; the paper gives none. Weight 0: not computed."""

    invariable_content: float = Field(5.0, ge=0)
    reconstruction: float = Field(45.0, ge=0)  # of [0, 1] pixels: 10 of ImageNet-normalised ones
    identity_preserving: float = Field(1.0, ge=0)  # ours: no source gives one
    reality: float = Field(1.0, ge=0)
    degradation: float = Field(1.0, ge=0)
    identification: float = Field(0.5, ge=0)


class DDGAN(Settings):
    """Stage 1: degradation invariance learning, section 3.3."""

    steps: PositiveInt = 30_000  # self- and cross-degradation steps in turn
    batch: PositiveInt = 8
    rate: float = Field(1e-4, gt=0)  # E_c, E_d, E_d', G
    critic_rate: float = Field(1e-4, gt=0)  # D_r, D_d
    momentum: float = Field(0.0, ge=0, lt=1)  # Adam's first beta
    decay: float = Field(5e-4, ge=0)
    epsilon: float = Field(1.0, ge=0)  # the margin of equations 5 and 10
    literal: bool = False  # equations 3 and 5 as printed: see losses.py
    weights: Weights = Weights()


class DFEN(Settings):
    """Stage 2: identity representation learning, section 3.4."""

    steps: PositiveInt = 24_000
    rate: float = Field(3.5e-4, gt=0)
    invariant: float = Field(0.5, ge=0)  # lambda_inv of equation 14
    sensitive: float = Field(0.5, ge=0)  # lambda_sen
    both: float = Field(1.0, gt=0)  # lambda_both


class Config(Settings):
    """A whole run."""

    preset: str = "paper"
    data: str = "paper_dolls"
    seed: int = Field(0, ge=0)
    root: Path | None = None  # folder of a benchmark that is not drawn
    device: str = "auto"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    workers: int = Field(0, ge=0)  # processes that load images
    self_degradation: str = "resolution"  # F_deg
    save_every: PositiveInt = 500  # steps between checkpoints
    log_every: PositiveInt = 10
    network: Network = Network()
    identity: Identity = Identity()
    ddgan: DDGAN = DDGAN()
    dfen: DFEN = DFEN()

    def training_settings(self) -> dict:
        """All that decides what is learnt: not where it runs, nor what it writes when."""
        return self.model_dump(
            mode="json", exclude={"root", "device", "workers", "save_every", "log_every"}
        )

    @property
    def fair_steps(self) -> int:
        """Steps of a baseline: it sees as many labelled images as DI-REID does in all its stages.

        DI-REID identifies people in stage 0, in stage 2, and in the cross-degradation half of
        stage 1 (equation 9). The paper gives its baselines only the first two.
        """
        identified = self.ddgan.steps // 2 * 2 * self.ddgan.batch
        return self.identity.steps + self.dfen.steps + -(-identified // self.identity.batch)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images that the networks see."""
        return self.network.height, self.network.width


PRESETS: dict[str, dict] = {
    "tiny": {
        "save_every": 100,
        "network": {
            "height": 64, "width": 32, "depth": 10, "base": 32, "stem_kernel": 3, "stem_stride": 1,
            "pretrained": False, "scale_channels": 32, "content": 48, "invariant": 256,
            "code": 32, "encoder_base": 24, "encoder_layers": 4, "decoder_blocks": 2,
            "decoder_hidden": 128, "critic_base": 16, "critic_blocks": 1, "critic_scales": 2,
            "attention": 32,
        },
        "identity": {"steps": 350, "people": 12, "rate": 1e-3},
        "ddgan": {
            "steps": 800, "rate": 5e-4, "critic_rate": 1e-3, "momentum": 0.5,
        },
        "dfen": {"steps": 400, "rate": 1e-3},
    },
    "small": {
        "network": {
            "height": 128, "width": 64, "depth": 18, "invariant": 512, "code": 64,
            "encoder_base": 32, "decoder_blocks": 3, "decoder_hidden": 256, "critic_blocks": 2,
            "critic_scales": 2, "attention": 64,
        },
        "identity": {"steps": 3_000, "people": 12},
        "ddgan": {"steps": 8_000, "rate": 2e-4, "critic_rate": 2e-4, "momentum": 0.5},
        "dfen": {"steps": 3_000},
    },
    "paper": {"workers": 4},
}  # fmt: skip


F_DEG = {"paper_dolls_dark": "illumination"}  # of a benchmark; the others' is "resolution"
OPTIONS = {"preset", "data", "root", "seed", "device"}  # of the command line
LISTS = {"network.scales"}  # the settings that hold several values


def load_preset(name: str, settings: dict | None = None) -> Config:
    """The preset ``name``, with ``settings`` (nested, as in the class) laid over it.

    >>> load_preset("tiny", {"ddgan": {"steps": 10}}).ddgan.steps
    10

    Raises:
        DireidError: unknown preset or key, or a value out of range.
    """
    if name not in PRESETS:
        raise DireidError(f"unknown preset {name!r}: choose from {', '.join(PRESETS)}")
    settings = settings or {}
    below = {"preset": name, "self_degradation": F_DEG.get(settings.get("data"), "resolution")}
    return _validate(_merge(_merge(below, PRESETS[name]), settings))


def parse_settings(pairs: list[str]) -> dict:
    """``["ddgan.steps=10", "network.scales=1,3"]`` as a nested dict for :func:`load_preset`.

    Numbers, true, false and null are read as in JSON; anything else is text.
    """
    settings: dict = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise DireidError(f"--set {pair!r}: expected KEY=VALUE, for example ddgan.steps=100")
        if key in OPTIONS:
            raise DireidError(f"--set {pair!r}: use the option --{key}")
        *groups, last = key.split(".")
        inner = settings
        for group in groups:
            inner = inner.setdefault(group, {})
            if not isinstance(inner, dict):
                raise DireidError(f"--set {pair!r}: {group!r} was given a value before")
        inner[last] = [_value(v) for v in value.split(",")] if key in LISTS else _value(value)
    return settings


def read_config(path: Path) -> Config:
    """The configuration saved at ``path``.

    Raises:
        DireidError: the file is missing, is not JSON, or holds an unknown key or bad value.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise DireidError(f"{path}: cannot read the configuration ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DireidError(f"{path}: is not a configuration, expected JSON") from None
    try:
        return Config.model_validate_json(text)
    except ValidationError as error:
        raise DireidError(f"{path}: {_first_line(error)}") from None


def differences(old: dict, new: dict) -> str:
    """The settings in which two nested dicts differ: "ddgan.steps: 6, now 9; seed: 0, now 1"."""
    before, after = _flat(old), _flat(new)
    keys = [key for key in after if after[key] != before.get(key)]
    return "; ".join(f"{key}: {before.get(key)}, now {after[key]}" for key in keys)


def _flat(nested: dict, prefix: str = "") -> dict:
    flat: dict = {}
    for key, value in nested.items():
        inner = (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
        flat |= inner
    return flat


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _merge(below: dict, above: dict) -> dict:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        merged[key] = _merge(old, value) if both else value
    return merged


def _validate(values: dict) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise DireidError(_first_line(error)) from None


def _first_line(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        parent: type[BaseModel] = Config
        for part in first["loc"][:-1]:
            parent = parent.model_fields[str(part)].annotation  # type: ignore[assignment]
        return f"unknown key {key!r}: choose from {', '.join(parent.model_fields)}"
    what = (
        first["msg"]
        if first["type"] == "json_invalid"
        else f"{first['msg']}, got {first['input']!r}"
    )
    return f"{key}: {what}" if key else what

"""Every number of a run, typed and checked.

The paper states few of them (256 x 128 images, U[2, 4] and U[2, 3.5] degradations). The others
start from the authors' later code where that is known, and are our choice where it is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

Scale = Annotated[int, Field(ge=0, le=3)]  # 0 is the stem
Weight = Annotated[float, Field(ge=0)]  # of a loss; 0: it is not computed


class Settings(BaseModel):
    """A group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


RESNET = (  # the settings of Network that E_id and the baselines read
    "height", "width", "depth", "base", "stem_kernel", "stem_stride", "last_stride", "pretrained",
)  # fmt: skip


class Labels(Settings):
    """Of which training images it is known who is on them; by default, of all.

    Stage 1 sees every training image, for it learns degradation. What identifies people, stages 0
    and 2 and equation 9, learns from those with a label.
    """

    people: NonNegativeInt = 0  # that are labelled at all; 0: all
    cameras: tuple[int, ...] = ()  # whose images of them are labelled; none named: all
    everywhere: NonNegativeInt = 0  # of those people, labelled in all cameras all the same


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
    degraded: float = Field(0.5, gt=0, le=1)  # share that F_deg augments, in one baseline
    e_id_degraded: float = Field(0.0, ge=0, le=1)  # the same, of E_id itself (ours)

    @property
    def batch(self) -> int:
        """Images of a step, P x K."""
        return self.people * self.images


class Weights(Settings):
    """The lambdas of equations 11 and 12; the paper gives none."""

    invariable_content: Weight = 5.0
    reconstruction: Weight = 45.0  # of [0, 1] pixels: 10 of ImageNet-normalised ones
    identity_preserving: Weight = 1.0  # ours: no source gives one
    reality: Weight = 1.0
    degradation: Weight = 1.0
    identification: Weight = 0.5


class DDGAN(Settings):
    """Stage 1: degradation invariance learning, section 3.3."""

    steps: NonNegativeInt = 30_000  # self- and cross-degradation steps in turn; 0: no such stage
    batch: PositiveInt = 8
    rate: float = Field(1e-4, gt=0)  # E_c, E_d, E_d', G
    critic_rate: float = Field(1e-4, gt=0)  # D_r, D_d
    momentum: float = Field(0.0, ge=0, lt=1)  # Adam's first beta
    decay: float = Field(5e-4, ge=0)
    epsilon: float = Field(1.0, ge=0)  # the margin of equations 5 and 10
    average: float = Field(0.0, ge=0, lt=1)  # decay of the generator's moving average; 0: none
    weights: Weights = Weights()


class DFEN(Settings):
    """Stage 2: identity representation learning, section 3.4."""

    steps: PositiveInt = 24_000
    rate: float = Field(3.5e-4, gt=0)
    invariant: Weight = 0.5  # lambda_inv of equation 14
    sensitive: Weight = 0.5  # lambda_sen
    both: Weight = 1.0  # lambda_both; 0: one branch alone is trained and compared
    attention: bool = True  # False: f_sen is joined as it is
    degraded: float = Field(0.0, ge=0, le=1)  # share of the images that F_deg augments (ours)
    swapped: float = Field(0.0, ge=0, le=1)  # share decoded with the degradation of others (ours)
    strength: float = Field(1.0, ge=1)  # how far swaps go: U[1, strength] of the way to the other

    @model_validator(mode="after")
    def _something_to_compare(self) -> DFEN:
        if not self.both and bool(self.invariant) == bool(self.sensitive):
            raise ValueError(
                "both=0 leaves one branch alone: exactly one of invariant and sensitive must be "
                f"above 0, got {self.invariant} and {self.sensitive}"
            )
        return self


class Readings(Settings):
    """Which reading of an equation that is ambiguous, or that cannot hold as printed.

    The default is the reading under which the method is consistent; ``LITERAL`` holds the printed
    ones. This is the one place where the choices are made, and explained:

    ``equation_3``
        Whom x_ji is to look like, in the second term. Printed: x_j, who provides the content, as in
        the first term and in equation 8. But x_j is the *degraded* image, and equation 2 asks
        x_ji = x_i. Default: x_i.
    ``equation_5``
        Whom x_ji must score below, in the second term. Printed: x_i, by epsilon, while equation 2
        asks x_ji = x_i; both cannot hold. Default: x_j, the content's provider, as in equation 10.
    ``adversarial``
        How G minimises equations 4 and 7. Printed: log(1 - D_r(fake)), whose gradient vanishes
        while D_r is sure. "log", the default: -log D_r(fake), the usual form, which does not
        vanish. "least_squares": the LSGAN of the authors' later code, for D_r too.
    ``ranking``
        What D_d itself learns from; the paper gives no objective. Printed, D_d stands in equations
        5 and 10 only, so "printed" lets it descend those, generated images and all, and nothing
        anchors it. Default, "order": a self-degraded copy scores above its original, by epsilon; no
        generated image is seen. "predicted": as "order", and real pairs are spread further apart in
        the order that D_d itself predicts, as in the authors' later code.
    ``equation_13``
        What Att reads. Printed: D_d(x), in equations 5 and 10 a single score. D_d has several
        scales; the default, "scales", gives Att one score of each.
    """

    equation_3: Literal["x_i", "x_j"] = "x_i"
    equation_5: Literal["x_j", "x_i"] = "x_j"
    adversarial: Literal["log", "printed", "least_squares"] = "log"
    ranking: Literal["order", "predicted", "printed"] = "order"
    equation_13: Literal["scales", "score"] = "scales"


class Later(Settings):
    """Ideas of the authors' later work (IJCV 2022) and code, all off; losses/later.py has them.

    The values in brackets are the authors'; see there for where ours differ.
    """

    cycle: Weight = 0.0  # a second swap must give the pair back (45, as reconstruction)
    gradient_penalty: Weight = 0.0  # on both discriminators (0.0005: 0.01 of normalised pixels)
    poor_cameras: tuple[int, ...] = ()  # known to take bad images: semi-supervised ranking
    smoothing: Weight = 0.0  # KL of f_inv's prediction from that on a memory replay (5)
    replay: Weight = 0.0  # equation 14's L_inv on the memory replay too (ours)


class Config(Settings):
    """A whole run."""

    preset: str = "paper"
    data: str = "paper_dolls"
    split: NonNegativeInt = 0  # which of the benchmark's splits into training and test people
    seed: NonNegativeInt = 0  # of the training
    root: Path | None = None  # folder of a benchmark that is not drawn
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # bfloat16 where fast
    deterministic: bool = False  # on a GPU: only kernels that sum in a fixed order
    compile: bool = False  # networks through torch.compile
    clip: float = Field(0.0, ge=0)  # largest gradient norm of an optimiser's step; 0: any
    workers: NonNegativeInt = 0  # processes that load images
    self_degradation: str = "resolution"  # F_deg
    save_every: PositiveInt = 500  # steps between checkpoints
    log_every: PositiveInt = 10
    sample_every: NonNegativeInt = 1_000  # steps between sample grids of stage 1; 0: none
    labels: Labels = Labels()
    network: Network = Network()
    identity: Identity = Identity()
    ddgan: DDGAN = DDGAN()
    dfen: DFEN = DFEN()
    readings: Readings = Readings()
    later: Later = Later()

    @model_validator(mode="after")
    def _stage_2_has_what_it_needs(self) -> Config:
        if not self.ddgan.steps and (self.dfen.attention or self.remembers):
            raise ValueError(
                "ddgan.steps=0 trains no D_d, E_d and G: set dfen.attention=false, and leave "
                "dfen.swapped, later.smoothing and later.replay at 0"
            )
        if self.compile and self.later.gradient_penalty:
            raise ValueError(
                "later.gradient_penalty needs second gradients; compile=true has none: choose one"
            )
        if self.later.poor_cameras and self.readings.ranking != "order":
            raise ValueError(
                "later.poor_cameras tells D_d which real images are bad: leave readings.ranking at "
                f"'order', got {self.readings.ranking!r}"
            )
        if (self.later.smoothing or self.later.replay) and not self.dfen.invariant:
            raise ValueError("later.smoothing and later.replay act on f_inv: dfen.invariant=0")
        return self

    @property
    def remembers(self) -> bool:
        """Whether stage 2 replays degradations that stage 1 saw."""
        return bool(self.dfen.swapped or self.later.smoothing or self.later.replay)

    def training_settings(self) -> dict:
        """All that decides what is learnt: not where it runs, nor what it writes when.

        The precision is not in it: "auto" means different things on different machines, so a
        checkpoint holds what it came to.
        """
        elsewhere = {"root", "device", "precision", "deterministic", "compile", "workers"}
        written = {"save_every", "log_every", "sample_every"}
        return self.model_dump(mode="json", exclude=elsewhere | written)

    def stage_settings(self, stage: str) -> dict:
        """Those of :meth:`training_settings` that ``stage`` and the stages before it read.

        Two runs that agree in them have the same network after that stage.
        """
        settings = self.training_settings()
        del settings["preset"]  # a name
        if stage in ("identity", "resnet", "tricks", "augmented"):
            settings["network"] = {key: settings["network"][key] for key in RESNET}
            settings["identity"]["steps"] = self.steps_of(stage)
            shares = {"augmented": "degraded", "identity": "e_id_degraded"}
            for name, share in shares.items():
                if stage != name:
                    del settings["identity"][share]
            if stage not in shares or not settings["identity"][shares[stage]]:
                del settings["self_degradation"]
            groups = {"ddgan", "dfen", "readings", "later"}
        else:
            del settings["identity"]["degraded"]
            groups = {"dfen"} if stage == "ddgan" else set()
        return {key: value for key, value in settings.items() if key not in groups}

    def steps_of(self, stage: str) -> int:
        """How long ``stage`` trains: "identity", "ddgan", "dfen" or a baseline."""
        own = {"identity": self.identity, "ddgan": self.ddgan, "dfen": self.dfen}
        return own[stage].steps if stage in own else self.fair_steps

    @property
    def fair_steps(self) -> int:
        """Steps of a baseline: it sees as many labelled images as DI-REID does in all its stages.

        DI-REID identifies people in stage 0, in stage 2, and in the cross-degradation half of
        stage 1 (equation 9). The paper does not say how long its baselines train.
        """
        return self.identity.steps + self.dfen.steps + -(-self.identified // self.identity.batch)

    @property
    def identified(self) -> int:
        """Labelled images that stage 1 sees, in equation 9."""
        if not self.ddgan.weights.identification:
            return 0
        return self.ddgan.steps // 2 * 2 * self.ddgan.batch

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images that the networks see."""
        return self.network.height, self.network.width

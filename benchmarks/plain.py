"""The training steps as one types the paper's equations for the first time.

The networks are the package's. The losses and the order of work are written out here, with the
default readings of :class:`direid.config.Readings`; ``direid.losses`` and ``direid.training`` have
no part in it. Nothing is done to be fast: one image batch at a time goes through each network, each
turn makes its own images, weight gradients that nobody wants are computed, and everything is
float32 and NCHW. What the networks themselves spare, plain code is spared too: E_c leaves out its
last stage where its content map alone is read. And a turn decodes only what its equations read.

One thing is as in the package because it decides the result: E_c, and the neck of equation 9, see a
pair as one batch, from which their batch normalisation takes its statistics. The other networks
have none, or hold theirs still.

x_ab has the content of a and the degradation of b.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from direid.config import Config
from direid.models import DDGAN, DFEN


class PlainDDGAN:
    """Stage 1: the self- and the cross-degradation iteration (sections 3.3.1 and 3.3.2).

    Args:
        nets: in training mode.
        config: margin, lambdas and the optimisers' numbers.
    """

    def __init__(self, nets: DDGAN, config: Config) -> None:
        generator, discriminators, settings = nets.generator, nets.discriminators, config.ddgan
        self.content = generator.content_encoder.content  # E_c
        self.invariant = generator.content_encoder  # E_c with f_inv
        self.neck = generator.neck
        self.e_d = generator.degradation_encoder
        self.e_d_self = generator.self_degradation_encoder  # E_d'
        self.g = generator.decoder
        self.d_r = discriminators.reality
        self.d_d = discriminators.degradation.score
        self.e_id = nets.identity_encoder
        self.epsilon, self.weights = settings.epsilon, settings.weights
        self.g_optimiser = _adam(
            generator, settings.rate, settings.decay, (settings.momentum, 0.999)
        )
        self.d_optimiser = _adam(
            discriminators, settings.critic_rate, settings.decay, (settings.momentum, 0.999)
        )

    def self_step(self, x_i: Tensor, x_j: Tensor, x_k: Tensor) -> dict[str, float]:
        """One iteration on {x_i, x_j = F_deg(x_i)}.

        Args: images (B, 3, H, W) in [0, 1]; x_k are other real images.

        Returns:
            The losses, unweighted, before each player moved.
        """
        # the discriminators' turn
        c_i, c_j = self.content(torch.cat([x_i, x_j])).chunk(2)
        d_j = self.e_d_self(x_j)
        x_ij, x_jj = self.g(c_i, d_j), self.g(c_j, d_j)
        reality = -(  # equation 4
            _log_real(self.d_r(x_i))
            + _log_real(self.d_r(x_k))
            + _log_fake(self.d_r(x_ij.detach()))
            + _log_fake(self.d_r(x_jj.detach()))
        )
        order = (self.d_d(x_i) - self.d_d(x_j) + self.epsilon).clamp(min=0).mean()
        _descend(self.d_optimiser, reality + order)
        seen = {"self/D_r": reality.item(), "self/D_d": order.item()}

        # the generator's turn
        c_i, c_j = self.content(torch.cat([x_i, x_j])).chunk(2)
        d_i, d_j = self.e_d(x_i), self.e_d_self(x_j)
        x_ii, x_ij = self.g(c_i, d_i), self.g(c_i, d_j)
        x_ji, x_jj = self.g(c_j, d_i), self.g(c_j, d_j)
        f_i = self.e_id(x_i).detach()
        s_i, s_ij, s_j, s_ji = self.d_d(x_i), self.d_d(x_ij), self.d_d(x_j), self.d_d(x_ji)
        terms = {
            # equation 1
            "invariable_content": (c_i - c_j).abs().mean(),
            # equation 2
            "reconstruction": (x_ii - x_i).abs().mean() + (x_ji - x_i).abs().mean(),
            # equation 3
            "identity_preserving": (self.e_id(x_ij) - f_i).abs().mean()
            + (self.e_id(x_ji) - f_i).abs().mean(),
            # equation 4
            "reality": -(_log_real(self.d_r(x_ij)) + _log_real(self.d_r(x_jj))),
            # equation 5
            "degradation": (s_i - s_ij + self.epsilon).clamp(min=0).mean()
            + (s_ji - s_j + self.epsilon).clamp(min=0).mean(),
        }
        return seen | self._move_generator("self", terms)

    def cross_step(
        self, x_i: Tensor, x_k: Tensor, people_i: Tensor, people_k: Tensor
    ) -> dict[str, float]:
        """One iteration on a real pair {x_i, x_k}.

        Args:
            x_i, x_k: images (B, 3, H, W) in [0, 1].
            people_i, people_k: who is on them, (B,).

        Returns:
            As :meth:`self_step`; D_d learns nothing from a real pair.
        """
        # the discriminators' turn
        c_i, c_k = self.content(torch.cat([x_i, x_k])).chunk(2)
        d_i, d_k = self.e_d(x_i), self.e_d(x_k)
        x_ik, x_ki = self.g(c_i, d_k), self.g(c_k, d_i)
        reality = -(  # equation 7
            _log_real(self.d_r(x_i))
            + _log_real(self.d_r(x_k))
            + _log_fake(self.d_r(x_ik.detach()))
            + _log_fake(self.d_r(x_ki.detach()))
        )
        _descend(self.d_optimiser, reality)
        seen = {"cross/D_r": reality.item()}

        # the generator's turn
        contents, invariant = self.invariant(torch.cat([x_i, x_k]))
        c_i, c_k = contents.chunk(2)
        logits_i, logits_k = self.neck(invariant).logits.chunk(2)
        d_i, d_k = self.e_d(x_i), self.e_d(x_k)
        x_ii, x_ik = self.g(c_i, d_i), self.g(c_i, d_k)
        x_ki, x_kk = self.g(c_k, d_i), self.g(c_k, d_k)
        f_i, f_k = self.e_id(x_i).detach(), self.e_id(x_k).detach()
        s_i, s_ik, s_k, s_ki = self.d_d(x_i), self.d_d(x_ik), self.d_d(x_k), self.d_d(x_ki)
        gamma = torch.sign(s_k - s_i).detach()
        terms = {
            # equation 9
            "identification": F.cross_entropy(logits_i, people_i)
            + F.cross_entropy(logits_k, people_k),
            # equation 6
            "reconstruction": (x_ii - x_i).abs().mean() + (x_kk - x_k).abs().mean(),
            # equation 8
            "identity_preserving": (self.e_id(x_ik) - f_i).abs().mean()
            + (self.e_id(x_ki) - f_k).abs().mean(),
            # equation 7
            "reality": -(_log_real(self.d_r(x_ik)) + _log_real(self.d_r(x_ki))),
            # equation 10; no order, no loss
            "degradation": (
                ((s_i - s_ik) * gamma + self.epsilon).clamp(min=0) * gamma.abs()
                + ((s_ki - s_k) * gamma + self.epsilon).clamp(min=0) * gamma.abs()
            ).mean(),
        }
        return seen | self._move_generator("cross", terms)

    def _move_generator(self, phase: str, terms: dict[str, Tensor]) -> dict[str, float]:
        """Equations 11 and 12, and a step down them."""
        _descend(
            self.g_optimiser,
            sum(getattr(self.weights, name) * term for name, term in terms.items()),
        )
        return {f"{phase}/{name}": term.item() for name, term in terms.items()}


class PlainDFEN:
    """Stage 2: identity representation learning (section 3.4).

    Args:
        network: in training mode; it has frozen D_d itself.
        config: lambdas, margin, smoothing and the optimiser's numbers.
    """

    def __init__(self, network: DFEN, config: Config) -> None:
        self.network, self.config = network, config
        self.optimiser = _adam(network, config.dfen.rate, config.identity.decay, (0.9, 0.999))

    def step(self, images: Tensor, people: Tensor) -> dict[str, float]:
        """One step on images (B, 3, H, W) in [0, 1] of the people (B,).

        Returns:
            The losses, unweighted, before anything moved.
        """
        network, settings = self.network, self.config.dfen
        f_inv = network.content_encoder.invariant(images)
        f_sen = network.identity_encoder(images)
        attention = network.attention(network.degradation_discriminator.scale_scores(images))
        f_id = torch.cat([f_inv, f_sen * attention], dim=1)  # equation 13
        terms = {  # equation 14
            "invariant": self._reid(network.invariant_neck, f_inv, people),
            "sensitive": self._reid(network.sensitive_neck, f_sen, people),
            "both": self._reid(network.both_neck, f_id, people),
        }
        _descend(
            self.optimiser,
            settings.invariant * terms["invariant"]
            + settings.sensitive * terms["sensitive"]
            + settings.both * terms["both"],
        )
        return {name: term.item() for name, term in terms.items()}

    def _reid(self, neck: nn.Module, features: Tensor, people: Tensor) -> Tensor:
        """Cross-entropy plus triplet loss with hard sample mining, of features (B, F)."""
        tricks = self.config.identity
        logits = neck(features).logits
        classified = F.cross_entropy(logits, people, label_smoothing=tricks.smoothing)
        distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
        triplet, count = 0.0, len(people)
        for a in range(count):
            same = [distances[a, b] for b in range(count) if b != a and people[b] == people[a]]
            others = [distances[a, b] for b in range(count) if people[b] != people[a]]
            violation = torch.stack(same).max() - torch.stack(others).min() + tricks.margin
            triplet = triplet + violation.clamp(min=0) / count
        return classified + triplet


def _log_real(maps: list[Tensor]) -> Tensor:
    """Log D_r, the mean over patches and then over scales, from logit maps."""
    return sum(F.logsigmoid(m).mean() for m in maps) / len(maps)


def _log_fake(maps: list[Tensor]) -> Tensor:
    """log(1 - D_r), the same way."""
    return sum(F.logsigmoid(-m).mean() for m in maps) / len(maps)


def _adam(
    network: nn.Module, rate: float, decay: float, betas: tuple[float, float]
) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, weight_decay=decay)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

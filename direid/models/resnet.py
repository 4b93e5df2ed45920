"""The ResNet inside E_c and E_id: torchvision's blocks, any width, all stages' outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.resnet import BasicBlock, Bottleneck

from direid.errors import DireidError

STAGES: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    10: (BasicBlock, (1, 1, 1, 1)),
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """A ResNet without its classifier.

    Its parameters carry torchvision's names, so that ImageNet weights load as they are.

    Args:
        depth: 10, 18, 34 or 50 layers.
        base: channels of the first stage; each later stage doubles them.
        stem_kernel: side of the first convolution.
        stem_stride: its stride; a max-pooling of stride 2 follows.
        last_stride: stride of the last stage (1 keeps a finer map, a trick of re-ID).
    """

    def __init__(
        self, depth: int, base: int, stem_kernel: int, stem_stride: int, last_stride: int
    ) -> None:
        super().__init__()
        block, counts = STAGES[depth]
        self.depth = depth
        self.conv1 = nn.Conv2d(3, base, stem_kernel, stem_stride, stem_kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.channels = [base]
        strides = (1, 2, 2, last_stride)
        for number, (count, stride) in enumerate(zip(counts, strides, strict=True), start=1):
            width = base * 2 ** (number - 1)
            stage = _stage(block, self.channels[-1], width, count, stride)
            self.add_module(f"layer{number}", stage)
            self.channels.append(width * block.expansion)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, stages: int = 4) -> list[Tensor]:
        """Maps of the stem and of the first ``stages`` stages.

        Args:
            x: normalised images, (B, 3, H, W).
            stages: how many stages to run, 1 to 4.

        Returns:
            ``stages + 1`` maps, of ``self.channels`` channels. With the paper's stem (stride 2)
            they lie at strides 2, 4, 8, 16 and 16 (or 32).
        """
        maps = [torch.relu(self.bn1(self.conv1(x)))]
        x = nn.functional.max_pool2d(maps[0], 3, 2, 1)
        for number in range(1, stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
            maps.append(x)
        return maps

    def load_imagenet(self) -> None:
        """Load torchvision's ImageNet weights of this depth.

        Raises:
            DireidError: there are none for this depth or width, or they cannot be downloaded.
        """
        if self.depth == 10 or self.channels[0] != 64 or self.conv1.kernel_size != (7, 7):
            raise DireidError(
                "network.pretrained: ImageNet weights exist for depth 18, 34 and 50, base 64 and "
                "stem_kernel 7, "
                f"not for depth {self.depth} at base {self.channels[0]}; "
                "set network.pretrained=false"
            )
        name = f"resnet{self.depth}"
        weights = get_model_weights(name).DEFAULT
        try:
            state = get_model(name, weights=weights).state_dict()
        except OSError as error:
            raise DireidError(
                f"network.pretrained: cannot download {weights.url} ({error}); copy that file to "
                f"{torch.hub.get_dir()}/checkpoints, or train from scratch with "
                "--set network.pretrained=false"
            ) from None
        self.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})


def _stage(
    block: type[BasicBlock | Bottleneck], before: int, width: int, count: int, stride: int
) -> nn.Sequential:
    after = width * block.expansion
    shortcut = None
    if stride != 1 or before != after:
        shortcut = nn.Sequential(
            nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
        )
    blocks = [block(before, width, stride, shortcut)]
    blocks += [block(after, width) for _ in range(count - 1)]
    return nn.Sequential(*blocks)

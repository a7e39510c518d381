"""Convolutions: classifiers with and without normalisation, U-shapes, generators, temporal and audio nets."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import Fill, MakeOptimizer, adam, adamw, constant, fill, he, layers, normal, of, sgd

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)


def summed_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target, reduction="sum")


def lenet(
    pixels: float | None = None,
    init: Fill | None = None,
    loss_fn: Callable[..., Tensor] = F.cross_entropy,
    optimizer: MakeOptimizer = None,
) -> Problem:
    """The classic, on standardised images, or on pixels from 0 to `pixels`."""
    torch.manual_seed(20)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 4 * 4, 84), nn.ReLU(), nn.Linear(84, 4),
    )  # fmt: skip
    fill(layers(model, (nn.Conv2d, nn.Linear)), init)
    x, y = data.images(64, 1, 28, 4)
    return model, ((x - 0.5) / 0.25 if pixels is None else pixels * x, y), loss_fn, of(model, optimizer)


class Plain(nn.Module):
    """Convolutions of 3x3 with ReLU, then the mean over the picture."""

    def __init__(self, depth: int, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        sizes = [3, *[width] * depth]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(norm(width) for _ in self.convs)
        self.fc = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))
            if number == 1:
                x = F.avg_pool2d(x, 2)
        return self.fc(x.mean(dim=(2, 3)))


def no_norm(width: int) -> nn.Module:
    return nn.Identity()


def plain(
    depth: int = 6,
    width: int = 16,
    norm: Callable[[int], nn.Module] = no_norm,
    init: Fill | None = None,
    norm_bias: float | None = None,
    head: float | None = None,
    optimizer: MakeOptimizer = None,
) -> Problem:
    torch.manual_seed(21)
    model = Plain(depth, width, norm)
    fill(model.convs, init)
    if norm_bias is not None:
        for layer in model.norms:
            nn.init.constant_(layer.bias, norm_bias)
    if head is not None:
        nn.init.normal_(model.fc.weight, std=head)
    return model, data.standardised(40, 3, 16, 5), nn.CrossEntropyLoss(), of(model, optimizer)


class BasicBlock(nn.Module):
    def __init__(self, planes: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn1 = norm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = norm(planes)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(out)))


class ResNet(nn.Module):
    def __init__(self, blocks: int, planes: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, planes, 3, stride=2, padding=1, bias=False), norm(planes), nn.ReLU())
        self.layers = nn.Sequential(*[BasicBlock(planes, norm) for _ in range(blocks)])
        self.fc = nn.Linear(planes, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.layers(self.stem(x)), 1), 1))


def group_norm(planes: int) -> nn.Module:
    return nn.GroupNorm(4, planes)


def resnet(
    blocks: int = 4,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    zero_last: bool = False,
    head: float | None = None,
    optimizer: MakeOptimizer = None,
) -> Problem:
    torch.manual_seed(22)
    model = ResNet(blocks, 16, norm)
    fill(layers(model, nn.Conv2d), lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out"))
    if zero_last:
        for block in layers(model, BasicBlock):
            nn.init.zeros_(block.bn2.weight)
    if head is not None:
        nn.init.normal_(model.fc.weight, std=head)
    return model, data.standardised(50, 3, 24, 10), nn.CrossEntropyLoss(), of(model, optimizer)


def norm_first() -> Problem:
    """Bytes from 0 to 255, which the model itself brings to scale."""
    torch.manual_seed(23)
    model = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 16, 3, stride=2), nn.ELU(), nn.Conv2d(16, 32, 3, stride=2), nn.ELU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip
    x, y = data.images(32, 3, 20, 4)
    return model, ((255 * x).round(), y), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=3e-3)


class Temporal(nn.Module):
    """Dilated causal convolutions with residual connections."""

    def __init__(self, levels: int, norm: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        self.inlet = nn.Conv1d(2, 24, 1)
        self.convs = nn.ModuleList(norm(nn.Conv1d(24, 24, 3, dilation=2**level)) for level in range(levels))
        self.outlet = nn.Conv1d(24, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x.transpose(1, 2))
        for level, conv in enumerate(self.convs):
            x = x + F.relu(conv(F.pad(x, (2 * 2**level, 0))))
        return self.outlet(x)[:, :, -1]


def temporal(
    levels: int = 4, init: Fill | None = None, normed: bool = True, optimizer: MakeOptimizer = None
) -> Problem:
    torch.manual_seed(24)
    model = Temporal(levels, weight_norm if normed else lambda conv: conv)
    fill(model.convs if init else (), init)
    return model, data.series(64, 48, 2), nn.MSELoss(), of(model, optimizer)


class UNet(nn.Module):
    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()

        def double(inlet: int, outlet: int) -> nn.Sequential:
            first, second = nn.Conv2d(inlet, outlet, 3, padding=1), nn.Conv2d(outlet, outlet, 3, padding=1)
            return nn.Sequential(first, norm(outlet), nn.ReLU(), second, norm(outlet), nn.ReLU())

        self.down1, self.down2, self.bottom = double(1, 8), double(8, 16), double(16, 32)
        self.up2, self.up1 = nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.join2, self.join1 = double(32, 16), double(16, 8)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(F.max_pool2d(one, 2))
        low = self.bottom(F.max_pool2d(two, 2))
        two = self.join2(torch.cat([two, self.up2(low)], dim=1))
        return self.out(self.join1(torch.cat([one, self.up1(two)], dim=1)))


def dice(output: Tensor, target: Tensor) -> Tensor:
    probability = output.softmax(dim=1)[:, 1]
    overlap = (probability * target).sum(dim=(1, 2))
    return (1 - (2 * overlap + 1) / (probability.sum(dim=(1, 2)) + target.sum(dim=(1, 2)) + 1)).mean()


def unet(
    count: int = 8,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    init: Fill | None = None,
    loss_fn: Callable[..., Tensor] | None = None,
    optimizer: MakeOptimizer = None,
) -> Problem:
    """Which pixels belong to the bright parts of the picture."""
    torch.manual_seed(25)
    model = UNet(norm)
    fill(layers(model, CONVOLUTIONS), init)
    x, _ = data.standardised(count, 1, 32, count)
    y = (F.avg_pool2d(x, 5, stride=1, padding=2) > 0.2).squeeze(1).long()
    return model, (x, y), loss_fn or nn.CrossEntropyLoss(), of(model, optimizer)


def generator(init: Fill | None = None, optimizer: MakeOptimizer = None) -> Problem:
    """Transposed convolutions without normalisation: a picture from a code."""
    torch.manual_seed(26)
    model = nn.Sequential(
        nn.ConvTranspose2d(256, 32, 3, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(32, 4, 3, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(4, 1, 3, padding=1),
    )  # fmt: skip
    fill(layers(model, nn.ConvTranspose2d), init)
    y, _ = data.standardised(32, 1, 8, 8)
    code = torch.randn(8, 256, 8, 8)[torch.arange(32) % 8]
    return model, (code, y), nn.MSELoss(), of(model, optimizer)


def dcgan() -> Problem:
    torch.manual_seed(27)
    model = nn.Sequential(
        nn.ConvTranspose2d(32, 64, 4, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False), nn.Sigmoid(),
    )  # fmt: skip
    fill(layers(model, nn.ConvTranspose2d), normal(0.02))
    y, _ = data.images(32, 1, 16, 8)
    code = torch.randn(8, 32, 1, 1)[torch.arange(32) % 8]
    return model, (code, y), nn.BCELoss(), torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.5, 0.999))


class MobileBlock(nn.Module):
    """Expand, filter each channel, weigh the channels, project; with a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 3 * width
        self.expand = nn.Sequential(nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.Hardswish())
        self.filter = nn.Sequential(
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.Hardswish()
        )
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, 8, 1), nn.ReLU(), nn.Conv2d(8, inner, 1), nn.Hardsigmoid()
        )
        self.project = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.filter(self.expand(x))
        return x + self.project(y * self.weigh(y))


class LayerScaleBlock(nn.Module):
    """A ConvNeXt block: its output is multiplied by 1e-6 at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.filter = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.filter(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


def modern(block: Callable[[int], nn.Module], optimizer: MakeOptimizer) -> Problem:
    torch.manual_seed(28)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4), *[block(16) for _ in range(3)],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 5),
    )  # fmt: skip
    return model, data.standardised(32, 3, 32, 5), nn.CrossEntropyLoss(label_smoothing=0.1), of(model, optimizer)


def audio(optimizer: MakeOptimizer) -> Problem:
    torch.manual_seed(29)
    model = nn.Sequential(
        nn.Conv1d(1, 16, 16, stride=4), nn.BatchNorm1d(16), nn.GELU(), nn.MaxPool1d(4),
        nn.Conv1d(16, 32, 3), nn.BatchNorm1d(32), nn.GELU(), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 3),
    )  # fmt: skip
    label = torch.arange(48) % 3
    tone = torch.sin(torch.arange(800) * (0.1 + 0.15 * label[:, None]))
    return model, ((tone + 0.3 * torch.randn(48, 800))[:, None], label), nn.CrossEntropyLoss(), of(model, optimizer)


def wrong_fan(weight: Tensor) -> None:
    """He's rule with the fan of a plain convolution: in a transposed one, the first size counts the inputs."""
    nn.init.normal_(weight, std=(2 / weight[0].numel()) ** 0.5)


def right_fan(weight: Tensor) -> None:
    nn.init.normal_(weight, std=(2 / weight[:, 0].numel()) ** 0.5)


def options(**given: Any) -> dict[str, Any]:
    return given


FAULTY = (
    faulty("cnn-weights-of-0.5", "init-gain", plain, depth=8, init=he, fault=options(init=normal(0.5))),
    faulty("cnn-transposed-wrong-fan", "init-gain", generator, init=right_fan, fault=options(init=wrong_fan)),
    faulty("unet-weights-of-1", "init-gain", unet, optimizer=adam(), norm=no_norm, init=he, fault=options(init=normal(1.0))),
    faulty("resnet-head-of-8", "init-gain", resnet, optimizer=sgd(0.1, 0.9), fault=options(head=8.0), where="fc"),
    faulty("resnet-40-blocks-no-norm", "init-gain", resnet, optimizer=adam(), blocks=4, norm=no_norm,
           fault=options(blocks=40)),
    faulty("tcn-orthogonal-gain-4", "init-gain", temporal, levels=5, normed=False, optimizer=adam(3e-3),
           fault=options(init=lambda weight: nn.init.orthogonal_(weight, gain=4))),
    faulty("cnn-30-default", "vanishing-depth", plain, depth=30, norm=nn.BatchNorm2d, optimizer=adam(),
           fault=options(norm=no_norm)),
    faulty("cnn-constant-weights", "symmetric-init", lenet, init=he, fault=options(init=constant(0.01))),
    faulty("cnn-dead-after-norm", "dead-units", plain, norm=nn.BatchNorm2d, fault=options(norm_bias=-8.0)),
    faulty("lenet-bytes", "input-scale", lenet, optimizer=sgd(0.02, 0.9), fault=options(pixels=255.0)),
    faulty("lenet-summed", "loss-scale", lenet, optimizer=sgd(0.05, 0.9), fault=options(loss_fn=summed_cross_entropy)),
    faulty("lenet-sgd-2", "learning-rate", lenet, optimizer=sgd(0.02, 0.9), fault=options(optimizer=sgd(2.0, 0.9))),
    faulty("unet-adam-0.5", "learning-rate", unet, optimizer=adam(), norm=no_norm, fault=options(optimizer=adam(0.5))),
)  # fmt: skip

SOUND = (
    sound("lenet", lenet, optimizer=sgd(0.02, 0.9)),
    sound("lenet-adadelta-1", lenet, pixels=1.0, optimizer=lambda params: torch.optim.Adadelta(params, lr=1.0)),
    sound("cnn-plain-6", plain, optimizer=adam(3e-3)),
    sound("vgg-batch-norm", plain, width=24, norm=nn.BatchNorm2d, optimizer=adam()),
    sound("resnet-sgd-0.1", resnet, optimizer=sgd(0.1, 0.9, 5e-4)),
    sound("resnet-group-norm-zero-last", resnet, norm=group_norm, zero_last=True, optimizer=sgd(0.05, 0.9)),
    sound("cnn-bytes-batch-norm-first", norm_first),
    sound("tcn-weight-norm", temporal, optimizer=adam(3e-3)),
    sound("unet", unet, optimizer=adam()),
    sound("unet-dice-batch-2", unet, count=2, norm=nn.InstanceNorm2d, loss_fn=dice, optimizer=adamw(3e-3)),
    sound("dcgan-generator", dcgan),
    sound("mobile-net", modern, block=MobileBlock, optimizer=adam(3e-3)),
    sound("conv-next-layer-scale", modern, block=LayerScaleBlock, optimizer=adamw(3e-3)),
    sound("audio-1d", audio, optimizer=adam(3e-3)),
)

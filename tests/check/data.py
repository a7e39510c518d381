"""Small batches that can be learnt: their targets follow from their inputs. All inputs are on a sensible scale."""

import torch
from torch import Tensor
from torch.nn import functional as F


def table(rows: int, features: int, classes: int) -> tuple[Tensor, Tensor]:
    """Standardised features, and the class that a linear teacher gives them."""
    x = torch.randn(rows, features)
    return x, (x @ torch.randn(features, classes)).argmax(dim=1)


def scores(rows: int, features: int, outputs: int = 1) -> tuple[Tensor, Tensor]:
    """Standardised features, and smooth functions of them that lie about zero, plus a little noise."""
    x = torch.randn(rows, features)
    teacher = torch.randn(features, outputs) * (2 / features**0.5)
    return x, torch.tanh(x @ teacher) + 0.1 * torch.randn(rows, outputs)


def images(count: int, channels: int, size: int, classes: int) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1]: a blurred picture for each class, under noise."""
    label = torch.arange(count) % classes
    pictures = F.interpolate(torch.rand(classes, channels, 4, 4), size=size, mode="bilinear")
    return 0.6 * pictures[label] + 0.4 * torch.rand(count, channels, size, size), label


def standardised(count: int, channels: int, size: int, classes: int) -> tuple[Tensor, Tensor]:
    """The same images as most pipelines hand them on: mean 0, standard deviation 1."""
    x, label = images(count, channels, size, classes)
    return (x - x.mean()) / x.std(), label


def text(count: int, length: int, vocabulary: int) -> Tensor:
    """Token ids in which the next is one of three that follow from the one before."""
    start = torch.randint(0, vocabulary, (count, 1))
    return (start + torch.randint(1, 4, (count, length)).cumsum(dim=1)) % vocabulary


def reviews(count: int, length: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Token ids from 1 on, and 1 where most of them come from the upper half of the vocabulary."""
    share = torch.rand(count, 1)
    upper = torch.rand(count, length) < share
    x = torch.randint(1, vocabulary // 2, (count, length)) + upper * (vocabulary // 2)
    return x, (share[:, 0] > 0.5).long()


def series(count: int, length: int, features: int = 1) -> tuple[Tensor, Tensor]:
    """Noisy oscillations with a standard deviation near 1, and their next value."""
    time = torch.arange(length + 1)[None, :, None]
    frequency = 0.2 + 0.4 * torch.rand(count, 1, features)
    phase = 6.28 * torch.rand(count, 1, features)
    x = 1.3 * torch.sin(frequency * time + phase) + 0.2 * torch.randn(count, length + 1, features)
    return x[:, :-1], x[:, -1]


def recall(count: int, length: int) -> tuple[Tensor, Tensor]:
    """A sign at the first step, then only noise in the other feature: who forgets the sign can but guess."""
    x = torch.randn(count, length, 2)
    x[:, 1:, 0] = 0
    x[:, 0, 0] = x[:, 0, 0].sign()
    return x, (x[:, 0, 0] > 0).long()

"""A deep plain convolutional net on handwritten digits: no normalisation, no shortcuts, weights drawn by hand.

    python examples/vision.py
    python examples/vision.py --optimizer adam --seed 3 --log-every 1

The images are scikit-learn's: 1,797 digits of 8 x 8 pixels, of which a quarter is held out. The weights are normal with
a standard deviation of 0.2, a number that looks small and is handed down from one tutorial to the next. What matters is
how many of them each output adds up: 16 channels of 3 x 3 make 144, so every layer with its ReLU multiplies the signal
by 0.2 * sqrt(144 / 2) = 1.7. Three layers hide that, sixteen make it 4,900, and the gradient has the same factor again.
"""

import argparse
import sys

import torch
from torch import nn

RATES = {"sgd": 0.02, "adam": 0.01}
STD = 0.2  # Of all first weights. What keeps the signal's size: nn.init.kaiming_normal_(weight, nonlinearity="relu").


def load_digits() -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Images (count, 1, 8, 8) from 0 to 1 and their digits: those to learn from, and a held-out quarter."""
    try:
        from sklearn import datasets
        from sklearn.model_selection import train_test_split
    except ImportError:
        print(
            "vision.py: needs scikit-learn: pip install 'steadygrad[demo]'  (or pip install scikit-learn)",
            file=sys.stderr,
        )
        sys.exit(2)
    digits = datasets.load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16  # A pixel counts from 0 to 16.
    labels = torch.tensor(digits.target)
    # Every digit has its share in both parts. The parts are the same for every seed.
    train, held_out = train_test_split(torch.arange(len(labels)), test_size=0.25, stratify=labels, random_state=0)
    return (images[train], labels[train]), (images[held_out], labels[held_out])


def plain_net(depth: int, channels: int) -> nn.Sequential:
    """`depth` convolutions of 3 x 3 with ReLUs, one pooling to 4 x 4 on the way, and a linear layer."""
    layers = []
    for number in range(depth):
        convolution = nn.Conv2d(channels if number else 1, channels, 3, padding=1)
        nn.init.normal_(convolution.weight, std=STD)
        nn.init.zeros_(convolution.bias)
        layers += [convolution, nn.ReLU()]
        if number + 1 == depth // 4:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 4 * 4, 10))


def batches(count: int, size: int):
    """Row numbers, without end: all rows in a random order, then in another one."""
    while True:
        yield from torch.randperm(count)[: count // size * size].split(size)


@torch.no_grad()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images whose digit gets the largest logit."""
    return (model(images).argmax(1) == labels).double().mean().item()


def logistic_regression(train: tuple, held_out: tuple) -> float:
    """Accuracy of a linear model on the pixels: what depth has to beat."""
    from sklearn.linear_model import LogisticRegression

    (images, labels), (held_out_images, held_out_labels) = train, held_out
    model = LogisticRegression(max_iter=1000).fit(images.flatten(1).numpy(), labels.numpy())
    return float(model.score(held_out_images.flatten(1).numpy(), held_out_labels.numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train a deep plain convolutional net on 8 x 8 digits. Its first weights are a little too large, "
        "and sixteen layers multiply that."
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--optimizer", choices=RATES, default="sgd")
    parser.add_argument("--lr", type=float, help=f"default: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--depth", type=int, default=16, help="convolutions")
    parser.add_argument("--channels", type=int, default=16)
    args = parser.parse_args()

    train, held_out = load_digits()
    images, labels = train
    torch.manual_seed(args.seed)
    model = plain_net(args.depth, args.channels)
    lr = RATES[args.optimizer] if args.lr is None else args.lr
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[args.optimizer](model.parameters(), lr=lr)

    for step, rows in zip(range(1, args.steps + 1), batches(len(labels), args.batch), strict=False):
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % args.log_every == 0 or step == args.steps:
            print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {lr:g}", flush=True)

    chance = held_out[1].bincount().max().item() / len(held_out[1])  # Always the same answer: the most frequent digit.
    print(
        f"result: accuracy {accuracy(model, *held_out):.4f}, "
        f"logistic regression accuracy {logistic_regression(train, held_out):.4f}, chance {chance:.4f}"
    )


if __name__ == "__main__":
    main()

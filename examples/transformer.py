"""A small causal transformer language model, trained on the English text that every Python ships.

    python examples/transformer.py
    python examples/transformer.py --lr 0.003 --seed 3 --log-every 1
    python examples/transformer.py --optimizer sgd

Each block normalises what it reads, but nothing normalises what the blocks have added up before the logits are made of
it, and queries and keys are not normalised either. Such a net trains well at a usual rate. This script takes a bold one
from its first step on, without a warm-up: logits of the attention and of the output grow until the training breaks out.
"""

import argparse
import math
from collections import Counter
from itertools import pairwise
from pydoc_data import topics

import torch
from torch import nn

RATES = {"sgd": 1.0, "adam": 0.1}
"""Both are bold: for a net as small as this one Adam's usual rate is 0.001 to 0.01."""


class Block(nn.Module):
    """Causal self-attention and a feed-forward net, each behind a normalisation and beside a skip path."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, width = x.shape
        parts = self.queries_keys_values(self.norm1(x)).view(batch, time, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        # The norm of queries and keys is not held (QK-norm): the larger they grow, the closer to one-hot the attention.
        read = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.out(read.transpose(1, 2).reshape(batch, time, width))
        return x + self.feed_forward(self.norm2(x))


class Transformer(nn.Module):
    """Embeddings of characters and places, blocks, and the logits of the next character."""

    def __init__(self, vocabulary: int, length: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.decoder = nn.Linear(width, vocabulary)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        places = torch.arange(characters.shape[1])
        return self.decoder(self.blocks(self.characters(characters) + self.places(places)))


def load_text() -> str:
    """The pages behind `help("...")`: about 0.5 MB of technical English, on every machine with Python."""
    return "\n".join(topics.topics[key] for key in sorted(topics.topics))


def sample(data: torch.Tensor, batch: int, length: int) -> torch.Tensor:
    """Pieces of the text from random places, shape (batch, length + 1): each but its last is read, each but its first
    foretold."""
    starts = torch.randint(len(data) - length, (batch, 1))
    return data[starts + torch.arange(length + 1)]


@torch.no_grad()
def validate(model: nn.Module, data: torch.Tensor, length: int) -> float:
    """Mean loss in nats per character, over the text cut into pieces."""
    whole = (len(data) - 1) // length * length
    inputs, targets = data[:whole].view(-1, length), data[1 : whole + 1].view(-1, length)
    total = 0.0
    for read, wanted in zip(inputs.split(64), targets.split(64), strict=True):
        total += nn.functional.cross_entropy(model(read).flatten(0, 1), wanted.flatten(), reduction="sum").item()
    return total / whole


def bigram_bits(train: list[int], held_out: list[int], vocabulary: int) -> float:
    """Bits per character of a bigram model, with one added to each count."""
    pairs, firsts = Counter(pairwise(train)), Counter(train[:-1])
    bits = 0.0
    for pair in pairwise(held_out):
        bits -= math.log2((pairs[pair] + 1) / (firsts[pair[0]] + vocabulary))
    return bits / (len(held_out) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small causal transformer on characters, at a bold rate.")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--optimizer", choices=sorted(RATES), default="adam")
    parser.add_argument("--lr", type=float, help=f"default: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=32, help="characters in a piece of text")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--layers", type=int, default=3)
    args = parser.parse_args()
    lr = RATES[args.optimizer] if args.lr is None else args.lr
    if min(args.steps, args.log_every, args.batch, args.length, args.heads, args.layers) < 1 or not 0 <= lr < math.inf:
        parser.error("numbers of steps, batches, lengths, heads and layers have to be 1 or more, --lr from 0 on")
    if args.width < 1 or args.width % args.heads:
        parser.error(f"--width {args.width}: expected a multiple of --heads, {args.heads}")

    torch.manual_seed(args.seed)
    text = load_text()
    alphabet = {character: number for number, character in enumerate(sorted(set(text)))}
    characters = torch.tensor([alphabet[character] for character in text])
    split = len(characters) * 9 // 10
    train, held_out = characters[:split], characters[split:]
    if args.length >= len(held_out):
        parser.error(f"--length {args.length}: the held-out text has {len(held_out)} characters")

    model = Transformer(len(alphabet), args.length, args.width, args.heads, args.layers)
    kind = torch.optim.SGD if args.optimizer == "sgd" else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=lr)

    for step in range(1, args.steps + 1):
        pieces = sample(train, args.batch, args.length)
        logits = model(pieces[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), pieces[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % args.log_every == 0 or step == args.steps:
            print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {lr:g}", flush=True)

    loss = validate(model, held_out, args.length)
    bigrams = bigram_bits(train.tolist(), held_out.tolist(), len(alphabet))
    print(f"result: bits per character {loss / math.log(2):.4f}, bigram model {bigrams:.4f}")


if __name__ == "__main__":
    main()

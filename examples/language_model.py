"""A character-level LSTM language model, trained on the English text that every Python ships.

    python examples/language_model.py
    python examples/language_model.py --lr 0.5 --seed 3 --log-every 1
    python examples/language_model.py --optimizer adam

The recipe is the classic one for recurrent language models: plain SGD with a large learning rate, truncated
back-propagation through time, hidden state carried from batch to batch. That recipe was published with
gradient clipping; this script leaves the clipping out, as many first versions do.
"""

import argparse
import math
import warnings
from collections import Counter
from pydoc_data import topics

import torch
from torch import nn

# Only a note about speed: such an LSTM runs on the plain CPU kernels.
warnings.filterwarnings("ignore", message="LSTM with projections")


RATES = {"sgd": 8.0, "adam": 0.1}
"""Both are bold: with clipping even 20 is used for SGD, and Adam's usual rate is 0.002."""


class CharModel(nn.Module):
    """Embedding, LSTM and a linear layer that gives the logits of the next character."""

    def __init__(self, vocabulary: int, hidden: int, layers: int) -> None:
        super().__init__()
        # The output of the LSTM is projected to fewer units (Sak et al., 2014): many memory cells stay cheap.
        projected = hidden * 2 // 3
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers, proj_size=projected)
        self.decoder = nn.Linear(projected, vocabulary)

    def forward(self, characters, state=None):
        output, state = self.lstm(self.embedding(characters), state)
        return self.decoder(output), state


def load_text() -> str:
    """The pages behind `help("...")`: about 0.5 MB of technical English, on every machine with Python."""
    return "\n".join(topics.topics[key] for key in sorted(topics.topics))


def columns(characters: torch.Tensor, batch: int) -> torch.Tensor:
    """Cut one long text into `batch` parallel ones, shape (time, batch): rows run on from batch to batch."""
    time = len(characters) // batch
    return characters[: time * batch].view(batch, time).t().contiguous()


def windows(data: torch.Tensor, length: int):
    """Inputs and targets, the same characters one place later, of `length` rows at a time."""
    for start in range(0, len(data) - 1, length):
        stop = min(start + length, len(data) - 1)
        yield data[start:stop], data[start + 1 : stop + 1]


@torch.no_grad()
def validate(model: nn.Module, data: torch.Tensor, length: int) -> float:
    """Mean loss in nats per character."""
    total, count, state = 0.0, 0, None
    for inputs, targets in windows(data, length):
        logits, state = model(inputs, state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        total, count = total + loss.item(), count + targets.numel()
    return total / count


def trigram_bits(train: list[int], held_out: list[int], vocabulary: int) -> float:
    """Bits per character of a trigram model with Witten-Bell smoothing, which falls back on shorter contexts."""
    counts = [Counter(zip(*(train[place:] for place in range(order)), strict=False)) for order in (1, 2, 3)]
    totals, kinds = {}, {}  # of each context: how often it was seen, and before how many different characters
    for order in counts:
        for gram, count in order.items():
            totals[gram[:-1]] = totals.get(gram[:-1], 0) + count
            kinds[gram[:-1]] = kinds.get(gram[:-1], 0) + 1
    nats = 0.0
    for place in range(2, len(held_out)):
        probability = 1 / vocabulary
        for order, known in enumerate(counts):
            gram = tuple(held_out[place - order : place + 1])
            context = gram[:-1]
            if context in totals:
                novel = kinds[context] * probability
                probability = (known.get(gram, 0) + novel) / (totals[context] + kinds[context])
        nats -= math.log(probability)
    return nats / math.log(2) / (len(held_out) - 2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a character-level LSTM language model.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--optimizer", choices=RATES, default="sgd")
    parser.add_argument("--lr", type=float, help=f"default: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=32, help="characters to back-propagate through")
    parser.add_argument("--hidden", type=int, default=72)
    parser.add_argument("--layers", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    text = load_text()
    alphabet = {character: number for number, character in enumerate(sorted(set(text)))}
    characters = torch.tensor([alphabet[character] for character in text])
    split = len(characters) * 9 // 10
    train, held_out = columns(characters[:split], args.batch), columns(characters[split:], args.batch)

    model = CharModel(len(alphabet), args.hidden, args.layers)
    kind = torch.optim.SGD if args.optimizer == "sgd" else torch.optim.Adam
    rate = RATES[args.optimizer] if args.lr is None else args.lr
    optimizer = kind(model.parameters(), lr=rate)

    batches, state = windows(train, args.length), None
    for step in range(1, args.steps + 1):
        batch = next(batches, None)
        if batch is None:  # The text is read through: start again, with an empty memory.
            batches, state = windows(train, args.length), None
            batch = next(batches)
        inputs, targets = batch
        logits, state = model(inputs, state)
        # The next batch goes on where this one ends, but gradients do not flow back beyond its beginning.
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        # The line that people forget: torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        if step % args.log_every == 0 or step == args.steps:
            print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {rate:g}", flush=True)

    loss = validate(model, held_out, args.length)
    # `math.exp` raises beyond 709, and a run that diverged gets there.
    perplexity = math.exp(loss) if loss < 700 else loss * math.inf
    trigrams = trigram_bits(characters[:split].tolist(), characters[split:].tolist(), len(alphabet))
    bits = loss / math.log(2)
    print(f"result: bits per character {bits:.4f}, perplexity {perplexity:.2f}, trigram model {trigrams:.4f}")


if __name__ == "__main__":
    main()

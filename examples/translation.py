"""An attention LSTM that translates English into Portuguese: number words, or any parallel corpus of yours.

    python examples/translation.py
    python examples/translation.py --corpus pairs.tsv --steps 20000 --optimizer adam --lr 0.001

The model is the encoder-decoder of Sutskever et al. (2014) with the attention of Luong et al. (2015), and the recipe
is the one of 2014: plain SGD at 0.7, with the loss summed over the words of a sentence and averaged over the batch.
It was published with the norm of the gradient clipped to 5; this script leaves that out, as many first versions do.
"""

import argparse
import importlib
import re
import sys
from collections import Counter
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

RATES = {"sgd": 0.7, "adam": 0.2}
SPECIAL = ["<pad>", "<start>", "<end>", "<unknown>"]
PAD, START, END, UNKNOWN = range(4)


def fail(message: str):
    print(f"{Path(__file__).name}: {message}", file=sys.stderr)
    raise SystemExit(2)


def needed(module: str, package: str):
    try:
        return importlib.import_module(module)
    except ImportError:
        fail(f"needs {package}: pip install 'steadygrad[demo]'  (or pip install {package})")


class Translator(nn.Module):
    """A bidirectional encoder, and a decoder that looks back at all its states (Luong's general attention)."""

    def __init__(self, source_words: int, target_words: int, hidden: int) -> None:
        super().__init__()
        self.source_embedding = nn.Embedding(source_words, hidden, padding_idx=PAD)
        self.target_embedding = nn.Embedding(target_words, hidden, padding_idx=PAD)
        self.encoder = nn.LSTM(hidden, hidden // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.score = nn.Linear(hidden, hidden, bias=False)
        self.combine = nn.Linear(2 * hidden, hidden)
        self.output = nn.Linear(hidden, target_words)

    def encode(self, source):
        lengths, embedded = (source != PAD).sum(1), self.source_embedding(source)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        # The decoder begins where both directions of the encoder ended, side by side.
        last = tuple(part.transpose(0, 1).flatten(1).unsqueeze(0) for part in last)
        return pad_packed_sequence(states, batch_first=True)[0], last

    def decode(self, target, source, states, last):
        """Logits of the word after each of `target`, and the state to go on from."""
        output, last = self.decoder(self.target_embedding(target), last)
        scores = output @ self.score(states).transpose(1, 2)
        weights = scores.masked_fill((source == PAD).unsqueeze(1), -torch.inf).softmax(-1)
        return self.output(torch.tanh(self.combine(torch.cat([output, weights @ states], -1)))), last

    def forward(self, source, target):
        """Teacher forcing: the logits of every next word, given the true words before it."""
        return self.decode(target, source, *self.encode(source))[0]

    @torch.no_grad()
    def translate(self, source, longest: int):
        """Greedy decoding, all sentences side by side: the likeliest next word until each has come to its end."""
        states, last = self.encode(source)
        sentence = torch.full((len(source), 1), START)
        while sentence.shape[1] <= longest and not (sentence == END).any(1).all():
            logits, last = self.decode(sentence[:, -1:], source, states, last)
            sentence = torch.cat([sentence, logits.argmax(-1)], 1)
        # What was said after the end, while others went on, does not count.
        return sentence.masked_fill((sentence == END).cumsum(1) > 0, PAD)


def words(sentence: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", sentence.lower())


def number_pairs() -> list[tuple[list[str], list[str]]]:
    """Numbers in words, 4,500 below 100,000 and none of them twice: "twenty-one" and "vinte e um"."""
    num2words = needed("num2words", "num2words").num2words
    numbers = torch.randperm(100_000)[:4500].tolist()
    return [(words(num2words(number)), words(num2words(number, lang="pt"))) for number in numbers]


def corpus_pairs(path: str) -> list[tuple[list[str], list[str]]]:
    """One pair a line, in any order. Blank lines are passed over, and so is a source that was there before."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        fail(f"{path}: {error.strerror}, expected a file of lines, source TAB target")
    except UnicodeDecodeError as error:
        fail(f"{path}, row {error.object.count(10, 0, error.start) + 1}: expected UTF-8")
    pairs = {}
    for row, line in enumerate(text.split("\n"), 1):
        fields = [words(field) for field in line.split("\t")]
        if len(fields) == 2 and all(fields):
            pairs.setdefault(tuple(fields[0]), fields)
        elif line.strip():
            fail(f"{path}, row {row}: expected source TAB target, found {line[:60]!r}")
    if len(pairs) < 20:
        fail(f"{path}: expected at least 20 pairs with different sources to train on, found {len(pairs)}")
    pairs = list(pairs.values())
    return [pairs[place] for place in torch.randperm(len(pairs)).tolist()]


def vocabulary(sentences) -> dict[str, int]:
    """A number for each of the most common words; one that is there only once stays unknown."""
    common = Counter(word for sentence in sentences for word in sentence).most_common(5000)
    return {word: number for number, word in enumerate(SPECIAL + [word for word, count in common if count > 1])}


def padded(sentences, numbers: dict[str, int]) -> torch.Tensor:
    rows = [torch.tensor([numbers.get(word, UNKNOWN) for word in sentence]) for sentence in sentences]
    return pad_sequence(rows, batch_first=True, padding_value=PAD)


def translation_memory(train, held_out) -> list[str]:
    """The baseline, as translators had it before: the target of the known source that is most alike."""
    tfidf = needed("sklearn.feature_extraction.text", "scikit-learn").TfidfVectorizer(analyzer=list)
    known = tfidf.fit_transform(source for source, _ in train)
    alike = tfidf.transform(source for source, _ in held_out) @ known.T
    return [" ".join(train[place][1]) for place in alike.argmax(1).flat]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", metavar="FILE", help="in UTF-8, one pair a line: source TAB target")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--optimizer", choices=RATES, default="sgd")
    parser.add_argument("--lr", type=float, help=f"default by optimizer: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    args = parser.parse_args()
    lr = RATES[args.optimizer] if args.lr is None else args.lr

    torch.manual_seed(args.seed)
    pairs = corpus_pairs(args.corpus) if args.corpus else number_pairs()
    count = min(500, len(pairs) // 10)
    held_out, train = pairs[:count], pairs[count:]
    sources, targets = (vocabulary(side) for side in zip(*train, strict=True))
    corpus_bleu, memory = needed("sacrebleu", "sacrebleu").corpus_bleu, translation_memory(train, held_out)

    model = Translator(len(sources), len(targets), args.hidden)
    optimizer = (torch.optim.SGD if args.optimizer == "sgd" else torch.optim.Adam)(model.parameters(), lr=lr)
    for step in range(1, args.steps + 1):
        batch = [train[place] for place in torch.randint(len(train), (args.batch,)).tolist()]
        source = padded([source for source, _ in batch], sources)
        target = padded([["<start>", *target, "<end>"] for _, target in batch], targets)
        logits, true = model(source, target[:, :-1]).flatten(0, 1), target[:, 1:].flatten()
        loss = nn.functional.cross_entropy(logits, true, ignore_index=PAD, reduction="sum") / args.batch
        optimizer.zero_grad()
        loss.backward()
        # The line of the recipe that is missing: torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
        if step % args.log_every == 0 or step == args.steps:
            print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {lr:g}", flush=True)

    longest = 2 * max(len(target) for _, target in train)
    rows, names = model.translate(padded([source for source, _ in held_out], sources), longest), list(targets)
    output = [" ".join(names[word] for word in row if word not in (PAD, START)) for row in rows.tolist()]
    truth = [" ".join(target) for _, target in held_out]
    exact = sum(said == true for said, true in zip(output, truth, strict=True)) / count
    # All sides are cut into words already: nothing is left to tokenize, and `force` says that this is meant.
    bleu, baseline = (corpus_bleu(side, [truth], tokenize="none", force=True).score for side in (output, memory))
    print(f"result: exact match {exact:.4f}, BLEU {bleu:.2f}, translation memory BLEU {baseline:.2f}")


if __name__ == "__main__":
    main()

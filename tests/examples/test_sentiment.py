"""`examples/sentiment.py`: what it reads, what it refuses, and the line that it ends with."""

import csv
import re
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "sentiment.py"
NAMES = ("accuracy", "F1", "bag of words accuracy", "bag of words F1", "majority class accuracy")
RESULT = "result: " + ", ".join(rf"{name} (\d\.\d{{4}})" for name in NAMES)


@pytest.fixture(scope="module")
def sentiment(example):
    return example


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Nothing is asked of the network, and nothing is left in the cache of whoever runs the tests."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))


def reviews(count, start=0):
    """Texts that differ, three of four of them good ones."""
    return [
        (f"dish {place} was {'awful' if place % 4 == 3 else 'lovely'}, really", "bad" if place % 4 == 3 else "good")
        for place in range(start, start + count)
    ]


def write(path, rows, header=("text", "label")):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


ROWS = "".join(f'"{text}",{label}\n' for text, label in reviews(40))
BAD = {
    "missing": (None, ": No such file or directory, expected a CSV file"),
    "empty": ("", ", row 1: expected columns text and label, found nothing"),
    "not UTF-8": (f"text,label\n{ROWS}".encode() + b"caf\xe9,good\n", ", row 42: expected UTF-8"),
    "no such column": (f"review,label\n{ROWS}", ", row 1: expected columns text and label, found review, label"),
    "one field more": (f"text,label\n{ROWS}nice, cheap,good\n", ", row 42: expected 2 fields, found 3"),
    "below a text of two lines": (
        f'text,label\n"good\nfood",good\n\n{ROWS}only this\n',
        ", row 45: expected 2 fields, found 1",
    ),
    "a quote without its end": (f'text,label\n{ROWS}"never\nended,good\n', ", row 42: unexpected end of data"),
    "no text": (f"text,label\n{ROWS} ,bad\n", ", row 42: expected a text and its label, found ' ' and 'bad'"),
    "no label": (f"text,label\n{ROWS}fine,\n", ", row 42: expected a text and its label, found 'fine' and ''"),
    "one label": (
        "text,label\n" + "".join(f"text {place},good\n" for place in range(9)),
        ": expected two labels or more and five texts of each to train on, found {'good': 9}",
    ),
    "one label hardly ever": (
        "text,label\n" + "".join(f"text {place},{'bad' if place < 4 else 'good'}\n" for place in range(20)),
        ": expected two labels or more and five texts of each to train on, found {'bad': 4, 'good': 16}",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(refused, kind):
    content, message = BAD[kind]
    assert refused("--csv", content) == message


def test_a_data_set_that_is_not_there(runner, offline):
    done = runner.bare(sys.executable, str(SCRIPT), "--dataset", "of-nobody/nothing")
    assert done.returncode == 2
    assert re.fullmatch(
        r"sentiment\.py: of-nobody/nothing: expected a data set of the hub or a folder with one: .+\n", done.stderr
    )


def test_a_data_set_with_other_columns(runner, offline):
    write(runner.folder / "reviews" / "train.csv", reviews(40), header=("review", "stars"))
    done = runner.bare(sys.executable, str(SCRIPT), "--dataset", "reviews", "--text-column", "review")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sentiment.py: reviews: expected columns review and label, found review, stars\n"


def test_the_reviews(sentiment):
    parts = sentiment.from_fine_foods()
    assert [len(part) for part in parts] == [4000, 1000]
    assert {label for part in parts for _, _, label in part} == {"great", "other"}
    assert sum(label == "great" for _, _, label in parts[0]) == 2600
    train, test = sentiment.prepare(parts, "fine foods", seed=0)
    assert len(test) == 1000
    # Seven of the held-out reviews are on the page of another product too.
    assert 3950 < len(train) < 4000
    assert not {text for text, _ in train} & {text for text, _ in test}
    assert len({text for text, _ in train}) == len(train)


def test_a_csv_is_split(sentiment, tmp_path):
    rows = reviews(80)
    path = write(tmp_path / "reviews.csv", [*rows, *rows[:9]])
    train, test = sentiment.prepare(sentiment.from_csv(str(path), "text", "label"), "reviews.csv", seed=0)
    assert (len(train), len(test)) == (64, 16)
    assert [sum(label == "bad" for _, label in part) for part in (train, test)] == [16, 4]
    assert sorted(train + test) == sorted((sentiment.words(text), label) for text, label in rows)
    same, other = (
        sentiment.prepare(sentiment.from_csv(str(path), "text", "label"), "reviews.csv", seed=seed) for seed in (0, 1)
    )
    assert same == [train, test]
    assert other != same


def test_columns_of_other_names(sentiment, tmp_path):
    rows = [(place, label, text) for place, (text, label) in enumerate(reviews(5))]
    path = write(tmp_path / "reviews.csv", rows, header=("number", "stars", "what, in words"))
    [examples] = sentiment.from_csv(str(path), "what, in words", "stars")
    assert examples == [(row, text, label) for row, (text, label) in enumerate(reviews(5), 2)]


@pytest.fixture
def local(monkeypatch, tmp_path):
    """Folders are loaded in this process, through a cache of their own."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "reviews"


def test_a_folder_with_a_test_split(sentiment, local):
    write(local / "train.csv", reviews(40))
    # Two of the texts to train on are held out: they must not be trained on.
    write(local / "test.csv", reviews(12, start=38))
    train, test = sentiment.prepare(sentiment.from_hugging_face(str(local), "text", "label"), "reviews", seed=0)
    assert train == [(sentiment.words(text), label) for text, label in reviews(38)]
    assert test == [(sentiment.words(text), label) for text, label in reviews(12, start=38)]


def test_a_folder_without_one(sentiment, local):
    write(local / "reviews.csv", [(text, int(label == "good")) for text, label in reviews(40)])
    train, test = sentiment.prepare(sentiment.from_hugging_face(str(local), "text", "label"), "reviews", seed=0)
    assert (len(train), len(test)) == (32, 8)
    assert [sum(label == "0" for _, label in part) for part in (train, test)] == [8, 2]
    assert not {text for text, _ in train} & {text for text, _ in test}


def test_a_test_split_with_labels_of_its_own(sentiment, local, capsys):
    """As where the labels of a test split are kept secret, and a -1 stands in their place."""
    write(local / "train.csv", [(text, int(label == "good")) for text, label in reviews(40)])
    write(local / "test.csv", [(text, -1) for text, _ in reviews(8, start=40)])
    with pytest.raises(SystemExit) as stop:
        sentiment.prepare(sentiment.from_hugging_face(str(local), "text", "label"), "reviews", seed=0)
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "sentiment.py: reviews: expected the labels of the training split in the test split, found also ['-1']\n"
    )


def test_padding_says_nothing(sentiment):
    torch.manual_seed(0)
    model = sentiment.Classifier(9, 3)
    with torch.no_grad():  # The forward direction alone: the other one comes from the padding to the text.
        model.output.weight[:, sentiment.HIDDEN // 2 :] = 0
    alone = model(torch.tensor([[4, 5, 6]]))[0]
    assert alone.shape == (3,)
    beside = torch.tensor([[4, 5, 6, 0, 0], [4, 4, 4, 4, 4]])
    torch.testing.assert_close(model(beside)[0], alone)


def test_texts_in_batches(sentiment):
    examples = [((f"word{place}", "and", "more"), "ab"[place % 2]) for place in range(40)]
    first, last = sentiment.batches(examples, {"and": 2}, ["a", "b"])
    assert first[0].shape == (32, 3)
    assert last[0].tolist() == [[1, 2, 1]] * 8
    assert last[1].tolist() == [0, 1] * 4


def test_one_seed_one_run(run, tmp_path):
    path = write(tmp_path / "reviews.csv", reviews(80))
    first = run("--csv", path, "--steps", 4, "--log-every", 2)
    steps = re.findall(r"^step (\d+)/4  loss (\S+)  lr 0\.1$", first, re.MULTILINE)
    assert [step for step, _ in steps] == ["2", "4"]
    assert re.fullmatch(RESULT, first.splitlines()[-1]).group(5) == "0.7500"
    assert run("--csv", path, "--steps", 4, "--log-every", 2) == first
    assert run("--csv", path, "--steps", 4, "--log-every", 2, "--seed", 1) != first


@pytest.mark.slow
def test_at_a_sound_rate_it_learns(run):
    """The model and its measures are right: 0.1 for a mean is 0.003 for a sum of 32."""
    accuracy, f1, words, words_f1, majority = map(
        float, re.fullmatch(RESULT, run("--lr", 0.003, "--steps", 300).splitlines()[-1]).groups()
    )
    assert majority == 0.658
    assert 0.69 < accuracy < 0.9
    assert 0.6 < f1 < accuracy
    assert 0.77 < words < 0.8
    assert 0.7 < words_f1 < words


@pytest.mark.smoke
def test_a_process_that_ends_in_nan(runner):
    write(runner.folder / "reviews.csv", reviews(40))
    done = runner.bare(sys.executable, str(SCRIPT), "--csv", "reviews.csv", "--lr", "inf", "--steps", "3")
    assert (done.returncode, done.stderr) == (0, "")
    *_, step, result = done.stdout.splitlines()
    assert step == "step 3/3  loss nan  lr inf"
    assert re.fullmatch(RESULT, result).groups()[:2] == ("0.0000", "0.0000")

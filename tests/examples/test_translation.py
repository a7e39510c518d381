"""`examples/translation.py`: what it reads, what it refuses, and the line that it ends with."""

import re
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "translation.py"
RESULT = r"result: exact match (\d\.\d{4}), BLEU (\d+\.\d\d), translation memory BLEU (\d+\.\d\d)"


@pytest.fixture(scope="module")
def translation(example):
    return example


def lines(count):
    return [f"number {place}\tnúmero {place}" for place in range(count)]


BAD = {
    "missing": (None, ": No such file or directory, expected a file of lines, source TAB target"),
    "empty": (b"", ": expected at least 20 pairs with different sources to train on, found 0"),
    "not UTF-8": (
        "\n".join(lines(30)).encode() + b"\nhello\tol\xe1\n",
        ", row 31: expected UTF-8",
    ),
    "no tab": (
        "\n".join([*lines(30), "", "hello olá"]).encode(),
        ", row 32: expected source TAB target, found 'hello olá'",
    ),
    "three fields": (
        "\r\n".join(["a\tb\tc", *lines(30)]).encode(),
        ", row 1: expected source TAB target, found 'a\\tb\\tc'",
    ),
    "no target": (
        "\n".join([*lines(5), "hello\t ", *lines(30)]).encode(),
        ", row 6: expected source TAB target, found 'hello\\t '",
    ),
    "too few that differ": (
        "\n".join(["Hello\tolá", "hello\toi"] * 30).encode(),
        ": expected at least 20 pairs with different sources to train on, found 1",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(refused, kind):
    content, message = BAD[kind]
    assert refused("--corpus", content) == message


def test_numbers_in_both_languages(translation):
    torch.manual_seed(0)
    pairs = translation.number_pairs()
    assert len(pairs) == 4500
    # The held-out pairs are cut off this list: a number that is there twice would be in both parts.
    assert len({tuple(source) for source, _ in pairs}) == 4500
    assert len({tuple(target) for _, target in pairs}) == 4500
    torch.manual_seed(0)
    number = torch.randperm(100_000)[0].item()
    assert number == 36044
    assert " ".join(pairs[0][0]) == "thirty - six thousand and forty - four"
    assert " ".join(pairs[0][1]) == "trinta e seis mil e quarenta e quatro"


def test_a_corpus(translation, tmp_path):
    path = tmp_path / "pairs.tsv"
    rows = ["Good morning!\tBom dia!", "", "good  MORNING!\tOlá!", *lines(25), "It's late.\tÉ tarde."]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())
    torch.manual_seed(0)
    pairs = translation.corpus_pairs(str(path))
    assert len(pairs) == 27
    # Said in the same words, the second one could be held out while the first one is trained on.
    assert [target for source, target in pairs if source == ["good", "morning", "!"]] == [["bom", "dia", "!"]]
    assert [target for source, target in pairs if source == ["it", "'", "s", "late", "."]] == [["é", "tarde", "."]]
    torch.manual_seed(1)
    other = translation.corpus_pairs(str(path))
    assert other != pairs
    assert sorted(other) == sorted(pairs)


def test_words_as_numbers(translation):
    numbers = translation.vocabulary([["um", "e", "um"], ["e", "dois"]])
    assert numbers == {"<pad>": 0, "<start>": 1, "<end>": 2, "<unknown>": 3, "um": 4, "e": 5}
    assert translation.padded([["um", "e", "dois"], ["e"]], numbers).tolist() == [[4, 5, 3], [5, 0, 0]]


def test_padding_changes_nothing(translation):
    torch.manual_seed(0)
    model = translation.Translator(9, 9, 16)
    short, target = torch.tensor([[4, 5, 6]]), torch.tensor([[1, 7, 8]])
    beside = torch.tensor([[4, 5, 6, 0, 0], [4, 4, 4, 4, 4]])
    alone = model(short, target)[0]
    torch.testing.assert_close(model(beside, target.repeat(2, 1))[0], alone)


def test_decoding_is_what_teacher_forcing_says(translation):
    torch.manual_seed(0)
    model = translation.Translator(9, 9, 16)
    source = torch.randint(4, 9, (5, 4))
    said = model.translate(source, longest=6)
    assert said.shape == (5, 7)
    for row in range(5):
        length = int((said[row] != translation.PAD).sum())
        logits = model(source[row : row + 1], said[row : row + 1, :length])[0]
        likeliest = logits.argmax(-1).tolist()
        ended = [*said[row, 1:length].tolist(), translation.END] if length < 7 else said[row, 1:].tolist()
        assert likeliest[: len(ended)] == ended


def test_nothing_is_said_after_the_end(translation):
    model = translation.Translator(9, 9, 16)
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.nn.functional.one_hot(torch.tensor(translation.END), 9))
    assert model.translate(torch.full((3, 4), 5), longest=6).tolist() == [[translation.START, translation.PAD]] * 3


def test_one_seed_one_run(run):
    first = run("--steps", "4", "--log-every", "2")
    steps = re.findall(r"^step (\d+)/4  loss (\S+)  lr 0\.7$", first, re.MULTILINE)
    assert [step for step, _ in steps] == ["2", "4"]
    assert re.fullmatch(RESULT, first.splitlines()[-1])
    assert run("--steps", "4", "--log-every", "2") == first
    assert run("--steps", "4", "--log-every", "2", "--seed", "1") != first


@pytest.mark.slow
def test_at_a_sound_rate_it_learns(run):
    """The model and its measures are right: what goes wrong by default is the recipe."""
    exact, bleu, memory = map(
        float, re.fullmatch(RESULT, run("--lr", "0.1", "--steps", "200").splitlines()[-1]).groups()
    )
    assert exact > 0.5
    assert memory < 60 < 90 < bleu < 100


def test_a_process_that_ends_in_nan(runner):
    (runner.folder / "pairs.tsv").write_text("\n".join(lines(40)), encoding="utf-8")
    done = runner.bare(sys.executable, str(SCRIPT), "--corpus", "pairs.tsv", "--lr", "inf", "--steps", "3")
    assert (done.returncode, done.stderr) == (0, "")
    *_, step, result = done.stdout.splitlines()
    assert step == "step 3/3  loss nan  lr inf"
    assert re.fullmatch(RESULT, result).groups()[:2] == ("0.0000", "0.00")

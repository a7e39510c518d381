"""The catalogue of remedies: every one that is named is there, with a sentence and a line of code that is code."""

import ast
import inspect
import re

import pytest

import steadygrad as sg
from steadygrad.diagnosis import cards
from steadygrad.diagnosis.causes import CAUSES
from steadygrad.interventions import INTERVENTIONS
from steadygrad.remedies import REMEDIES, parse_remedy, remedy
from steadygrad.rules import RULES

IDS = {each.id for each in REMEDIES}


def named(source: str) -> set[str]:
    """The remedies in the calls of `Finding` in a source."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
            for given in node.args[5:6]:
                found |= {each.value for each in getattr(given, "elts", ()) if isinstance(each, ast.Constant)}
    return found


@pytest.mark.parametrize("rule", [*RULES, *CAUSES], ids=lambda rule: f"{rule.__module__.rpartition('.')[2]}")
def test_every_remedy_that_a_rule_names_is_in_the_catalogue(rule):
    assert named(inspect.getsource(inspect.getmodule(rule))) <= IDS


@pytest.mark.parametrize("card", cards(), ids=lambda card: card.cause)
def test_every_remedy_of_a_card_is_in_the_catalogue(card):
    assert set(card.remedies) <= IDS
    assert len(set(card.remedies)) == len(card.remedies) > 0


@pytest.mark.parametrize("each", REMEDIES, ids=lambda each: each.id)
def test_a_remedy_is_a_sentence_and_code(each):
    assert each.change.endswith(".")
    ast.parse(each.code)
    for path in re.findall(r"sg\.([\w.]+)", each.code):
        thing = sg
        for name in path.split("."):
            thing = getattr(thing, name)
    assert remedy(each.id) is each


def test_ids_are_unique_and_an_unknown_one_has_no_code():
    assert len(IDS) == len(REMEDIES)
    assert remedy("of-a-later-version").code == ""


@pytest.mark.parametrize("kind", INTERVENTIONS, ids=lambda kind: kind.remedy)
def test_the_options_of_a_remedy_are_those_of_its_intervention(kind):
    """All that has a number as its default; what only the evidence can say stands nowhere."""
    keywords = inspect.signature(kind.__init__).parameters.values()
    own = {each.name: each.default for each in keywords if each.kind is each.KEYWORD_ONLY and each.default is not None}
    assert dict(remedy(kind.remedy).options) == own


def test_what_is_chosen_by_hand_is_read():
    assert parse_remedy("clip-global-norm") == ("clip-global-norm", {})
    assert parse_remedy("warm-up:steps=40,total=400") == ("warm-up", {"steps": 40, "total": 400})
    assert parse_remedy("lower-learning-rate:factor=1e-2") == ("lower-learning-rate", {"factor": 0.01})
    assert parse_remedy("mean-reduction:over=samples") == ("mean-reduction", {"over": "samples"})


@pytest.mark.parametrize(
    "words", ["", ":", "warm-up:steps", "warm-up:=3", "warm-up:steps=1.5", "nothing-like-it", "z-loss"]
)
def test_what_cannot_be_read_is_refused(words):
    with pytest.raises(ValueError, match=r"remedy|expected|option|code"):
        parse_remedy(words)

"""The catalogue of remedies: every one that is named is there, with a sentence and a line of code that is code."""

import ast
import inspect
import re

import pytest

import steadygrad as sg
from steadygrad.diagnosis import cards
from steadygrad.diagnosis.causes import CAUSES
from steadygrad.remedies import REMEDIES, remedy
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

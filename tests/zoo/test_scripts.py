"""The zoo's scripts: each says what is wrong with it, has one fix, and knows nothing of steadygrad."""

import ast
import sys
from collections import Counter

import pytest
from zoo.scripts import ZOO, Script, find, fixed
from zoo.table import counts, text
from zoo.watched import Outcome, watch

from steadygrad.diagnosis import cards

SCRIPTS = {script.path: script for script in find()}
FAILING = [script for script in SCRIPTS.values() if script.causes]
CAUSES = {card.cause for card in cards()}

OWN = {"zoo", "steadygrad"}


def name(script: Script) -> str:
    return script.name


def test_there_are_enough_of_each():
    counted = Counter(script.causes[0] for script in FAILING)
    assert set(counted) == CAUSES
    assert min(counted.values()) >= 3, counted
    assert len(SCRIPTS) - len(FAILING) >= 25


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=name)
def test_a_script_is_plain(script):
    tree = ast.parse(script.path.read_text())
    assert ast.get_docstring(tree).split("\n")[0][-1] in ".?"
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in imported} <= {"torch", "numpy"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("script", FAILING, ids=name)
def test_a_failing_script_says_why_and_has_one_fix(script):
    assert set(script.causes) <= CAUSES
    assert script.path.parent.name == script.causes[0]
    assert script.fails
    source = script.path.read_text()
    mended = fixed(source)
    ast.parse(mended)
    changed = [(a, b) for a, b in zip(source.split("\n"), mended.split("\n"), strict=True) if a != b]
    assert len(changed) == 1


def test_the_count_of_what_was_said():
    outcomes = [
        Outcome("a", ("init-gain",), "unstable", first_alarm=3, found=[{"cause": "init-gain", "confidence": 0.9}]),
        Outcome("b", ("init-gain",), "unstable", first_alarm=3, found=[{"cause": "learning-rate", "confidence": 0.9}]),
        Outcome("c", ("unsafe-op",), "healthy"),
        Outcome("d", (), "healthy"),
        Outcome("e", (), "recovered", first_alarm=7),
    ]
    found = counts(outcomes)
    assert (found["failing"], found["missed"], found["right_first"]) == (3, 1, 1)
    assert (found["healthy"], found["false_alarms"]) == (2, 1)
    assert "1 learning-rate" in text(outcomes)


SAMPLE = (
    *("zoo/failing/recurrent-gain/rnn_relu_gain.py", "zoo/failing/learning-rate/schedule_bug.py"),
    *("zoo/failing/input-scale/raw_features.py", "zoo/failing/nonfinite-data/missing_values.py"),
    *("zoo/failing/missing-zero-grad/softmax_by_hand.py", "zoo/failing/vanishing-depth/sigmoid_tower.py"),
    *("zoo/failing/dead-units/prior_bias_detector.py", "zoo/failing/outlier-batch/broken_sensor.py"),
)
"""Those that CI runs; `python -m zoo` runs all."""

EXAMPLES = {script.causes[0]: script for script in FAILING if str(script.path.relative_to(ZOO.parent)) in SAMPLE}


@pytest.mark.slow
@pytest.mark.parametrize("cause", sorted(EXAMPLES))
def test_one_of_each_is_named(cause):
    outcome = watch(EXAMPLES[cause], "protect")
    assert outcome.alarmed, outcome
    assert outcome.named[0] == cause, outcome


@pytest.mark.slow
@pytest.mark.parametrize("cause", sorted(EXAMPLES))
def test_the_same_with_its_fix_is_healthy(cause):
    outcome = watch(EXAMPLES[cause], "protect", mended=True)
    assert (outcome.verdict, outcome.named) == ("healthy", []), outcome


def test_the_folder_is_the_one_that_is_documented():
    assert (ZOO / "README.md").exists()

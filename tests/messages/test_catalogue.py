"""The catalogues are complete, and fit: nothing is said that has no translation."""

import ast
import importlib.util
import sys
from pathlib import Path
from string import Formatter

import pytest

from steadygrad import _i18n, _recorded

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "steadygrad"
TRANSLATED = sorted(set(_i18n.LANGUAGES) - {"en"})
SAYING = {"say", "say_count", "later", "recorded"}


def _tool():
    spec = importlib.util.spec_from_file_location("messages_tool", ROOT / "tools" / "messages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["messages_tool"] = module
    spec.loader.exec_module(module)
    return module


tool = _tool()


def po(language):
    return SOURCE / "locale" / language / "LC_MESSAGES" / "steadygrad.po"


def forms(text):
    return tuple(text) if isinstance(text, (tuple, list)) else (text,)


def places(text):
    return sorted((name, spec, way) for _, name, spec, way in Formatter().parse(text) if name is not None)


def calls(tree):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYING
    ]


def unsayable(tree):
    """Calls whose message is put together before it is looked up: no catalogue has it then."""
    count = {"say_count": 2}
    return [
        ast.unparse(call)
        for call in calls(tree)
        for message in call.args[: count.get(call.func.id, 1)]
        if isinstance(message, (ast.JoinedStr, ast.BinOp))
        or (isinstance(message, ast.Call) and isinstance(message.func, ast.Attribute) and message.func.attr == "format")
    ]


@pytest.fixture(scope="module")
def found():
    return tool.messages()


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_has_a_translation_and_every_translation_a_message(language, found):
    catalog = tool.read(po(language))
    keys = {forms(message.id) for message in catalog if message.id}
    assert keys == {forms(message) for message in found}, "run make messages"
    assert tool.missing(catalog) == []
    assert not [message.id for message in catalog if message.id and message.fuzzy]
    assert not catalog.obsolete


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_places_of_its_message(language):
    for message in tool.read(po(language)):
        if message.id:
            for said, original in zip(forms(message.string), forms(message.id), strict=True):
                assert places(said) == places(original), original
                assert said[:1].isspace() == original[:1].isspace(), original
                assert said.count("\n") == original.count("\n"), original


@pytest.mark.parametrize("language", TRANSLATED)
def test_files_are_as_the_tool_writes_them(language, found):
    path = po(language)
    catalog = tool.updated(path, found)
    assert path.read_text(encoding="utf-8") == tool.text_of(catalog)
    assert path.with_suffix(".mo").read_bytes() == tool.compiled(tool.read(path))


def test_english_has_an_empty_catalogue_that_is_found_first(monkeypatch):
    assert po("en").with_suffix(".mo").read_bytes() == tool.compiled(tool.empty("en"))
    monkeypatch.setenv("LANGUAGE", "en:pt")
    _i18n.use(None)
    assert (_i18n.language(), _i18n.say("the loss never fell")) == ("en", "the loss never fell")


def test_no_message_is_put_together_before_it_is_looked_up():
    assert {path.name: unsayable(ast.parse(path.read_text())) for path in SOURCE.rglob("*.py")} == {
        path.name: [] for path in SOURCE.rglob("*.py")
    }


@pytest.mark.parametrize("call", ['say(f"{x} steps")', 'say("%d steps" % x)', 'say("{x}".format(x=x))', 'say("a" + b)'])
def test_the_search_above_finds_one(call):
    assert unsayable(ast.parse(call)) == [ast.unparse(ast.parse(call))]


def test_every_literal_is_extracted(found):
    # Babel reads tokens, and a call inside an f-string is none of its own before Python 3.12.
    firsts = {forms(message)[0] for message in found}
    for path in SOURCE.rglob("*.py"):
        for call in calls(ast.parse(path.read_text())):
            if call.args and isinstance(call.args[0], ast.Constant):
                assert call.args[0].value in firsts, f"{path.name}:{call.lineno}"


def test_what_is_recorded_is_a_sentence_that_can_be_said_again():
    used = {
        call.args[0].value
        for path in SOURCE.rglob("*.py")
        for call in calls(ast.parse(path.read_text()))
        if call.func.id == "recorded" and isinstance(call.args[0], ast.Constant)
    }
    assert used == set(_recorded.SENTENCES)


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("sentence", _recorded.SENTENCES)
def test_a_recorded_sentence_is_said_again_with_its_values(sentence, language):
    values = {name: f"<{place}>" for place, (name, _, _) in enumerate(places(sentence))}
    _i18n.use(language)
    on_disk = _recorded.recorded(sentence, **values)
    assert on_disk == sentence.format(**values)
    again = _recorded.again(on_disk)
    assert again == _i18n.say(sentence, **values)
    assert again != on_disk
    assert all(value in again for value in values.values())


def test_a_recorded_sentence_in_another_is_said_again_too():
    _i18n.use("pt")
    assert (
        _recorded.again("the loss drifts away, after 3 rollbacks")
        == "a perda se afasta aos poucos, após 3 voltas atrás"
    )
    assert _recorded.again("CUDA error: out of memory") == "CUDA error: out of memory"


def test_a_recording_is_english_whatever_is_spoken():
    _i18n.use("pt")
    with _i18n.in_english():
        assert (_i18n.language(), _i18n.say_count("{count} tensor", "{count} tensors", 2)) == ("en", "2 tensors")
    assert (_i18n.language(), _i18n.say_count("{count} tensor", "{count} tensors", 2)) == ("pt", "2 tensores")

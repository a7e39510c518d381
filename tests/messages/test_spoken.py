"""What a user reads, by `--lang` and by LANG, and what the script does not notice of it."""

import json
import os
import sys

import pytest
from tests.report import recordings

import steadygrad as sg
from steadygrad import _i18n

TRAIN = """
import json, os
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(40):
    loss = model(torch.randn(16, 4)).square().mean()
    if step == 12:
        loss = (loss - loss.detach()).log()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(json.dumps({name: value for name, value in os.environ.items() if name.startswith("L")}))
"""

NAMES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def spoken(**values):
    return {**{name: value for name, value in os.environ.items() if name not in NAMES}, **values}


def steadygrad(runner, *arguments, **env):
    return runner.bare(sys.executable, "-m", "steadygrad", *arguments, env=spoken(**env))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    from tests.conftest import Runner

    runner = Runner(tmp_path_factory.mktemp("spoken"))
    runner.write(TRAIN)
    done = steadygrad(runner, "run", "--lang", "pt", "--json", "out.json", "train.py", LANG="en_GB.UTF-8")
    assert done.returncode == 0, done.stderr
    summary = json.loads((runner.folder / "out.json").read_text())
    return runner, done, summary


def test_run_speaks_from_the_first_line_to_the_last(recorded):
    _, done, summary = recorded
    assert "steadygrad: observando 2 tensores (protect), execução em" in done.stderr
    assert "passo 12: pulado, o gradiente ou a perda não é finito" in done.stderr
    assert "steadygrad: recuperada · 1 alarme (nonfinite-" in done.stderr
    assert "watching" not in done.stderr
    assert (summary["verdict"], summary["findings"][0]["cause"]) == ("recovered", "unsafe-op")
    assert "a perda está de volta" in summary["reason"]


def test_the_script_sees_the_environment_that_it_would_have_seen(recorded):
    runner, done, _ = recorded
    bare = runner.bare(sys.executable, "train.py", env=spoken(LANG="en_GB.UTF-8"))
    assert done.stdout == bare.stdout
    assert json.loads(done.stdout)["LANG"] == "en_GB.UTF-8"


def test_the_recording_is_english(recorded):
    runner, _, summary = recorded
    said = json.dumps([each.detail for each in sg.open_run(runner.folder / summary["run"]).main.observations()])
    assert "with standardised" in said or "skipped" in said
    assert not [word for word in ("passagem", "não", "perda") if word in said]


@pytest.mark.parametrize(
    ("arguments", "env", "language"),
    [
        (("--lang", "pt"), {}, "pt"),
        ((), {"LANG": "pt_BR.UTF-8"}, "pt"),
        ((), {"LANGUAGE": "pt_PT:en", "LANG": "en_US.UTF-8"}, "pt"),
        ((), {"LANG": "C.UTF-8"}, "en"),
        ((), {"LANG": "fi_FI.UTF-8"}, "en"),
        (("--lang", "en"), {"LANG": "pt_BR.UTF-8"}, "en"),
    ],
)
def test_the_language_is_chosen_by_the_option_or_by_the_environment(arguments, env, language, runner):
    words = {"en": "What to change:", "pt": "O que mudar:"}
    done = steadygrad(runner, "explain", *arguments, "unsafe-op", **env)
    assert done.returncode == 0
    assert words.pop(language) in done.stdout
    assert words.popitem()[1] not in done.stdout


def test_a_recorded_run_is_told_in_any_language(recorded):
    runner, _, summary = recorded
    told = {lang: steadygrad(runner, "diagnose", "--lang", lang, summary["run"]).stdout for lang in ("en", "pt")}
    assert "steadygrad: recovered · 1 alarm" in told["en"]
    assert "Use the fused form of torch" in told["en"]
    assert "steadygrad: recuperada · 1 alarme" in told["pt"]
    assert "Use a forma fundida do torch" in told["pt"]
    assert "passo 12" in told["pt"]
    listed = steadygrad(runner, "runs", LANG="pt_BR.UTF-8").stdout
    assert "recuperada" in listed
    assert "veredito" in listed


@pytest.mark.parametrize("command", ["run", "check", "diagnose", "explain", "report", "runs", "demo"])
def test_an_unknown_language_is_bad_usage(command, runner):
    done = steadygrad(runner, command, "--lang", "tlh", "train.py")
    assert done.returncode == 2
    assert "'tlh' is not one of 'en', 'pt'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("--help",), {"LANG": "pt_BR.UTF-8"}),
        (("--lang", "pt", "--help"), {}),
        (("--help", "--lang", "pt"), {}),
        (("run", "--help", "--lang=pt"), {}),
        (("--lang", "pt", "diagnose", "--help"), {}),
    ],
)
def test_help_is_translated(arguments, env, runner):
    done = steadygrad(runner, *arguments, **env)
    assert done.returncode == 0
    assert "Mostra esta mensagem e termina." in done.stdout
    assert "Idioma do que as pessoas leem." in done.stdout
    assert "Show this message" not in done.stdout


def test_errors_are_translated(runner):
    assert "não existe o script: nope.py" in steadygrad(runner, "run", "--lang", "pt", "nope.py").stderr
    assert "a pasta não existe" in steadygrad(runner, "report", "nowhere", LANG="pt_BR.UTF-8").stderr


def test_check_speaks_in_both_its_processes(runner):
    runner.write(
        """
import torch
from torch import nn
def raw():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    return model, (3e4 * torch.randn(16, 8), torch.randint(3, (16,))), nn.CrossEntropyLoss()
""",
        "experiments.py",
    )
    done = steadygrad(runner, "check", "--lang", "pt", "experiments.py:raw")
    assert done.returncode == 1, done.stderr
    assert "tem raiz quadrática média" in done.stdout
    assert "não medido: taxa de aprendizado (nenhum otimizador foi fornecido)" in done.stdout
    assert "steadygrad: no such file" not in steadygrad(runner, "check", "--lang", "pt", "nope.py:raw").stderr


def test_a_page_is_in_the_language(tmp_path):
    run = recordings.stormy(tmp_path)
    for language, words in (
        ("pt", ("Norma do gradiente", "Primeiro alarme", "Alarmes e ações, um por um")),
        ("en", ()),
    ):
        _i18n.use(language)
        text = sg.write_report(run, tmp_path / f"{language}.html").read_text(encoding="utf-8")
        assert f'<html lang="{language}">' in text
        assert all(word in text for word in words)
        assert ("First alarm" in text) == (language == "en")

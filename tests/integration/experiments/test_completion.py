"""Shell completion, in a real process and in a real bash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assay.experiments.workspace import file_name
from assay.search.events import StudyOpened
from assay.search.journal import Journal
from assay.search.pruners import PRUNERS
from assay.search.samplers import SAMPLERS
from tests.helpers.terminal import ShellTerminal

HEAVY = {"keras", "tensorflow", "jax", "torch", "mlflow", "optuna", "pandas", "sklearn", "numpy"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two studies, a file, and a command that prints its heavy imports."""
    for study in ("first", "second study"):
        with Journal(tmp_path / "mlruns" / "journal" / f"{file_name(study)}.jsonl") as journal:
            journal.append(
                StudyOpened(
                    study=study, study_id="1d", experiment="e", provenance={}, text="", data={}
                )
            )
            journal.append(
                StudyOpened(
                    study="not this", study_id="1d", experiment="", provenance={}, text="", data={}
                )
            )
    # A journal that is not called as its study.
    with Journal(tmp_path / "mlruns" / "journal" / "other.jsonl") as journal:
        journal.append(
            StudyOpened(
                study="forged", study_id="1d", experiment="e", provenance={}, text="", data={}
            )
        )
    with Journal(tmp_path / "mlruns" / "journal" / "run-1.jsonl") as journal:
        journal.append(
            StudyOpened(study=None, study_id="1d", experiment="e", provenance={}, text="", data={})
        )
    (tmp_path / "mlruns" / "journal" / "torn.jsonl").write_text('{"event":"study_op')
    (tmp_path / "mine.toml").touch()
    command = tmp_path / "bin" / "assay"
    command.parent.mkdir()
    command.write_text(
        f"#!{sys.executable}\n"
        "import atexit, sys\n"
        f"atexit.register(lambda: print(*sorted({HEAVY!r} & set(sys.modules)), "
        "end='', file=sys.stderr))\n"
        "from assay.experiments.cli import main\n"
        "main()\n"
    )
    command.chmod(0o755)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # hide the GPUs of this machine
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": path,
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def offered(folder: Path, words: str, typed: str = "", **variables: str) -> list[str]:
    """Return the completions of a word, by click's own protocol."""
    asked = {
        "_ASSAY_COMPLETE": "bash_complete",
        "COMP_WORDS": f"{words} {typed}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = subprocess.run(
        ["assay"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environment(folder), **asked, **variables},
    )
    assert done.stderr == "", "something heavy was imported, or something was said"
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "typed", "expected"),
    [
        ("assay", "s", ["sweep", "show"]),
        ("assay sweep", "mnist-m", ["mnist-mlp"]),
        ("assay run", "digits", ["digits-mlp"]),
        ("assay sweep digits-mlp", "--tr", ["--trials", "--trial-timeout", "--tracking-uri"]),
        ("assay sweep digits-mlp --sampler", "", [*SAMPLERS]),
        ("assay sweep digits-mlp --pruner", "", [*PRUNERS]),
        ("assay sweep digits-mlp --backend", "", ["tensorflow", "jax", "torch"]),
        ("assay sweep digits-mlp --device", "", ["cpu"]),
        ("assay run digits-mlp --precision", "mixed", ["mixed_bfloat16", "mixed_float16"]),
        ("assay sweep digits-mlp --xla", "", ["auto", "on", "off"]),
        ("assay sweep digits-mlp --study", "f", ["first"]),
        ("assay new mine --model", "c", ["cnn"]),
        ("assay list", "s", ["samplers", "studies"]),
        ("assay ui", "", ["first", "'second study'"]),
        ("assay show", "f", ["first"]),
        ("assay show first", "--tri", ["--trial"]),
        ("assay delete --yes", "s", ["'second study'"]),
        ("assay completion", "", ["bash", "zsh", "fish"]),
        ("assay swep", "x", []),
        ("assay sweep digits-mlp --timeout never --set nonsense", "--se", ["--seed", "--set"]),
    ],
)
def test_completion_offers_valid_words(
    words: str, typed: str, expected: list[str], folder: Path
) -> None:
    assert offered(folder, words, typed) == [f"plain,{name}" for name in expected]


def test_gpus_are_completed(folder: Path) -> None:
    found = offered(folder, "assay sweep digits-mlp --device", CUDA_VISIBLE_DEVICES="2,3")
    assert found == ["plain,cpu", "plain,gpu", "plain,gpu:0", "plain,gpu:1"]


def test_paths_are_completed_by_the_shell(folder: Path) -> None:
    assert offered(folder, "assay sweep", "./mi") == ["file,./mi"]


def test_studies_are_completed_from_the_given_home(folder: Path) -> None:
    assert offered(folder, "assay ui --home elsewhere") == []
    shutil.move(folder / "mlruns", folder / "moved")
    assert offered(folder, "assay ui") == []
    assert offered(folder, "assay ui --home moved", "f") == ["plain,first"]
    assert offered(folder, "assay ui", "f", ASSAY_HOME="moved") == ["plain,first"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_parses_the_script(shell: str, folder: Path) -> None:
    script = subprocess.run(
        ["assay", "completion", shell],
        capture_output=True,
        text=True,
        env=environment(folder),
        check=True,
    ).stdout
    assert "_ASSAY_COMPLETE" in script
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_after_the_command_of_the_readme(folder: Path) -> None:
    script = """
        eval "$(assay completion bash)"
        COMP_WORDS=(assay sweep digits) COMP_CWORD=2
        _assay_completion assay
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder),
    )
    assert done.stdout == "digits-mlp\n", done.stderr


HOSTILE = [
    "zz$(touch pwned)",
    "zz`touch pwned`",
    "zz;touch pwned;",
    "zz'$(touch pwned)'",
    'zz"$(touch pwned)"',
    "zz|touch pwned",
    "zz&touch pwned&",
    "zz>pwned",
    "zz\\$(touch pwned)",
    "zz*",
    "zz{a,b},",
    "zz two",
    "zz!!",
    "zz#",
    "~root",
    "zz-plain.1",
]
UNTYPABLE = ["zz\nplain,$(touch pwned)", "zz\ttab", "zz\x1b[2J", "--yes", "zz\x9b2J", "zz\u202eab"]


@pytest.fixture
def hostile(folder: Path) -> Path:
    """Return a folder with studies of hostile names, and a command that records its arguments."""
    for study in [*HOSTILE, *UNTYPABLE]:
        with Journal(folder / "mlruns" / "journal" / f"{file_name(study)}.jsonl") as journal:
            journal.append(
                StudyOpened(
                    study=study, study_id="1d", experiment="e", provenance={}, text="", data={}
                )
            )
    (folder / "zzfile").touch()  # what zz* would become
    record = (
        "import atexit, json, os, sys\n"
        "if '_ASSAY_COMPLETE' in os.environ:\n"
        "    atexit.register(lambda: open('asked', 'w').close())\n"
        "elif sys.argv[1] != 'completion':\n"
        "    with open('ran.partial', 'w') as file:\n"
        "        json.dump(sys.argv[1:], file)\n"
        "    os.replace('ran.partial', 'ran')\n"
        "    sys.exit()\n"
    )
    command = folder / "bin" / "assay"
    first, rest = command.read_text().split("\n", 1)
    command.write_text(f"{first}\n{record}{rest}")
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "quote", "offered_in_quotes"),
    [
        ("", "", {*HOSTILE, "first", "second study"}),
        ("'zz", "'", {name for name in HOSTILE if name[0] == "z" and "'" not in name}),
        ('"zz', '"', {"zz-plain.1"}),
        ("zz\\", "", {"zz-plain.1"}),
        ("'zz'", "", {"zz-plain.1"}),
    ],
)
def test_what_bash_inserts_is_the_name_of_a_study(
    typed: str, quote: str, offered_in_quotes: set[str], hostile: Path
) -> None:
    # Bash puts a completion behind the quote that was typed, and closes it.
    script = """
        eval "$(assay completion bash)"
        COMP_WORDS=(assay show "$typed") COMP_CWORD=2
        _assay_completion assay
        for inserted in "${COMPREPLY[@]}"; do
            eval "printf '%s\\n' $quote$inserted$quote"
        done
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        cwd=hostile,
        env={**environment(hostile), "typed": typed, "quote": quote},
    )
    assert not (hostile / "pwned").exists()
    assert set(done.stdout.splitlines()) == offered_in_quotes, done.stderr


SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "--interactive"],
}


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_name_completed_at_a_terminal_does_not_run(shell: str, quote: str, hostile: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    name = "odd$(touch pwned)`touch pwned`;touch pwned,a b"
    with Journal(hostile / "mlruns" / "journal" / f"{file_name(name)}.jsonl") as journal:
        journal.append(
            StudyOpened(study=name, study_id="1d", experiment="e", provenance={}, text="", data={})
        )
    setup = {
        "bash": 'eval "$(assay completion bash)"',
        "zsh": 'autoload -Uz compinit && compinit -u -D && eval "$(assay completion zsh)"',
        "fish": "assay completion fish | source",
    }[shell]
    variables = {**environment(hostile), "TERM": "xterm", "HOME": str(hostile)}
    with ShellTerminal(SHELLS[shell], hostile, variables) as terminal:
        terminal.send(f"{setup}; echo >ready\r")
        assert terminal.wait_until((hostile / "ready").exists), terminal.shown
        terminal.settle()
        terminal.send(f"assay show {quote}odd\t")
        assert terminal.wait_until((hostile / "asked").exists), terminal.shown
        terminal.settle()
        terminal.send("\r")
        if not terminal.wait_until((hostile / "ran").exists, seconds=1.0):
            terminal.send(f"{quote}\r")  # nothing was inserted, and the quote is open
        assert terminal.wait_until((hostile / "ran").exists), terminal.shown
        terminal.settle()
    assert not (hostile / "pwned").exists(), terminal.shown
    (command, *words) = json.loads((hostile / "ran").read_text())
    assert command == "show"
    assert "".join(words).strip() == (name if (shell, quote) != ("bash", '"') else "odd")

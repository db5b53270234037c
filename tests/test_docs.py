"""The documentation: its code runs and prints what it says; every public name has a place."""

import contextlib
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minires import __version__, data
from minires.cli.commands import app, coursework_app

ROOT = Path(__file__).resolve().parent.parent
RUN = [
    "README.md",
    "docs/index.md",
    "docs/faq.md",
    "docs/checkup.md",
    "docs/concepts/engine.md",
    "docs/concepts/layout.md",
    "docs/concepts/backend.md",
    "docs/concepts/gradcheck.md",
    "docs/concepts/kernels.md",
]
"""Pages whose blocks of Python are run, one after the other."""

API = ROOT / "docs" / "api"
MODULES = [
    *("backend", "backward", "bench", "coursework", "data", "engine", "gradcheck", "interop"),
    *(
        "checks",
        "distributed",
        "kernels",
        "kernels.reference",
        "models",
        "nn",
        "nn.functional",
        "nn.init",
        "ops",
        "optim",
    ),
    *("profiler", "tensor", "training", "viz"),
]


def blocks(page, language):
    """What stands before each block in this language, and its text."""
    found = re.finditer(rf"(.*?)^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [(match[1], match[2]) for match in found]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a page divides by zero, to show what helps
@pytest.mark.parametrize("name", RUN)
def test_code_runs_and_prints_what_it_says(name, monkeypatch, tmp_path):
    few = data.fashion_mini().subset(range(60))
    monkeypatch.setattr(data, "fashion_mini", lambda: few)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    printed = ""
    page = (ROOT / name).read_text(encoding="utf-8")
    for language, code in re.findall(r"^```(python|text)\n(.*?)^```$", page, re.DOTALL | re.M):
        if language == "text":  # what the block before it prints, with … for what differs
            pattern = ".*".join(map(re.escape, " ".join(code.split()).split("…")))
            assert re.search(pattern, " ".join(printed.split())), printed
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, name, "exec"), namespace)
        printed = out.getvalue()
        for said in re.findall(r"^ *print\(.*\)\s+# (.+)$", code, re.MULTILINE):
            assert said.split(": ")[-1] in printed.splitlines(), said


def test_a_comment_that_is_not_so_would_be_seen(monkeypatch, tmp_path):
    (tmp_path / "page.md").write_text("```python\nprint(1 + 1)  # 3\n```\n")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    with pytest.raises(AssertionError):
        test_code_runs_and_prints_what_it_says("page.md", monkeypatch, tmp_path)


def documented():
    """The objects that the reference names, and the names of its constants."""
    objects, constants = [], set()
    for path in API.glob("*.rst"):
        text = path.read_text(encoding="utf-8")
        for module, names in re.findall(r"^\.\. public:: (\S+)\n\n((?:   .+\n)+)", text, re.M):
            home = importlib.import_module(module)
            objects += [getattr(home, name) for name in names.split()]
        constants |= set(re.findall(r"^\.\. (?:py:(?:data|type)|autoclass):: ([\w.]+)", text, re.M))
    return {id(value) for value in objects}, constants


def public(module):
    """What a module offers: its `__all__`, or what it defines itself."""
    home = importlib.import_module(module)
    own = [n for n, v in vars(home).items() if getattr(v, "__module__", None) == module]
    return home, [n for n in getattr(home, "__all__", own) if not n.startswith("_")]


@pytest.mark.parametrize("module", ["minires", *(f"minires.{name}" for name in MODULES)])
def test_every_public_name_is_in_the_reference_and_has_a_docstring(module):
    objects, constants = documented()
    home, names = public(module)
    for name in names:
        value = getattr(home, name)
        place = {f"{module}.{name}", f"minires.{name}"}
        if type(value).__name__ != "module" and not place & constants:
            assert id(value) in objects, name
            assert value.__doc__, name


def test_every_command_is_in_the_reference():
    shown = re.findall(r"^\.\. help:: (.+)$", (API / "command-line.rst").read_text(), re.M)
    own = [command.name for command in app.registered_commands]
    below = [f"coursework {command.name}" for command in coursework_app.registered_commands]
    assert sorted(shown) == sorted(own + below)


def test_links_that_lead_nowhere_are_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    broken = importlib.import_module("check_site").broken
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a page.html").write_text('<p id="x"><a href="../index.html#top">up</a>')
    (tmp_path / "picture.png").write_bytes(b"")
    good = [
        *("in/a%20page.html#x", "#top", "picture.png", "index.html", "?q=1"),
        *("https://example.org/gone", "mailto:a@example.org", "data:image/png;base64,"),
    ]
    bad = ["gone.html", "in/a%20page.html#y", "#bottom", "in/picture.png", "../outside.html"]
    links = "".join(f'<a href="{link}"></a>' for link in good + bad)
    page = f'<h1 id="top"></h1>{links}<img src="gone.png"><img src="picture.png">'
    (tmp_path / "index.html").write_text(page)
    assert broken(tmp_path) == [f"index.html: {link}" for link in [*bad, "gone.png"]]


def change(root, path, block):
    """Put a block of a page into the file that it is for: lines with + are new, with - old."""
    file = root / path
    lines = block.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    new = "".join(line[1:] for line in lines if line[0] != "-")
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"docs/contributing.md no longer fits {path}:\n{old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_an_operation_in_five_steps(tmp_path):
    """What `docs/contributing.md` says is done in a copy, and then holds what it promises."""
    page = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    page = page[page.index("## An operation") : page.index("## A notebook")]
    for folder in ("minires", "tests/ops", "tests/parity", "docs/api"):
        ignored = shutil.ignore_patterns("__pycache__", "*.npz")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for name in ("conftest", "shared_data", "definitions", "declared", "helpers"):
        shutil.copy(ROOT / "tests" / f"{name}.py", tmp_path / "tests")
    ((_, operation),) = blocks(page, "python")
    with (tmp_path / "minires/ops/activation.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{operation}")
    path = None
    for before, block in blocks(page, "diff"):
        path = [path, *re.findall(r"`([\w/]+\.(?:py|rst))`", before)][-1]
        change(tmp_path, path, block)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*command):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "1 operations and layers, 5 cases" in run("minires", "gradcheck", "softplus")
    assert "passed" in run(
        "pytest", "-q", "-p", "no:cacheprovider", "tests/ops/test_definitions.py", "-k", "softplus"
    )


def test_the_readmes_picture_shows_every_step_of_its_player_and_is_small():
    from PIL import Image

    from tools.build_readme_picture import PICTURE, player

    with Image.open(PICTURE) as picture:
        assert picture.n_frames == len(player())
    assert PICTURE.stat().st_size < 1_000_000


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in text

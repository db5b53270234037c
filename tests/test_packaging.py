"""The wheel: what is in it, and that it works where there is nothing else of this project."""

import email
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from minires.coursework.sources import assignments_in

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "minires"
ASSIGNMENTS = CHECKOUT / "notebooks" / "assignments"


def pip(*arguments):
    """pip, without a network."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by the same tool as always."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", folder, CHECKOUT)
    (path,) = folder.iterdir()
    assert path.suffix == ".whl"
    return path


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source archive, built by what `build` calls."""
    folder = tmp_path_factory.mktemp("sdist")
    code = "import sys, hatchling.build; print(hatchling.build.build_sdist(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, folder], cwd=CHECKOUT, check=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def metadata(wheel):
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(CHECKOUT).as_posix() for path in PACKAGE.rglob("*.py")}
    embedded = {
        p.relative_to(CHECKOUT).as_posix() for p in (PACKAGE / "data" / "embedded").iterdir()
    }
    assert embedded == {
        f"minires/data/embedded/{name}.{end}"
        for name in ("austen", "digits", "fashion-mini")
        for end in ("npz", "txt")
    }
    plugin = {"pytest_minires.py"}  # which pytest finds by its name, beside the package
    players = {"minires/viz/player.css", "minires/viz/player.js"}
    notebooks = {f"minires/notebooks/{p.name}" for p in (CHECKOUT / "notebooks").glob("*.ipynb")}
    sources = ("batch_norm", "convolution", "cross_entropy", "pooling", "update")
    kernels = {f"minires/kernels/cuda/{name}.cu" for name in sources}
    others = embedded | players | kernels | notebooks | {"minires/py.typed"}
    assert names - plugin == modules | others


def stripped(text):
    """Lines without what stands before them, and none that are empty."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def test_the_wheel_holds_no_solution_of_coursework(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert not [name for name in names if "assignment" in name.rpartition("/")[0]]
        texts = [archive.read(n).decode() for n in names if n.endswith((".py", ".ipynb"))]
    for i, text in enumerate(texts):
        if text.startswith("{"):
            cells = json.loads(text)["cells"]
            texts[i] = "\n".join("".join(cell["source"]) for cell in cells)
    held = list(map(stripped, texts))
    sources = [path.read_text(encoding="utf-8") for path in ASSIGNMENTS.glob("*/assignment.py")]
    solutions = [
        stripped(rest.partition("### END SOLUTION")[0])
        for source in sources
        for rest in source.split("### BEGIN SOLUTION\n")[1:]
    ]
    solutions = [one for one in solutions if "\n" in one]  # one line is what anybody writes
    assert len(solutions) > 25
    assert all(any(one in stripped(source) for source in sources) for one in solutions)
    assert [one for one in solutions if any(one in text for text in held)] == []


def test_the_source_archive_holds_the_assignments(sdist, tmp_path):
    """From which a course is built where nothing but the wheel is installed."""
    with tarfile.open(sdist) as archive:
        (root,) = {name.partition("/")[0] for name in archive.getnames()}
        inside = {n for n in archive.getnames() if n.startswith(f"{root}/notebooks/assignments/")}
    here = {path for path in ASSIGNMENTS.rglob("*") if path.suffix in (".py", ".toml", ".md")}
    assert {f"{root}/{path.relative_to(CHECKOUT).as_posix()}" for path in here} <= inside
    with assignments_in(sdist) as folder:
        for path in ASSIGNMENTS.glob("*/*.py"):
            copied = folder / path.relative_to(ASSIGNMENTS)
            assert copied.read_bytes() == path.read_bytes()


def test_embedded_data_are_small_and_their_licences_are_beside_them(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = {
            i.filename: i
            for i in archive.infolist()
            if i.filename.startswith("minires/data/embedded/")
        }
        assert sum(info.file_size for info in files.values()) < 3_000_000
        texts = [archive.read(name).decode() for name in files if name.endswith(".txt")]
        licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name]
    assert len(texts) == 3
    assert all("licen" in text.lower() and "http" in text for text in texts)
    ends = {name.partition("/licenses/")[2] for name in licences}
    assert {"LICENSE", "minires/data/embedded/digits.txt"} <= ends


def test_what_it_says_of_itself(metadata):
    import minires

    assert metadata["Name"] == "minires"
    assert metadata["Version"] == minires.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    needed = {
        line.split(">")[0] for line in metadata.get_all("Requires-Dist") if "extra ==" not in line
    }
    assert needed == {"numpy", "threadpoolctl", "tqdm", "typer", "matplotlib"}


def test_installed_alone_it_trains(wheel, tmp_path):
    """In a fresh environment, which sees this one's libraries but neither checkout nor tests."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=False)
    places = {"base": str(home), "platbase": str(home)}
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=places))
    site = Path(sysconfig.get_path("purelib", "venv", vars=places))
    python = scripts / Path(sys.executable).name
    pip("--python", python, "install", "--no-index", "--no-deps", wheel)
    # A folder named in a .pth file is searched, but its own .pth files, such as that of an
    # editable minires, are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")

    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*command):
        done = subprocess.run(
            list(map(str, command)),
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    where = run(python, "-c", "import minires; print(minires.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    out = run(scripts / "minires", "train", "--data", "digits", "--epochs", "1", "--out", "out")
    assert "on the test images:" in out
    names = ["best.npz", "curves.png", "history.csv", "last.npz", "recipe.json"]
    assert sorted(path.name for path in (empty / "out").iterdir()) == names

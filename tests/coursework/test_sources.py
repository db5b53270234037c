"""Where assignments come from, where minires is installed without them."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_assignment import GRADING, SOURCE, write

from minires.coursework import assignment
from minires.coursework.assignment import AssignmentError, load_assignments
from minires.coursework.sources import MOST_BYTES, MOST_FILES, assignments_in
from minires.data.errors import DataError

TOP = "minires-9.9/notebooks/assignments"


@pytest.fixture
def places(tmp_path):
    """One assignment as a folder, in a clone, and in archives."""
    clone = tmp_path / "minires-9.9"
    folder = clone / "notebooks" / "assignments"
    write(folder / "08_new")
    (clone / "notebooks" / "src").mkdir()
    (clone / "notebooks" / "src" / "assignment.py").write_text("raise SystemExit('not this one')")
    with tarfile.open(tmp_path / "minires-9.9.tar.gz", "w:gz") as tar:
        tar.add(clone, clone.name)
    shutil.make_archive(str(tmp_path / "minires-main"), "zip", tmp_path, clone.name)
    return folder, clone, tmp_path / "minires-9.9.tar.gz", tmp_path / "minires-main.zip"


def built(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_place_gives_the_same_course(minires, places, tmp_path):
    courses = []
    for number, place in enumerate(places):
        out = tmp_path / "courses" / str(number)
        minires("coursework", "build", out, "--source", place, "--seed", 5)
        courses.append(built(out))
    assert len(courses[0]) == 5
    assert courses[0] == courses[1] == courses[2] == courses[3]


def test_nothing_stays_of_an_archive(places):
    with assignments_in(places[2]) as folder:
        assert load_assignments(folder)[0].name == "08_new"
    assert not folder.exists()


def test_without_assignments_it_says_where_they_are(minires, tmp_path, monkeypatch):
    monkeypatch.setattr(assignment.minires, "__file__", str(tmp_path / "site" / "minires" / "a.py"))
    said = minires("coursework", "build", tmp_path / "course", rc=2)
    assert "hold solutions and are not installed with minires: name them with --source" in said
    assert "source archive minires-" in said
    assert said.count("\n") == 1
    (tmp_path / "mine.py").write_text("x = 1")
    said = minires("check", tmp_path / "mine.py", rc=2)
    assert "no .checks file lies beside" in said
    assert not (tmp_path / "course").exists()


def test_what_holds_no_assignments_is_told_in_a_line(minires, places, tmp_path):
    whole = places[2].read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tar.gz").write_text("no archive")
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "minires-9.9-py3-none-any.whl").write_text("")
    (tmp_path / "text.txt").write_text("")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as tar:
        tar.add(places[0], "other-1/notebooks")
    for name, text in [
        ("half.tar.gz", "truncated"),
        ("text.tar.gz", "corrupt"),
        ("text.zip", "corrupt"),
        ("minires-9.9-py3-none-any.whl", "is a wheel, which holds no assignments"),
        ("text.txt", "neither a folder nor a source archive"),
        ("other.tar.gz", "holds no notebooks/assignments: is it of minires?"),
        ("nothing", "does not exist"),
    ]:
        place = tmp_path / name
        said = minires("coursework", "build", tmp_path / "out", "--source", place, rc=2)
        assert text in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@settings(max_examples=15)
@given(st.data())
def test_a_truncated_archive_is_never_half_a_course(tmp_path_factory, data):
    here = tmp_path_factory.mktemp("cut")
    with tarfile.open(here / "whole.tar.gz", "w:gz") as tar:
        for name in ("assignment.py", "grading.py", "mistakes.py"):
            _add(tar, f"{TOP}/08_new/{name}", name.encode() * 50)
    whole = (here / "whole.tar.gz").read_bytes()
    length = data.draw(st.integers(0, len(whole) - 1))
    (here / "cut.tar.gz").write_bytes(whole[:length])
    with pytest.raises((DataError, AssignmentError)), assignments_in(here / "cut.tar.gz"):
        pass


def _add(tar, name, content=b"x = 1\n", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(content))


PARTS = st.sampled_from(["..", ".", "", "a", "08_new", "assignment.py", "grading.py", "C:", "\\x"])
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=5), KINDS, st.booleans())))
def test_names_and_links_in_archives_lead_nowhere(tmp_path_factory, drawn):
    here = tmp_path_factory.mktemp("hostile")
    with tarfile.open(here / "a.tar.gz", "w:gz") as tar, zipfile.ZipFile(here / "a.zip", "w") as zf:
        _add(tar, f"{TOP}/08_new/grading.py", GRADING.encode())
        zf.writestr(f"{TOP}/08_new/grading.py", GRADING)
        for parts, kind, below in drawn:
            name = "/".join([TOP, *parts] if below else parts)
            if name != f"{TOP}/08_new/grading.py":
                _add(tar, name, b"hostile", kind, "/etc/passwd")
                if name not in zf.namelist():
                    zf.writestr(name or "x", b"hostile")
    for archive in ("a.tar.gz", "a.zip"):
        with assignments_in(here / archive) as folder:
            found = sorted(folder.rglob("*"))
            assert all(path.is_dir() or path.suffix in (".py", ".toml") for path in found)
            assert not any(path.is_symlink() for path in found)
            assert (folder / "08_new" / "grading.py").read_text() == GRADING
    assert sorted(p.name for p in here.iterdir()) == ["a.tar.gz", "a.zip"]


def test_archives_are_bounded(tmp_path):
    for name, count, size in [("large", 1, MOST_BYTES + 1), ("many", MOST_FILES + 1, 1)]:
        path: Path = tmp_path / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            for i in range(count):
                _add(tar, f"{TOP}/a{i}/grading.py", b" " * size)
        with pytest.raises(AssignmentError, match="more than a source archive"):
            assignments_in(path).__enter__()


def test_a_folder_of_ones_own_is_taken_as_it_is(tmp_path):
    write(tmp_path / "08_new", SOURCE)
    with assignments_in(tmp_path) as folder:
        assert folder == tmp_path

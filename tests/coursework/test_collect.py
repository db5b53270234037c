"""Everything that is handed in is graded, or named with the reason why it is not."""

import io
import json
import os
import stat
import unicodedata
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minires.coursework.submissions import archives, entries
from minires.coursework.submissions.collect import NUMBERED, REASONS, UNDECIDED, collect
from minires.coursework.submissions.entries import Entry
from minires.coursework.submissions.platforms import submitters

ASKED = {"03_convolution": ["convolve"], "04_batch_norm": ["batch_norm_eval", "shared"]}
PYTHON = "def batch_norm_eval(x): return x\n"


def notebook(assignment=None, source="x = 1"):
    metadata = {"minires": {"assignment": assignment}} if assignment else {}
    cell = {"cell_type": "code", "source": source, "metadata": {}}
    return json.dumps({"nbformat": 4, "metadata": metadata, "cells": [cell]})


OURS = notebook("04_batch_norm")


def lay(folder, files):
    """Write files: a text, bytes, None for an empty folder, a dict for an archive."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(content))
    return folder


def packed(content):
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, inner in content.items():
            archive.writestr(name, "" if inner is None else packed(inner))
    return stream.getvalue()


@pytest.fixture
def box(tmp_path_factory):
    return tmp_path_factory.mktemp("box")


@pytest.fixture
def found(tmp_path, box):
    """Lay out a class; students with what counts, by assignment if there are several."""

    def run(files, places=None, **options):
        folder = lay(tmp_path / "class", files)
        chosen = [folder] if places is None else [folder / place for place in places]
        run.all = collect(chosen, ASKED, box, **options)
        run.left = {one.file: one.why for one in run.all.left_out}
        counted = {
            kind: {s.student: s.file for s in mine} for kind, mine in run.all.submissions.items()
        }
        return counted.get("04_batch_norm", {}) if set(counted) <= {"04_batch_norm"} else counted

    return run


# ---------------------------------------------------------------------- nothing is dropped


def test_what_is_no_notebook_is_named(found):
    assert found(
        {
            "ada.ipynb": OURS,
            "bob.IPYNB": OURS,
            "cy.ipynb.txt": OURS,
            "dora.zip": {"work/04_batch_norm.ipynb": OURS},
            "eve.PY": PYTHON,
            "finn": OURS,
            "gus.json": OURS,
            "hal.pdf": "%PDF",
            "ida": None,
            "jo/report.docx": "PK",
            "kim/": None,
            "lou.rar": "Rar!",
            "max.zip": b"PK\3\4 but no archive",
            "ned.txt": "I could not do it",
            "oz.ipynb": {"inside.ipynb": OURS},
            ".DS_Store": "x",
            "__MACOSX/._ada.ipynb": "x",
            "pia/.ipynb_checkpoints/04-checkpoint.ipynb": OURS,
        }
    ) == {
        "ada": "ada.ipynb",
        "bob": "bob.IPYNB",
        "cy": "cy.ipynb.txt",
        "dora": "dora.zip/work/04_batch_norm.ipynb",
        "eve": "eve.PY",
        "finn": "finn",
        "gus": "gus.json",
        "oz": "oz.ipynb/inside.ipynb",
    }
    left = {one.file: (one.student, one.why) for one in found.all.left_out if not one.hidden}
    assert left.pop("max.zip")[1].startswith("a damaged archive: ")
    assert left == {
        "hal.pdf": ("hal", "neither a notebook nor a Python file"),
        "ida": ("ida", "an empty folder"),
        "jo/report.docx": ("jo", "neither a notebook nor a Python file"),
        "kim": ("kim", "an empty folder"),
        "lou.rar": ("lou", "minires opens only .zip: unpack it"),
        "ned.txt": ("ned", "neither a notebook nor a Python file"),
    }
    hidden = {one.file for one in found.all.left_out if one.hidden}
    assert hidden == {".DS_Store", "__MACOSX", "pia/.ipynb_checkpoints"}


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=8
).filter(lambda name: name not in (".", ".."))
TREES = st.recursive(
    st.sampled_from([OURS, PYTHON, notebook(), "text", "", b"\xff\xfe", b"PK\3\4"]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
ENDS = st.sampled_from(["", ".ipynb", ".py", ".zip", ".pdf", ".ipynb.txt", "_12_345_x.ipynb"])


def plant(folder, tree, ends, planted):
    """Write a drawn tree, archives where a folder's name ends so; what files there are."""
    folder.mkdir()
    for name, inner in tree.items():
        own = unicodedata.normalize("NFC", name + ends.draw(ENDS))
        path = folder / own
        if path.exists() or len(own.encode()) > 200:
            continue
        if isinstance(inner, dict) and own.endswith(".zip"):
            path.write_bytes(packed({k: v for k, v in inner.items() if not isinstance(v, dict)}))
            planted.append(path)
        elif isinstance(inner, dict):
            plant(path, inner, ends, planted)
        else:
            path.write_bytes(packed(inner))
            planted.append(path)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(NAMES, TREES, max_size=5), st.data())
def test_no_file_is_dropped_in_silence(tmp_path_factory, tree, data):
    folder, planted = tmp_path_factory.mktemp("drawn") / "class", []
    plant(folder, tree, data, planted)
    got = collect([folder], ASKED, tmp_path_factory.mktemp("box"))
    named = [s.file for mine in got.submissions.values() for s in mine]
    named += [one.file for one in got.left_out]
    for path in planted:
        file = path.relative_to(folder).as_posix()
        parts = [file.rsplit("/", i)[0] for i in range(file.count("/") + 1)]  # or a hidden folder
        assert any(n in parts or n.startswith(file + "/") for n in named), (file, named)
    for mine in got.submissions.values():
        students = [s.student for s in mine]
        assert len(students) == len(set(students)), "one row a student"


def test_names_in_other_encodings(tmp_path, box):
    folder = lay(tmp_path / "class", {"ada/04_batch_norm.ipynb": OURS})
    name = os.path.join(os.fsencode(folder), b"M\xfcller")  # noqa: PTH118 - bytes are no Path
    try:
        os.mkdir(name)  # noqa: PTH102
    except OSError:
        pytest.skip("file names are Unicode here")
    with open(os.path.join(name, b"04_batch_norm.ipynb"), "w") as file:  # noqa: PTH118, PTH123
        file.write(OURS)
    decomposed = lay(folder, {unicodedata.normalize("NFD", "Zoë") + ".ipynb": OURS})
    got = collect([decomposed], ASKED, box).submissions["04_batch_norm"]
    assert [s.student for s in got] == ["Müller", "Zoë", "ada"]
    assert all(s.path.read_text() == OURS for s in got)


def test_links_are_not_followed(found, tmp_path):
    secret = tmp_path / "instructor" / "04_batch_norm.ipynb"
    lay(tmp_path / "instructor", {secret.name: OURS})
    folder = lay(tmp_path / "class", {"ada/04_batch_norm.ipynb": OURS, "cy": None, "dora": None})
    (folder / "bob.ipynb").symlink_to(secret)
    (folder / "cy" / secret.name).symlink_to(folder / "ada" / secret.name)
    (folder / "dora" / "work").symlink_to(secret.parent)
    (folder / "eve").symlink_to(folder / "ada")
    os.mkfifo(folder / "finn.ipynb")
    assert found({}) == {"ada": "ada/04_batch_norm.ipynb"}
    link = "a link, which is not followed"
    assert found.left == {
        "bob.ipynb": link,
        "cy/04_batch_norm.ipynb": link,
        "dora/work": link,
        "eve": link,
        "finn.ipynb": "no regular file",
    }


# ---------------------------------------------------------------------- archives


def test_a_hostile_archive_reaches_nothing(found, tmp_path, box):
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("../../out.ipynb", "/etc/x.ipynb", "C:\\x.ipynb", "..\\up.ipynb", "ok.ipynb"):
            archive.writestr(name, OURS)
        archive.writestr(link, "/etc/passwd")
    assert found({"eve.zip": stream.getvalue()}) == {"eve": "eve.zip/ok.ipynb"}
    assert sorted(found.left.values()) == [
        "a link, which is not followed",
        *["its name leads out of its archive"] * 4,
    ]
    assert not list(tmp_path.rglob("out.ipynb"))
    unpacked = [path for path in box.rglob("*") if path.is_file()]
    assert len(unpacked) == 1


def test_a_bomb_is_left_packed(found, box, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILE", 1 << 20)
    monkeypatch.setattr("minires.coursework.submissions.entries.MOST_BYTES_INSIDE", 3 << 20)
    zeros = b"0" * (1 << 20)
    bomb = {f"{i}.ipynb": zeros for i in range(9)} | {"big.ipynb": zeros + b"0"}
    assert found({"eve/a.zip": bomb, "ada/04_batch_norm.ipynb": OURS})["ada"]
    assert "eve/a.zip/big.ipynb" in found.left
    assert sum(path.stat().st_size for path in box.rglob("*") if path.is_file()) <= 3 << 20
    assert "its archive holds too much" in found.left.values()


def test_archives_in_archives(found):
    inner = {"04_batch_norm.ipynb": OURS}
    for _ in range(5):
        inner = {"more.zip": inner}
    assert found({"ada.zip": {"work.zip": {"04_batch_norm.ipynb": OURS}}, "bob.zip": inner}) == {
        "ada": "ada.zip/work.zip/04_batch_norm.ipynb"
    }
    assert "an archive in too many archives" in found.left.values()


def test_an_archive_that_lies(found):
    data = bytearray(packed({"04_batch_norm.ipynb": OURS}))
    data[60] ^= 0xFF  # in the compressed bytes
    assert found({"ada.zip": bytes(data), "bob.zip": b"PK\5\6" + bytes(18), "cy.zip": b""}) == {}
    assert "damaged in its archive" in found.left["ada.zip/04_batch_norm.ipynb"]
    assert found.left["bob.zip"] == "an empty archive"
    assert "damaged" in found.left["cy.zip"]


# ---------------------------------------------------------------------- learning platforms


def test_moodle(found):
    assert found(
        {
            "Ada Lovelace_4711_assignsubmission_file_/work.ipynb": OURS,
            "Ada Lovelace_4712_assignsubmission_file/a/b/work.ipynb": OURS,  # of the same name
            "Bob O'Neil_4713_assignsubmission_file_hand in.ipynb": OURS,  # not as folders
            "Participant_4714_assignsubmission_file_/x.zip": {"work.ipynb": OURS},  # blind
            "Team 7_4715_assignsubmission_file/04.ipynb": OURS,
            "Default group_assignsubmission_file/04.ipynb": OURS,
            "Cy Ng_4716_assignsubmission_onlinetext/onlinetext.html": "<p>sorry</p>",
            "Cy Ng_4716_assignsubmission_file/work.py": PYTHON,
        }
    ) == {
        "Ada Lovelace_4711": "Ada Lovelace_4711_assignsubmission_file_/work.ipynb",
        "Ada Lovelace_4712": "Ada Lovelace_4712_assignsubmission_file/a/b/work.ipynb",
        "Bob O'Neil_4713": "Bob O'Neil_4713_assignsubmission_file_hand in.ipynb",
        "Participant_4714": "Participant_4714_assignsubmission_file_/x.zip/work.ipynb",
        "Team 7_4715": "Team 7_4715_assignsubmission_file/04.ipynb",
        "Default group": "Default group_assignsubmission_file/04.ipynb",
        "Cy Ng_4716": "Cy Ng_4716_assignsubmission_file/work.py",
    }
    [text] = found.all.left_out
    assert (text.student, text.why) == ("Cy Ng_4716", "neither a notebook nor a Python file")
    ada = found.all.submissions["04_batch_norm"][0]
    assert (ada.name, ada.number, ada.platform) == ("Ada Lovelace", "4711", "Moodle")


def test_canvas(found):
    assert found(
        {
            "lovelaceada_4711_998_04_batch_norm.ipynb": OURS,
            "lovelaceada_LATE_4711_1022_04_batch_norm-1.ipynb": OURS,
            "van_der_bergbo_4712_999_hw.ipynb": OURS,
            "ngcy_LATE_4713_1000_hw.zip": {"hw/hw.ipynb": OURS, "hw/data.csv": "1"},
            "ngcy_LATE_4713_1001_notes.pdf": "%PDF",
            "anon_xYz12_1002_hw.ipynb": OURS,
            "LATE_anon_ab3De_1003_hw.ipynb": OURS,
        }
    ) == {
        "lovelaceada_4711": "lovelaceada_LATE_4711_1022_04_batch_norm-1.ipynb",
        "van_der_bergbo_4712": "van_der_bergbo_4712_999_hw.ipynb",
        "ngcy_4713": "ngcy_LATE_4713_1000_hw.zip/hw/hw.ipynb",
        "anon_xYz12": "anon_xYz12_1002_hw.ipynb",
        "anon_ab3De": "LATE_anon_ab3De_1003_hw.ipynb",
    }
    assert "_1022_" in found.left["lovelaceada_4711_998_04_batch_norm.ipynb"]


def test_what_only_looks_like_canvas(found):
    files = {f"hw_2026_11_{name}.py": PYTHON for name in ("ada", "bob")}
    assert found(files) == {"hw_2026_11_ada": "hw_2026_11_ada.py", "hw_2026_11_bob": [*files][1]}


METADATA = """---
submission_1001:
  :id: 1001
  :submitters:
  - :name: Ada Lovelace
    :sid: '4711'
    :email: ada@example.org
  :created_at: 2026-11-29 10:00:00.000 Z
  :score: 1.0
  :results:
    :submitters: none
  :history:
  - :id: 1000
    :created_at: 2026-11-28 10:00:00.000 Z
submission_1002:
  :submitters:
  - :name: Bob
    :sid:
    :email: bob@example.org
  - :name: "Cy \\"C\\" Ng"
    :sid: '4713'
  :created_at: 2026-11-29 11:00:00.000 Z
submission_0999:
  :submitters:
  - :name: Ada Lovelace
    :sid: '4711'
    :email: ada@example.org
  :created_at: 2026-11-30 10:00:00.000 Z
"""


def test_gradescope(found):
    export = {
        "assignment_7_export/submission_metadata.yml": METADATA,
        "assignment_7_export/submission_1001/04_batch_norm.ipynb": OURS,
        "assignment_7_export/submission_1002/work/hw.ipynb": OURS,
        "assignment_7_export/submission_0999/04_batch_norm.ipynb": OURS,
        "assignment_7_export/submission_1003/04_batch_norm.ipynb": OURS,
    }
    folder = "assignment_7_export"
    wanted = {
        "Ada Lovelace_4711": f"{folder}/submission_0999/04_batch_norm.ipynb",
        "Bob_bob@example.org": f"{folder}/submission_1002/work/hw.ipynb",
        'Cy "C" Ng_4713': f"{folder}/submission_1002/work/hw.ipynb",
        "submission_1003": f"{folder}/submission_1003/04_batch_norm.ipynb",
    }
    assert found({"export.zip": export}, places=["export.zip"]) == wanted
    assert found(export, places=[folder]) == {
        student: file.removeprefix(f"{folder}/") for student, file in wanted.items()
    }


def test_gradescopes_file_is_read_as_yaml_is(tmp_path):
    yaml = pytest.importorskip("yaml")
    people = yaml.safe_load(METADATA)
    path = lay(tmp_path, {"submission_metadata.yml": METADATA}) / "submission_metadata.yml"
    got = submitters(Entry((path.name,), path))
    assert {k: [(o.name) for o in v] for k, v in got.items()} == {
        k: [p[":name"] for p in v[":submitters"]] for k, v in people.items()
    }


def test_blackboard(found):
    assert found(
        {
            "HW4_ada17_attempt_2026-11-29-10-00-00_hw.ipynb": OURS,
            "HW4_ada17_attempt_2026-11-30-09-00-00_hw.ipynb": OURS,
            "HW4_ada17_attempt_2026-11-30-09-00-00.txt": "Name: Ada",
            "HW4_bob_attempt_2026-11-29-10-00-00_hw.zip": {"hw.ipynb": OURS},
        }
    ) == {
        "ada17": "HW4_ada17_attempt_2026-11-30-09-00-00_hw.ipynb",
        "bob": "HW4_bob_attempt_2026-11-29-10-00-00_hw.zip/hw.ipynb",
    }


def test_nbgrader(found):
    files = {
        "submitted/ada/04_batch_norm/04_batch_norm.ipynb": OURS,
        "submitted/ada/03_convolution/03_convolution.ipynb": notebook("03_convolution"),
        "submitted/bob/04_batch_norm/04_batch_norm.ipynb": OURS,
        "submitted/bob/04_batch_norm/timestamp.txt": "2026-11-30 10:00:00 UTC",
    }
    assert found(files, places=["submitted"]) == {
        "03_convolution": {"ada": "ada/03_convolution/03_convolution.ipynb"},
        "04_batch_norm": {
            "ada": "ada/04_batch_norm/04_batch_norm.ipynb",
            "bob": "bob/04_batch_norm/04_batch_norm.ipynb",
        },
    }


def test_when_something_was_handed_in(found, tmp_path):
    forged = {"hw.ipynb": OURS, "timestamp.txt": "2020-01-01 10:00:00 UTC"}
    files = {
        "Ada_11_assignsubmission_file_/hw.ipynb": OURS,
        "Eve_12_assignsubmission_file_/hw.zip": forged,
        "Eve_13_assignsubmission_file_/04_batch_norm.zip": forged,
        "lovelaceada_LATE_4711_1001_hw.ipynb": OURS,
        "LATE_anon_Q1x_1002_hw.ipynb": OURS,
        "smithbob_4712_1003_late_hw.ipynb": OURS,
        "HW4_ada17_attempt_2026-11-30-09-00-00_hw.ipynb": OURS,
        "cy/04_batch_norm/hw.ipynb": OURS,
        "cy/04_batch_norm/timestamp.txt": "2026-11-30 10:00:00.123 America/New_York\n",
        "dora.ipynb": OURS,
        "fay.ipynb": OURS,
        "submission_metadata.yml": METADATA,
        "submission_1001/hw.ipynb": OURS,
    }
    folder = lay(tmp_path / "class", files)
    os.utime(folder / "dora.ipynb", (1.8e9, 1.8e9))
    os.utime(folder / "fay.ipynb", (0, 0))
    found({})
    work = found.all.submissions["04_batch_norm"]
    assert {one.student: (one.submitted, one.clock) for one in work} == {
        "Ada_11": ("", ""),
        "Eve_12": ("", ""),
        "Eve_13": ("", ""),
        "lovelaceada_4711": ("", "Canvas says LATE"),
        "anon_Q1x": ("", "Canvas says LATE"),
        "smithbob_4712": ("", ""),
        "ada17": ("2026-11-30T09:00:00", "Blackboard"),
        "Ada Lovelace_4711": ("2026-11-29T10:00:00+00:00", "Gradescope"),
        "cy": ("2026-11-30T10:00:00.123000-05:00", "nbgrader"),
        "dora": ("2027-01-15T08:00:00+00:00", "the file"),
        "fay": ("", ""),
    }


# ---------------------------------------------------------------------- folders of one's own


@pytest.mark.parametrize("around", ["", "export/", "a/b/c/", "04_batch_norm/", "hw/04_batch_norm/"])
@pytest.mark.parametrize(
    "files",
    [
        ["ada/04_batch_norm.ipynb", "bob/work/hw.ipynb", "bob/work/helper.py"],
        ["ada.ipynb", "bob.ipynb"],
        ["ada_04_batch_norm.ipynb", "bob_04_batch_norm.ipynb"],
        ["ada.ipynb", "bob/04_batch_norm.ipynb"],
    ],
)
def test_folders_around_a_class_are_looked_through(found, around, files):
    got = found({around + name: "" if "helper" in name else OURS for name in files})
    assert [s.removesuffix("_04_batch_norm") for s in got] == ["ada", "bob"]


def test_one_students_folder(found):
    files = {"ada/04_batch_norm.ipynb": OURS, "ada/helper.py": "", "ada/old/hw.ipynb": OURS}
    assert found(files) == {"ada": "ada/04_batch_norm.ipynb"}
    assert found({}, places=["ada"]) == {"ada": "04_batch_norm.ipynb"}
    assert found({}, places=["ada/04_batch_norm.ipynb"]) == {"ada": "04_batch_norm.ipynb"}


def test_sections(found):
    files = {
        f"section {i}/{name}/04_batch_norm.ipynb": OURS
        for i, names in enumerate([("ada", "bob"), ("ada", "cy")])
        for name in names
    }
    assert set(found(files)) == {"section 0/ada", "section 1/ada", "bob", "cy"}


def test_sections_of_one(found):
    files = [
        "tutor Anna/Mon/ada/04_batch_norm.ipynb",
        "tutor Anna/Mon/bob/hw.ipynb",
        "tutor Ben/Tue/cy/work/hw.ipynb",
        "tutor Ben/Wed/dora/04_batch_norm.ipynb",
    ]
    assert set(found(dict.fromkeys(files, OURS))) == {"ada", "bob", "cy", "dora"}
    files = ["section 1/ada/hw.ipynb", "section 1/bob/hw.ipynb", "section 2/cy/hw.ipynb"]
    assert set(found(dict.fromkeys(files, OURS), places=["section 1", "section 2"])) == {
        *("ada", "bob", "cy")
    }


def test_what_is_deep_in_a_students_folder_is_no_section(found):
    files = {
        "mixed/ada.ipynb": OURS,
        "mixed/bob.zip": {"a/b/c/hw.ipynb": OURS},
        "submitted/cy/04_batch_norm/04_batch_norm.ipynb": OURS,
        "submitted/dora/04_batch_norm/04_batch_norm.zip": {"hw/hw.ipynb": OURS},
        "export/2026/all/eve/04_batch_norm.ipynb": OURS,
        "export/2026/all/finn/04_batch_norm.ipynb": OURS,
    }
    places = ["mixed", "submitted", "export"]
    assert set(found(files, places=places)) == {"ada", "bob", "cy", "dora", "eve", "finn"}


def test_several_places(found):
    files = {"ada/04_batch_norm.ipynb": OURS, "bob/hw.ipynb": OURS, "cy": None}
    assert set(found(files, places=["ada", "bob", "cy"])) == {"ada", "bob"}
    assert found.left == {"cy": "an empty folder"}
    assert set(found({}, places=["ada/04_batch_norm.ipynb", "bob/hw.ipynb"])) == {"ada", "hw"}
    sections = {"s1/ada.ipynb": OURS, "s2/bob.ipynb": OURS, "s2/cy.ipynb": OURS}
    assert set(found(sections, places=["s1", "s2"])) == {"ada", "bob", "cy"}
    more = {"x/hw.ipynb": OURS, "y/hw.ipynb": OURS}
    assert set(found(more, places=["x/hw.ipynb", "y/hw.ipynb"])) == {"x", "y"}


def test_the_latest_counts_and_the_earlier_are_named(found):
    assert found(
        {
            "ada.ipynb": OURS,
            "ada (1).ipynb": OURS,
            "bob/attempt1/04_batch_norm.ipynb": OURS,
            "bob/attempt2/04_batch_norm.ipynb": OURS,
            "bob/attempt10/04_batch_norm.ipynb": OURS,
            "cy/04_batch_norm.ipynb": OURS,
            "cy/04_batch_norm-Copy1.ipynb": OURS,
            "dora/04_batch_norm.py": PYTHON,
            "dora/04_batch_norm.ipynb": OURS,
            "eve/03_convolution.ipynb": notebook("03_convolution"),
        },
        only="04_batch_norm",
    ) == {
        "ada": "ada (1).ipynb",
        "bob": "bob/attempt10/04_batch_norm.ipynb",
        "cy": "cy/04_batch_norm.ipynb",
        "dora": "dora/04_batch_norm.ipynb",
    }
    assert found.left.pop("eve/03_convolution.ipynb") == "it is for 03_convolution"
    assert set(found.left) == {
        "ada.ipynb",
        "bob/attempt1/04_batch_norm.ipynb",
        "bob/attempt2/04_batch_norm.ipynb",
        "cy/04_batch_norm-Copy1.ipynb",
        "dora/04_batch_norm.py",
    }
    tenth = f"bob/attempt10/04_batch_norm.ipynb counts: {NUMBERED}"
    assert found.left == {
        "ada.ipynb": "ada (1).ipynb counts: its name has the later number",
        "bob/attempt1/04_batch_norm.ipynb": tenth,
        "bob/attempt2/04_batch_norm.ipynb": tenth,
        "cy/04_batch_norm-Copy1.ipynb": "cy/04_batch_norm.ipynb counts: this is named as a copy",
        "dora/04_batch_norm.py": "dora/04_batch_norm.ipynb counts: " + REASONS[2],
    }


def test_why_a_file_counts_is_true(found, tmp_path):
    folder = tmp_path / "class"
    names = ("hw (1).ipynb", "hw.ipynb", "hw_final.ipynb")
    found({f"ada/{name}": OURS for name in names} | {"bob/b.py": PYTHON, "bob/a.py": PYTHON})
    for i, name in enumerate(names):
        os.utime(folder / "ada" / name, (1e9 + 3600 * i,) * 2)
    os.utime(folder / "bob/a.py", (1e9,) * 2)
    counted = found({})
    assert counted == {"ada": "ada/hw (1).ipynb", "bob": "bob/b.py"}
    newer = f"ada/hw (1).ipynb counts: {NUMBERED}, though this file is newer"
    assert found.left == {
        **{f"ada/{name}": newer for name in names[1:]},
        "bob/a.py": "bob/b.py counts: it is the later file",
    }


def test_what_programs_leave_is_not_named(found):
    found(
        {
            "submitted/ada/04_batch_norm/04_batch_norm.ipynb": OURS,
            "submitted/ada/04_batch_norm/timestamp.txt": "2026-10-01 12:00:00 UTC",
            "submitted/bob/04_batch_norm/04_batch_norm.ipynb": OURS,
            "submitted/bob/04_batch_norm/~$notes.docx": "x",
        }
    )
    assert [one for one in found.all.left_out if not one.hidden] == []


# ---------------------------------------------------------------------- which assignment


def test_each_file_says_its_own_assignment(found):
    cell = {"nbgrader": {"grade_id": "convolve", "solution": True}}
    marked = notebook().replace('"metadata": {}}]', f'"metadata": {json.dumps(cell)}}}]')
    assert found(
        {
            "a.ipynb": notebook("03_convolution"),
            "b.ipynb": OURS,
            "c_03_convolution.py": "",
            "d.ipynb": marked,
            "e.py": '# %% question="batch_norm_eval"\n',
            "f.py": PYTHON,
            "g.ipynb": notebook(source=["import x\n", "def convolve(x):\n", "  return x"]),
            "03_convolution_h.ipynb": OURS,  # content before names
            "i.ipynb": "{",
            "j.py": "x = 1",
            "k.ipynb": OURS.encode("utf-16"),
        }
    ) == {
        "03_convolution": {
            "a": "a.ipynb",
            "c_03_convolution": "c_03_convolution.py",
            "d": "d.ipynb",
            "g": "g.ipynb",
        },
        "04_batch_norm": {
            "03_convolution_h": "03_convolution_h.ipynb",
            "b": "b.ipynb",
            "e": "e.py",
            "f": "f.py",
            "k": "k.ipynb",
        },
    }
    assert found.left == {"i.ipynb": UNDECIDED, "j.py": UNDECIDED}


def test_where_all_are_for_one_the_undecided_are_too(found):
    assert set(found({"ada.ipynb": OURS, "bob.ipynb": "{", "cy.py": ""})) == {"ada", "bob", "cy"}


def test_a_place_that_is_not_there(tmp_path, box):
    with pytest.raises(ValueError, match="does not exist"):
        collect([tmp_path / "nothing"], ASKED, box)


def test_results_inside_are_no_submissions(found, tmp_path):
    files = {"ada.ipynb": OURS, "out/results/04/ada.py": PYTHON}
    assert found(files, skip=tmp_path / "class" / "out") == {"ada": "ada.ipynb"}


def test_the_whole_disk_is_no_class(tmp_path, monkeypatch):
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text("")
    monkeypatch.setattr(entries, "MOST_ENTRIES", 20)
    with pytest.raises(ValueError, match="holds more than 20 files"):
        entries.entries(tmp_path, tmp_path / "box")

"""How students hand in: layouts of learning platforms, odd files, odd names.

A sort writes what one student hands in, and says what must become of every file.
"""

import json
import os
from pathlib import Path

from class_folder import (
    Wanted,
    as_bytes,
    canvas,
    file,
    folder,
    gradescope,
    hand_in,
    mixed_file,
    moodle,
    nbgrader,
    packed,
)
from sorts_of_work import WORK, question_of

LINK = "a link, which is not followed"
UNDECIDED = "neither its name nor its content says which assignment it is for"
NO_WORK = "neither a notebook nor a Python file"
EARLIER = " counts: "

ODD_NAMES = [
    *("=cmd {}", "+1 {}", "-2 {}", "@SUM(A1) {}", "＝1+1 {}", '=HYPERLINK("{}")', "'={}"),
    *('{}, the "first"', "{};=1+1", "O'{}", "{}\u202egro.elpmaxe", "\u2067{}\u2069", "{}\n=1"),
    *("\x1b[31m{}", "{}\t=1", "Zoe\u0308 {}", "名前 {}", "🎓 {}", "<b>{}&amp;", "%s%n {}", "{} "),
    *(" {}", "{}.", "CON.{}", "{} Final", "{} v2", "{}-3", "{} (Kopie)", "~${}", "#{}", "{}\\x"),
    "é" * 100 + " {}",
    "{} " + "x" * 200,
]


FILES = {}
"""Sorts of what is handed in: functions of a class, the sort's name and a kit."""


def sort(name):
    """Declare a sort."""

    def declare(function):
        FILES[name] = function
        return function

    return declare


for sort_name, sort_of_work in WORK.items():

    def written(own, sort, kit, work=sort_of_work):
        drawn = work(own.draw, kit)
        return None if drawn is None else hand_in(own, sort, kit, drawn)

    FILES[sort_name] = written

ENCODED = {
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "a mark of UTF-8": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").replace("\\n", "\\r\\n").encode(),
    "on one line": lambda text: json.dumps(json.loads(text)).encode(),
    "no kernel": lambda text: as_bytes(
        json.loads(text) | {"metadata": {"minires": json.loads(text)["metadata"]["minires"]}}
    ),
    "lists of lines": lambda text: as_bytes(lines_of(json.loads(text))),
    "outputs of megabytes": lambda text: as_bytes(with_outputs(json.loads(text), 4 << 20)),
    "an unknown field everywhere": lambda text: text.replace(
        '"metadata"', '"x-y": [null], "metadata"'
    ).encode(),
}


def lines_of(document):
    for cell in document["cells"]:
        if isinstance(cell["source"], str):
            cell["source"] = cell["source"].splitlines(keepends=True)
    return document


def with_outputs(document, count):
    for cell in document["cells"]:
        if question_of(cell):
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * count}]
            count = 0
    return document


for sort_name, encode in ENCODED.items():

    def encoded(own, sort, kit, encode=encode):
        content = encode(as_bytes(kit.notebook()).decode())
        return hand_in(own, sort, kit, kit.full(), content=content)

    FILES[sort_name] = encoded

SUFFIXES = [".IPYNB", ".ipynb.txt", ".ipynb.json", ".json", ".Ipynb"]


@sort("renamed")
def renamed(own, sort, kit):
    return hand_in(own, sort, kit, kit.full(), suffix=own.draw.choice(SUFFIXES), layout=file)


@sort("without a suffix")
def without_suffix(own, sort, kit):
    return hand_in(own, sort, kit, kit.full(), suffix="", layout=own.draw.choice([folder, file]))


@sort("an odd name")
def odd_name(own, sort, kit):
    name = own.name(own.draw.choice(ODD_NAMES))
    layout = own.draw.choice([file, folder, mixed_file, moodle, gradescope, nbgrader])
    if len(name.encode()) > 200 or "\n" in name:
        layout = own.draw.choice([file, folder])
    wanted = hand_in(own, sort, kit, kit.full(), name=name, layout=layout)
    return wanted


@sort("a name in Latin-1")
def latin(own, sort, kit):
    plain = own.name("Jørgen {}")
    name = plain.encode("latin-1").decode("utf-8", "surrogateescape")
    wanted = hand_in(own, sort, kit, kit.full(), name=name, layout=own.draw.choice([file, folder]))
    wanted.student, wanted.graded = plain, wanted.graded.replace(name, plain)
    return wanted


@sort("an archive")
def archive(own, sort, kit):
    inner = own.draw.choice([f"{kit.name}.ipynb", f"hw/{kit.name}.ipynb", "a/b/c/hw.ipynb"])
    content = packed({inner: kit.notebook()})
    wanted = hand_in(own, sort, kit, kit.full(), content=content, suffix=".zip")
    wanted.graded += f"/{inner}"
    return wanted


@sort("an archive with much else")
def archive_and_more(own, sort, kit):
    others = {"report.pdf": "%PDF", "data/x.csv": "1,2", "picture.png": b"\x89PNG"}
    inner = {"hw/hw.ipynb": kit.notebook(), "__MACOSX/hw/._hw.ipynb": "x", **others}
    content = packed(inner | {"hw/.ipynb_checkpoints/hw-checkpoint.ipynb": kit.blank})
    wanted = hand_in(own, sort, kit, kit.full(), content=content, suffix=".zip")
    wanted.left_out = {f"{wanted.graded}/{name}": NO_WORK for name in others}
    wanted.graded += "/hw/hw.ipynb"
    return wanted


@sort("an archive named as a notebook")
def archive_as_notebook(own, sort, kit):
    content = packed({"hw.ipynb": kit.notebook()})
    wanted = hand_in(own, sort, kit, kit.full(), content=content)
    wanted.graded += "/hw.ipynb"
    return wanted


def left(own, sort, kit, files, why, layout=folder):
    """What is not graded."""
    path, _ = layout(own, kit, own.name(), "")
    place = path.rpartition("/")[0] if layout is folder else path
    wanted = Wanted(sort, None, None)
    for name, content in files.items():
        file = own.put(f"{place}/{name}" if layout is folder else f"{place}{name}", content)
        wanted.left_out[file] = why
    return wanted


OTHERS = {
    "a PDF": (".pdf", b"%PDF-1.7\n", NO_WORK),
    "a web page": (".html", "<html><body>def f(): ...</body></html>", NO_WORK),
    "a text": (".txt", "I could not do it, sorry.", NO_WORK),
    "a document": (".docx", packed({"word/document.xml": "<w/>"}), NO_WORK),
    "a picture": (".png", b"\x89PNG\r\n", NO_WORK),
    "an archive of another sort": (
        ".rar",
        b"Rar!\x1a\x07",
        "minires opens only .zip: unpack it",
    ),
    "a damaged archive": (".zip", b"PK\3\4 but no archive", "a damaged archive"),
    "an archive of nothing": (".zip", b"PK\5\6" + bytes(18), "an empty archive"),
}
for sort_name, (suffix, content, why) in OTHERS.items():

    def other(own, sort, kit, suffix=suffix, content=content, why=why):
        return left(own, sort, kit, {suffix: content}, why, layout=own.draw.choice(NOT_BLIND))

    FILES[sort_name] = other

NOT_BLIND = [file, mixed_file, moodle, canvas, gradescope, nbgrader]


@sort("an empty folder")
def empty_folder(own, sort, kit):
    name = own.put(f"{kit.name}/{own.name()}", None)
    return Wanted(sort, None, None, left_out={name: "an empty folder"})


@sort("links")
def links(own, sort, kit):
    wanted = left(own, sort, kit, {"notes.pdf": "%PDF"}, NO_WORK)
    place = own.folder / next(iter(wanted.left_out))
    mate = own.put(*_mate(own, kit))
    for i, target in enumerate(["/etc/passwd", own.folder / mate, place.parent, "nowhere", ".."]):
        link = place.with_name(own.draw.choice([f"{i}.ipynb", f"{i}.py", f"{i}"]))
        link.symlink_to(target)
        wanted.left_out[str(link.relative_to(own.folder))] = LINK
    wanted.student, wanted.assignment = Path(mate).stem, kit.name  # who has all points
    wanted.least = wanted.most = kit.points
    wanted.graded = mate
    return wanted


def _mate(own, kit):
    return f"{kit.name}/{own.name()}.ipynb", kit.notebook()


@sort("no regular file")
def pipe(own, sort, kit):
    name = f"{kit.name}/{own.name()}.ipynb"
    (own.folder / kit.name).mkdir(exist_ok=True)
    os.mkfifo(own.folder / name)
    return Wanted(sort, None, None, left_out={name: "no regular file"})


def unreadable(own, sort, kit, content, problem, layout=None):
    """A row without points that says why."""
    layout = layout or own.draw.choice([file, folder, nbgrader])
    path, student = layout(own, kit, own.name(), ".ipynb")
    own.put(path, content)
    zero = Wanted(sort, student, kit.name, problem=problem, graded=path)
    return zero


def cut(kit, draw):
    text = as_bytes(kit.notebook())
    return text[: draw.randrange(1, len(text) - 2)]


DAMAGED = {
    "a notebook: cut off": (cut, "no valid JSON"),
    "a notebook: with signs of a merge": (
        lambda kit, draw: as_bytes(kit.notebook()).replace(
            b'"cells"', b'<<<<<<< HEAD\n "cells"\n=======\n>>>>>>> x\n "cells"'
        ),
        "no valid JSON",
    ),
    "a notebook: nothing": (lambda kit, draw: b"", "no valid JSON"),
    "a notebook: bytes": (lambda kit, draw: draw.randbytes(3000) + b"\xff", "not text in UTF-8"),
    "a notebook: Latin-1": (
        lambda kit, draw: as_bytes(kit.notebook()).replace(
            b'"cells"', '"ü": 1, "cells"'.encode("latin-1")
        ),
        "not text in UTF-8",
    ),
    "a notebook: brackets without end": (lambda kit, draw: b"[" * 200_000, "nested too deeply"),
    "a notebook: a list": (lambda kit, draw: b"[1, 2]", "no notebook"),
    "a notebook: cells that are none": (
        lambda kit, draw: as_bytes(kit.blank | {"cells": draw.choice([[1], [None], 5, {}, "x"])}),
        "no notebook",
    ),
    "a notebook: sources that are none": (
        lambda kit, draw: as_bytes(
            kit.blank | {"cells": [kit.blank["cells"][0] | {"source": draw.choice([1, [2], {}])}]}
        ),
        "no text",
    ),
    "a notebook: version 3": (
        lambda kit, draw: as_bytes(
            {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": [{"input": "x = 1"}]}]}
        ),
        "version 3",
    ),
    "a notebook: more than 50 MB": (
        lambda kit, draw: as_bytes(with_outputs(kit.notebook(), 51 << 20)),
        "clear the notebook's outputs",
    ),
}
for sort_name, (damage, problem) in DAMAGED.items():

    def damaged(own, sort, kit, damage=damage, problem=problem):
        return unreadable(own, sort, kit, damage(kit, own.draw), problem)

    FILES[sort_name] = damaged


@sort("nothing says which assignment")
def undecided(own, sort, kit):
    content = own.draw.choice(["", "{", "x = 1\n", '{"cells": [], "nbformat": 4}'])
    suffix = ".ipynb" if content.startswith("{") else ".py"
    name = own.put(f"mixed/{own.name()}{suffix}", content)
    return Wanted(sort, None, None, left_out={name: UNDECIDED})


@sort("in another assignment's folder")
def misplaced(own, sort, kit):
    other = own.draw.choice([one for one in own.kits if one is not kit])
    name = own.name()
    path = own.put(f"{other.name}/{name}.ipynb", kit.notebook())
    return Wanted(sort, name, kit.name, kit.points, kit.points, graded=path)


@sort("under another assignment's name")
def misnamed(own, sort, kit):
    other = own.draw.choice([one for one in own.kits if one is not kit])
    name = own.name()
    path = own.put(f"{kit.name}/{name}/{other.name}.ipynb", kit.notebook())
    return Wanted(sort, name, kit.name, kit.points, kit.points, graded=path)


def again(own, sort, kit, paths, student):
    """Several attempts, of which the last counts; the others are blank."""
    *earlier, last = paths
    for path in earlier:
        own.older(own.put(path, kit.blank))
    own.put(last, kit.notebook())
    left_out = dict.fromkeys(earlier, EARLIER)
    return Wanted(sort, student, kit.name, kit.points, kit.points, graded=last, left_out=left_out)


@sort("handed in again, in Canvas")
def again_canvas(own, sort, kit):
    number, name = own.number_of_its_own(), own.name().lower().replace(" ", "")
    paths = [
        f"canvas/{name}_{late}{number}_{own.number_of_its_own()}_{kit.name}{again}.ipynb"
        for late, again in (("", ""), ("LATE_", "-1"), ("LATE_", "-2"))
    ]
    return again(own, sort, kit, paths, f"{name}_{number}")


@sort("handed in again, in Moodle")
def again_moodle(own, sort, kit):
    name, number = own.name(), own.number_of_its_own()
    place = f"moodle/{name}_{number}_assignsubmission_file_"
    paths = [f"{place}/{kit.name}.ipynb", f"{place}/{kit.name} (1).ipynb"]
    return again(own, sort, kit, paths, f"{name}_{number}")


@sort("handed in again, in Gradescope")
def again_gradescope(own, sort, kit):
    name, sid, paths = own.name(), own.number_of_its_own(), []
    for day in (28, 29, 30):
        number = own.number_of_its_own()
        own.gradescope.append(
            f"submission_{number}:\n  :submitters:\n  - :name: {name}\n    :sid: '{sid}'\n"
            f"  :created_at: 2026-11-{day} 07:10:49.123 Z\n"
        )
        paths.append(f"gradescope/submission_{number}/{kit.name}.ipynb")
    return again(own, sort, kit, paths, f"{name}_{sid}")


@sort("handed in again, in Blackboard")
def again_blackboard(own, sort, kit):
    user = f"u{own.number_of_its_own()}"
    paths = [
        f"blackboard/HW_{user}_attempt_2026-11-{day}-10-00-00_{kit.name}.ipynb" for day in (28, 30)
    ]
    return again(own, sort, kit, paths, user)


@sort("handed in again, in a folder")
def again_folder(own, sort, kit):
    name = own.name()
    place = f"{kit.name}/{name}"
    paths = own.draw.choice(
        [
            [f"{place}/{kit.name}.ipynb", f"{place}/{kit.name}-v2.ipynb"],
            [f"{place}/attempt{i}/{kit.name}.ipynb" for i in (1, 2, 10)],
            [f"{place}/{kit.name}-Copy1.ipynb", f"{place}/{kit.name}.ipynb"],
            [f"{place}.ipynb", f"{place} (1).ipynb", f"{place} (2).ipynb"],
        ]
    )
    return again(own, sort, kit, paths, name)


@sort("a group")
def group(own, sort, kit):
    names, sids = [own.name(), own.name()], [own.number_of_its_own(), own.number_of_its_own()]
    number = own.number_of_its_own()
    people = "".join(f"  - :name: {n}\n    :sid: '{s}'\n" for n, s in zip(names, sids, strict=True))
    own.gradescope.append(f"submission_{number}:\n  :submitters:\n{people}")
    path = own.put(f"gradescope/submission_{number}/hw.ipynb", kit.notebook())
    rows = [f"{n}_{s}" for n, s in zip(names, sids, strict=True)]
    return [Wanted(sort, row, kit.name, kit.points, kit.points, graded=path) for row in rows]


@sort("for two assignments")
def two(own, sort, kit):
    other = own.draw.choice([one for one in own.kits if one is not kit])
    name, wanted = own.name(), []
    for one in (kit, other):
        path = own.put(f"submitted/{name}/{one.name}/{one.name}.ipynb", one.notebook())
        wanted.append(Wanted(sort, name, one.name, one.points, one.points, graded=path))
    return wanted


@sort("beside its own helpers")
def helpers(own, sort, kit):
    name = own.name()
    place = f"{kit.name}/{name}"
    path = own.put(f"{place}/{kit.name}.ipynb", kit.notebook())
    others = {
        own.put(f"{place}/utils.py", "def f(x):\n    return x\n"): EARLIER,
        own.put(f"{place}/data/x.csv", "1,2"): NO_WORK,
        own.put(f"{place}/README.md", "# Mine"): NO_WORK,
    }
    own.put(f"{place}/.ipynb_checkpoints/{kit.name}-checkpoint.ipynb", kit.blank)
    return Wanted(sort, name, kit.name, kit.points, kit.points, graded=path, left_out=others)


@sort("an export's folders around it")
def around(own, sort, kit):
    rows = []
    for name in (own.name(), own.name()):
        path = own.put(f"export/Course 2026/All sections/{name}/{kit.name}.ipynb", kit.notebook())
        rows.append(Wanted(sort, name, kit.name, kit.points, kit.points, graded=path))
    return rows

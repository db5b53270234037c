"""A class's folder that is filled: whose work lies where in the layouts of learning platforms."""

import io
import json
import os
import unicodedata
import zipfile
from dataclasses import dataclass, field

SYLLABLES = ["ka", "lo", "mi", "ru", "te", "sa", "no", "vi", "be", "du", "fe", "go", "hi", "ja"]


@dataclass
class Wanted:
    """What must become of a submission.

    Attributes
    ----------
    sort : str
    student, assignment : str or None
        Of the row; None if there must be none.
    least, most : float
        Points.
    says, problem : str
        What the feedback has, and the row's column.
    graded : str
        The file that counts.
    left_out : dict of str
        Other files, and the reason for each.
    """

    sort: str
    student: str | None
    assignment: str | None
    least: float = 0.0
    most: float = 0.0
    says: str = ""
    problem: str = ""
    graded: str = ""
    left_out: dict[str, str] = field(default_factory=dict)


class Class:
    """A folder that is filled.

    Parameters
    ----------
    folder : Path
    draw : random.Random
    kits : list of Kit
    """

    def __init__(self, folder, draw, kits):
        self.folder, self.draw, self.kits = folder, draw, kits
        self.names, self.number = set(), 1000
        self.gradescope = []

    def put(self, name, content):
        """Write a file: text, bytes, a notebook, or None for an empty folder."""
        path = os.path.join(os.fsencode(self.folder), name.encode("utf-8", "surrogateescape"))  # noqa: PTH118
        if content is None:
            os.makedirs(path)  # noqa: PTH103
            return name
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "xb") as file:  # noqa: PTH123 - of a name that may be no text
            file.write(as_bytes(content))
        return name

    def older(self, name):
        """Make a file old."""
        os.utime(self.folder / name, (1e9, 1e9))

    def number_of_its_own(self):
        self.number += 1
        return self.number

    def name(self, odd=None):
        """A name that nobody has, an odd one if that is wanted."""
        while True:
            parts = ["".join(self.draw.choices(SYLLABLES, k=k)).title() for k in (2, 3)]
            own = (odd or "{}").format(" ".join(parts))
            if own not in self.names:
                self.names.add(own)
                return own

    def finish(self):
        """Write what an export has beside the submissions."""
        if self.gradescope:
            self.put("gradescope/submission_metadata.yml", "---\n" + "".join(self.gradescope))


def as_bytes(content):
    """What a file holds; a notebook as Jupyter writes it."""
    if isinstance(content, dict):
        content = json.dumps(content, indent=1) + "\n"
    return content.encode() if isinstance(content, str) else content


def packed(files):
    """A .zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, as_bytes(content))
    return stream.getvalue()


# ---------------------------------------------------------------------- layouts


def file(own, kit, name, suffix):
    return f"{kit.name}/{name}{suffix}", name


def mixed_file(own, kit, name, suffix):
    return f"mixed/{name}{suffix}", name


def folder(own, kit, name, suffix):
    inside = own.draw.choice([kit.name, "hw", "Untitled", f"work/{kit.name}", "my solution"])
    return f"{kit.name}/{name}/{inside}{suffix}", name


def moodle(own, kit, name, suffix):
    number, inside = own.number_of_its_own(), own.draw.choice([kit.name, "hw", "a/b/work"])
    return f"moodle/{name}_{number}_assignsubmission_file_/{inside}{suffix}", f"{name}_{number}"


def moodle_blind(own, kit, name, suffix):
    number = own.number_of_its_own()
    place = f"moodle/Participant_{number}_assignsubmission_file_{kit.name}{suffix}"
    return place, f"Participant_{number}"


def canvas(own, kit, name, suffix):
    number, attempt = own.number_of_its_own(), own.number_of_its_own()
    name = "".join(c for c in name.lower() if c.isalnum())
    late = own.draw.choice(["", "LATE_"])
    return f"canvas/{name}_{late}{number}_{attempt}_{kit.name}-1{suffix}", f"{name}_{number}"


def canvas_anonymous(own, kit, name, suffix):
    code, attempt = f"x{own.number_of_its_own()}Yz", own.number_of_its_own()
    return f"canvas/anon_{code}_{attempt}_hw_of_mine{suffix}", f"anon_{code}"


def gradescope(own, kit, name, suffix):
    number, sid = own.number_of_its_own(), own.number_of_its_own()
    quoted = name.replace("'", "''")
    own.gradescope.append(
        f"submission_{number}:\n  :id: {number}\n  :submitters:\n  - :name: '{quoted}'\n"
        f"    :sid: '{sid}'\n    :email: {sid}@example.org\n"
        "  :created_at: 2026-11-30 07:10:49.123 Z\n"
    )
    return f"gradescope/submission_{number}/{kit.name}{suffix}", f"{name}_{sid}"


def blackboard(own, kit, name, suffix):
    user = f"u{own.number_of_its_own()}"
    return f"blackboard/HW_{user}_attempt_2026-11-29-10-00-00_{kit.name}{suffix}", user


def nbgrader(own, kit, name, suffix):
    return f"submitted/{name}/{kit.name}/{kit.name}{suffix}", name


LAYOUTS = [file, mixed_file, folder, moodle, moodle_blind, canvas, canvas_anonymous]
LAYOUTS += [gradescope, blackboard, nbgrader]


def hand_in(own, sort, kit, work, *, layout=None, name=None, content=None, suffix=None):
    """A submission that is graded."""
    if suffix is None:
        suffix = ".py" if isinstance(work.content, str) else ".ipynb"
    layout = layout or own.draw.choice(LAYOUTS)
    path, student = layout(own, kit, name or own.name(), suffix)
    own.put(path, work.content if content is None else content)
    path, student = (unicodedata.normalize("NFC", text) for text in (path, student))
    return Wanted(sort, student, kit.name, work.least, work.most, work.says, "", path)

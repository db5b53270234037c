"""See that a class is graded on the hidden tests of one course, and that they are secret.

RESULTS/ASSIGNMENT/course.txt says of which seed the hidden tests were; see `Bundle.course`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from minires.coursework.bundle import Bundle, course_of
from minires.coursework.grading.store import FOLDER
from minires.files import FileError, atomic_write

COURSE = "course.txt"
WHAT_TO_PASS = "pass --assignment with the .bundle file that minires coursework build wrote"


def of_seed_0(bundles: Iterable[Bundle]) -> str:
    """What there is to say of assignments whose hidden tests everybody can draw."""
    names = [bundle.assignment for bundle in bundles if bundle.course == course_of(0)]
    if not names:
        return ""
    which = ", ".join(names)
    return f"note: the hidden tests of {which} are the public ones of seed 0: {WHAT_TO_PASS}"


def require_same_course(out: Path, bundles: Mapping[str, Bundle]) -> None:
    """See that stored results are of the same course's hidden tests, and note which that is.

    Raises
    ------
    FileError
        If they are of another's: nothing is graded then.
    """
    places = {name: out / FOLDER / name / COURSE for name in bundles}
    for name, place in places.items():
        before = (
            place.read_text(encoding="ascii", errors="replace").strip() if place.exists() else ""
        )
        course = bundles[name].course
        if before and course and before != course:
            public = f" These are of seed 0: {WHAT_TO_PASS}." if course == course_of(0) else ""
            raise FileError(
                f"{out} holds results of {name} on the hidden tests of another seed.{public} To "
                "grade on two sets of hidden tests, name another folder with --out, or remove "
                f"{place}"
            )
    for name, place in places.items():
        if bundles[name].course:
            with atomic_write(place) as file:
                file.write(f"{bundles[name].course}\n".encode())

"""Who is in a class, and who handed nothing in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.coursework.marks.show import compared
from minires.coursework.result import Result
from minires.coursework.submissions.roster import compare, read_roster
from minires.files import FileError


def handed_in(student, name="", number=""):
    return Result(student, "01_x", "Title", [], name=name, number=number)


def missing(path, *results):
    return compare(read_roster(path), list(results)).missing


@pytest.fixture
def roster(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "roster.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


ADA = [
    handed_in("Ada Lovelace_4711", "Ada Lovelace", "4711"),  # Moodle
    handed_in("lovelaceada_4711", "lovelaceada", "4711"),  # Canvas
    handed_in("Ada Lovelace_ada@example.org", "Ada Lovelace", "ada@example.org"),  # Gradescope
    handed_in("ada_lovelace"),
    handed_in("Lovelace, Ada"),
    handed_in("ADA"),
    handed_in("section 1/ada"),
]


@pytest.mark.parametrize("ada", ADA, ids=lambda ada: ada.student)
@pytest.mark.parametrize(
    "text",
    [
        "Name,ID\nAda Lovelace,4711\nBob Smith,4712\n",
        "First name;Last name;Email address\nAda;Lovelace;ada@example.org\nBob;Smith;b@x.org\n",
        "Student,ID,SIS Login ID,Section\n"
        '    Points Possible,,,\n"Lovelace, Ada",4711,ada,A\n"Smith, Bob",4712,bob,A\n',
        "Identifier\tFull name\nParticipant 4711\tAda Lovelace\nParticipant 4712\tBob Smith\n",
        "Ada Lovelace,A\nBob Smith,A\n",
        "ada lovelace\nbob smith\n",
    ],
)
def test_students_are_recognised(roster, text, ada):
    names = missing(roster(text), ada)
    assert len([name for name in names if "Bob" in name or "bob" in name or "Smith" in name]) == 1
    assert not any("lovelace" in name.lower() for name in names)


def test_encodings_and_accents(roster):
    text = "Name\nZoë Müller\nBob\n"
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        assert missing(roster(text, encoding), handed_in("zoe_muller")) == ["Bob"]


def test_a_name_that_two_have_tells_nothing(roster):
    path = roster("Name,ID\nAda Lovelace,1\nAda Lovelace,2\nAda Byron,3\n")
    assert len(missing(path, handed_in("Ada Lovelace"))) == 3
    assert missing(path, handed_in("x", number="2")) == ["Ada Lovelace, 1", "Ada Byron, 3"]


@pytest.mark.parametrize(
    "text",
    [
        f"Name,ID\nAda,1\nBob Stone,2\n{row}\nEve,3\n"
        for row in ("Bob Stone,2", '"Stone, Bob",2', "BOB STONE,2")
    ]
    + [
        "First name,Last name,ID,Group\nAda,X,1,a\nBob,Stone,2,a\nBob,Stone,2,b\nEve,Y,3,b\n",
        "Name\nAda\nBob Stone\nBob Stone\nEve\n",
        "Ada,1\nBob Stone,2\nBob Stone,2\nEve,3\n",
    ],
)
@pytest.mark.parametrize("bob", [handed_in("Bob Stone"), None])
def test_who_stands_there_twice_is_one_person(roster, text, bob):
    path = roster(text)
    results = [handed_in("Ada"), handed_in("Eve"), *([bob] if bob else [])]
    found = compare(read_roster(path), results)
    assert [name[:3] for name in found.missing] == ([] if bob else ["Bob"])
    assert found.unknown == []
    first = 2 if text.startswith("Ada") else 3
    said = compared(found)
    assert f"note: lines {first} and {first + 1} of the roster are the same" in said
    assert said.count("note") == 1


@pytest.mark.parametrize(
    "text", ["ada\nbob2\ncy3\n", "ada,class A\nbob2,class 2\n", "4711\n4712\n"]
)
def test_a_table_without_headings_is_one_of_people(roster, text):
    assert len(read_roster(roster(text))) == text.count("\n")


def test_who_is_not_on_it(roster):
    got = compare(read_roster(roster("Name\nAda\n")), [handed_in("ada"), handed_in("eve")])
    assert (got.missing, got.unknown) == ([], ["eve"])


def test_what_is_no_roster(roster, tmp_path):
    with pytest.raises(FileError, match="names nobody"):
        read_roster(roster(""))
    with pytest.raises(FileError, match="names nobody"):
        read_roster(roster("Name,ID\n"))
    with pytest.raises(FileError, match=r"column .* \(Foo, Bar\); usable are name, first"):
        read_roster(roster("Foo,Bar\n1,2\n"))
    with pytest.raises(FileError, match="usable are name"):
        read_roster(roster("Wer,Gruppe\nAda,A\nBob,B\n"))
    with pytest.raises(FileError, match="line 3: 2 cells, and 1 heading;"):
        read_roster(roster("name\nBob\nLovelace, Ada\n"))
    for content in ("PK\3\4[Content_Types].xml", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        with pytest.raises(FileError, match="is an Excel workbook: save it as CSV"):
            read_roster(roster(content, "latin-1"))
    for content in ("\x89PNG\r\n\x1a\n\0\0", "\1\2\3Ada"):
        with pytest.raises(FileError, match="is no text"):
            read_roster(roster(content, "latin-1"))
    with pytest.raises(FileError, match="cannot be read"):
        read_roster(tmp_path / "nothing.csv")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("drawn") / "roster.csv"
    path.write_bytes(content)
    try:
        people = read_roster(path)
    except FileError:
        return
    assert all(person.shown for person in people)

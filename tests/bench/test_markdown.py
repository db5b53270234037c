"""The blocks of a page that code writes, and tables."""

import pytest

from benchmarks.markdown import block, table, with_blocks, without_blocks, write

PAGE = (
    "before\n\n<!-- a -->\nold\n<!-- end of a -->\n\n<!-- a b -->\n1\n<!-- end of a b -->\nafter\n"
)


def test_only_what_stands_between_the_marks_is_made_anew(tmp_path):
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    write(tmp_path / "page.md", {"a": lambda: "new\nlines", "a b": lambda: "2 µs"})
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page == PAGE.replace("old", "new\nlines").replace("\n1\n", "\n2 µs\n")
    assert (block(page, "a"), block(page, "a b")) == ("new\nlines", "2 µs")
    assert without_blocks(page) == "before\n\n\n\n\nafter\n"


@pytest.mark.parametrize("page", [PAGE.replace("<!-- end of a -->", ""), "", PAGE + PAGE])
def test_marks_must_be_there_once(page):
    with pytest.raises(ValueError, match=r"the page has <!-- .*a --> \d times, wanted once"):
        with_blocks(page, {"a": lambda: ""})
    with pytest.raises(ValueError, match="wanted once"):
        block(page, "a")


def test_numbers_stand_to_the_right_and_have_commas():
    rows = [{"what": "x", "count": 12345, "error": 0.5}, {"what": 7, "count": 1, "error": ""}]
    assert table(rows).splitlines() == [
        "| what | count | error |",
        "| --- | ---: | ---: |",
        "| x | 12,345 | 0.5 |",
        "| 7 | 1 |  |",
    ]

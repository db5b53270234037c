"""The notebooks are their sources, run: same cells, outputs without errors, ids that last."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_spec = importlib.util.spec_from_file_location("cells", CHECKOUT / "tools" / "notebook_cells.py")
cells = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cells)

SOURCES = cells.sources([])


@pytest.fixture(params=SOURCES, ids=lambda path: path.stem)
def source(request):
    return request.param


@pytest.fixture
def notebook(source):
    """The notebook as it was built."""
    return nbformat.read(cells.built(source), as_version=4)


def test_every_notebook_has_a_source_and_every_source_a_notebook():
    built = {path.stem for path in cells.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")}
    assert built == {path.stem for path in SOURCES}
    assert SOURCES


def test_cells_are_those_of_the_source(source, notebook):
    """Texts, ids, metadata: all but the outputs. If this fails: tools/build_notebooks.py."""
    wanted = cells.read(source)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    assert notebook == wanted


def test_every_cell_was_run_in_order_and_none_failed(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        allowed = "raises-exception" in cell.metadata.get("tags", [])
        kinds = {output.output_type for output in cell.outputs}
        assert "error" not in kinds or allowed, cell.source
        assert all(output.get("name") != "stderr" for output in cell.outputs), cell.source


def test_errors_name_files_without_saying_where_they_lay(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "\n".join(line for output in outputs for line in output.get("traceback", []))
    assert not re.search(r"(?<![\w/])/\w+/[\w/]*\.py\b", re.sub(r"\x1b\[[\d;]*m", " ", text))


def test_notebooks_show_something_and_are_small(notebook, source):
    shown = sum((cells.shown(cell) for cell in notebook.cells), start=cells.Counter())
    assert shown["figure"] + shown["picture"] >= 1
    assert cells.built(source).stat().st_size < 2_500_000


def test_each_opens_with_what_one_will_be_able_to_do_and_ends_with_exercises(notebook):
    first, last = notebook.cells[0], notebook.cells[-1]
    assert first.source.startswith("# ")
    assert "you will be able to" in first.source
    assert "## Exercises" in last.source
    numbers = [line[:2] for line in last.source.splitlines() if line[:1].isdigit()]
    assert len(numbers) >= 3
    assert numbers == [f"{k}." for k in range(1, len(numbers) + 1)]


def test_each_exercise_has_a_difficulty_a_time_and_a_way_to_know(notebook):
    _, *exercises = re.split(r"(?m)^\d\. ", notebook.cells[-1].source)
    for exercise in exercises:
        assert re.match(r"(\*\*.+?\*\* )?\*\(difficulty [123], \d\d min\)\*", exercise), exercise
        assert re.search(r"\*You\s+are\s+right\s+if\*|You\s+are\s+right\s+if", exercise), exercise


def test_all_together_are_small():
    assert sum(cells.built(path).stat().st_size for path in SOURCES) < cells.MOST_BYTES


# ---------------------------------------------------------------------- of the tool itself

SOURCE = """# %% [markdown]
# # A title

# %%
1 + 1

# %%
1 + 1

# %% tags=["raises-exception"]
1 / 0
"""


def test_ids_come_from_the_text_and_stay_when_a_cell_is_inserted(tmp_path):
    path = tmp_path / "01_x.py"
    path.write_text(SOURCE)
    before = cells.read(path)
    path.write_text(SOURCE.replace("# %%\n1 + 1", "# %%\n2 + 2\n\n# %%\n1 + 1", 1))
    after = cells.read(path)
    ids = [cell.id for cell in before.cells]
    assert len(set(ids)) == 4
    assert [cell.id for cell in after.cells if cell.source != "2 + 2"] == ids
    assert before.cells[3].metadata == {"tags": ["raises-exception"]}


def output(**data):
    return nbformat.v4.new_output("display_data", {k.replace("_", "/"): v for k, v in data.items()})


def test_a_figure_or_player_that_did_not_come_out_is_seen(tmp_path):
    path = tmp_path / "01_x.py"
    path.write_text(SOURCE)
    built, fresh = cells.read(path), cells.read(path)
    assert cells.differences(fresh, built) == []
    player = '<div class="minires-player" id="minires-0"></div>'
    built.cells[1].outputs = [output(image_png="aGVsbG8=", text_html=player)]
    built.cells[2].outputs = [output(image_png="aGVsbG8=")]
    assert cells.shown(built.cells[1]) == {"player": 1}
    assert cells.shown(built.cells[2]) == {"figure": 1}
    assert len(cells.differences(fresh, built)) == 2
    fresh.cells[1].outputs = [output(image_png="aGVsbG8=", text_html="<p>player</p>")]
    fresh.cells[2].outputs = [output(image_png="b3RoZXI=")]
    assert len(cells.differences(fresh, built)) == 1
    fresh.cells[0].source = "# Another title"
    assert "not those of its source" in cells.differences(fresh, built)[0]


def test_a_name_that_fits_no_notebook_is_told():
    with pytest.raises(SystemExit, match="no notebook begins with '77'"):
        cells.sources(["77"])

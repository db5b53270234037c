"""The browser edition: its files, links, notebooks and players, in a browser without internet."""

import json
import shutil
import sys
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit
from zipfile import ZipFile

import pytest
from conftest import chromium_started
from edition_server import served
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from tools import browser as edition  # noqa: E402

NAMES = sorted(path.name for path in (CHECKOUT / "notebooks").glob("*.ipynb"))
PATIENCE = 180  # seconds, for a busy machine


@pytest.fixture(scope="module")
def folder(site, tmp_path_factory):
    """The documentation's pages of notebooks, and the browser edition beside them."""
    folder = tmp_path_factory.mktemp("site")
    for part in ("notebooks", "_static"):
        shutil.copytree(site / part, folder / part)
    edition.build(folder / "run", None)
    assert edition.link(folder / "run") == len(NAMES)
    return folder


@pytest.fixture(scope="module")
def chromium():
    """A browser of its own: what a page of the edition still does at the end touches no other."""
    with chromium_started() as driver:
        yield driver


@pytest.fixture(scope="module")
def address(folder):
    with served(folder) as address:
        yield address


def wait(browser, condition):
    return WebDriverWait(browser, PATIENCE).until(condition)


def shown(selector):
    return lambda browser: browser.find_elements(By.CSS_SELECTOR, selector)


def test_the_site_has_the_notebooks_and_the_wheels(folder):
    contents = json.loads((folder / "run" / "api" / "contents" / "all.json").read_text("utf-8"))
    assert sorted(entry["name"] for entry in contents["content"]) == NAMES
    index = json.loads((folder / "run" / "pypi" / "all.json").read_text("utf-8"))
    assert set(index) == {"minires", "tqdm", "threadpoolctl"}
    for releases in index.values():
        for files in releases["releases"].values():
            for file in files:
                assert (folder / "run" / "pypi" / file["url"].partition("?")[0][2:]).is_file()
    (wheel,) = (folder / "run" / "pypi").glob("minires-*.whl")
    with ZipFile(wheel) as archive:
        inside = archive.namelist()
    assert "minires/data/embedded/digits.npz" in inside  # the notebooks' data


def test_notebooks_start_without_edits_and_keep_what_they_showed(folder):
    for name in NAMES:
        before = json.loads((CHECKOUT / "notebooks" / name).read_text("utf-8"))["cells"]
        built = json.loads((folder / "run" / "files" / name).read_text("utf-8"))
        assert built["metadata"]["kernelspec"]["name"] == "python"
        code = [cell for cell in built["cells"] if cell["cell_type"] == "code"]
        assert code[0]["source"] == edition.START
        old = [cell for cell in before if cell["cell_type"] == "code"]
        assert ["".join(c["source"]) for c in code[1:]] == ["".join(c["source"]) for c in old]
        assert [len(c["outputs"]) for c in code[1:]] == [len(c["outputs"]) for c in old]
        assert all(cell["metadata"]["trusted"] for cell in code)
        first = built["cells"][1]
        assert (first["id"] == "not-here") == (name >= "09")  # 01 to 08 are small enough
    eleventh = json.loads((folder / "run" / "files" / NAMES[10]).read_text("utf-8"))
    assert "a browser has not" in "".join(eleventh["cells"][1]["source"])


@pytest.mark.parametrize("lock", [None, '{"info": {"version": "0.1.0"}}'])
def test_another_pyodide_is_refused_in_one_line(tmp_path, lock):
    if lock is not None:
        (tmp_path / "pyodide-lock.json").write_text(lock, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        edition.check_version(tmp_path)
    assert ("0.1.0" if lock else "no pyodide-lock.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_list_shows_the_notebooks(chromium, address):
    chromium.get(f"{address}/run/tree/index.html")
    wait(chromium, lambda b: len(shown(".jp-DirListing-itemText")(b)) >= len(NAMES))
    listed = [
        item.get_attribute("textContent") for item in shown(".jp-DirListing-itemText")(chromium)
    ]
    assert sorted(name for name in listed if name.endswith(".ipynb")) == NAMES


def test_the_documentations_link_opens_a_notebook_whose_player_steps(chromium, address):
    page = f"{address}/notebooks/03_convolution_by_hand.html"
    chromium.get(page)
    link = chromium.find_element(By.CSS_SELECTOR, ".run-here a")
    assert link.text == "Run it in the browser"
    target = urljoin(page, link.get_attribute("href"))
    assert parse_qs(urlsplit(target).query) == {"path": ["03_convolution_by_hand.ipynb"]}
    chromium.get(target)
    (player,) = wait(chromium, shown(".minires-player"))
    chromium.execute_script("arguments[0].scrollIntoView()", player)
    step = "return arguments[0].innerText.match(/step (\\d+) of/)[1]"
    wait(chromium, lambda b: b.execute_script("return arguments[0].innerText", player).strip())
    assert chromium.execute_script(step, player) == "1"
    player.send_keys(Keys.END)
    wait(chromium, lambda b: int(b.execute_script(step, player)) > 5)
    assert shown(".jp-OutputArea-output img")(chromium)  # a figure


def test_where_python_cannot_be_fetched_the_page_says_so(chromium, address):
    blocked = ["*cdn.jsdelivr.net*"]  # also where the machine has internet
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd("Network.setBlockedURLs", {"urls": blocked})
    try:
        chromium.get(f"{address}/run/notebooks/index.html?path=01_a_tensor_that_remembers.ipynb")
        (notice,) = wait(chromium, shown("#no-python"))
        assert notice.text.startswith("Python could not be fetched from cdn.jsdelivr.net: ")
        assert "no cell runs" in notice.text
        assert wait(chromium, shown(".jp-MarkdownCell"))  # it can be read all the same
    finally:
        chromium.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})

"""The built documentation as a reader uses it: on a phone, in the dark, with its players."""

import re

import pytest
from conftest import prefer
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_players import MEASURE, at, find, jump

PLAYED = "notebooks/06_the_residual_add.html"  # two players and a picture on one page


@pytest.fixture
def phone(browser):
    """The browser as wide as a phone, which a window cannot be."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def players(browser):
    return browser.find_elements(By.CLASS_NAME, "minires-player")


def test_every_page_fits_a_phone(phone, site):
    """Wide tables, code and formulas scroll by themselves, and nothing is on the console."""
    prefer(phone, "dark")
    pages = [p for p in sorted(site.rglob("*.html")) if "_modules" not in p.parts]
    assert len(pages) > 40
    wide = []
    for path in pages:
        phone.get(path.as_uri())
        width = phone.execute_script("return document.documentElement.scrollWidth")
        if width > 390:
            wide.append((path.relative_to(site).as_posix(), width))
    assert wide == []


def test_players_step_on_their_own(browser, site):
    browser.get((site / PLAYED).as_uri())
    first, second, picture = players(browser)
    first.send_keys(Keys.END)
    last = at(first)
    button = find(second, "next")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", second)
    button.click()
    assert (at(first), at(second)) == (last, 1)
    jump(browser, first, 2)
    assert (at(first), at(second)) == (2, 1)
    assert find(first, "say").text != find(second, "say").text
    assert not find(picture, "buttons").is_displayed()
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


GROUND = {"light": (255, 255, 255), "dark": (22, 25, 30)}


@pytest.mark.parametrize(("system", "other"), [("light", "dark"), ("dark", "light")])
def test_players_follow_the_pages_theme(browser, site, system, other):
    """The system's by default, then the one that the reader clicks; all texts can be read."""
    prefer(browser, system)
    browser.get((site / PLAYED).as_uri())
    assert {ground(player) for player in players(browser)} == {GROUND[system]}
    assert browser.execute_script(MEASURE) == {"faint": [], "collisions": [], "cut": []}
    browser.find_element(By.CSS_SELECTOR, ".theme-toggle-content .theme-toggle").click()
    assert {ground(player) for player in players(browser)} == {GROUND[other]}
    assert browser.execute_script(MEASURE) == {"faint": [], "collisions": [], "cut": []}
    browser.execute_script("localStorage.clear()")
    said = browser.get_log("browser")  # the theme says there that it was changed
    assert {entry["level"] for entry in said} <= {"INFO"}


def ground(player):
    return tuple(map(int, re.findall(r"\d+", player.value_of_css_property("background-color"))[:3]))


def test_without_scripts_pictures_stand_there(browser, site):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((site / PLAYED).as_uri())
        pictures = browser.find_elements(By.CSS_SELECTOR, ".minires-player img.still")
        assert len(pictures) == 3
        assert all(p.is_displayed() and p.size["width"] > 150 for p in pictures)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_formulas_are_drawn_and_search_finds(browser, site):
    browser.get((site / "notebooks/04_batch_normalisation.html").as_uri())
    formulas = browser.find_elements(By.CSS_SELECTOR, "div.math math")
    assert formulas
    assert all(formula.size["height"] > 15 for formula in formulas)
    boxes = "[...document.querySelectorAll('div.math')]"
    barred = f"return {boxes}.filter(box => box.offsetWidth > box.clientWidth + 4).length"
    assert browser.execute_script(barred) == 0  # no bar to scroll up and down stands beside one
    cut = f"return {boxes}.filter(box => box.scrollHeight > box.clientHeight + 3).length"
    assert browser.execute_script(cut) == 0
    assert browser.find_elements(By.CSS_SELECTOR, "msub > mover")  # an index, beside a hat
    assert not browser.find_elements(By.CSS_SELECTOR, "munderover > mi:first-child")  # not below
    browser.get((site / "search.html").as_uri() + "?q=kaiming_normal_")
    browser.implicitly_wait(10)
    try:
        found = browser.find_element(By.CSS_SELECTOR, "#search-results li a")
        assert "api/nn" in found.get_attribute("href")
    finally:
        browser.implicitly_wait(0)

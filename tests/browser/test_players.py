"""Every player as a reader uses it: buttons, keys, slider, themes, export, without scripts."""

import re
from pathlib import Path

import pytest
from conftest import prefer
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")


def page(tmp_path, *bodies, body="", head=""):
    path = tmp_path / "page.html"
    text = "<p>between</p>".join(bodies)
    path.write_text(
        f'<!doctype html><html><head><meta charset="utf-8">{head}</head><body {body}>{text}</body>'
        "</html>",
        encoding="utf-8",
    )
    return path.as_uri()


def show(browser, player, tmp_path):
    player.save(tmp_path / "player.html")
    browser.get((tmp_path / "player.html").as_uri())
    return browser.find_element(By.CLASS_NAME, "minires-player")


def find(root, name):
    return root.find_element(By.CLASS_NAME, name)


def at(root):
    """The step that the player says it is at, from 0."""
    return int(re.fullmatch(r"step (\d+) of \d+", find(root, "count").text).group(1)) - 1


def jump(browser, root, step):
    browser.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
        find(root, "slider"),
        step,
    )


def drawn(browser, root):
    """By key all texts of the drawing, and whether they can be seen."""
    return browser.execute_script(
        "return [...arguments[0].querySelectorAll('svg text[data-k]')].map(t => [t.dataset.k, "
        "t.textContent, getComputedStyle(t).visibility])",
        root,
    )


def steps_of(player):
    last = len(player) - 1
    return sorted({0, min(1, last), last // 3, last // 2, 2 * last // 3, max(last - 1, 0), last})


def test_buttons(browser, player, tmp_path):
    root = show(browser, player, tmp_path)
    if len(player) == 1:
        assert not find(root, "buttons").is_displayed()
        assert not find(root, "slider").is_displayed()
        return
    last = len(player) - 1
    assert at(root) == 0
    assert not find(root, "back").is_enabled()
    find(root, "next").click()
    assert at(root) == 1
    find(root, "last").click()
    assert at(root) == last
    assert not find(root, "next").is_enabled()
    find(root, "back").click()
    assert at(root) == last - 1
    find(root, "first").click()
    assert at(root) == 0


def test_keys(browser, player, tmp_path):
    root = show(browser, player, tmp_path)
    last = len(player) - 1
    root.send_keys(Keys.END)
    assert find(root, "say").text == player.frames[last].say
    if last:
        root.send_keys(Keys.ARROW_LEFT)
        assert at(root) == last - 1
        root.send_keys(Keys.HOME)
        root.send_keys(Keys.ARROW_RIGHT)
        assert at(root) == 1
        root.send_keys(Keys.ARROW_RIGHT * last)
        assert at(root) == last


def test_slider(browser, player, tmp_path):
    root = show(browser, player, tmp_path)
    slider = find(root, "slider")
    assert slider.get_attribute("max") == str(len(player) - 1)
    for step in reversed(steps_of(player)):
        jump(browser, root, step)
        assert find(root, "say").text == player.frames[step].say
    if len(player) > 1:
        slider.send_keys(Keys.ARROW_RIGHT)
        assert at(root) == 1
        assert slider.get_attribute("aria-valuetext") == f"step 2 of {len(player)}"


def test_the_drawing_is_what_python_says(browser, player, tmp_path):
    """At each step, reached forwards or backwards, every text is the recorded one."""
    root = show(browser, player, tmp_path)
    for step in [*steps_of(player), *reversed(steps_of(player))]:
        jump(browser, root, step)
        state = player.state(step)
        found = drawn(browser, root)
        assert len(found) == sum(bool(p.key) for p in player.scene.parts if hasattr(p, "text"))
        for key, text, _ in found:
            if key in state.text:
                assert text == state.text[key], (step, key)
        marked = {key for key, names in state.classes.items() if "now" in names.split()}
        lit = browser.execute_script(
            "return [...arguments[0].querySelectorAll('svg [data-k].now')].map(e => e.dataset.k)",
            root,
        )
        ever = {p.key for p in player.scene.parts if "now" in p.cls.split()}
        assert set(lit) - ever == marked - ever


def test_play_goes_on_by_itself_and_pauses(browser, players, tmp_path):
    root = show(browser, players["batch_norm"], tmp_path)
    find(root, "play").click()
    assert find(root, "play").text == "pause"
    WebDriverWait(browser, 10).until(lambda _: at(root) == 3)
    find(root, "play").click()
    assert find(root, "play").text == "play"
    stopped = at(root)
    browser.execute_async_script("setTimeout(arguments[0], 1700)")
    assert at(root) == stopped


def test_two_on_one_page_are_apart(browser, player, players, tmp_path):
    """The same player twice, and another one."""
    bodies = [player.html(), player.html(), players["convolution"].html()]
    browser.get(page(tmp_path, *bodies))
    first, second, third = browser.find_elements(By.CLASS_NAME, "minires-player")
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)) == 3
    second.send_keys(Keys.END)
    third.send_keys(Keys.ARROW_RIGHT)
    assert find(first, "say").text == player.frames[0].say
    assert find(second, "say").text == player.frames[-1].say
    assert find(third, "say").text == players["convolution"].frames[1].say


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_and_nothing_collides_or_is_cut_off(browser, player, tmp_path, theme):
    prefer(browser, theme)
    root = show(browser, player, tmp_path)
    ground = browser.execute_script("return getComputedStyle(arguments[0]).backgroundColor", root)
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 30)"}[theme]
    for step in steps_of(player):
        jump(browser, root, step)
        browser.execute_async_script("setTimeout(arguments[0], 30)")
        assert browser.execute_script(MEASURE) == {"faint": [], "collisions": [], "cut": []}, step


def test_the_measure_sees_faint_colliding_and_cut_texts(browser, players, tmp_path):
    show(browser, players["convolution"], tmp_path)
    browser.execute_script(
        """
        const texts = [...document.querySelectorAll("svg text")];
        const [a, b, c] = texts.filter(t => t.textContent > "0");
        a.style.fill = "#ddd";
        b.setAttribute("x", c.getAttribute("x"));
        b.setAttribute("y", c.getAttribute("y"));
        const far = c.cloneNode(true);
        far.setAttribute("x", -30);
        c.after(far);
        """
    )
    found = browser.execute_script(MEASURE)
    assert len(found["faint"]) == 1
    assert found["collisions"]
    assert len(found["cut"]) == 1


@pytest.mark.parametrize(
    ("body", "dark"),
    [
        ('data-jp-theme-light="false"', True),
        ('data-jp-theme-light="true"', False),
        ('class="vscode-dark"', True),
        ('class="vscode-light"', False),
        ('data-theme="dark"', True),
        ('data-theme="light"', False),
    ],
)
def test_the_pages_theme_comes_before_the_systems(browser, players, tmp_path, body, dark):
    prefer(browser, "light" if dark else "dark")
    browser.get(page(tmp_path, players["step_through"].html(), body=body))
    root = browser.find_element(By.CLASS_NAME, "minires-player")
    ground = browser.execute_script("return getComputedStyle(arguments[0]).backgroundColor", root)
    assert ground == ("rgb(22, 25, 30)" if dark else "rgb(255, 255, 255)")


def test_in_a_notebook_that_inserts_html_and_runs_its_scripts_afterwards(browser, player, tmp_path):
    """As JupyterLab and VS Code do: innerHTML first, then every script made anew, then attached."""
    browser.get(page(tmp_path, "<div id='out'></div>"))
    browser.execute_script(
        """
        const host = document.createElement("div");
        host.innerHTML = arguments[0];
        for (const old of host.querySelectorAll("script")) {
          const fresh = document.createElement("script");
          fresh.textContent = old.textContent;
          old.replaceWith(fresh);
        }
        document.getElementById("out").append(host);
        """,
        player.html(),
    )
    root = browser.find_element(By.CLASS_NAME, "minires-player")
    root.send_keys(Keys.END)
    assert find(root, "say").text == player.frames[-1].say
    assert root.find_elements(By.CLASS_NAME, "still") == []


def test_in_an_exported_notebook(browser, players, tmp_path):
    import nbformat
    from nbconvert import HTMLExporter

    cells = [
        nbformat.v4.new_code_cell(
            "viz.something()",
            outputs=[nbformat.v4.new_output("display_data", player._repr_mimebundle_())],
        )
        for player in players.values()
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    text, _ = HTMLExporter().from_notebook_node(notebook)
    path = tmp_path / "exported.html"
    path.write_text(text, encoding="utf-8")
    browser.get(path.as_uri())
    roots = browser.find_elements(By.CLASS_NAME, "minires-player")
    assert len(roots) == len(players)
    for root, player in zip(roots, players.values(), strict=True):
        root.send_keys(Keys.END)
        assert find(root, "say").text == player.frames[-1].say


def test_without_scripts_the_picture_stands_alone(browser, player, tmp_path):
    player.save(tmp_path / "player.html")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((tmp_path / "player.html").as_uri())
        picture = browser.find_element(By.CSS_SELECTOR, ".minires-player img.still")
        assert picture.is_displayed()
        assert picture.size["width"] > 150
        assert picture.get_attribute("alt").startswith(player.title)
        assert browser.find_elements(By.TAG_NAME, "button") == []
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_narrow_page_does_not_overflow(browser, player, tmp_path):
    browser.set_window_size(520, 900)
    show(browser, player, tmp_path)
    wide, window = browser.execute_script(
        "return [document.documentElement.scrollWidth, innerWidth]"
    )
    assert wide <= window


def test_what_a_screen_reader_gets(browser, player, tmp_path):
    root = show(browser, player, tmp_path)
    assert root.get_attribute("role") == "group"
    assert root.get_attribute("aria-label").startswith(player.title)
    assert root.get_attribute("tabindex") == "0"
    say = find(root, "say")
    assert (say.get_attribute("role"), say.get_attribute("aria-live")) == ("status", "polite")
    drawing = root.find_element(By.TAG_NAME, "svg")
    assert drawing.get_attribute("role") == "img"
    assert drawing.get_attribute("aria-label") == player.title
    for button in root.find_elements(By.TAG_NAME, "button"):
        assert button.get_attribute("aria-label")
    assert find(root, "slider").get_attribute("aria-label")
    assert all(frame.say.strip().endswith(".") for frame in player.frames)

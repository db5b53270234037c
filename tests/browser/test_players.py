"""Every player as a reader uses it: buttons, keys, slider, themes, export, without scripts."""

import html
import re
from pathlib import Path

import pytest
from conftest import prefer
from selenium.webdriver.common.action_chains import ActionChains
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
    """Of every part of the drawing with a key: the key, its text, classes and transform."""
    return browser.execute_script(
        "return [...arguments[0].querySelectorAll('svg [data-k]')].map(e => [e.dataset.k, "
        "e.tagName === 'text' ? e.textContent : null, e.getAttribute('class').split(' '), "
        "e.style.transform])",
        root,
    )


def recorded(player, step):
    """The same of what Python has recorded."""
    state = player.state(step)
    rows = []
    for part in player.scene.parts:
        if part.key:
            label = getattr(part, "text", None)
            classes = f"{part.cls} {state.classes.get(part.key, '')}".split()
            classes += ["curve"] if hasattr(part, "points") else []
            classes += ["mono"] if getattr(part, "mono", False) else []
            x, y = state.shift.get(part.key, (0, 0))
            moved = f"translate({x:g}px, {y:g}px)" if part.key in state.shift else ""
            text = None if label is None else state.text.get(part.key, label)
            rows.append([part.key, text, sorted(classes), moved])
    return rows


def plain(markup):
    """The text of a piece of HTML."""
    return html.unescape(re.sub("<[^>]*>", "", markup))


def resize(browser, width, height=900):
    """Narrower than a window can be made: as a phone's page."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
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
    ActionChains(browser).send_keys(Keys.ARROW_LEFT).perform()  # a disabled button hears no keys
    assert at(root) == last - 1
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
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
    """At each step, reached forwards or backwards: every text, class, shift, formula and colour."""
    root = show(browser, player, tmp_path)
    for step in [*steps_of(player), *reversed(steps_of(player))]:
        jump(browser, root, step)
        found = [[key, text, sorted(filter(None, classes)), moved]
                 for key, text, classes, moved in drawn(browser, root)]  # fmt: skip
        assert found == recorded(player, step)
        frame = player.frames[step]
        assert find(root, "math").get_property("textContent") == plain(frame.math)
        assert find(root, "math").is_displayed() == any(f.math for f in player.frames)
        assert find(root, "phase").text == root.get_attribute("data-phase") == frame.phase
        assert find(root, "slider").get_property("value") == str(step)


def test_hidden_parts_come_up_when_their_step_does(browser, players, tmp_path):
    player = players["batch_norm"]
    root = show(browser, player, tmp_path)
    for step in range(len(player)):
        jump(browser, root, step)
        state = player.state(step)
        hidden = {p.key for p in player.scene.parts if "hidden" in p.cls.split()}
        wanted = {key for key in hidden if "shown" not in state.classes.get(key, "")}
        found = browser.execute_script(
            "return [...arguments[0].querySelectorAll('svg [data-k]')].filter(e => "
            "getComputedStyle(e).visibility === 'hidden').map(e => e.dataset.k)",
            root,
        )
        assert set(found) == wanted


def test_on_a_narrow_page_the_current_box_scrolls_into_sight(browser, players, tmp_path):
    resize(browser, 380)
    player = players["step_through"]
    root = show(browser, player, tmp_path)
    for step in range(1, len(player) - 1):
        jump(browser, root, step)
        now, stage = browser.execute_script(
            "const r = e => { const b = e.getBoundingClientRect(); return [b.left, b.right] };"
            "return [r(arguments[0].querySelector('rect.now')), "
            "r(arguments[0].querySelector('.stage'))]",
            root,
        )
        assert stage[0] - 1 <= now[0]
        assert now[1] <= stage[1] + 1


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


@pytest.mark.parametrize("width", [380, 520])
def test_a_narrow_page_does_not_overflow(browser, player, tmp_path, width):
    resize(browser, width)
    root = show(browser, player, tmp_path)
    for step in steps_of(player):
        jump(browser, root, step)
        wide, window = browser.execute_script(
            "return [document.documentElement.scrollWidth, innerWidth]"
        )
        assert wide <= window == width


@pytest.mark.parametrize("width", [380, 1000])
def test_odd_inputs_are_drawn_as_well(browser, odd, tmp_path, width):
    """Long numbers and names, NaN and infinity: nothing collides, is cut off or written in vain."""
    resize(browser, width)
    root = show(browser, odd, tmp_path)
    for step in sorted({0, len(odd) // 2, len(odd) - 1}):
        jump(browser, root, step)
        assert browser.execute_script(MEASURE) == {"faint": [], "collisions": [], "cut": []}, step
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_and_what_cells_end_with(browser, shown_in_notebooks, tmp_path, theme):
    """Pictures of networks, Tensor, Module, Report and History, without any script."""
    prefer(browser, theme)
    resize(browser, 380)
    parts = [f'<section id="{name}">{text}</section>' for name, text in shown_in_notebooks.items()]
    browser.get(page(tmp_path, *parts, head='<meta name="color-scheme" content="light dark">'))
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script(MEASURE, "section")["faint"] == []
    for name in shown_in_notebooks:
        section = browser.find_element(By.ID, name)
        assert section.text.strip()
        for image in section.find_elements(By.TAG_NAME, "img"):
            assert len(image.get_attribute("alt")) > 10
            assert image.get_property("naturalWidth") > 0
            assert image.size["width"] <= 380


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

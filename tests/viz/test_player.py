"""The frame that all players share: one piece of HTML, escaped, of limited size."""

import base64
import io
import json
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from minires.viz.colours import COLOURS
from minires.viz.player import MOST_BYTES, Frame, Player, TooLargeError
from minires.viz.scene import STYLES, Box, Curve, Label, Scene, style_sheet


def player(say="One sentence.", title="Title", key="a"):
    scene = Scene(200, 100)
    scene.add(
        Box(10, 10, 50, 30, key=key),
        Label(20, 20, "before", key=key),
        Curve(((60, 25), (90, 25)), key="edge"),
    )
    frames = [
        Frame("Start.", "forward"),
        Frame(say, "forward", "<i>x</i>", text={key: "after"}, classes={key: "forward"}),
        Frame("End.", "backward", marks={key: "now"}, shift={"edge": (3, 4)}),
    ]
    return Player(title, scene, frames)


def test_frames_add_up_and_marks_pass():
    p = player()
    assert p.state(0).text == {}
    assert p.state(2).text == {"a": "after"}
    assert p.state(1).classes == {"a": "forward"}
    assert p.state(2).classes["a"].split() == ["forward", "now"]
    assert p.state(2).shift == {"edge": (3, 4)}


def test_the_page_is_whole_in_itself():
    page = player().html()
    outside = re.sub(r"http://www\.w3\.org/\S+", "", page)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttp|<link|<iframe|eval\(", outside)
    assert not re.findall(r' src="(?!data:)', page)
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.startswith("<div")
    assert page.endswith("</div>")


def test_without_scripts_there_is_a_picture_with_words():
    page = player().html()
    before_script = page.partition("<script>")[0]
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', before_script)
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert image.size[0] >= 190
    assert 'alt="Title. End."' in before_script


def test_names_from_outside_are_data_never_markup():
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    page = player(say=evil, title=evil).html()
    assert "alert(1)</script>" not in page
    assert "<img src=x" not in page
    assert page.count("<script>") == 1
    data = json.loads(re.search(r'\("minires-[0-9a-f]+", (\{.*\})\);</script>', page).group(1))
    assert data["title"] == evil
    assert data["frames"][1]["say"] == evil
    assert "<script" not in data["svg"]


def test_equal_players_are_equal_bytes_and_others_have_other_ids():
    assert player().html() == player().html()
    ids = {re.search(r'id="(minires-\w+)"', p.html()).group(1) for p in (player(), player("Two."))}
    assert len(ids) == 2


def test_the_size_cap_says_how_large_and_what_to_do():
    with pytest.raises(TooLargeError, match=r"2 steps would add \d\.\d MB .* smaller input"):
        Player("Big", Scene(10, 10), [Frame("x" * MOST_BYTES), Frame("y")])


def test_a_notebook_gets_html_and_a_picture():
    bundle = player()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert len(bundle["image/png"]) < 40_000


def test_save_writes_a_page_of_its_own(tmp_path):
    player().save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert player().html() in text


def test_plot_draws_any_step():
    texts = [[t.get_text() for t in player().plot(i).axes[0].texts] for i in (0, -1)]
    assert texts == [["before"], ["after"]]
    say = "Many words that say what there is to see in this step, " * 4
    figure = player(say=say, title="A title that is longer than the drawing is wide").plot(1)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y0 >= 0
    with pytest.raises(IndexError):
        player().plot(7)


def contrast(first, second):
    """WCAG 2.1's contrast ratio of two colours."""

    def luminance(colour):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_every_ground_that_it_is_put_on(theme):
    grounds = ["page", "panel"]
    pairs = [(ink, ground) for ink in ("ink", "soft", "forward", "backward") for ground in grounds]
    pairs += [("ink", g) for g in ("forward-wash", "backward-wash", "now-wash")]
    pairs += [("soft", g) for g in ("forward-wash", "backward-wash", "now-wash")]
    pairs += [("forward", "forward-wash"), ("backward", "backward-wash")]
    for ink, ground in pairs:
        assert contrast(COLOURS[ink][theme], COLOURS[ground][theme]) >= 4.5, (ink, ground)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_paths_stand_out_from_the_page_and_from_each_other(theme):
    paths = [COLOURS[f"path-{m}"][theme] for m in range(4)]
    assert len(set(paths)) == 4
    for colour in paths:
        assert contrast(colour, COLOURS["page"][theme]) >= 3


def test_the_style_sheet_knows_every_class():
    css = style_sheet(".here")
    for name in STYLES:
        assert f".here svg .{name}" in css or f".here svg text.{name}" in css

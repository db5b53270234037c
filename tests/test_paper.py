"""The paper's experiments: counts as documented, small trainings to the end, pages up to date."""

import _thread
import importlib
import re
import time
from functools import partial

import numpy as np
import pytest
from interop.torchvision import SHAPES
from typer.testing import CliRunner

import minires
from benchmarks.markdown import block, without_blocks
from benchmarks.paper import articles, pages, pictures, results
from benchmarks.paper.__main__ import app
from benchmarks.paper.ablation import VARIANTS, without_batch_norm
from benchmarks.paper.counts import cifar_counts, imagenet_counts, rounded_like
from benchmarks.paper.inside import gradient_norms, response_deviations
from benchmarks.paper.published import RECIPE
from benchmarks.paper.resnet20 import interrupted_after
from minires import Tensor, models, nn, no_grad
from minires.training import History
from minires.training.run import Run

pytestmark = pytest.mark.slow

PAPER = (pages.DOCS / "paper.md").read_text(encoding="utf-8")
WEIGHTS = (pages.DOCS / "weights.md").read_text(encoding="utf-8")
ARTICLES = (pages.DOCS / "articles.md").read_text(encoding="utf-8")


@pytest.fixture
def paper(monkeypatch, tmp_path):
    """`paper("degradation", ...)`: run a command in an empty folder."""
    monkeypatch.setattr(History, "write_plot", lambda self, path: None)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


# ---------------------------------------------------------------------- counts and pages


@pytest.mark.parametrize("name", pages.COUNTS)
def test_documented_counts_are_what_the_code_gives(name):
    assert block(PAPER, name) == pages.PAPER[name]()


def test_counts_agree_with_the_paper():
    for count in cifar_counts():
        assert rounded_like(count.parameters / 1e6, count.published) == count.published
    for count in imagenet_counts():
        assert abs(count.multiply_adds / 1e9 - float(count.published)) < 0.1


@pytest.mark.parametrize("name", set(pages.PAPER) - set(pages.COUNTS))
def test_the_paper_page_shows_the_committed_results(name):
    assert block(PAPER, name) == pages.PAPER[name]()


def test_the_papers_page_says_of_the_results_what_they_say():
    """Its sentences, one after the other."""
    found = results.read(results.FOLDER / "degradation.json")
    rows, settings = found["rows"], found["settings"]
    depths = sorted(int(n.removeprefix("plain")) for n in rows if n.startswith("plain"))
    plain, residual = ([rows[f"{kind}{d}"] for d in depths] for kind in ("plain", "resnet"))
    gap = {
        d: p["train_error"][-1] - r["train_error"][-1]
        for d, p, r in zip(depths, plain, residual, strict=True)
    }
    seeds = [
        row["train_error"][-1]
        for name, row in results.read(results.FOLDER / "ablation.json")["rows"].items()
        if name == "shortcut A" or name.endswith(" seed")
    ]
    chance = max(seeds) - min(seeds)
    assert 0 < gap[8] < chance < gap[20] < 9 < min(gap[d] for d in (32, 44, 56))
    assert min(rows[f"plain{d}"]["train_error"][-1] for d in (44, 56)) > 85  # of 90
    assert residual[-1]["train_error"][-1] == max(r["train_error"][-1] for r in residual)
    steps = settings["images"] // settings["batch_size"] * settings["epochs"]
    assert 50 < RECIPE["steps"] / steps < 150
    growth = [p["gradient_norms"]["start"][0] / p["gradient_norms"]["start"][-1] for p in plain]
    assert growth == sorted(growth)
    assert max(plain[-1]["gradient_norms"]["end"]) < 0.03
    for row in residual:
        norms = row["gradient_norms"]["start"]
        assert norms[0] / norms[-1] < 5
    for p, r in zip(plain[1:], residual[1:], strict=True):
        assert np.median(r["response_deviations"]) < np.median(p["response_deviations"])
    assert plain[-1]["response_deviations"][0] == max(plain[-1]["response_deviations"]) > 20


@pytest.mark.parametrize("name", pages.WEIGHTS)
def test_the_page_on_weights_shows_the_committed_results(name):
    assert block(WEIGHTS, name) == pages.WEIGHTS[name]()


def test_counts_on_the_page_on_weights_are_what_the_code_gives(monkeypatch):
    monkeypatch.setattr(nn.init, "_fill", lambda tensor, draw: tensor)
    rows = results.read(results.FOLDER / "weights.json")["rows"]
    for row, found in rows.items():
        if "parameters" in found:
            name = row.removeprefix("torchvision ")
            model = models.create(name)
            assert found["parameters"] == sum(p.size for p in model.parameters()), name
            assert found.get("entries", len(model.state_dict())) == len(model.state_dict()), name
    assert {f"torchvision {name}" for name in SHAPES} <= rows.keys()


@pytest.fixture
def built(monkeypatch):
    """The size of a network, built with zeros: random numbers take longest."""

    def zeros(tensor, draw):
        tensor.data[...] = 0
        return tensor

    monkeypatch.setattr(nn.init, "_fill", zeros)
    return lambda build: sum(p.size for p in build().parameters())


def test_counts_in_the_papers_results_are_what_the_code_gives(built):
    for name, row in results.read(results.FOLDER / "degradation.json")["rows"].items():
        assert row["parameters"] == built(partial(models.create, name, 10, 3)), name
    for name, row in results.read(results.FOLDER / "ablation.json")["rows"].items():
        assert row["parameters"] == built(partial(VARIANTS[name][0], 10, 3)), name


def test_counts_in_the_articles_results_are_what_the_code_gives(built, monkeypatch):
    monkeypatch.syspath_prepend(str(articles.EXAMPLES))

    def rows(name):
        return results.read(articles.FOLDER / f"{name}.json")["rows"]

    def work(network, size):
        return nn.summary(models.create(network, in_channels=1), (size, size, 1)).multiply_adds

    (row,) = rows("article_4_from_a_table")
    module = importlib.import_module("article_4_from_a_table")
    network = module.ResNet(50, num_classes=10, in_channels=1, width=8)
    assert row["parameters"] == built(lambda: network)
    assert row["layers with weights"] == module.weighted_layers(network)
    for row in rows("choose_depth"):
        name = f"resnet{row['depth']}"
        assert row["parameters"] == built(partial(models.create, name, in_channels=1))
        assert row["multiply-adds"] == work(name, 14)
    for row in rows("resolution"):
        assert row["multiply-adds"] == work("resnet8", row["tested at"])
    learning = [row["weights that learn"] for row in rows("transfer")]
    small = models.resnet8(5, 1)
    assert learning == [built(lambda: small)] * 2 + [built(lambda: small.fc)]


@pytest.mark.parametrize("page", [WEIGHTS, PAPER, ARTICLES], ids=["weights", "paper", "articles"])
def test_no_measured_figure_is_typed(page):
    measured = r"\d[\d.,]* ?(?:s|seconds|minutes|MiB|points)\b|\d[\d.,]*%"
    assert re.findall(measured, without_blocks(page)) == []


@pytest.mark.parametrize("name", pages.article_blocks())
def test_the_articles_page_shows_the_committed_results_and_the_scripts(name):
    assert block(ARTICLES, name) == pages.article_blocks()[name]()


def test_every_picture_on_the_pages_is_there():
    for page in (PAPER, ARTICLES):
        for part in page.split("](images/")[1:]:
            assert (pages.IMAGES / part.split(")")[0]).is_file()


# ---------------------------------------------------------------------- experiments


def test_degradation_is_resumed_where_it_stopped_and_refuses_other_settings(paper):
    tiny = ["degradation", "--data", "digits", "--size", 8, "--images", 32, "--out", "found.json"]
    paper(*tiny, "--epochs", 2, "--depths", "8")
    first = results.read(results.Path("found.json"))
    assert list(first["rows"]) == ["plain8", "resnet8"]
    assert first["machine"]["cores"]
    row = first["rows"]["resnet8"]
    assert len(row["train_error"]) == 2
    assert all(len(row["gradient_norms"][when]) == 7 for when in ("start", "end"))
    assert len(row["response_deviations"]) == 7
    out = paper(*tiny, "--epochs", 2, "--depths", "8,14")
    assert "resnet8" not in out
    second = results.read(results.Path("found.json"))
    assert list(second["rows"]) == ["plain8", "resnet8", "plain14", "resnet14"]
    assert second["rows"]["resnet8"] == row
    with pytest.raises(ValueError, match=r"found\.json holds results of other settings"):
        paper(*tiny, "--epochs", 1, "--depths", "8")


def test_ablation_trains_every_variant(paper):
    small = ["--size", 8, "--images", 32, "--epochs", 1]
    paper("ablation", "--data", "digits", *small, "--out", "found.json")
    rows = results.read(results.Path("found.json"))["rows"]
    assert list(rows) == list(VARIANTS)
    sizes = {name: row["parameters"] for name, row in rows.items()}
    assert sizes["shortcut A"] == sizes["no shortcut (plain)"] < sizes["shortcut B"]
    assert sizes["shortcut B"] < sizes["shortcut C"]
    assert sizes["without batch norm"] < sizes["shortcut A"]


def test_time_that_is_up_is_like_ctrl_c():
    with pytest.raises(KeyboardInterrupt), interrupted_after(0.001):
        any(time.sleep(0.01) for _ in range(1000))
    with interrupted_after(1000):
        pass


def test_resnet20_stops_and_goes_on_to_the_same_weights(paper, monkeypatch):
    tiny = ["resnet20", "--data", "digits", "--images", 64, "--epochs", 2]
    paper(*tiny, "--work", "whole", "--out", "whole.json")
    with monkeypatch.context() as patch:
        forward = Run._forward

        def up(run, images, labels):
            _thread.interrupt_main()
            return forward(run, images, labels)

        patch.setattr(Run, "_forward", up)
        out = paper(*tiny, "--work", "part", "--out", "part.json")
    assert "stopped at epoch 1, step 1 of 1; saved in part. The same command goes on" in out
    assert not results.Path("part.json").exists()
    paper(*tiny, "--work", "part", "--out", "part.json")
    whole, part = (results.read(results.Path(f"{name}.json")) for name in ("whole", "part"))
    assert whole["weights_sha256"] == part["weights_sha256"]
    assert {key: whole["curve"][key] for key in ("train_error", "test_error", "lr")} == {
        key: part["curve"][key] for key in ("train_error", "test_error", "lr")
    }
    assert whole["correct"] / whole["test_images"] == pytest.approx(1 - whole["test_error"] / 100)


def test_a_finished_resnet20_stands_beside_the_papers(paper, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", results.Path())
    paper("resnet20", "--data", "digits", "--images", 64, "--epochs", 2, "--out", "resnet20.json")
    found = results.read(results.Path("resnet20.json"))
    text = pages.resnet20_text()
    assert f"{found['correct']:,} of {found['test_images']:,} test images" in text
    assert f"| test error % | {found['test_error']:.2f} | 8.75 |" in text
    assert "| training images | 64 | 50,000 |" in text
    assert "| steps | 2 | 64,000 |" in text
    assert "--data-dir FOLDER --data digits --images 64 --epochs 2`, seed 0, 20" in text
    assert found["machine"]["processor"] in text
    assert re.search(r"SHA-256 .*`[0-9a-f]{64}`", text)
    (ax,) = pictures.of("resnet20", found)["resnet20"].axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "error (%)")
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn["test error"] == found["curve"]["test_error"]
    assert drawn["training error"] == found["curve"]["train_error"]
    assert drawn["test error of He et al. 2015, table 6 (8.75%)"] == [8.75, 8.75]


def test_gradient_norms_are_those_of_the_loss_and_leave_the_model_alone():
    minires.manual_seed(0)
    model = models.resnet8(in_channels=1)
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((6, 8, 8, 1)).astype(np.float32), np.arange(6)
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    norms = gradient_norms(model, images, labels)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])
    # along its own gradient, the loss of the first layer's weights has the norm as its slope
    weight = model.conv1.weight
    nn.functional.cross_entropy(model.train()(Tensor(images)), labels).backward()
    direction = weight.grad.numpy() / np.linalg.norm(weight.grad.numpy())
    losses = []
    for h in (-1e-2, 1e-2):
        weight.data += np.float32(h) * direction
        losses.append(nn.functional.cross_entropy(model(Tensor(images)), labels).item())
        weight.data -= np.float32(h) * direction
    assert (losses[1] - losses[0]) / 2e-2 == pytest.approx(norms[0], rel=0.05)


def test_response_deviations_are_those_behind_batch_norm():
    minires.manual_seed(0)
    model = models.resnet8(in_channels=1, shortcut="B")
    images = np.random.default_rng(1).standard_normal((3, 8, 8, 1)).astype(np.float32)
    found = response_deviations(model, images)
    assert len(found) == 7  # the projections of the shortcuts are not counted
    with no_grad():
        x = model.bn1(model.conv1(Tensor(images)))
        assert found[0] == pytest.approx(x.numpy().std(), abs=1e-5)
        block = model.layer1[0]
        x = block.bn1(block.conv1(model.relu(x)))
        assert found[1] == pytest.approx(x.numpy().std(), abs=1e-5)


def test_without_batch_norm_there_is_none():
    model = without_batch_norm(models.resnet20(shortcut="B"))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert model(Tensor(np.zeros((1, 8, 8, 3), np.float32))).shape == (1, 10)


def test_every_example_has_a_place_on_the_page():
    assert set(articles.names()) <= set(pages.article_blocks())
    for name in articles.names():
        assert f"<!-- {name} -->" in ARTICLES

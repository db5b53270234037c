"""Headless Chromium, driven by Selenium; the players that are shown in it."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver

import minires
from minires import Tensor, models, nn, optim, profile, viz
from minires.nn import functional as F
from minires.training.history import Epoch, History


@contextmanager
def chromium_started():
    """A browser of its own, closed with all its pages at the end."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        message = "these tests need Debian's packages chromium and chromium-driver"
        pytest.fail(message) if "CI" in os.environ else pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for switch in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1100,1000"):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def chromium():
    """One browser for all players and pages."""
    with chromium_started() as driver:
        yield driver


@pytest.fixture(scope="session")
def site():
    """The folder of the built documentation; what has been built before is built on."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    built = docs / "_build" / "html"
    subprocess.run([sys.executable, "-m", "sphinx", "-q", docs, built], check=True)
    return built


@pytest.fixture
def browser(chromium):
    """The browser in light colours, at an ordinary size; nothing may appear on its console."""
    prefer(chromium, "light")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.set_window_size(1100, 1000)
    chromium.get_log("browser")
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["source"] != "network"] == []


def prefer(browser, theme):
    """What the system says that its user likes."""
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def _expression():
    a = Tensor(np.array(2.0), requires_grad=True)
    b = Tensor(np.array(-3.0), requires_grad=True)
    c = a * b
    d = c + a
    return viz.step_through((d * 0.25).tanh() * d + c * 0.5)


def _matrices():
    rng = np.random.default_rng(0)
    x, w = (Tensor(rng.normal(size=s).round(1), requires_grad=True) for s in ((3, 2), (2, 4)))
    bias = Tensor(np.array([0.1, -0.2, 0.3, -0.4]), requires_grad=True)
    return viz.step_through(((x @ w + bias).relu()).mean())


def _folded():
    net = models.resnet8(in_channels=1)
    images = Tensor(np.random.default_rng(0).normal(size=(2, 12, 12, 1)).astype(np.float32))
    return viz.step_through(F.cross_entropy(net(images), np.array([1, 2])))


def _convolution():
    rng = np.random.default_rng(1)
    return viz.convolution(rng.integers(-2, 5, (4, 5)), rng.integers(-1, 3, (3, 3)), 2, 1)


def _batch_norm():
    return viz.batch_norm(np.random.default_rng(1).gamma(2, 2, 60).round(2))


def _gradient_flow():
    batch = np.random.default_rng(0).normal(size=(4, 12, 12, 1)).astype(np.float32), np.arange(4)
    nets = {"plain": models.create("plain8", 10, 1), "residual": models.create("resnet8", 10, 1)}
    return viz.gradient_flow(nets, batch)


def _graph():
    return viz.graph(models.resnet8(in_channels=1), (28, 28, 1))


def _optimizer_path():
    makers = {
        "SGD": lambda p: optim.SGD(p, lr=0.09),
        "momentum 0.9": lambda p: optim.SGD(p, lr=0.02, momentum=0.9),
        "Adam": lambda p: optim.Adam(p, lr=0.3),
    }
    return viz.optimizer_path(lambda x, y: x * x + 10 * y * y, makers, (4.0, 1.5), 20)


def _rewrites():
    network = models.create("resnet8", in_channels=1).eval()
    return viz.rewrites(minires.compile(network, np.zeros((1, 12, 12, 1), np.float32)))


MAKERS = {
    "step_through": _expression,
    "step_through with matrices": _matrices,
    "step_through folded": _folded,
    "convolution": _convolution,
    "batch_norm": _batch_norm,
    "gradient_flow": _gradient_flow,
    "optimizer_path": _optimizer_path,
    "graph": _graph,
    "rewrites": _rewrites,
}


@pytest.fixture(scope="session")
def players():
    """By name, every player."""
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(params=MAKERS)
def player(request, players):
    """Each of them in turn."""
    return players[request.param]


# ---------------------------------------------------------------------- what authors did not expect


def _long_floats():
    rng = np.random.default_rng(2)
    return viz.convolution(rng.normal(size=(5, 5)) * 1e-7, rng.normal(size=(3, 3)), 2, 1)


def _bytes():
    rng = np.random.default_rng(3)
    image, kernel = (rng.integers(0, 256, s).astype(np.uint8) for s in ((4, 4), (3, 3)))
    return viz.convolution(image, kernel)


def _broken_image():
    return viz.convolution([[1.0, np.nan, 2], [np.inf, 0, -1], [1, 2, -np.inf]], np.ones((2, 2)))


def _tiny():
    return viz.batch_norm(np.random.default_rng(0).normal(size=30) * 1e-20)


def _huge():
    return viz.batch_norm(np.random.default_rng(0).normal(size=5000) * 1e20 + 1e21)


def _not_finite():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 10))
    net[1].weight.data[...] = np.nan
    name = "a network whose name goes on for so long that it would cover its neighbour's"
    batch = np.ones((4, 2, 2, 1), np.float32), np.arange(4)
    return viz.gradient_flow({name: net, "b": nn.Sequential(nn.Flatten(), nn.Linear(4, 9))}, batch)


def _running_away():
    makers = {
        "stochastic gradient descent with a step that is much too long": lambda p: optim.SGD(
            p, lr=3
        ),
        "Adam": lambda p: optim.Adam(p, lr=0.3),
    }
    return viz.optimizer_path(lambda x, y: x * x + 10 * y * y, makers, (4.0, 1.5), 200)


def _long_names():
    x = Tensor(np.array([np.nan, 1e-30, -1e30, 2, 3, 4, 5, 6, 7]), requires_grad=True)
    name = "a_name_that_goes_on_and_on_without_a_single_place_to_break_the_line_at"
    return viz.step_through((x * x + x[:, None].sum()).mean(), {name: x})


def _several_uses():
    x, y = (Tensor(np.array(v), requires_grad=True) for v in (-1.2345e-9, 0.0))
    return viz.step_through((x * x * x + x * x + x).log() * y + y)


def _of_a_tensor():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    return viz.graph((x * x).sum() + x.mean(), names={"x": x})


def _deep():
    return viz.graph(models.create("resnet50", 10, 3), (32, 32, 3))


ODD = {
    maker.__name__.strip("_"): maker
    for maker in (
        _long_floats, _bytes, _broken_image, _tiny, _huge, _not_finite, _running_away, _long_names,
        _several_uses, _of_a_tensor, _deep,
    )
}  # fmt: skip


@pytest.fixture(params=ODD)
def odd(request):
    """Each player of an input that nobody expects."""
    with np.errstate(all="ignore"):
        return ODD[request.param]()


@pytest.fixture(scope="session")
def shown_in_notebooks():
    """By name the HTML of everything without steps."""
    rng = np.random.default_rng(0)
    net = models.resnet8(in_channels=1)
    image = rng.normal(size=(12, 12, 1)).astype(np.float32)
    batch = rng.normal(size=(4, 12, 12, 1)).astype(np.float32), np.arange(4)
    x = Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    wrong = minires.gradcheck(lambda t: t * t.detach(), [x], raise_exception=False)
    epochs = [Epoch(i, 2 / i, 0.3 * i, 2.1 / i, 0.2 * i, 0.1, 1.5) for i in (1, 2, 3)]
    with profile() as seen:
        net(Tensor(batch[0]))
    objects = {
        "small-tensor": x.exp(), "large-tensor": Tensor(np.zeros((50, 50))), "module": net,
        "right": minires.gradcheck(lambda t: t * t, [x]), "wrong": wrong,
        "history": History(epochs), "no-history": History(), "profile": seen,
    }  # fmt: skip
    pictures = {
        "feature-maps": viz.feature_maps(net, image, "layer1"),
        "filters": viz.filters(net),
        "grad-cam": viz.grad_cam(net, image),
        "confusion": viz.confusion_matrix([0, 1, 1], [0, 1, 0], ["a", "b"]),
        "landscape": viz.loss_landscape(net, batch, points=3),
    }
    return {name: thing._repr_html_() for name, thing in objects.items()} | {
        name: picture.html() for name, picture in pictures.items()
    }

"""Headless Chromium, driven by Selenium; the players that are shown in it."""

import os
import shutil

import numpy as np
import pytest
from selenium import webdriver

from minires import Tensor, models, optim, viz
from minires.nn import functional as F


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests."""
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
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """The browser in light colours, at an ordinary size; nothing may appear on its console."""
    prefer(chromium, "light")
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


MAKERS = {
    "step_through": _expression,
    "step_through with matrices": _matrices,
    "step_through folded": _folded,
    "convolution": _convolution,
    "batch_norm": _batch_norm,
    "gradient_flow": _gradient_flow,
    "optimizer_path": _optimizer_path,
    "graph": _graph,
}


@pytest.fixture(scope="session")
def players():
    """By name, every player."""
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(params=MAKERS)
def player(request, players):
    """Each of them in turn."""
    return players[request.param]

"""`python -m benchmarks`: what it measures, what it makes of it, what it keeps."""

from dataclasses import replace

import numpy as np
import pytest
import typer

from benchmarks import contestants, inference, layers, plot, story
from benchmarks.__main__ import main
from benchmarks.peers import installed
from benchmarks.results import Results
from minires import models, nn
from minires.bench import Task, tasks
from minires.bench.measure import OURS, PYTORCH
from minires.bench.report import Figure, Row
from minires.bench.workloads import NETWORKS, Workload
from minires.kernels import reference

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def every_layer():
    return {w.name: w for w in layers.layers()}


# ---------------------------------------------------------------------- what is measured


def test_every_convolution_of_the_networks_is_measured_three_ways(every_layer):
    convolutions = {w.task for w in every_layer.values() if w.task.kind.startswith("conv2d")}
    by_pass = [{t for t in convolutions if t.kind == kind} for kind in layers.PASSES]
    assert len({len(tasks) for tasks in by_pass}) == 1
    seen = {(t.shape[3], t.kernel[3], t.kernel[0], t.stride) for t in by_pass[0]}
    wanted = set()
    for name, _, _ in layers.NETWORKS:
        for m in models.create(name).modules():
            if isinstance(m, nn.Conv2d):
                wanted.add((m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]))
    assert seen == wanted


def test_layers_have_their_networks_sizes(every_layer):
    first = every_layer["conv2d-8x224x224x3-7x7x64-s2"].task
    assert (first.shape, first.kernel, first.stride, first.padding) == (
        (8, 224, 224, 3),
        (7, 7, 3, 64),
        2,
        3,
    )
    assert {"batch_norm-128x32x32x16", "batch_norm-8x7x7x2048"} <= set(every_layer)
    assert all(w.task.name == name for name, w in every_layer.items())


def test_operations_of_networks_are_those_of_their_layers():
    inference = Task("", "inference", "resnet20", (3, 32, 32, 3))
    # He et al. 2015: 6n + 2 layers, 41 million multiply-adds for an image (with the classifier)
    forward = layers.operations(inference)
    assert forward == pytest.approx(2 * 3 * 40.8e6, rel=0.01)
    first = 2 * 3 * 32 * 32 * 16 * 27
    step = Task("", "step", "resnet20", (3, 32, 32, 3))
    assert layers.operations(step) == 3 * forward - first


def test_work_of_a_convolution():
    task = Task("", "conv2d", shape=(2, 9, 8, 5), kernel=(3, 3, 5, 7), stride=2, padding=1)
    x, w, g = tasks.convolution(task)
    assert layers.operations(task) == 2 * g.size * 3 * 3 * 5
    assert layers.traffic(task) == 4 * (x.size + w.size + g.size)


# ---------------------------------------------------------------------- the steps of the story


def test_the_story_computes_what_the_loops_compute():
    task = Task("", "conv2d", shape=(2, 5, 6, 3), kernel=(3, 3, 3, 4), padding=1)
    x, w, _ = tasks.convolution(task)
    expected = reference.conv2d(x, w, padding=(1, 1))
    for step in ("loops", *story.LAYER):
        (result,) = story.build(task, step).outputs().values()
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_the_story_normalises_as_the_loops_do():
    task = Task("", "batch_norm", shape=(2, 3, 4, 5))
    x, gamma, beta, g = tasks.normalization(task)
    expected = reference.batch_norm_backward(g, x, gamma)
    for step in story.NORM:
        found = story.build(task, step).outputs()
        np.testing.assert_allclose(found["y"], reference.batch_norm(x, gamma, beta), atol=1e-5)
        for name, value in zip(("dx", "dgamma", "dbeta"), expected, strict=True):
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- what is made of it


def row(name, words="words", unit="s", **medians):
    figures = {n: Figure(m, m, m, 1) for n, m in medians.items()}
    return Row(name, words, unit, figures)


@pytest.fixture
def results():
    made = Results(machine={"cores": "2"})
    made.contestants = {OURS.name: {"library": "minires 1"}}
    product = Row("product", "p", "s", {"minires": Figure(2, 2, 2, 1)}, operations=100)
    copy = Row("copy", "c", "s", {"minires": Figure(5, 5, 5, 1)}, traffic=10)
    for one in (product, copy):
        made.add(one, "2026-01-02T03:04:05+00:00")
    return made


def test_limits_are_computing_or_moving_whichever_takes_longer(results):
    figure = {"minires": Figure(20, 20, 20, 1)}
    computing = Row("a", "", "s", figure, operations=500, traffic=2)
    moving = Row("b", "", "s", figure, operations=50, traffic=8)
    assert results.limit(computing) == 500 / 100 * 2
    assert results.limit(moving) == 8 / 10 * 5
    assert results.limit(Row("c", "", "s", figure)) is None
    assert results.limit(Row("d", "", "bytes", figure, operations=1)) is None


def test_results_are_kept_and_replaced(results, tmp_path):
    path = tmp_path / "results.json"
    turns = {"minires": Figure(1.0, 1.0, 1.0, 2, rounds=(1.0, 1.5))}
    results.add(Row("b", "", "s", turns), "first", path)
    results.add(row("a", minires=1.0), "first", path)
    again = Results.read(path)
    assert again == results
    again.add(row("a", minires=3.0), "second", path)
    assert Results.read(path).rows["a"].figures["minires"].median == 3
    assert Results.read(path).dates["a"] == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_tables(results):
    names = {"PyTorch NCHW": 2.0, "PyTorch channels_last": 4.0}
    results.add(row("a", "the work", minires=3.0, **names), "")
    results.add(row("parts", "divided", **{"first part": 0.25, "rest": 0.75}), "")
    text = results.text(["a", "parts"])
    line = next(line for line in text.splitlines() if line.startswith("the work"))
    assert line.split() == ["the", "work", "3000", "ms", "2000", "ms", "4000", "ms", "1.50"]
    assert "divided:\n  first part     250 ms\n  rest           750 ms" in text
    assert "one thread" not in text


def test_the_picture_of_nothing_and_of_something(results, tmp_path):
    plot.draw(results).savefig(tmp_path / "empty.png")
    for name in ("resnet20_step", "resnet20_others"):
        results.add(row(name, **{"minires": 1.0, "PyTorch NCHW": 0.5, "JAX": 4.0}), "")
    for depth, batch in ((20, 16), (20, 32), (56, 32)):
        for kind in ("step", "memory"):
            results.add(row(f"growth-{kind}-resnet{depth}-{batch}", minires=1.0 * depth), "")
    plot.draw(results).savefig(tmp_path / "some.png")
    assert (tmp_path / "some.png").stat().st_size > (tmp_path / "empty.png").stat().st_size


# ---------------------------------------------------------------------- contestants, the command


def test_resizing_is_measured_beside_pillow(tmp_path, capsys):
    for workload in layers.resizing():
        assert contestants.of(workload) == [OURS, contestants.PILLOW]
        assert (workload.limit, workload.target) == (2.0, 1.5)
    main(only=["resize-photo"], tiny=True, json=tmp_path / "results.json")
    lines = capsys.readouterr().out.splitlines()
    (shown,) = [line for line in lines if line.startswith("resize ")]
    assert shown.split()[-2:] == ["2.00", "1.50"]
    assert any(line.startswith("Pillow: Pillow ") for line in lines)


def test_contestants():
    assert contestants.of(NETWORKS[1]) == [OURS, *PYTORCH]
    for setting in (contestants.SETTINGS[0], contestants.SETTINGS[0].tiny()):
        assert len({c.name for c in contestants.of(setting)}) == 6
    for others in (contestants.OTHERS, contestants.OTHERS.tiny()):
        assert contestants.of(others) == [OURS, *PYTORCH, *installed()]
    memory = next(w for w in NETWORKS if w.what == "memory")
    assert contestants.of(memory) == [OURS, *PYTORCH]
    for workload in story.workloads():
        assert isinstance(workload, Workload)
        assert contestants.of(workload)


def test_compiled_inference_beside_other_compilers(results, monkeypatch):
    everybody = [c.name for c in inference.contestants()]
    assert everybody[:3] == ["minires compiled", "minires", "PyTorch channels_last"]
    assert set(everybody) | set(inference.missing()) >= {"torch.compile", "ONNX Runtime"}
    for workload in inference.workloads():
        assert [c.name for c in contestants.of(workload)] == everybody
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert inference.missing()["torch.compile"] == "it compiles C++, and there is no g++"
    assert "torch.compile" not in [c.name for c in inference.contestants()]

    figures = {"minires compiled": 1.2, "minires": 3.0, "PyTorch channels_last": 1.5}
    results.add(row("compiled-resnet50-8", "the work", **figures, **{"ONNX Runtime": 1.0}), "")
    results.rows["compiled-resnet50-8"] = replace(results.rows["compiled-resnet50-8"], limit=0.85)
    text = results.text(["compiled-resnet50-8"])
    assert "default settings" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("the work")]
    assert line.split()[-4:] == ["0.80", "0.85", "1.20", "1.10"]


def test_names_are_listed_and_chosen_by_pattern(capsys):
    main(only=["resnet18*", "story-layer"], names=True)
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    wanted = [w.name for w in NETWORKS if w.name.startswith("resnet18")]
    assert names == [*wanted, "story-layer"]


def test_what_does_not_exist_is_said():
    with pytest.raises(typer.BadParameter, match="nothing is called resnet21: --names lists"):
        main(only=["resnet21"])


def test_a_tiny_run_without_pytorch(tmp_path, capsys):
    path = tmp_path / "results.json"
    main(only=["parts-resnet20*", "story-loops"], tiny=True, json=path)
    assert "seven loops" in capsys.readouterr().out
    kept = Results.read(path)
    assert list(kept.rows) == ["story-loops", "parts-resnet20_step"]
    assert kept.machine["cores"]
    main(only=["story-loops"], show=True, json=path)
    shown = capsys.readouterr().out
    assert "seven loops" in shown
    assert "matrix products" not in shown

"""`checkup` as a whole: what it gives back, what it leaves behind, and what it refuses."""

import json
import random

import numpy as np
import pytest
from small_training import Normed, batched, digits, evaluate, network, step, training

import minires
from minires import data, nn, optim
from minires.checks import Finding, Report, SetupError, checkup
from minires.data import DataLoader

REACHES = (
    *("parameters in optimizer", "layers registered", "labels fit their images"),
    *("outputs are logits", "loss is least at the labels", "order of the step"),
    *("training gets better than guessing", "evaluation counts right", "learns one batch"),
)


def faulty():
    model = network(nn.Softmax())
    return training(model, lambda m: optim.SGD(m[5].parameters(), lr=0.1, momentum=0.9))


@pytest.fixture(scope="module")
def report():
    return checkup(faulty, seconds=60)


def test_a_healthy_training_is_found_so_and_its_evaluation_agrees():
    report = minires.checkup(lambda: training(step=step, evaluate=evaluate), seconds=60)
    assert report.ok, report
    assert report
    for name in REACHES:
        assert report[name].verdict == "holds", report[name]
    assert report["evaluation counts right"].numbers["ours"] > 0.5


def test_several_faults_are_all_named(report):
    assert not report.ok
    assert not report
    assert {"parameters in optimizer", "outputs are logits"} <= {f.check for f in report.broken}
    assert "1.weight" in report["parameters in optimizer"].message
    with pytest.raises(KeyError):
        report["no such check"]


def test_names_are_stable_and_each_comes_once(report):
    names = [f.check for f in report.findings]
    assert len(set(names)) == len(names)
    assert {*names} >= {*REACHES}
    assert {f.verdict for f in report.findings} <= {"holds", "broken", "not checked"}
    assert all(f.message for f in report.findings)
    assert all(f.advice for f in report.broken)


def test_it_is_shown_as_text_as_a_table_as_json_and_as_a_page(report, tmp_path):
    text = str(report)
    assert text.startswith(f"checkup: {len(report.broken)} broken")
    assert text.index("BROKEN: parameters in optimizer") < text.index("holds:")
    assert max(map(len, text.splitlines())) <= 100
    assert "<table" in report._repr_html_()
    known = json.loads(report.to_json())
    assert known["ok"] is False
    assert [f["check"] for f in known["findings"]] == [f.check for f in report.findings]
    report.html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page == report.to_html()
    assert "double softmax" in page
    assert "<script" not in page


def test_what_a_message_says_does_no_harm_in_a_page():
    shown = Report([Finding("a", "broken", "<script>alert(1)</script>", {"x": float("nan")})])
    assert "<script" not in shown.to_html()
    assert json.loads(shown.to_json())["findings"][0]["numbers"] == {"x": "nan"}


def test_the_rates_are_a_picture_and_no_verdict():
    report = checkup(training, seconds=60)
    assert report["learning-rate range"].verdict == "holds"
    assert "symptom" in report["learning-rate range"].message
    assert report.figure().axes[0].get_xscale() == "log"
    assert "<svg" in report.to_html()
    with pytest.raises(ValueError, match="range test"):
        Report([]).figure()


def test_all_is_as_before_though_make_gives_the_same_objects_every_time():
    model = Normed()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    images = data.digits().subset(range(300))
    loader = DataLoader(
        images, 32, shuffle=True, transform=lambda x, draws: x.astype(np.float32) / 255
    )
    state = {n: p.numpy().copy() for n, p in model.state_dict().items()}
    generators = [minires.random.generator().bit_generator.state, random.getstate()]
    legacy = np.random.get_state()[1].copy()  # noqa: NPY002
    model.eval()

    def make():
        return minires.Setup(model, loader, None, nn.CrossEntropyLoss(), optimizer)

    checkup(make, seconds=30)
    assert all(np.array_equal(state[n], p.numpy()) for n, p in model.state_dict().items())
    assert generators == [minires.random.generator().bit_generator.state, random.getstate()]
    assert np.array_equal(legacy, np.random.get_state()[1])  # noqa: NPY002
    assert optimizer.state_dict()["state"] == {}
    assert optimizer.param_groups[0]["lr"] == 1e-3
    assert loader.epoch == 0
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    assert not model._forward_hooks
    assert "step" not in vars(optimizer)
    assert "backward" in vars(minires.Tensor)


def test_the_same_seed_gives_the_same_findings():
    def told(report):
        return [(f.check, f.verdict) for f in report.findings]

    one, other = (checkup(training, seconds=60, seed=3) for _ in range(2))
    assert told(one) == told(other)


@pytest.mark.parametrize(
    "train",
    [
        lambda: digits()[0],
        lambda: data.digits().subset(range(400)),
        lambda: DataLoader(
            data.digits().subset(range(400)),
            32,
            shuffle=True,
            transform=lambda x, draws: x.astype(np.float32) / 255,
        ),
        lambda: [(minires.Tensor(x), minires.Tensor(y)) for x, y in batched(digits()[0])],
        lambda: iter(batched(digits()[0])),
    ],
    ids=["arrays", "dataset", "loader", "tensors", "one_way"],
)
def test_data_of_every_kind(train):
    def make():
        made = training()
        made.train, made.valid = train(), None
        return made

    report = checkup(make, seconds=30)
    assert report.ok, report
    assert report["order of the step"].verdict == "holds"


def test_a_dict_will_do():
    made = training()
    names = ("model", "train", "loss", "optimizer")
    report = checkup(lambda: {name: getattr(made, name) for name in names}, seconds=2)
    assert report["parameters in optimizer"].verdict == "holds"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (3, "a function without arguments"),
        (lambda: 3, "must return a minires.Setup"),
        (lambda: {"model": network()}, "lacks loss, optimizer, train"),
        (lambda: {"modle": 1}, "no modle"),
        (lambda: minires.Setup(3, [], None, len, None), "model must be a Module"),
        (lambda: minires.Setup(network(), [], None, len, None), "optimizer must be"),
        (lambda: training(train=[]), "no batch"),
        (lambda: training(train=[1, 2]), "batches"),
    ],
)
def test_what_is_no_set_up_is_refused_in_one_line(make, says):
    with pytest.raises(SetupError, match=says):
        checkup(make, seconds=1)


@pytest.mark.parametrize("options", [{"seconds": 0}, {"seconds": "a"}, {"seed": -1}])
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        checkup(training, **options)


def test_what_make_raises_is_raised_and_what_the_model_raises_is_a_finding():
    def make():
        raise RuntimeError("no data here")

    with pytest.raises(RuntimeError, match="no data here"):
        checkup(make)
    report = checkup(lambda: training(nn.Linear(3, 10)), seconds=20)
    assert report.broken[0].check == "one batch"
    assert "linear wants" in report.broken[0].message


def test_the_time_holds_within_checks_too():
    slow = batched(digits()[0], 600)
    clock = minires.checks.setup.Clock(100)
    report = checkup(lambda: training(Normed(), train=slow * 20), seconds=0.5)
    assert report.seconds < clock.spent + 1
    assert any("time" in f.message or "spent" in f.message for f in report.findings)


def test_percent_are_taken_as_such_and_said_so():
    report = checkup(
        lambda: training(evaluate=lambda model, valid: 100 * evaluate(model, valid)), seconds=60
    )
    assert report["evaluation counts right"].verdict == "holds"
    assert "percent" in report["evaluation counts right"].message

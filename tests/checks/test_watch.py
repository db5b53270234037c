"""`watch` around a loop of one's own, the checks in `fit`, and the commands."""

import json
import warnings

import numpy as np
import pytest
from small_training import Normed, batched, digits, network

import minires
from minires import Tensor, cli, data, nn, optim
from minires.checks import CheckWarning


def trained(model, optimizer, watched, steps=8, loss=None):
    """The weights after some steps, in a block of `watch` or not."""
    loss = loss or nn.CrossEntropyLoss()
    hooks = []

    def run():
        for x, y in batched(digits()[0])[:steps]:
            optimizer.zero_grad()
            loss(model(Tensor(x)), y).backward()
            optimizer.step()
            hooks.append((len(model._forward_hooks), "step" in vars(optimizer)))

    if watched:
        with minires.watch(model, optimizer, loss) as watch:
            run()
        return watch, hooks
    run()
    return None, hooks


def test_bits_are_the_same_and_hooks_are_gone_after_three_steps():
    plain = minires.Tensor.backward
    weights = []
    for watched in (False, True):
        minires.manual_seed(3)
        model = Normed(p=0.3)
        optimizer = optim.Adam(model.parameters(), lr=1e-2)
        watch, hooks = trained(model, optimizer, watched)
        weights.append({n: p.numpy().copy() for n, p in model.state_dict().items()})
        weights[-1]["next draw"] = minires.random.generator().random(3)
    assert all(np.array_equal(value, weights[1][name]) for name, value in weights[0].items())
    assert hooks[1][0] > 0
    assert hooks[2:] == [(0, False)] * 6
    assert minires.Tensor.backward is plain
    assert watch.report.ok, watch.report


def test_a_healthy_loop_prints_nothing(capsys):
    model = network()
    trained(model, optim.SGD(model.parameters(), lr=0.1), True)
    assert capsys.readouterr().out == ""


def test_what_is_broken_is_printed_once(capsys):
    model = network(nn.Softmax())
    watch, _ = trained(model, optim.SGD(model[5].parameters(), lr=0.1), True)
    printed = capsys.readouterr().out
    assert printed.count("watch, after 3 steps") == 1
    assert printed.count("lacks 4 of the model's 6") == 1
    assert printed.count("double softmax") == 1
    assert len(watch.report.broken) == 2


def test_a_loop_that_stops_early_or_fails_is_judged_by_what_there_was(capsys):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = batched(digits()[0])[0]

    def fails():
        with minires.watch(model, optimizer):
            nn.CrossEntropyLoss()(model(Tensor(x)), y).backward()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert "optimizer.step is never called" in capsys.readouterr().out
    assert not model._forward_hooks
    with minires.watch(model, optimizer):
        pass
    assert capsys.readouterr().out == ""


def test_watch_refuses_what_is_none():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for wrong in ((3, optimizer), (model, 3), (model, optimizer, 3)):
        with pytest.raises(TypeError):
            minires.watch(*wrong)


# ------------------------------------------------------------------ fit


def fitted(check, model=None, optimizer=None):
    minires.manual_seed(1)
    model = Normed(p=0.3) if model is None else model
    optimizer = optimizer(model) if optimizer else None
    history = minires.fit(
        model,
        data.digits().subset(range(200)),
        0.2,
        epochs=2,
        batch_size=32,
        optimizer=optimizer,
        progress=False,
        check=check,
    )
    state = {n: p.numpy().copy() for n, p in model.state_dict().items()}
    return history, state


def test_fit_trains_to_the_same_bits_with_and_without_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (one, first), (other, second), (third, last) = map(fitted, (False, None, True))
    for state in (second, last):
        assert all(np.array_equal(value, state[name]) for name, value in first.items())
    losses = [[e.train_loss for e in history.epochs] for history in (one, other, third)]
    assert losses[0] == losses[1] == losses[2]


def flat(*end):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10), *end)


def last_only(model):
    return optim.SGD(model[3].parameters(), lr=0.1)


def everything(model):
    return optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize("check", [None, True])
def test_fit_warns_of_parameters_that_the_optimizer_lacks_and_trains(check):
    with pytest.warns(CheckWarning) as caught:
        fitted(check, flat(), last_only)
    texts = [str(w.message) for w in caught]
    assert sum("lacks 2 of the model's 4" in t and "1.weight, 1.bias" in t for t in texts) == 1


@pytest.mark.parametrize("check", [None, True])
def test_fit_warns_of_a_double_softmax_once(check):
    with pytest.warns(CheckWarning) as caught:
        fitted(check, flat(nn.Softmax()), everything)
    assert sum("double softmax" in str(w.message) for w in caught) == 1


def test_fit_says_nothing_where_it_is_told_to():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(False, flat(nn.Softmax()), last_only)


# ------------------------------------------------------------------ commands

OWN = """
import minires
from minires import data, nn, optim

def make():
    train, valid = data.split(data.digits().subset(range(400)), 0.3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    return minires.Setup(
        model, train, valid, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1)
    )

def faulty():
    setup = make()
    setup.optimizer = optim.SGD(setup.model[3].parameters(), lr=0.1)
    return setup

def stops():
    raise RuntimeError("no data here")
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def run(*arguments):
    return cli.commands.run(["checkup", *map(str, arguments)])


def test_the_command_says_by_its_exit_code_whether_all_holds(own, capsys, tmp_path):
    assert run(own, "--seconds", 20) == (0, "")
    assert capsys.readouterr().out.startswith("checkup: 0 broken")
    assert run(f"{own}:faulty", "--seconds", 3, "--html", tmp_path / "page.html") == (1, "")
    assert "lacks 2 of the model's 4" in capsys.readouterr().out
    assert "lacks 2" in (tmp_path / "page.html").read_text()


def test_the_command_prints_json_alone(own, capsys):
    assert run(f"{own}::faulty", "--seconds", 2, "--json")[0] == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("{}:nothing", "defines no function 'nothing'"),
        ("{}:stops", "RuntimeError: no data here (line"),
        ("missing.py", "there is no file"),
        ("{}:nn", "no function"),
    ],
)
def test_the_command_tells_what_is_wrong_with_its_input_in_a_line(own, target, says):
    code, message = run(target.format(own), "--seconds", 1)
    assert code == 2
    assert says in message
    assert "\n" not in message


def test_train_takes_check(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--data", "digits", "--epochs", "1", "--check", "--out", "run"]
    assert cli.commands.run(arguments) == (0, "")

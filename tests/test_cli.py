"""The command line, as a user meets it: results, one-line errors, exit codes."""

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

import minires
from minires import cli, data, kernels, models
from minires.cli.evaluate import preparation
from minires.cli.metadata import Metadata
from minires.data import Normalize
from minires.kernels import ConvGeometry
from minires.training import History, evaluate, predictor
from minires.training.archive import read_archive

BIN = Path(sys.executable).parent
CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture
def no_picture(monkeypatch):
    """Skip the curves, which take longer than a small training."""
    monkeypatch.setattr(History, "write_plot", lambda self, path: None)


def real(*arguments, **options):
    """The installed command, in a process of its own."""
    command = shutil.which("minires", path=str(BIN))
    assert command is not None, f"minires is not installed in {BIN}"
    return subprocess.Popen(
        [command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        **options,
    )


def write_picture(path, rng, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


SETTINGS = ("--data", "digits", "--epochs", "2", "--seed", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder that a real `minires train` filled, and what it said."""
    folder = tmp_path_factory.mktemp("trained")
    process = real("train", *SETTINGS, "--out", "run", cwd=folder)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return folder / "run", out


@pytest.fixture
def names_and_pictures(tmp_path, rng):
    """`names(form)`: a folder of two accented classes, its names composed or not."""

    def names(form):
        for name in ("café", "thé"):
            for i in range(2):
                write_picture(
                    tmp_path / form / normalize(form, name) / f"{i}.png", rng, (20 + i, 30)
                )
        return form

    return names


# ---------------------------------------------------------------------- what works


def test_accents_of_another_system_are_the_same_classes(run, names_and_pictures, tmp_path):
    known = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": [8, 8]}
    classes = [normalize("NFC", name) for name in ("café", "thé")]
    minires.save(models.resnet8(2), tmp_path / "w.npz", classes=classes, **known)
    for form in ("NFC", "NFD"):
        code, out, err = run("eval", "--weights", "w.npz", "--data", names_and_pictures(form))
        assert (code, err) == (0, "")
        assert "of 2)" in out


def test_images_are_brought_to_a_size_whatever_the_weights_say(run, names_and_pictures, tmp_path):
    """Of unequal images, for weights that say no size: as for the same weights that do."""
    folder, normal = names_and_pictures("NFC"), ("--mean", "0.5,0.5,0.5", "--std", "1,1,1")
    network = models.resnet8(2)
    picture = next((tmp_path / folder).rglob("*.png"))
    known = {"mean": [0.5] * 3, "std": [1.0] * 3}
    minires.save(network, tmp_path / "silent.npz", **known)
    for size, asked in (([32, 32], ()), ([12, 12], ("--size", 12))):
        minires.save(network, tmp_path / "says.npz", **known, size=size)
        for command in (("eval", "--data", folder, "--weights"), ("predict",)):
            end = (picture,) if command[0] == "predict" else ()
            code, out, err = run(*command, "silent.npz", *end, *asked, *normal)
            assert (code, err) == (0, "")
            assert out.replace("silent", "says") == run(*command, "says.npz", *end, *normal)[1]
    code, _, err = run("predict", "silent.npz", picture, "--size", 4097)
    assert code == 2
    assert "--size" in err


def test_a_size_that_is_not_square_is_kept_and_covered(run, tmp_path):
    network = models.resnet8(2)
    minires.save(network, tmp_path / "a.npz", mean=[0.5] * 3, std=[1.0] * 3, size=[8, 12])
    code, out, _ = run("export", "b.npz", "--weights", "a.npz")
    assert (code, out.endswith("images 8 x 12\n")) == (0, True)
    assert minires.load(tmp_path / "b.npz").metadata["size"] == [8, 12]
    assert "images (N, 3, 8, 12)" in run("export", "b.onnx", "--weights", "a.npz")[1]
    white = np.full((1, 30, 20, 3), 255, np.uint8)
    prepare = preparation(Metadata(mean=[0.0] * 3, std=[1.0] * 3, size=[160, 240]), None, None)
    assert prepare(white).shape == (1, 160, 240, 3)
    assert prepare(white).min() == 1.0  # no black border
    code, _, err = run("export", "c.npz", "--weights", "a.npz", "--size", 4097)
    assert (code, (tmp_path / "c.npz").exists()) == (2, False)
    assert "4097" in err


def test_a_network_that_answers_nothing_says_so(run, names_and_pictures, tmp_path):
    network = models.resnet8(2)
    network.conv1.weight.data[0, 0, 0, 0] = np.nan
    known = {"mean": [0.5] * 3, "std": [1.0] * 3, "size": [8, 8]}
    minires.save(network, tmp_path / "w.npz", **known)
    folder = names_and_pictures("NFC")
    picture = next((tmp_path / folder).rglob("*.png"))
    for arguments in (
        ("eval", "--weights", "w.npz", "--data", folder),
        ("predict", "w.npz", picture),
    ):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "the network gives NaN or infinite numbers" in err


@pytest.mark.parametrize("values", [("0.5,0.5", "1,1"), ("0.5,0.5,0.5", "1,1,1")])
def test_means_of_other_channels_leave_nothing_behind(run, tmp_path, values):
    settings = ("--data", "digits", "--mean", values[0], "--std", values[1])
    code, out, err = run("train", *settings, "--out", "new")
    assert (code, out) == (2, "")
    assert f"digits has images of 1 channel, but there are {len(values[1]) // 2 + 1} numbers" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["run (1)", "a&b;c", "it's", "$HOME x"])
def test_commands_are_printed_to_be_pasted(run, no_picture, name):
    code, out, _ = run(
        "train", "--data", "digits", "--epochs", 1, "--batch-size", 646, "--out", name
    )
    assert code == 0
    command = next(line for line in out.splitlines() if "minires predict" in line)
    words = shlex.split(command.partition("the weights: ")[2])
    assert words == ["minires", "predict", f"{name}/best.npz", "IMAGE"]
    _, _, err = run("train", "--data", "digits", "--out", name)
    assert shlex.split(err.partition("already: ")[2].partition(", or")[0]) == ["--resume", name]


def test_eval_asks_on_what(run, tmp_path):
    minires.save(models.resnet8(10, 1), tmp_path / "w.npz", mean=[0.5], std=[0.5])
    code, out, err = run("eval", "--weights", "w.npz")
    assert (code, out) == (2, "")
    assert err.endswith("w.npz does not say what its network learned on: pass --data\n")


def test_train(trained):
    folder, out = trained
    lines = out.splitlines()
    assert lines[0] == (
        "resnet8, 75,002 parameters, on digits: 1,293 images to train, 144 held out, 360 to test"
    )
    threads = kernels.get_num_threads()
    assert lines[1] == (
        f"2 epochs of sgd in batches of 64, lr 0.3 onecycle, {threads} threads; writing to run"
    )
    assert [line.split()[0] for line in lines[2:5]] == ["epoch", "1/2", "2/2"]
    names = ["best.npz", "curves.png", "history.csv", "last.npz", "recipe.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert str(Path("run", name)) in out

    best = minires.load(folder / "best.npz")
    result = evaluate(
        best,
        data.digits(train=False),
        transform=Normalize(best.metadata["mean"], best.metadata["std"]),
        batch_size=64,
    )
    accuracy = f"  accuracy  {result.accuracy:.2%} ({result.correct:,} of 360)"
    loss = f"  loss      {result.loss:.4f}"
    start = lines.index(f"best epoch {best.metadata['epoch']} of 2, on the test images:")
    assert lines[start + 1 : start + 3] == [accuracy, loss]
    assert result.accuracy > 0.7  # two epochs; chance is 0.1

    table = [re.fullmatch(r"  (\d) +([\d,]+) +([\d,]+)  (.*)", line) for line in lines]
    rows = [match.groups() for match in table if match]
    labels = data.digits(train=False).labels
    right = result.predictions == labels
    assert [row[0] for row in rows] == list("0123456789")
    assert [int(row[1]) for row in rows] == [int(right[labels == k].sum()) for k in range(10)]
    assert [int(row[2]) for row in rows] == np.bincount(labels).tolist()
    for k, row in enumerate(rows):
        wrong = result.predictions[(labels == k) & ~right]
        counts = np.bincount(wrong, minlength=10)
        wanted = f"{counts.argmax()} ({counts.max()})" if len(wrong) else "-"
        assert row[3] == wanted


def test_the_recipe_and_the_metadata_that_are_written(trained):
    folder, _ = trained
    recipe = json.loads((folder / "recipe.json").read_text())
    assert (recipe["data"], recipe["epochs"], recipe["seed"]) == ("digits", 2, 1)
    metadata = minires.load(folder / "best.npz").metadata
    assert metadata["classes"] == list("0123456789")
    assert metadata["size"] == [8, 8]
    assert len(metadata["mean"]) == len(metadata["std"]) == 1


def test_eval_gives_the_figures_of_the_training(trained, run):
    folder, out = trained
    figures = [line for line in out.splitlines() if line.startswith(("  accuracy", "  loss"))]
    code, shown, err = run("eval", "--weights", folder / "best.npz", "--batch-size", 64)
    assert (code, err) == (0, "")
    assert shown.splitlines() == [
        f"{folder / 'best.npz'} on the test images of digits:",
        *figures,
    ]


def test_eval_with_a_mean_and_deviation_of_ones_own(trained, run):
    folder, _ = trained
    weights = folder / "best.npz"
    metadata = minires.load(weights).metadata
    own = run(
        "eval", "--weights", weights, "--mean", metadata["mean"][0], "--std", metadata["std"][0]
    )
    assert own == run("eval", "--weights", weights)
    assert run("eval", "--weights", weights, "--mean", "0.9") != own


@pytest.fixture
def compiled(monkeypatch):
    """What `eval` and `predict` compile, where a plan pays for a few images already."""
    made = []
    compiling = predictor.compile
    monkeypatch.setattr(predictor, "compile", lambda *args: made.append(1) or compiling(*args))
    for name, few in (("CALLS", 2), ("CALLS_EACH_TIME", 2)):
        monkeypatch.setattr(predictor, name, few)
    return made


def test_eval_and_predict_by_a_plan_and_without(trained, run, tmp_path, compiled):
    weights = trained[0] / "best.npz"
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, image in zip(paths, data.digits(train=False).images, strict=False):
        Image.fromarray(image[..., 0]).save(path)
    for command in (("eval", "--weights", weights), ("predict", weights, *paths)):
        assert compiled == []
        plain = run(*command, "--no-compile")
        assert (plain[0], plain[2], compiled) == (0, "", [])
        assert run(*command) == plain
        assert compiled == [1]
        compiled.clear()


@pytest.mark.filterwarnings("default")
def test_a_network_that_cannot_be_recorded_is_evaluated_and_a_line_says_so(
    trained, run, compiled, monkeypatch
):
    def looking(self, x, forward=minires.models.ResNet.forward):
        y = forward(self, x)
        assert np.isfinite(float(y.mean()))
        return y

    command = ("eval", "--weights", trained[0] / "best.npz")
    plain = run(*command, "--no-compile")
    monkeypatch.setattr(minires.models.ResNet, "forward", looking)
    code, out, err = run(*command)
    assert (code, out) == plain[:2]
    assert err.count("\n") == 1
    assert "the network is evaluated without a plan: " in err
    assert compiled == []


def test_predict_a_picture_of_a_test_image(trained, run, tmp_path):
    """Grey, in colour, and enlarged: what is said is what the network says of the array."""
    folder, _ = trained
    best = minires.load(folder / "best.npz")
    test = data.digits(train=False)
    transform = Normalize(best.metadata["mean"], best.metadata["std"])
    chosen = test.subset(np.arange(4))
    logits = best(minires.Tensor(transform(chosen.images))).numpy().astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    paths = []
    for i, image in enumerate(chosen.images):
        grey = Image.fromarray(image[..., 0])
        paths.append(tmp_path / f"{i}.png")
        (grey.convert("RGB") if i % 2 else grey).save(paths[-1])
    code, out, err = run("predict", folder / "best.npz", *paths, "--top", 3)
    assert (code, err) == (0, "")
    wanted = []
    for path, row in zip(paths, probabilities, strict=True):
        wanted.append(str(path))
        wanted += [f"  {row[k]:7.2%}  {k}" for k in np.argsort(-row)[:3]]
    assert out.splitlines() == wanted
    assert (probabilities.argmax(axis=1) == chosen.labels).sum() >= 3

    Image.fromarray(chosen.images[0, ..., 0]).resize((160, 160)).save(tmp_path / "large.png")
    _, out, _ = run("predict", folder / "best.npz", tmp_path / "large.png")
    assert out.splitlines()[1].endswith(f"  {chosen.labels[0]}")
    assert len(out.splitlines()) == 6  # five classes


@pytest.mark.parametrize(
    ("arguments", "parameters", "last"),
    [
        (["resnet20"], "269,722", "(N, 10)"),
        (["resnet20", "--classes", "100", "--channels", "1"], "275,284", "(N, 100)"),
        (["resnet50"], "25,557,032", "(N, 1000)"),
        (["resnet18", "--size", "64", "--classes", "7"], "11,180,103", "(N, 7)"),
    ],
)
def test_summary(run, arguments, parameters, last):
    code, out, err = run("summary", *arguments)
    assert (code, err) == (0, "")
    assert re.search(rf"^parameters +{parameters}$", out, re.M)
    assert last in next(line for line in out.splitlines() if line.startswith("fc "))


def test_info(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    code, out, err = run("info")
    assert (code, err) == (0, "")
    assert f"minires   {minires.__version__}\n" in out
    assert f"NumPy     {np.__version__}\n" in out
    assert "no cuda: CuPy is not installed" in out
    assert all(name in out for name in (*data.DATASET_NAMES, *models.MODELS))


def test_notebooks_are_copied_once_and_ones_own_changes_stay(run, tmp_path):
    folder = tmp_path / "a" / "b"
    code, out, err = run("notebooks", folder, "--no-open")
    wanted = sorted((CHECKOUT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    assert (code, err) == (0, "")
    assert out == f"{folder}: {len(wanted)} notebooks copied\n"
    assert sorted(path.name for path in folder.iterdir()) == [path.name for path in wanted]
    first = folder / wanted[0].name
    assert first.read_bytes() == wanted[0].read_bytes()
    first.write_text("mine")
    code, out, err = run("notebooks", folder, "--no-open")
    assert out.splitlines() == [
        f"{folder}: all notebooks are there",
        f"kept, as you have changed them: {first.name}",
    ]
    assert first.read_text() == "mine"


def test_notebooks_are_copied_without_outputs(run, tmp_path):
    folder = tmp_path / "mine"
    code, out, err = run("notebooks", folder, "--clear", "--no-open")
    wanted = sorted((CHECKOUT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    assert (code, err) == (0, "")
    assert out == f"{folder}: {len(wanted)} notebooks copied\n"
    for source in wanted:
        full, copy = (
            json.loads(path.read_text(encoding="utf-8")) for path in (source, folder / source.name)
        )
        code_cells = [cell for cell in copy["cells"] if cell["cell_type"] == "code"]
        assert {(len(c["outputs"]), c["execution_count"]) for c in code_cells} == {(0, None)}
        assert any(cell.get("outputs") for cell in full["cells"])
        for cell in full["cells"]:
            cell |= {"outputs": [], "execution_count": None} if "outputs" in cell else {}
        assert copy == full  # all else stays
    (folder / wanted[0].name).write_bytes(wanted[0].read_bytes())  # with outputs: it stays
    code, out, err = run("notebooks", folder, "--clear", "--no-open")
    assert out.splitlines() == [
        f"{folder}: all notebooks are there",
        f"kept, as they have changes or outputs: {wanted[0].name}",
    ]
    assert (folder / wanted[0].name).read_bytes() == wanted[0].read_bytes()


def test_notebooks_without_jupyterlab_are_copied_and_the_way_on_is_told(run, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, out, err = run("notebooks")
    assert code == 1
    assert "copied" in out
    assert list((tmp_path / "minires-notebooks").iterdir())
    assert err.startswith("minires: JupyterLab is not installed: pip install 'minires[notebooks]'")
    assert err.count("\n") == 1


def test_notebooks_opens_the_first_in_jupyterlab(run, monkeypatch, tmp_path):
    calls = []

    def instead(command, **options):
        calls.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(subprocess, "run", instead)
    code, _, _ = run("notebooks", "mine")
    trusted, opened = calls
    assert code == 0
    assert trusted[1:4] == ["-m", "jupyter", "trust"]
    assert set(trusted[4:]) == {f"mine/{path.name}" for path in (tmp_path / "mine").iterdir()}
    assert opened[1:3] == ["-m", "jupyterlab"]
    assert opened[3].startswith("mine/01_")


def test_info_of_a_convolution(run):
    code, out, err = run("info", "--conv", 8, 56, 57, 64, 48, 3, 2)
    assert (code, err) == (0, "")
    assert "output (8, 28, 29, 48)" in out
    assert f"{8 * 28 * 29 * 48 * 3 * 3 * 64:,} multiply-adds" in out
    choices = kernels.explain(
        (8, 56, 57, 64), (3, 3, 64, 48), geometry=ConvGeometry(stride=(2, 2), padding=(1, 1))
    )
    for task, (name, reason) in choices.items():
        assert re.search(rf"^{task} +{name} +{re.escape(reason)}$", out, re.M)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((8, 56, 56, 64, 0, 3, 1), "seven positive numbers, got 8 56 56 64 0 3 1"),
        ((8, 56), "requires 7 arguments"),
    ],
)
def test_info_of_no_convolution(run, numbers, message):
    code, out, err = run("info", "--conv", *numbers)
    assert (code, out) == (2, "")
    assert message in err


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "minires", "summary", "resnet9"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("minires: unknown model 'resnet9' (did you mean resnet")


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ((), ["train", "eval", "predict", "summary", "notebooks", "info", "bench"]),
        (("info",), ["--conv", "N H W C O K S"]),
        (("bench",), ["--rounds", "--seconds"]),
        (
            ("train",),
            [
                "--data",
                "--model",
                "--epochs",
                "--lr",
                "--max-grad-norm",
                "--no-compile",
                "--seed",
                "--out",
                "--resume",
            ],
        ),
        (("eval",), ["--weights", "--data", "--batch-size", "--no-compile", "use a plan"]),
        (("predict",), ["WEIGHTS", "IMAGES", "--top", "--no-compile"]),
        (("summary",), ["MODEL", "--size"]),
        (("notebooks",), ["DIR", "--no-open", "JupyterLab"]),
        (("info",), ["versions"]),
    ],
)
def test_help(run, monkeypatch, command, wanted):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    assert "Usage: minires" in out
    missing = [word for word in wanted if word.lower() not in out.lower()]
    assert missing == []
    assert run(*command, "-h") == (0, out, "")


def test_a_terminal_of_no_known_width_gets_the_help_too(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    assert "minires" in run("--help")[1]


def test_no_command_shows_the_help(run):
    assert run() == run("--help")


def test_results_go_to_a_new_folder_by_default(run, no_picture):
    for name in ("digits-plain8", "digits-plain8-2"):
        code, out, _ = run("train", "--data", "digits", "--model", "plain8", "--epochs", 1)
        assert code == 0
        assert f"writing to {Path('runs', name)}" in out
        assert Path("runs", name, "best.npz").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="six processes are slow to start there")
def test_trainings_that_begin_together_take_folders_of_their_own(tmp_path):
    small = (
        *["train", "--data", "digits", "--model", "plain8", "--epochs", "1", "--valid", "0.9"],
    )
    together = [real(*small, cwd=tmp_path) for _ in range(3)]
    together += [real(*small, "--out", "same", cwd=tmp_path) for _ in range(2)]
    results = [(process.communicate(timeout=240), process.returncode) for process in together]
    assert [code for _, code in results[:3]] == [0, 0, 0]
    assert sorted(code for _, code in results[3:]) == [0, 2]
    (_, refusal), _ = max(results[3:], key=lambda result: result[1])
    assert re.fullmatch(
        r"minires: same (is in use by another|holds a training already).*\n", refusal
    )
    stem = "digits-plain8"
    folders = [*(Path("runs", stem + more) for more in ("", "-2", "-3")), Path("same")]
    for folder in folders:
        names = ["best.npz", "curves.png", "history.csv", "last.npz", "recipe.json"]
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == names
        assert sum(f"writing to {folder}\n" in out for (out, _), _ in results) >= 1


def test_curves_that_cannot_be_drawn_cost_no_result(run, monkeypatch):
    def plot(self, title=""):
        raise RuntimeError("no font")

    monkeypatch.setattr(History, "plot", plot)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, out, err = run("train", "--data", "digits", "--model", "plain8", "--epochs", 1)
    assert (code, err) == (0, "minires: warning: the curves cannot be drawn: no font\n")
    assert "on the test images" in out


def test_the_test_images_are_used_once_after_the_training(run, monkeypatch, no_picture):
    """Whoever looks at them before the end could choose by them."""
    events, tasks, prepared = [], [], []
    load_task = cli.train.load_task

    def watched(recipe):
        task = load_task(recipe)
        for name, part in (("train", task.train), ("valid", task.valid), ("test", task.test)):
            take = part.take

            def noting(indices, name=name, take=take):
                events.append((name, len(indices)))
                return take(indices)

            monkeypatch.setattr(part, "take", noting)
        tasks.append(task)
        return task

    def evaluating(*arguments, **options):
        prepared.append(options["transform"])
        return evaluate(*arguments, **options)

    monkeypatch.setattr(cli.train, "load_task", watched)
    monkeypatch.setattr(cli.evaluate, "evaluate", evaluating)
    few = ("--data", "digits", "--model", "plain8", "--epochs", 2, "--augment", "flip")
    code, _, _ = run("train", *few)
    assert code == 0
    assert prepared == [tasks[0].eval_transform]  # not augmented
    names = [name for name, _ in events]
    assert names.index("test") > max(i for i, name in enumerate(names) if name != "test")
    assert sum(count for name, count in events if name == "test") == 360
    assert sum(count for name, count in events if name == "valid") == 2 * 144


def test_train_in_mixed_precision_and_go_on(run, no_picture, tmp_path):
    small = ("--data", "digits", "--model", "resnet8", "--valid", 0.97, "--batch-size", 16)
    code, out, err = run("train", *small, "--epochs", 1, "--amp", "--out", "mixed")
    assert (code, err) == (0, "")
    assert "mixed precision on the CPU: correct, but slower than without --amp" in out
    assert json.loads((tmp_path / "mixed" / "recipe.json").read_text())["amp"] is True
    last = read_archive(tmp_path / "mixed" / "last.npz", "checkpoint")
    assert last["amp"]["scale"] + last["amp"]["skipped"] > 0
    assert {a.dtype for k, a in last["model"].items() if k.endswith("weight")} == {np.dtype("f4")}
    code, out, err = run("train", "--resume", "mixed")
    assert (code, err) == (0, "")


@pytest.mark.usefixtures("no_picture")
def test_a_folder_that_has_changed_is_not_trained_on(run, tmp_path, rng):
    for name in ("ant", "bee"):
        for number in range(4):
            write_picture(tmp_path / "insects" / name / f"{number}.png", rng)
    settings = ("--model", "resnet8", "--epochs", 1, "--batch-size", 3)
    assert run("train", "--data", "insects", *settings, "--out", "out")[0] == 0
    (tmp_path / "insects" / "ant").rename(tmp_path / "insects" / "wasp")
    code, _, err = run("train", "--resume", "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "classes were ant, bee, are bee, wasp" in err
    (tmp_path / "insects" / "wasp").rename(tmp_path / "insects" / "ant")
    (tmp_path / "insects" / "ant" / "0.png").rename(tmp_path / "insects" / "ant" / "00.png")
    code, _, err = run("train", "--resume", "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "their labels have changed since" in err


# ---------------------------------------------------------------------- stopped and resumed


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_and_the_command_that_goes_on(trained, tmp_path):
    process = real("train", *SETTINGS, "--out", "my run", cwd=tmp_path)
    for line in process.stdout:
        if line.split()[:1] == ["1/2"]:
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    found = re.fullmatch(
        r"minires: stopped at epoch 2, step \d+ of 20; saved in my run\. "
        r"Go on with: minires (.*)\n",
        err,
    )
    assert found, err
    again = real(*shlex.split(found[1]), cwd=tmp_path)
    out, err = again.communicate(timeout=60)
    assert (again.returncode, err) == (0, "")
    folder, whole = trained
    results = whole[whole.index("best epoch") : whole.index("written:")]
    assert results in out
    for name, kind in (("best.npz", "weights"), ("last.npz", "checkpoint")):
        got = read_archive(tmp_path / "my run" / name, kind)
        wanted = read_archive(folder / name, kind)
        key = "state" if kind == "weights" else "model"
        for name_of, array in wanted[key].items():
            np.testing.assert_array_equal(got[key][name_of], array)


def test_a_second_ctrl_c_has_nothing_more_to_say(run, monkeypatch):
    def fit(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.train, "fit", fit)
    code, _, err = run("train", "--data", "digits")
    assert (code, err) == (130, "minires: interrupted\n")


def test_a_training_killed_before_its_first_state_begins_anew(trained, run, no_picture):
    folder, _ = trained
    killed = Path("killed")
    killed.mkdir()
    shutil.copy(folder / "recipe.json", killed)
    code, out, err = run("train", "--resume", killed)
    assert (code, err) == (0, "")
    assert "going on" not in out
    assert (killed / "best.npz").read_bytes() == (folder / "best.npz").read_bytes()
    (killed / "last.npz").unlink()
    code, _, err = run("train", "--resume", killed)  # that it cannot have been killed at
    assert (code, err) == (
        2,
        f"minires: cannot read {killed / 'last.npz'}: No such file or directory\n",
    )


def test_a_finished_training_may_be_resumed_from_anywhere(trained, run, no_picture):
    folder, whole = trained
    before = (folder / "best.npz").read_bytes()
    code, out, err = run("train", "--resume", folder)
    assert (code, err) == (0, "")
    assert whole[whole.index("best epoch") : whole.index("written:")] in out
    assert (folder / "best.npz").read_bytes() == before


def test_a_folder_of_images_given_by_a_relative_path_is_found_when_resumed(
    run, monkeypatch, tmp_path, no_picture
):
    picture_folder(tmp_path / "pictures")
    fast = ("--model", "resnet8", "--epochs", 1, "--batch-size", 7)
    code, _, err = run("train", "--data", "pictures", *fast, "--out", "out")
    assert (code, err) == (0, "")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr("pytest.MonkeyPatch.chdir", lambda self, path: None)
    code, _, err = run("train", "--resume", tmp_path / "out")
    assert (code, err) == (0, "")


# ---------------------------------------------------------------------- other data


def picture_folder(folder, count=5):
    """Reddish and bluish pictures of several sizes."""
    rng = np.random.default_rng(0)
    for name, channel in (("blue", 2), ("red", 0)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 80, (40 + i, 50, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def test_a_folder_of_images_from_end_to_end(run, tmp_path, no_picture):
    picture_folder(tmp_path / "pictures")
    code, out, err = run(
        *("train", "--data", "pictures", "--model", "resnet8", "--epochs", 1, "--lr", 0.1),
        *("--batch-size", 7, "--augment", "none", "--out", "out"),
    )
    assert (code, err) == (0, "")
    assert "7 images to train, 1 held out, 2 to test" in out
    code, out, err = run("eval", "--weights", "out/best.npz")
    assert (code, err) == (0, "")
    assert "of 2)" in out
    Image.new("RGB", (300, 200), (200, 30, 30)).save("picture.jpg")
    code, out, err = run("predict", "out/best.npz", "picture.jpg")
    assert (code, err) == (0, "")
    assert sorted(line.split()[1] for line in out.splitlines()[1:]) == ["blue", "red"]
    code, _, err = run("eval", "--weights", "out/best.npz", "--data", "digits")
    assert (code, err) == (2, "minires: the weights know 2 classes, digits has 10\n")


def test_what_a_folder_is_taken_for_is_said(run, tmp_path, no_picture):
    picture_folder(tmp_path / "pictures" / "Train")
    picture_folder(tmp_path / "pictures" / "my-val", 1)
    (tmp_path / "pictures" / "notes").mkdir()
    (tmp_path / "pictures" / "Train" / "red" / "IMG_1.HEIC").write_bytes(b"")
    fast = ("--model", "resnet8", "--epochs", 1, "--batch-size", 7, "--lr", 0.01)
    code, out, err = run("train", "--data", "pictures", *fast, "--out", "out")
    assert (code, err) == (0, "")
    assert "9 images to train, 1 held out, 2 to test" in out
    assert "\n2 classes: blue, red\n" in out
    assert "\nto train on: Train; to test on: my-val; not used: notes\n" in out
    left_out = "left out: 1 file that is in no class, or no image by the name (.HEIC)"
    assert f"\n{left_out}\n" in out
    assert "\nchecking 12 images\n" in out


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_damaged_image_is_found_before_the_training(run, tmp_path, part):
    for name in ("train", "test"):
        picture_folder(tmp_path / "pictures" / name)
    path = tmp_path / "pictures" / part / "red" / "3.png"
    path.write_bytes(path.read_bytes()[:-900])
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run("train", "--data", "pictures", "--model", "resnet8", "--out", "out")
    assert code == 2
    assert re.fullmatch(rf"minires: {path}: cannot be read as an image: [^\n]*\n", err)
    assert "epoch   train loss" not in out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_test_image_that_is_gone_at_the_end_costs_no_training(run, tmp_path, monkeypatch):
    picture_folder(tmp_path / "pictures" / "train")
    picture_folder(tmp_path / "pictures" / "test")
    path = tmp_path / "pictures" / "test" / "red" / "3.png"
    content = path.read_bytes()
    monkeypatch.setattr(History, "write_plot", lambda self, _: path.unlink())
    fast = ("--model", "resnet8", "--epochs", 1, "--lr", 0.01)
    code, _, err = run("train", "--data", "pictures", *fast, "--out", "out")
    assert code == 2
    assert err == (
        f"minires: {path}: cannot be read as an image: No such file or directory. "
        "The training is done and saved; test with: minires train --resume out\n"
    )
    path.write_bytes(content)
    monkeypatch.setattr(History, "write_plot", lambda self, _: None)
    code, out, err = run("train", "--resume", "out")
    assert (code, err) == (0, "")
    assert "of 10)" in out


@pytest.mark.slow
@pytest.mark.shared
def test_cifar_from_its_archive(run, monkeypatch, shared, no_picture):
    """A few hundred images of it: training on the whole set takes minutes."""
    load_dataset = data.load_dataset
    sizes = []

    def few(name, root=None, *, train, download=False):
        whole = load_dataset(name, root, train=train, download=download)
        sizes.append(len(whole))
        return whole.subset(np.arange(320 if train else 100))

    monkeypatch.setattr(data, "load_dataset", few)
    root = shared / "data"
    code, out, err = run(
        *("train", "--data", "cifar10", "--data-dir", root, "--model", "resnet8", "--epochs", 1),
        *("--batch-size", 32, "--out", "out"),
    )
    assert (code, err) == (0, "")
    assert sizes == [50_000, 10_000]
    assert "288 images to train, 32 held out, 100 to test" in out
    metadata = minires.load("out/best.npz").metadata
    assert metadata["classes"][3] == "cat"
    # the published statistics of the whole set are 0.491, 0.482, 0.447
    assert metadata["mean"] == pytest.approx([0.491, 0.482, 0.447], abs=0.03)


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian", "No such command"),
        ("train --epoch-count 3", "No such option.*--epoch-count"),
        ("train more", "unexpected extra argument"),
        ("train --epochs ten", "--epochs(?=.*'ten').*integer"),
        ("train --lr fast", "--lr(?=.*'fast').*(float|number)"),
        ("train --model resnet9", r"unknown model 'resnet9' \(did you mean resnet\d+\?\)"),
        ("summary RESNET18", r"unknown model 'RESNET18' \(did you mean resnet18\?\)"),
        ("train --data mnits", "unknown dataset 'mnits': expected one of digits, fashion-mini"),
        ("train --data cifar10 --data-dir nowhere", "CIFAR-10 is not in .*nowhere"),
        ("train --data=", "--data is empty"),
        ("train --data-dir= --data cifar10", "--data-dir is empty"),
        ("train --out=", "--out is empty"),
        ("train --optimizer lion", "unknown optimizer 'lion': one of sgd, adam, adamw, rmsprop"),
        ("train --schedule linear", "unknown schedule 'linear': one of onecycle, cosine, step"),
        ("train --augment spin", "unknown augmentation 'spin': crop, flip or none"),
        ("train --epochs 0", "epochs must be at least 1, got 0"),
        ("train --epochs -3", "epochs must be at least 1, got -3"),
        ("train --batch-size 0", "batch_size must be at least 1, got 0"),
        ("train --lr nan", "lr must be a number greater than 0, got nan"),
        ("train --lr inf", "lr must be a number greater than 0, got inf"),
        ("train --lr -0.1", "lr must be a number greater than 0, got -0.1"),
        ("train --weight-decay -1", "weight_decay must be a number, at least 0, got -1"),
        ("train --label-smoothing 2", "label_smoothing must be 0 to 1, got 2"),
        ("train --valid 1", "valid must be a share between 0 and 1, got 1"),
        ("train --valid 0.00001", "5,000 images are too few to hold a share of 1e-05 out"),
        ("train --seed -1", "seed must be at least 0, got -1"),
        ("train --device gpu", "unknown device 'gpu'"),
        ("train --device cuda", "CuPy is not installed.*pip install 'minires"),
        ("train --device cuda:one", "unknown device 'cuda:one'"),
        ("train --resume nowhere", r"no training to resume: nowhere.recipe.json does not exist"),
        ("train --resume file", r"no training to resume: file.recipe.json does not exist"),
        ("train --out file", "file is no folder: name a folder for --out"),
        ("train --data empty", "empty: no folders in it"),
        ("eval", "--weights"),
        ("eval --weights nowhere.npz", "cannot read nowhere.npz: No such file"),
        ("eval --weights empty", "cannot read empty"),
        ("eval --weights file", "file is damaged or not a minires weights file"),
        ("eval --weights w.npz --data mnits", "unknown dataset 'mnits'"),
        ("eval --weights w.npz --data digits", "these weights do not say how to normalise"),
        ("eval --weights w.npz --mean a --std 1", "--mean wants numbers with commas .*got 'a'"),
        ("eval --weights w.npz --mean nan --std 1", "--mean wants numbers .*got 'nan'"),
        ("eval --weights w.npz --data digits --mean 0,0 --std 1", "2 means but 1 deviations"),
        ("eval --weights w.npz --data digits --mean 0 --std 0", "deviation must be above 0"),
        ("eval --weights w.npz --batch-size 0", "--batch-size.*1"),
        ("eval --weights w.npz --device cuda", "CuPy is not installed"),
        ("predict w.npz", "(?i)missing argument.*images"),
        ("predict nowhere.npz file", "cannot read nowhere.npz: No such file"),
        ("predict w.npz nowhere.png --top 0", "--top.*1"),
        ("predict n.npz nowhere.png", "nowhere.png: cannot be read as an image: .*No such file"),
        ("predict n.npz file", "file: cannot be read as an image"),
        ("predict n.npz empty", "empty: cannot be read as an image"),
        ("summary", "(?i)missing argument.*model"),
        ("summary resnet9", "unknown model 'resnet9'"),
        ("summary resnet8 --size 0", "--size.*1"),
        ("summary resnet8 --classes -1", "--classes.*1"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2(run, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr("minires.backend._working_cupy", None)
    (tmp_path / "file").write_text("something else")
    (tmp_path / "empty").mkdir()
    network = models.resnet8(in_channels=1)
    minires.save(network, tmp_path / "w.npz")
    minires.save(network, tmp_path / "n.npz", mean=[0.3], std=[0.3], size=[8, 8])
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert re.fullmatch(r"minires: [^\n]+\n", err)
    assert re.search(message, err)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_argument_is_not_the_working_directory(run, tmp_path):
    for arguments in (
        ("train", "--data", ""),
        ("train", "--out", ""),
        ("train", "--data", "digits", "--out", " "),
        ("train", "--resume", ""),
        ("eval", "--weights", "w.npz", "--data", ""),
        ("predict", "w.npz", ""),
        ("export", "--model", "resnet8", ""),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"minires: (--[\w-]+ is|an) empty[^\n]*\n", err), err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_training_is_not_overwritten(trained, run):
    folder, _ = trained
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, out, err = run("train", "--out", folder)
    assert (code, out) == (2, "")
    assert err == (
        f"minires: {folder} holds a training already: --resume {folder}, or another --out\n"
    )
    code, out, err = run("train", "--resume", folder, "--epochs", 9, "--batch-size", 3)
    assert (code, out) == (2, "")
    assert err == (
        f"minires: --resume goes on with the settings in {folder}: leave out "
        "--epochs, --batch-size\n"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_damaged_training_is_not_resumed(trained, run, tmp_path):
    folder, _ = trained
    for name in ("last.npz", "recipe.json"):
        copy = tmp_path / f"without {name}"
        shutil.copytree(folder, copy)
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[: len(content) // 2])
        code, _, err = run("train", "--resume", copy)
        assert code == 2
        assert re.fullmatch(rf"minires: .*{name} is damaged[^\n]*\n", err)
        (copy / name).unlink()
        code, _, err = run("train", "--resume", copy)
        assert code == 2
        assert re.fullmatch(rf"minires: .*{name}[^\n]*\n", err)


def test_damaged_weights(trained, run, tmp_path):
    whole = (trained[0] / "best.npz").read_bytes()
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "w.npz").write_bytes(whole[:cut])
        for command in (("eval", "--weights", "w.npz"), ("predict", "w.npz", "image.png")):
            code, out, err = run(*command)
            assert (code, out) == (2, "")
            assert re.fullmatch(r"minires: w.npz is damaged or not a minires weights[^\n]*\n", err)


def test_weights_of_other_classes(trained, run):
    """Ten classes each, yet digits are no clothes: figures for them would mean nothing."""
    code, out, err = run("eval", "--weights", trained[0] / "best.npz", "--data", "fashion-mini")
    assert (code, out) == (2, "")
    assert err == (
        "minires: the weights know other classes (0, 1, 2, ...) than fashion-mini has "
        "(T-shirt/top, trouser, pullover, ...)\n"
    )


@pytest.mark.filterwarnings("always::minires.checks.CheckWarning")
def test_a_loss_that_is_not_finite_gets_one_line_and_exit_code_1(run, no_picture):
    code, _, err = run("train", "--data", "digits", "--lr", "1e30", "--epochs", 1)
    assert code == 1
    assert re.fullmatch(
        r"minires: warning: weight decay alone [^\n]*\n"
        r"minires: the loss is \w+ at epoch 1, step 2: [^\n]*Try a smaller learning rate\.\n",
        err,
    )


def test_a_picture_larger_than_memory_gets_one_line(run):
    code, out, err = run("summary", "resnet8", "--size", 10**7)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"minires: not enough memory: Unable to allocate [^\n]*\n", err)


def test_a_terminal_that_lacks_the_letters_of_a_class(monkeypatch, run, tmp_path):
    image = Path("image.png")
    Image.new("L", (8, 8)).save(image)
    network = models.resnet8(num_classes=2, in_channels=1)
    minires.save(network, "w.npz", classes=["café", "犬"], mean=[0.5], std=[0.5], size=[8, 8])
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    assert run("predict", "w.npz", image)[0] == 0
    assert rb"  caf\xe9" in shown.getvalue()
    assert rb"  \u72ac" in shown.getvalue()


def test_a_full_disk_gets_one_line(run, monkeypatch, no_picture):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run("train", "--data", "digits", "--epochs", 1, "--out", "out")
    assert code == 2
    path = Path("out", "recipe.json")
    assert err == (
        f"minires: cannot write {path}: No space left on device; what was there is unchanged\n"
    )
    assert not Path("out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
def test_a_reader_that_has_seen_enough():
    """As in `minires summary resnet332 | head -1`; the rest does not fit into a pipe."""
    process = real("summary", "resnet332")
    assert process.stdout.readline().startswith("ResNet, input")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


def test_a_state_dict_alone_is_told(run):
    minires.save(models.resnet8(in_channels=1).state_dict(), "state.npz")
    for command in (["predict", "state.npz", "i.png"], ["eval", "--weights", "state.npz"]):
        code, _, err = run(*command)
        assert code == 2
        assert re.fullmatch(r"minires: state.npz holds a state_dict alone, [^\n]*\n", err)

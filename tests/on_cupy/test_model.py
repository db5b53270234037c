"""The model of a GPU's time is of today's launches, and its arithmetic is sound."""

import pytest

from benchmarks import layers, markdown
from benchmarks.gpu import model, registers
from minires.bench import Task
from on_cupy import budget, launches

RECORD = "python tests/on_cupy/launches.py"
H100 = next(gpu for gpu in model.GPUS if gpu.name == "H100")


@pytest.fixture(scope="module")
def steps():
    return model.recorded()


def test_the_page_shows_the_model_as_it_is_now():
    page = registers.DOCS.read_text(encoding="utf-8")
    for name, make in model.pages().items():
        assert markdown.block(page, name) == make(), "python -m benchmarks.gpu.model --write"


def test_the_launches_of_a_step_are_those_recorded(emulated, steps):
    found = launches.record(emulated.emulation, "resnet20", *model.NETWORKS["resnet20"])
    assert found == steps["resnet20"], RECORD


def test_of_every_network_as_many_as_the_budget_has(steps):
    page = budget.DOCS.read_text(encoding="utf-8")
    table = markdown.block(page, "networks").splitlines()[2:]
    for line in table:
        name, _, kernels, products = (cell.strip() for cell in line.strip("| ").split("|"))
        cublas = sum(row["kernel"] == "cuBLAS" for row in steps[name])
        assert (len(steps[name]) - cublas, cublas) == (int(kernels), int(products)), RECORD


@pytest.mark.parametrize("network", model.NETWORKS)
def test_a_step_computes_what_its_layers_ask_for(steps, network):
    images, size, _ = model.NETWORKS[network]
    wanted = layers.operations(Task(network, "step", network, (images, size, size, 3)))
    assert sum(row["flop"] for row in steps[network]) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("sheet", model.GPUS, ids=lambda sheet: sheet.name)
def test_no_launch_is_faster_than_its_floor(steps, sheet):
    for rows in steps.values():
        for row in rows:
            assert model.predicted(row, sheet) > model.floor(row, sheet)
            if "multiplied" in row:
                assert row["multiplied"] >= row["flop"]
                assert 1 <= model.resident(row, sheet) * row["threads"] <= model.THREADS


def test_few_blocks_are_slow_and_so_is_one_more_than_fits():
    row = {"kernel": "cupy_sum", "blocks": 1, "threads": 512, "bytes": 1 << 26, "flop": 0}
    alone = model.moving(row, H100)
    assert alone == pytest.approx(16 * model.moving(row | {"blocks": 16}, H100))
    assert model.moving(row | {"blocks": 4096}, H100) == (1 << 26) / (
        H100.bandwidth * model.STREAMING
    )
    full = {"kernel": "conv_forward", "tile": 128, "vector": 1, "threads": 256, "bytes": 0}
    full |= {"blocks": H100.processors, "flop": 1e12, "multiplied": 1e12}
    more = full | {"blocks": H100.processors + 1}
    assert model.computing(full, H100) == pytest.approx(1e12 / (0.6 * H100.peak))
    assert 1.9 < model.computing(more, H100) / model.computing(full, H100) < 2


def test_every_launch_has_a_layer_and_a_kind(steps):
    for rows in steps.values():
        assert sum(map(len, model.grouped(rows, model.kind).values())) == len(rows)
        for row in rows:
            conv = row["kernel"].startswith("conv_")
            assert conv == ("conv" in row["layer"] or "downsample.0" in row["layer"]) or (
                row["kernel"] == "add_shares"
            ), row


def test_what_is_unknown_is_said(capsys):
    with pytest.raises(Exception, match="resnet50"):
        model.main("resnet19")
    model.main("resnet20", "A100")
    assert "layer3.2.conv2, backward" in capsys.readouterr().out

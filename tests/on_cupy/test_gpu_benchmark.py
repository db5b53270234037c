"""`python -m benchmarks.gpu` runs, on the emulated GPU, and says what is missing."""

import json

import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import parts


def test_every_part_runs(emulated, tmp_path):
    path = tmp_path / "gpu.json"
    results = command.run(emulated.cupy, 10, path, tiny=True)
    assert json.loads(path.read_text()) == results
    for name in ("ceilings", "right", "steps", "launch", "layers"):
        assert results[name], name
        assert "failed" not in results[name], results[name]["failed"]
        assert "not all" not in results[name], name
    for case in results["right"].values():
        for found in case.values():
            assert found["error"] < 3e-6
            assert found["same again"]


def test_without_time_nothing_is_begun(emulated, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "RESERVE", 1e9)
    bench = parts.Bench(emulated.cupy, None, False, lambda: 5.0)
    assert bench.late()
    assert not list(bench.steps())
    assert not list(bench.layers())


def test_without_a_gpu_it_says_so(monkeypatch, tmp_path):
    def none():
        raise command.backend.DeviceError("CuPy is not installed")

    monkeypatch.setattr(command.backend, "load_cupy", none)
    with pytest.raises(SystemExit, match=r"benchmarks\.gpu: CuPy is not installed"):
        command.main(json_file=tmp_path / "gpu.json")

"""docs/distributed.md: its computed figures, its pictures, and the measurement behind others."""

import json
import re

import pytest

from benchmarks.distributed import pages, ring
from benchmarks.markdown import with_blocks, without_blocks

PAGE = pages.PAGE.read_text(encoding="utf-8")


def test_the_page_says_what_the_code_computes_and_measured():
    assert with_blocks(PAGE, pages.BLOCKS) == PAGE, "run: python -m benchmarks.distributed --pages"
    assert re.findall(r"\d[\d.,]* ?(ms|%)", without_blocks(PAGE)) == []
    shown = re.findall(r"\(images/distributed-(\w+)\.png\)", PAGE)
    assert sorted(shown) == sorted(pages.figures())
    assert all((pages.IMAGES / f"distributed-{name}.png").exists() for name in shown)


def test_the_model_is_that_of_two_rounds_around_a_ring():
    """Rank by rank and message by message, where nobody waits."""
    link, ranks, count = ring.Link(8 / ring.USED, 0.5), 4, 12e9  # 1e9 bytes a second
    clock = 0.0
    for _round in ("add up", "hand round"):
        for _message in range(ranks - 1):
            clock += 0.5 + count / ranks / 1e9
    assert ring.seconds(ranks, link, count) == pytest.approx(clock)
    assert ring.seconds(1, link, count) == 0
    assert ring.efficiency(ranks, link, count, clock) == pytest.approx(0.5)


def test_a_turn_is_measured(processes, tmp_path):
    worker = ("-m", "benchmarks.distributed.worker", "resnet8", 8, 7, 1, "sync", 2)
    code, out, err = processes(2, *worker).end()
    assert code == 0, err
    found = json.loads(out)
    assert 0 < found["sum"] < found["step"]
    names = [setup.name for setup in pages.SETUPS]
    results = {
        "rounds": {"a network": {name: [found] for name in names}},
        "machine": {"cores": "2", "processor": "any"},
        "versions": {"MPI": "some MPI"},
        "steps a turn": 2,
        "load before": [0.1],
        "load after": [0.2],
    }
    assert pages.speed_table(results).count("1.00") == len(names)
    assert len(pages.speed_figure(results).axes) == 1

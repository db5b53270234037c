"""That measured.json has all of this folder, and what it says of harm and health."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from outside_second.everything import FAULTS, HEALTHY
from outside_second.measure import RESULTS, SEEDS


@cache
def measured() -> dict[str, Any]:
    return json.loads(RESULTS.read_text())


def test_faults_were_measured_with_two_seeds_or_more_and_healthy_ones_with_one_or_more() -> None:
    known = measured()
    for kind, register, least in (("faults", FAULTS, 2), ("healthy", HEALTHY, 1)):
        assert {*known[kind]} == {*register}
        for name, record in known[kind].items():
            assert {*record["seeds"]} <= {str(seed) for seed in SEEDS}, name
            assert len(record["seeds"]) >= least, name


def test_kinds_and_epochs_are_those_that_were_measured() -> None:
    known = measured()
    for name, record in known["faults"].items():
        assert record["kind"] == FAULTS[name].kind
        assert {run["with"]["epochs"] for run in record["seeds"].values()} == {FAULTS[name].epochs}
    for name, record in known["healthy"].items():
        assert record["good"] == HEALTHY[name].good
        assert {run["epochs"] for run in record["seeds"].values()} == {HEALTHY[name].epochs}


def test_there_are_enough_and_the_healthy_ones_learn() -> None:
    known = measured()
    assert sum(each["harmful"] for each in known["faults"].values()) >= 80
    assert len(HEALTHY) >= 40
    assert all(each["learns"] for each in known["healthy"].values())


def test_nothing_is_wrong_where_the_fault_is_left_out() -> None:
    for name, record in measured()["faults"].items():
        for run in record["seeds"].values():
            assert "error" not in run["without"], name
            assert run["without"]["finite"], name


def test_each_fault_has_a_declared_reach_and_was_read() -> None:
    score = json.loads(RESULTS.with_name("score.json").read_text())
    reach, named = (
        json.loads(RESULTS.with_name(f"{n}.json").read_text()) for n in ("reach", "named")
    )
    assert {*reach} == {*named} == {*FAULTS} == {*score["faults"]}
    assert {*score["healthy"]} == {*HEALTHY}
    for name, each in named.items():
        assert {*each["untrue"]} <= {*score["faults"][name]["broken"]}, name

"""Train every fault and every healthy set-up, and write what becomes of them to outside.json.

    cd tests/checks; PYTHONPATH=../.. nice -n 10 python -m outside.measure

What the file has already is not trained again; `--again NAME...` trains those anew.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import minires
from minires.nn.modes import evaluating
from outside.faults import FAULTS
from outside.healthy import HEALTHY
from outside.setups import TWINS, Fault, Setup, accuracy, one_step, parts

RESULTS = Path(__file__).with_name("outside.json")
TOLERANCE = 0.05


def batches_of(source: Any, size: int = 32, seed: int | None = None) -> Iterator[Any]:
    """The batches of what a set-up has as its data."""
    if not isinstance(source, tuple):
        yield from source
        return
    inputs, labels = source
    order = np.arange(len(labels))
    if seed is not None:
        order = np.random.default_rng(seed).permutation(order)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield inputs[chosen], labels[chosen]


def accuracy_on(model: Any, source: Any) -> float:
    """The share of right answers, in evaluation mode."""
    right = total = 0
    with evaluating(model):
        for inputs, labels in batches_of(source, 250):
            right += round(accuracy(model, inputs, labels) * len(labels))
            total += len(labels)
    return right / total


def finite(model: Any) -> bool:
    """Whether all weights are numbers."""
    return all(np.isfinite(each.numpy()).all() for each in model.state_dict().values())


def trained(setup: Setup, epochs: int) -> float:
    """Train as the set-up says, and return the accuracy that its user sees at the end."""
    step = setup.step or one_step(setup.model, setup.optimizer, setup.loss)
    evaluate = setup.evaluate or (lambda: accuracy_on(setup.model, setup.valid))
    setup.model.train()
    reported = 0.0
    for epoch in range(epochs):
        for inputs, labels in batches_of(setup.train, seed=epoch):
            step(inputs, labels)
        over = epoch == epochs - 1 or not finite(setup.model)  # no number comes back from NaN
        if setup.evaluate is not None or over:
            reported = float(evaluate())
        if over:
            break
    return reported


def measured(make: Any, epochs: int, dataset: str, prepare: Any) -> dict[str, Any]:
    """What becomes of a training."""
    images, labels = parts(dataset).clean
    clean = prepare(images, dataset), labels
    return judged(make, epochs, lambda model: accuracy_on(model, clean))


def judged(make: Any, epochs: int, judge: Any) -> dict[str, Any]:
    """What becomes of a training whose model is judged by a function of it."""
    setup = make()
    result: dict[str, Any] = {"epochs": epochs}
    try:
        result["before"] = round(judge(setup.model), 4)
        reported = trained(setup, epochs)
        found = judge(setup.model)
    except Exception as error:
        return {**result, "error": f"{type(error).__name__}: {error}"[:200]}
    result |= {"accuracy": round(found, 4), "reported": round(reported, 4)}
    return {**result, "finite": finite(setup.model)}


def verdict(found: dict[str, Any], twin: dict[str, Any]) -> str:
    """In which way a fault is harmful, or "none"."""
    if "error" in found:
        return "raises"
    if not found["finite"]:
        return "diverges"
    if twin["accuracy"] - found["accuracy"] > TOLERANCE:
        return "loses accuracy"
    usual = twin["reported"] - twin["accuracy"]
    if abs(found["reported"] - found["accuracy"] - usual) > TOLERANCE:
        return "reports a false accuracy"
    return "none"


def of_fault(fault: Fault, twins: dict[str, Any]) -> dict[str, Any]:
    """The record of a fault beside its healthy twin, which trains as many epochs as it should."""
    twin = TWINS[fault.twin]
    found = measured(fault.make, fault.epochs, twin.dataset, fault.prepare)
    beside = twins[fault.twin]
    harm = verdict(found, beside)
    return {
        **found,
        "twin": fault.twin,
        "twin_accuracy": beside["accuracy"],
        "harmful": harm != "none",
        "harm": harm,
    }


def main(again: list[str]) -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    minires.set_num_threads(1)
    known: dict[str, Any] = {"twins": {}, "faults": {}, "healthy": {}}
    if RESULTS.exists():
        known |= json.loads(RESULTS.read_text())
    for kind, names in (("faults", FAULTS), ("healthy", HEALTHY), ("twins", TWINS)):
        kept = {n: r for n, r in known[kind].items() if n in names and n not in again}
        known[kind] = kept

    def record(kind: str, name: str, compute: Any) -> None:
        if name in known[kind]:
            return
        start = time.process_time()
        known[kind][name] = result = compute()
        RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        print(f"{time.process_time() - start:6.1f} s  {kind:8}{name}: {result}", flush=True)

    for name, twin in TWINS.items():
        record("twins", name, lambda t=twin: measured(t.make, t.epochs, t.dataset, t.prepare))
    for name, fault in FAULTS.items():
        record("faults", name, lambda f=fault: of_fault(f, known["twins"]))
    for name, one in HEALTHY.items():
        record("healthy", name, lambda h=one: measured(h.make, h.epochs, h.dataset, h.prepare))


if __name__ == "__main__":
    main(sys.argv[2:] if sys.argv[1:2] == ["--again"] else [])

"""The names that the code of the hints of `minires.from_pytorch` may use, and how it is run."""

import math
from typing import Any

import numpy as np

import minires
from minires import Tensor, data, models, nn, ops, optim
from minires.from_pytorch.table import TABLES, Hint, read
from minires.nn import functional as F

HINTS = [(namespace, hint) for namespace in TABLES for hint in read(namespace)[0]]
CHANNELS_LAST = ("images", "many", "volumes", "sequences")


def arrays() -> dict[str, Any]:
    """Of one letter: what a row calculates with. Images and sequences have their channels last."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32)

    x = rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32)
    return {
        "x": x,
        "y": normal(3, 4),
        "mask": x > 0.5,
        "labels": np.array([1, 3, 0]),
        "n": rng.integers(0, 4, (3, 4)),
        "v": normal(4),
        "w": normal(4),
        "m": normal(4, 4) + 3 * np.eye(4, dtype=np.float32),
        "a": normal(2, 3, 4),
        "b": normal(2, 4, 3),
        "weight": np.array([0.5, 0.25], np.float32),
        "tall": normal(1, 4, 4),
        **{gate: normal(3, 5) for gate in "cfghiorz"},
        "images": normal(2, 8, 8, 3),
        "many": normal(2, 8, 8, 12),
        "volumes": normal(1, 4, 8, 8, 3),
        "sequences": normal(2, 6, 3),
        "filters": normal(3, 3, 3, 5),
        "kernels": normal(3, 3, 5),
        "back": normal(3, 3, 3, 1),
    }


def here() -> dict[str, Any]:
    """All names, fresh ones: some code writes."""
    tensors = {name: Tensor(array) for name, array in arrays().items() if name != "labels"}
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    return {
        **{"minires": minires, "Tensor": Tensor, "nn": nn, "F": F, "optim": optim, "ops": ops},
        **{"data": data, "models": models, "np": np, "math": math},
        **tensors,
        "labels": arrays()["labels"],
        "net": net,
        "rng_state": minires.random.generator().bit_generator.state,
        "p": next(net.parameters()),
        "loss": net(tensors["x"]).sum(),
        "optimizer": (optimizer := optim.SGD(net.parameters(), lr=0.1)),
        "schedule": optim.StepLR(optimizer, step_size=3),
    }


def run(code: str, names: dict[str, Any]) -> Any:
    """An expression's value; None for a statement. How arrays are printed is as before."""
    with np.printoptions():
        try:
            compiled = compile(code, code, "eval")
        except SyntaxError:
            exec(code, names)
            return None
        return eval(compiled, names)


def name_of(value: Any) -> str | None:
    """What a test is called."""
    return value.names[0] if isinstance(value, Hint) else None

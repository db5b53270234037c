"""What of an answer to a hidden test is shown: no text that a student's code made.

Such a text could hold the test's inputs. So of an exception only the type is told, and the
student's own line; of other types only names that everybody knows. Numbers are compared as always.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

KNOWN = set(vars(builtins)) | {"AxisError", "LinAlgError", "function", "generator", "method"}
KNOWN |= {"collections.deque", "decimal.Decimal", "fractions.Fraction", "types.SimpleNamespace"}
KNOWN |= {"more than can be sent", "array on memory that is not NumPy's"}
KNOWN |= {f"{before}{name}" for name in dir(np) for before in ("numpy.", "array of ")}


def without_texts(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer, whatever was sent, of which the texts are left out that may be shown."""
    error = answer.get("error")
    if isinstance(error, dict):
        kind = _known(error.get("type"), "an exception of your own")
        error = error | {"text": "", "type": kind}
    return {key: value for key, value in answer.items() if key != "left_out"} | (
        {"error": error} if "error" in answer else {}
    )


def without_text(value: Any, deepest: int = 20) -> Any:
    """A value with the types of texts in the place of texts."""
    if isinstance(value, list) and deepest:
        return [without_text(one, deepest - 1) for one in value]
    if isinstance(value, dict):
        return {"$type": _known(value["$type"], "your own") if "$type" in value else "dict"}
    return {"$type": type(value).__name__} if isinstance(value, str | list) else value


def _known(name: Any, otherwise: str) -> str:
    return name if isinstance(name, str) and name in KNOWN else otherwise

"""What runs in the child, with a student's code: it loads it, calls it, and tells the results.

The child is started with this one file, by a Python that finds nothing but the standard library and
the packages that the question allows; so the file imports nothing of minires. It knows no answers.
The parent uses `read` and `write` too.

A message is a JSON text in which arrays are named by number, then the arrays as .npy bytes:
4 bytes length, text, 4 bytes count, and for each array 8 bytes length, bytes.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import math
import os
import struct
import sys
import traceback
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np

MAX_BYTES = 64 << 20
"""The longest message that is read from a child."""

KINDS = "biuf"
"""Arrays of booleans, integers and floating-point numbers cross; no others."""


class MessageError(ValueError):
    """What came is no message."""


def write(stream: BinaryIO, message: Any) -> None:
    """Send a message of plain values and arrays.

    Raises
    ------
    TypeError
        If there is anything else in it.
    """
    arrays: list[np.ndarray[Any, Any]] = []
    text = json.dumps(_packed(message, arrays)).encode()
    stream.write(struct.pack("<I", len(text)) + text + struct.pack("<I", len(arrays)))
    for array in arrays:
        data = npy(array)
        stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def _packed(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if type(value) is np.ndarray:
        arrays.append(value)
        return {"$array": len(arrays) - 1}
    if type(value) in (list, tuple):
        return [_packed(v, arrays) for v in value]
    if type(value) is dict:
        return {str(k): _packed(v, arrays) for k, v in value.items()}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be sent")


def read(stream: BinaryIO) -> Any:
    """The next message, None at the end.

    Raises
    ------
    MessageError
        If it is no message, or too long.
    """
    head = stream.read(4)
    if not head:
        return None
    text = _exactly(stream, *struct.unpack("<I", head.ljust(4, b"\0")))
    count = struct.unpack("<I", _exactly(stream, 4))[0]
    if count > 10_000:
        raise MessageError("too many arrays")
    arrays = [
        array_of(_exactly(stream, *struct.unpack("<Q", _exactly(stream, 8)))) for _ in range(count)
    ]
    try:
        return _unpacked(json.loads(text), arrays)
    except (ValueError, RecursionError, IndexError, TypeError) as error:
        raise MessageError(str(error)) from error


def _exactly(stream: BinaryIO, count: int) -> bytes:
    if count > MAX_BYTES:
        raise MessageError(f"a message of {count} bytes")
    data = stream.read(count)
    if len(data) < count:
        raise MessageError("a message was cut off")
    return data


def _unpacked(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, list):
        return [_unpacked(v, arrays) for v in value]
    if isinstance(value, dict):
        if set(value) == {"$array"}:
            return arrays[value["$array"]]
        return {k: _unpacked(v, arrays) for k, v in value.items()}
    return value


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """An array as the bytes of a .npy file."""
    if array.dtype.kind not in KINDS:
        raise TypeError(f"an array of {array.dtype} cannot be sent")
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
    return data.getvalue()


def array_of(data: bytes) -> np.ndarray[Any, Any]:
    """The array in the bytes of a .npy file, which may be an attacker's.

    Raises
    ------
    MessageError
        If it is none, or one of other things than numbers.
    """
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise MessageError("an array of an unknown version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        rest = data[stream.tell() :]
        if dtype.kind not in KINDS or math.prod(shape) * dtype.itemsize != len(rest):
            raise MessageError(f"an array of {dtype} and shape {shape} in {len(rest)} bytes")
        array = np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
    except MessageError:
        raise
    except Exception as error:
        raise MessageError(f"no array: {error}") from error
    return array.copy(order="K")


# ---------------------------------------------------------------------- the student's code


class Student(SimpleNamespace):
    """The names that a student's code defined, as attributes."""

    def __getattr__(self, name: str) -> Any:
        raise NameError(f"{name} is not defined")


def is_definition(statement: ast.stmt) -> bool:
    """Whether it is an import, a function, a class, or an assignment that calls nothing."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return not any(isinstance(node, ast.Call) for node in ast.walk(statement))
    return isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)


def load(cells: list[dict[str, Any]], allowed: list[str]) -> tuple[dict[str, Any], list[Any]]:
    """Run cells, statement by statement, in a namespace of their own.

    Of a cell whose "definitions" is true only the definitions run.

    Returns
    -------
    namespace : dict
    problems : list
        What failed: a syntax error loses its cell, any other its statement.
    """
    namespace: dict[str, Any] = {"__name__": "student"}
    problems = []
    for cell in cells:
        try:
            tree = ast.parse(cell["source"], cell["name"])
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            problems.append(told(error, cells))
            continue
        for statement in tree.body:
            if cell["definitions"] and not is_definition(statement):
                continue
            try:
                check_imports(statement, allowed)
                code = compile(ast.Module([statement], []), cell["name"], "exec")
                exec(code, namespace)
            except BaseException as error:
                problems.append(told(error, cells))
    return namespace, problems


def check_imports(tree: ast.AST, allowed: list[str]) -> None:
    """Refuse modules that are neither allowed nor of the standard library."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
        for name in names:
            top = name.split(".")[0]
            if top not in allowed and top not in sys.stdlib_module_names:
                raise ImportError(
                    f"line {getattr(node, 'lineno', 0)}: {top} may not be used here, only "
                    f"{', '.join(allowed)} and the standard library"
                )


def told(error: BaseException, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """An error as plain values, with the last line of the student's that led to it."""
    try:
        text = str(error)[:500]
    except BaseException:
        text = ""
    sources = {cell["name"]: cell["source"] for cell in cells}
    where, line = "", 0
    if isinstance(error, SyntaxError) and error.filename in sources:
        where, line, text = str(error.filename), error.lineno or 0, error.msg[:500]
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename in sources:
            where, line = frame.f_code.co_filename, number
    lines = sources.get(where, "").splitlines()
    return {
        "type": str(type(error).__name__)[:100],
        "text": text,
        "where": where,
        "line": line,
        "source": lines[line - 1].strip()[:200] if 0 < line <= len(lines) else "",
    }


def plain(value: Any, depth: int = 0) -> Any:
    """A result as plain values and arrays; of anything else only its type's name is told."""
    kind = type(value)
    if kind is np.ndarray and value.nbytes > MAX_BYTES:
        return {"$type": f"array of {value.nbytes >> 20} MB, which is too large"}
    if kind is np.ndarray and value.dtype.kind in KINDS:
        return value
    if isinstance(value, np.generic) and value.dtype.kind in KINDS:
        return np.array(value)
    if value is None or kind in (bool, int, float, str):
        return value[:10_000] if kind is str else value
    if kind in (list, tuple) and depth < 5:
        return [plain(v, depth + 1) for v in value]
    if kind is dict and depth < 5:
        return {str(k): plain(v, depth + 1) for k, v in value.items()}
    if kind is np.ndarray:
        return {"$type": f"array of {value.dtype}"}
    return {"$type": f"{kind.__module__}.{kind.__qualname__}"[:100]}


def call(function: Any, arguments: dict[str, Any]) -> tuple[Any, list[str]]:
    """What a function returns, and the names of the arrays that it changed."""
    before = {k: v.copy() for k, v in arguments.items() if isinstance(v, np.ndarray)}
    result = function(*arguments.values())
    changed = [k for k, v in before.items() if v.tobytes() != arguments[k].tobytes()]
    return result, changed


class Session:
    """A student's code, loaded, and what it answers.

    Parameters
    ----------
    task : dict
        `cells`, each with a name, a source and whether only its definitions run; the `modules` that
        may be imported; the `name` to call; and a `driver`'s source, or None.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self.name, self.cells = task["name"], task["cells"]
        namespace, self.problems = load(self.cells, task["modules"])
        self.student = Student(**{k: v for k, v in namespace.items() if k.isidentifier()})
        self.driver = None
        if task["driver"]:
            own: dict[str, Any] = {"__name__": "driver", "np": np}
            exec(compile(task["driver"], "driver", "exec"), own)
            self.driver = own["drive"]

    def answer(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A result and the names of changed arguments, or an error; plain values and arrays."""
        try:
            if self.driver is None:
                result, changed = call(getattr(self.student, self.name), arguments)
            else:
                result, changed = self.driver(self.student, **arguments), []
            return {"result": plain(result), "changed": changed}
        except BaseException as error:
            missing = f"{self.name} is not defined"
            if self.problems and isinstance(error, NameError) and error.args == (missing,):
                return {"error": self.problems[0]}
            return {"error": told(error, self.cells)}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Load the code that the first message holds, then answer one call a message."""
    session = Session(read(requests))
    while (request := read(requests)) is not None:
        answer = session.answer(request["arguments"])
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        write(answers, answer)


def main() -> None:
    """Serve on descriptors 0 and 1, which the student's prints cannot reach."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # prints go where errors go
    serve(requests, answers)


if __name__ == "__main__":
    main()

"""What runs in the child, with a student's code: it loads it, calls it, and tells the results.

The child is started by `boot`, by a Python that finds nothing but the standard library and the
packages that the question allows; so its files import nothing else of minires. It knows no answers
and judges nothing: it tells what was returned, what became of the arguments, who is who and where
arrays lie, and the grader compares.
"""

from __future__ import annotations

import ast
import builtins
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from numpy import array, ndarray

from minires.coursework.guard import Direct, Window, Worker, lock_up
from minires.coursework.handles import Handle, Hands, Student
from minires.coursework.values import Room, memory, plain, told
from minires.coursework.wire import packed, read, seal

if sys.platform != "win32":
    import resource

Statement = tuple[str, CodeType | BaseException]
"""Where it stands, and its code or why there is none."""


def is_definition(statement: ast.stmt) -> bool:
    """Whether it is an import, a function, a class, or an assignment that calls nothing."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return not any(isinstance(node, ast.Call) for node in ast.walk(statement))
    return isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)


def statements(cells: list[dict[str, Any]], allowed: list[str]) -> list[Statement]:
    """Cells, statement by statement; of one whose "definitions" is true only the definitions.

    A syntax error loses its cell, a module that is not allowed its statement.
    """
    found: list[Statement] = []
    for cell in cells:
        name = cell["name"]
        try:
            tree = ast.parse(cell["source"], name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            found.append((name, error))
            continue
        for statement in tree.body:
            if cell["definitions"] and not is_definition(statement):
                continue
            try:
                check_imports(statement, allowed)
                found.append((name, compile(ast.Module([statement], []), name, "exec")))
            except (SyntaxError, ValueError, ImportError, RecursionError, MemoryError) as error:
                found.append((name, error))
    return found


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


class Session:
    """A student's code, loaded, and what it answers.

    Parameters
    ----------
    task : dict
        The cells that are `given`, the student's `cells`, and `parts` that stand in the place of
        the student's, each with a name, a source and whether only its definitions run; the
        `modules` that may be imported; the `name` to call; and a `driver`'s source, or None.
    worker : Direct or Worker
        Who calls what is not the grader's.
    window : Window, optional
        Open while the frames of an error are looked at.
    """

    def __init__(
        self, task: dict[str, Any], worker: Direct | Worker, window: Window | None = None
    ) -> None:
        self.name, self.worker, self.window = task["name"], worker, window or Window()
        cells = [*task["given"], *task["cells"], *task["parts"]]
        self.sources = {cell["name"]: cell["source"] for cell in cells}
        codes = [statements(task[kind], task["modules"]) for kind in ("given", "cells", "parts")]
        self.hands = Hands(worker)
        self.driver, used = _driver(task["driver"], self.hands)
        names: dict[str, Any] = {"__name__": "student", "__builtins__": builtins}
        self.problems: list[dict[str, Any]] = []
        self._run(codes[0], names)
        given = {k: v for k, v in names.items() if not k.startswith("__")}
        for value in given.values():
            if type(value) is type:
                self.hands.given(value)
        fixed = {k: v for k, v in given.items() if k in used}
        self._run(codes[1], names)
        self._run(codes[2], names)
        worker.call(names.update, fixed)  # as a given cell has it, whatever came after
        self.names = {k: v for k, v in names.items() if type(k) is str}
        self.student = Student(self.hands, self.names)
        self.hands.release()

    def _run(self, code: list[Statement], names: dict[str, Any]) -> None:
        for _, one in code:
            try:
                if isinstance(one, BaseException):
                    raise one
                self.worker.call(exec, one, names)
            except BaseException as error:
                self.problems.append(self._told(error))

    def _told(self, error: BaseException) -> dict[str, Any]:
        try:
            text = self.worker.call(str, error)
        except BaseException:
            text = ""
        with self.window:
            return told(error, text, self.sources)

    def answer(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A result and the arguments afterwards, or an error; plain values and arrays."""
        try:
            if self.driver is None:
                if self.name not in self.names:
                    raise NameError(f"{self.name} is not defined")
                result = self.worker.call(self.names[self.name], *arguments.values())
            else:
                result = self.hands.unwrap(self.driver(self.student, **arguments))
            after = {k: v for k, v in arguments.items() if type(v) is ndarray and not self.driver}
            room = Room()
            return {"result": plain(result, room), "after": plain(after, room)}
        except BaseException as error:
            if self.problems and self.name not in self.names:
                return {"error": self.problems[0]}
            return {"error": self._told(error)}

    def release(self) -> None:
        """Let go of what an answer held."""
        self.hands.release()


def _driver(source: str | None, hands: Hands) -> tuple[Callable[..., Any] | None, frozenset[str]]:
    """A driver and the student's names that it uses; NumPy's functions in C only."""
    if source is None:
        return None, frozenset()
    tree = ast.parse(source)
    names: dict[str, Any] = {
        "__name__": "driver",
        "array": own_array,
        "define": hands.define,
        "memory": memory,
        "which": which,
    }
    exec(compile(tree, "driver", "exec"), names)
    return names["drive"], frozenset(_attributes(tree))


def _attributes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        owner = node.value if isinstance(node, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id == "student":
            yield node.attr  # type: ignore[attr-defined]


def own_array(value: Any) -> Any:
    """NumPy's `array` of numbers and arrays; no object's own code is asked for one."""
    _numbers_only(value)
    return array(value)


def _numbers_only(value: Any) -> None:
    kind = type(value)
    if kind is list or kind is tuple:
        for item in value:
            _numbers_only(item)
    elif isinstance(value, Handle) or value is None:
        raise TypeError("an array or a number is wanted")


def which(item: Any, among: Any) -> int:
    """The place of an object among others, -1 if it is none of them."""
    for place, other in enumerate(among):
        if other is item:
            return place
    return -1


def main() -> None:
    """Serve on descriptors 0 and 1, which the student's prints cannot reach; then end at once."""
    end, fail = os._exit, 70
    try:
        _serve()
        fail = 0
    finally:
        end(fail)


def _serve() -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # prints go where errors go
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no handler in Python, so none to be called
    task = read(requests)
    key = bytes.fromhex(task.pop("key"))
    worker = Worker()
    processes = task["processes"]
    if processes is not None:  # only now, since the thread counts too
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    session = Session(task, worker, lock_up())
    number = 0
    while (request := read(requests)) is not None:
        answer = packed(session.answer(request["arguments"]))
        session.release()
        try:  # noqa: SIM105 - contextlib is in Python, where students get at it
            worker.call(_flush)
        except BaseException:
            pass
        answers.write(answer + seal(key, number, answer))
        answers.flush()
        number += 1


def _flush() -> None:
    sys.stdout.flush()

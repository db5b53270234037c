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
from types import ModuleType
from typing import Any

from numpy import array, ndarray

from minires.coursework.sandbox.guard import Direct, Window, Worker, lock_up
from minires.coursework.sandbox.handles import Handle, Hands, Student
from minires.coursework.sandbox.script import Statement, chosen, in_float32, statements
from minires.coursework.sandbox.values import Room, memory, plain, told
from minires.coursework.sandbox.wire import packed, read, seal

MOST_LEFT_OUT = 5
"""Cells and statements of which it is told why they did not run."""


class Session:
    """A student's code, loaded, and what it answers.

    Parameters
    ----------
    task : dict
        The cells that are `given`, the student's `cells`, and `parts` that stand in the place of
        the student's, each with a name, a source and how it runs (see `script`); the `modules` that
        may be imported; the `name` to call; and a `driver`'s source, or None.
    worker : Direct or Worker
        Who calls what is not the grader's.
    window : Window, optional
        Open while the frames of an error are looked at.
    names : dict, optional
        Where the student's names are to be.
    """

    def __init__(
        self,
        task: dict[str, Any],
        worker: Direct | Worker,
        window: Window | None = None,
        names: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.worker, self.window = task["name"], worker, window or Window()
        self.modules = task["modules"]
        self.sources = {cell["name"]: cell["source"] for cell in (*task["given"], *task["cells"])}
        given, own, parts = (statements(task[kind]) for kind in ("given", "cells", "parts"))
        self.hands = Hands(worker)
        self.driver, used = _driver(task["driver"], self.hands)
        wanted = {self.name, *used}.union(*(one.uses for one in parts))
        own, self.needed = chosen(given, own, wanted)
        self.in_float32 = any(one.code is not None and in_float32(one.code) for one in own)
        if names is None:
            names = {"__name__": "__main__"}
        names |= {"__builtins__": builtins, "display": print}  # the one that notebooks have
        self.failed: list[tuple[Statement, dict[str, Any]]] = []
        self._run(given, names)
        fixed = {k: v for k, v in names.items() if not k.startswith("__")}
        for value in fixed.values():
            if type(value) is type:
                self.hands.given(value)
        fixed = {k: v for k, v in fixed.items() if k in used}
        self._run(own, names)
        self._run_again(names)
        self._run(parts, names)
        worker.call(names.update, fixed)  # as a given cell has it, whatever came after
        self.names = {k: v for k, v in names.items() if type(k) is str}
        self.student = Student(self.hands, self.names)
        self.hands.release()

    def _run(self, code: list[Statement], names: dict[str, Any]) -> None:
        for one in code:
            try:
                if one.error is not None:
                    raise one.error
                self.worker.call(exec, one.code, names)
            except BaseException as error:
                self.failed.append((one, self._told(error)))

    def _run_again(self, names: dict[str, Any]) -> None:
        """Run again what failed for a name that only a later cell gives."""
        early = [one for one, told in self.failed if told["type"] == "NameError"]
        early = [one for one in early if not one.gives <= {k for k in names if type(k) is str}]
        self.failed = [pair for pair in self.failed if pair[0] not in early]
        self._run(early, names)

    def _told(self, error: BaseException) -> dict[str, Any]:
        try:
            text = self.worker.call(str, error)
        except BaseException:
            text = ""
        with self.window:
            return refused(told(error, text, self.sources), error, self.modules)

    def left_out(self) -> list[dict[str, Any]]:
        """Why something is not there that the answer may need: cells and statements that failed."""
        mine = [
            (self.name not in one.gives, one.how != "all", told)
            for one, told in self.failed
            if one.code is None or one.is_import or one.gives & self.needed
        ]
        return [told for *_, told in sorted(mine, key=lambda one: one[:2])][:MOST_LEFT_OUT]

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
            result, after = plain(result, room), plain(after, room)
            told = {"result": result, "after": after, "float32": self.in_float32}
        except BaseException as error:
            told = {"error": self._told(error)}
        left_out = self.left_out()
        if left_out and self.name not in self.names:
            told = {"error": left_out[0]}
        return told | {"left_out": left_out}

    def release(self) -> None:
        """Let go of what an answer held."""
        self.hands.release()


def refused(told: dict[str, Any], error: BaseException, modules: list[str]) -> dict[str, Any]:
    """An error as it is told; of a module that is not here it is said which ones are."""
    if type(error) is ModuleNotFoundError and type(error.name) is str:
        module = error.name.partition(".")[0]
        if module not in modules and module not in sys.stdlib_module_names:
            text = f"{module} may not be used here, only {', '.join(modules)}"
            told["text"] = f"{text} and the standard library"[:500]
    return told


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
    return array(_numbers_only(value))


def _numbers_only(value: Any) -> Any:
    if isinstance(value, Handle):  # of an array of another type, or of a tuple's
        value = plain(Hands.unwrap(value._hands, value))
    kind = type(value)
    if kind is list or kind is tuple:
        return [_numbers_only(item) for item in value]
    if value is None or kind is dict or kind is str:
        raise TypeError("an array or a number is wanted")
    return value


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
    if processes is not None and sys.platform != "win32":  # now, since the thread counts too
        import resource  # which only systems with a sandbox need have

        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    module = sys.modules["__main__"] = ModuleType("__main__")  # where dataclasses look
    session = Session(task, worker, lock_up(), module.__dict__)
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

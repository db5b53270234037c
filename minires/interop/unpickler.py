"""A pickle is a program for a small stack machine. This one runs it, and can do nothing else.

It builds numbers, strings, tuples, lists, dicts and sets, and calls only functions out of a table
that its caller passes. There is no import and no attribute access in it, so a hostile pickle finds
nothing to call. `pickletools` of the standard library splits the bytes into instructions.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from minires.text import shown

MOST_INSTRUCTIONS = 5_000_000  # a byte may make a set of 216: a large program is a small bomb


class Stream(Protocol):
    """What a pickle is read from: a binary file, or a memory map."""

    def read(self, n: int = ..., /) -> bytes: ...

    def readline(self) -> bytes: ...


class PickleError(ValueError):
    """A pickle is damaged, or asks for what is not allowed."""


def unpickle(
    stream: Stream, allowed: Mapping[str, Any], persistent: Callable[[Any], Any] | None = None
) -> Any:
    """Read one pickle and leave the stream right behind it.

    Parameters
    ----------
    stream : binary file or mmap
    allowed : mapping of str to object
        What the pickle may name, such as `"collections.OrderedDict"`, and what it gets for it.
        Only what is callable here can be called.
    persistent : callable, optional
        Turns a persistent id (data outside the pickle) into an object.

    Returns
    -------
    object

    Raises
    ------
    PickleError
        If the pickle names anything else, uses an instruction that only code needs, or is damaged.
    """
    machine = _Machine(allowed, persistent)
    try:
        program = pickletools.genops(stream)  # type: ignore[arg-type]
        for count, (instruction, argument, _) in enumerate(program):
            if count == MOST_INSTRUCTIONS:
                raise PickleError(f"its pickle has more than {MOST_INSTRUCTIONS:,} instructions")
            machine.run(instruction.name, argument)
    except PickleError:
        raise
    except Exception as error:  # damaged programs fail in nearly any way
        what = shown(str(error)) or type(error).__name__
        raise PickleError(f"its pickle is damaged ({what})") from error
    if len(machine.stack) != 1:
        raise PickleError("its pickle is damaged (it ends with more or less than one object)")
    return machine.stack[0]


_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = {"PROTO", "FRAME", "STOP"}
_KEYS = (str, int, float, bytes, type(None))  # hashing a deep tuple could overflow C's stack


class _Machine:
    def __init__(self, allowed: Mapping[str, Any], persistent: Callable[[Any], Any] | None) -> None:
        self.allowed, self.persistent = allowed, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            items = self.stack[-count:]
            if len(items) < count:
                raise IndexError("too few objects for a tuple")
            self.stack[-count:] = [tuple(items)]
        elif name not in _NOTHING:
            action = _ACTIONS.get(name)
            if action is None:
                raise PickleError(f"its pickle uses {name}, which only code needs: refused")
            action(self, argument)

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def remember(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def recall(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def pop(self, _: None) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def pop_mark(self, _: None) -> None:
        self.since_mark()

    # ------------------------------------------------------------------ containers

    def make_tuple(self, _: None) -> None:
        items = self.since_mark()
        self.stack.append(tuple(items))

    def make_list(self, _: None) -> None:
        items = self.since_mark()
        self.stack.append(items)

    def make_dict(self, _: None) -> None:
        items = self.since_mark()
        self.stack.append({})
        self._update(items)

    def append(self, _: None) -> None:
        self._extend([self.stack.pop()])

    def extend(self, _: None) -> None:
        self._extend(self.since_mark())

    def set_item(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def set_items(self, _: None) -> None:
        self._update(self.since_mark())

    def add_items(self, _: None) -> None:
        items = self.since_mark()
        if type(self.stack[-1]) is not set or not all(isinstance(item, _KEYS) for item in items):
            raise TypeError("items for what is no set, or that cannot be in one")
        self.stack[-1].update(items)

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("items for what is no list")
        self.stack[-1].extend(items)

    def _update(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if type(self.stack[-1]) is not dict or not all(isinstance(key, _KEYS) for key in keys):
            raise TypeError("items for what is no dict, or keys that are no names or numbers")
        self.stack[-1].update(zip(keys, values, strict=True))

    # ------------------------------------------------------------------ what is named and called

    def find(self, name: str) -> None:
        name = name.replace(" ", ".")
        if name not in self.allowed:
            raise PickleError(
                f"it asks for {shown(name)}, which is not among the few names allowed "
                "(tensors alone need no others: save a state dict, not a whole model)"
            )
        self.stack.append(self.allowed[name])

    def find_on_stack(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise TypeError("a name that is no string")
        self.find(f"{module} {name}")

    def call(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not callable(function) or type(arguments) is not tuple:
            raise PickleError("its pickle calls what is no function: refused")
        self.stack.append(function(*arguments))

    def build(self, _: None) -> None:
        """Set attributes. A dict has none here: an OrderedDict's (`_metadata`) are dropped."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise PickleError("its pickle sets the attributes of an object: refused")

    def load_persistent(self, _: None) -> None:
        if self.persistent is None:
            raise PickleError("its pickle refers to data outside, where none can be")
        self.stack.append(self.persistent(self.stack.pop()))


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "TUPLE": _Machine.make_tuple,
    "LIST": _Machine.make_list,
    "DICT": _Machine.make_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "ADDITEMS": _Machine.add_items,
    "GLOBAL": _Machine.find,
    "STACK_GLOBAL": _Machine.find_on_stack,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.load_persistent,
}

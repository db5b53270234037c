"""A stand-in for CuPy: arrays of NumPy's behind a wall with CuPy's gates.

It has CuPy's names and parameters (`cupy_api.json`, from the real wheel) and no others, and refuses
what CuPy refuses, a little more strictly: where CuPy lets a NumPy array slip through (`cupy.sum`
of one, `numpy.exp` of a CuPy array), it raises too, for then NumPy is called past the backend. It
counts what would cross between host and device, and what would wait. A test compares its
refusals with the real CuPy's.

It has two devices, so that arrays on different ones can be mixed, which is refused.
"""

import functools
import json
import operator
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy

_API = json.loads(Path(__file__).with_name("cupy_api.json").read_text())
__version__ = _API["version"]

counts = {"to_device": 0, "to_host": 0, "synchronisations": 0}
"""Since the start: copies in either direction, and how often the host waited for the device."""

_DEVICES = 2
_SCALARS = (bool, int, float, complex, numpy.generic)
_HAVE_REDUCE = {"add", "multiply"}
_HAVE_AT = {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"}
_UFUNC_KEYWORDS = {"out", "dtype", "casting"}
_SHAPE_ONLY = {"zeros_like", "ones_like", "empty_like", "full_like", "result_type", "can_cast"}
_REFUSED = {"einsum": {"out"}}  # keywords, where the parameters do not tell
_current_device = 0


def _refuse(value: Any) -> None:
    raise TypeError(f"Unsupported type {type(value)}")


def _host(value: Any) -> Any:
    """What NumPy gets to see of an argument; arrays must be here, and on the current device."""
    if isinstance(value, ndarray):
        if value._number != _current_device:
            raise ValueError(
                "Array device must be same as the current device: "
                f"array device = {value._number} while current = {_current_device}"
            )
        return value._array
    if isinstance(value, numpy.ndarray):
        _refuse(value)
    if isinstance(value, list | tuple):
        return type(value)(_host(item) for item in value)
    return value


def _device_array(array: Any) -> "ndarray":
    """An array of this module on the current device, sharing NumPy's memory."""
    made = object.__new__(ndarray)
    made._array = numpy.asarray(array)
    made._number = _current_device
    return made


def _result(value: Any) -> Any:
    """A result as CuPy would give it: no NumPy scalars, all reductions are arrays."""
    if isinstance(value, numpy.ndarray | numpy.generic):
        return _device_array(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_result, value))
    return value


def _read_back(times: int = 1) -> None:
    counts["to_host"] += times
    counts["synchronisations"] += times


def _key(key: Any, shape: tuple[int, ...]) -> Any:
    """A key for NumPy: indices in arrays wrap around silently, whatever their size."""
    parts = list(key) if isinstance(key, tuple) else [key]
    axis = 0
    for i, part in enumerate(parts):
        if part is Ellipsis:
            axis = len(shape) - sum(_consumes(p) for p in parts[i + 1 :])
            continue
        if isinstance(part, numpy.ndarray | list):
            counts["to_device"] += 1
            part = numpy.asarray(part)
        elif isinstance(part, ndarray):
            part = _host(part)
        elif isinstance(part, slice) and _has_array(part):
            raise TypeError("'ndarray' object cannot be interpreted as an integer")
        if isinstance(part, numpy.ndarray) and part.dtype.kind in "iu" and shape[axis]:
            part = part % shape[axis]
        elif isinstance(part, numpy.ndarray) and part.dtype.kind == "b":
            _read_back()  # how many are true decides the shape
        axis += _consumes(part)
        parts[i] = part
    return tuple(parts) if isinstance(key, tuple) else parts[0]


def _has_array(part: slice) -> bool:
    return any(isinstance(end, ndarray) for end in (part.start, part.stop, part.step))


def _consumes(part: Any) -> int:
    """How many axes one part of a key takes."""
    if part is None or part is Ellipsis:
        return 0
    dtype = getattr(part, "dtype", None)
    return part.ndim if dtype is not None and dtype.kind == "b" else 1


class _Flags:
    """CuPy's flags, which know nothing of `writeable`."""

    def __init__(self, flags: Any) -> None:
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.forc, self.owndata = flags.forc, flags.owndata

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


class ndarray:
    """An array on the device."""

    __slots__ = ("__weakref__", "_array", "_number")
    __array_ufunc__ = None  # CuPy would take over numpy.exp(x); then a leak would not show
    __hash__ = None

    _array: numpy.ndarray
    _number: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("the stand-in makes arrays by functions only")

    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    dtype = property(lambda self: self._array.dtype)
    size = property(lambda self: self._array.size)
    strides = property(lambda self: self._array.strides)
    itemsize = property(lambda self: self._array.itemsize)
    nbytes = property(lambda self: self._array.nbytes)
    flags = property(lambda self: _Flags(self._array.flags))
    device = property(lambda self: cuda.Device(self._number))
    T = property(lambda self: _result(_host(self).T))
    real = property(lambda self: _result(_host(self).real))

    # ------------------------------------------------------------------ back to the host

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, function: Any, *args: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} got an array of CuPy's: call xp_of(array)'s")

    def get(self, *args: Any, **kwargs: Any) -> numpy.ndarray:
        _read_back()
        return self._array.copy()

    def item(self, *args: Any) -> Any:
        _read_back()
        return self._array.item(*args)

    def tolist(self) -> Any:
        _read_back()
        return self._array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous")
        return bool(self.item())

    def __repr__(self) -> str:
        _read_back()
        return repr(self._array)

    def __reduce__(self) -> Any:
        return _upload, (self.get(),)

    # ------------------------------------------------------------------ elements

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator["ndarray"]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> "ndarray":
        return _result(_host(self)[_key(key, self.shape)])

    def __setitem__(self, key: Any, value: Any) -> None:
        plain = isinstance(value, numpy.ndarray) and value.ndim == 0
        if not (isinstance(value, (ndarray, *_SCALARS)) or plain):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        _host(self)[_key(key, self.shape)] = value if plain else _host(value)

    def fill(self, value: Any) -> None:
        if isinstance(value, ndarray):
            _read_back()
        _host(self).fill(_host(value))


# ---------------------------------------------------------------------- operators and methods


def _operator(name: str, reflected: bool) -> Callable[..., Any]:
    compute = getattr(operator, name)

    def method(self: ndarray, other: Any) -> ndarray:
        if not isinstance(other, (ndarray, *_SCALARS)):
            _refuse(other)
        pair = (_host(other), _host(self)) if reflected else (_host(self), _host(other))
        return _result(compute(*pair))

    return method


def _in_place(name: str) -> Callable[..., Any]:
    compute = getattr(operator, name)

    def method(self: ndarray, other: Any) -> ndarray:
        if not isinstance(other, (ndarray, *_SCALARS)):
            _refuse(other)
        compute(_host(self), _host(other))
        return self

    return method


def _unary(name: str) -> Callable[..., Any]:
    compute = getattr(operator, name)
    return lambda self: _result(compute(_host(self)))


def _method(name: str) -> Callable[..., Any]:
    compute = getattr(numpy.ndarray, name)
    unknown = {"where", "initial", "mean", "correction"}  # NumPy's methods have them, CuPy's not

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        for keyword in unknown & set(kwargs):
            raise TypeError(f"{name}() got an unexpected keyword argument {keyword!r}")
        if name == "nonzero":
            _read_back(self.ndim)
        out = kwargs.get("out")
        hosts = {key: _host(value) for key, value in kwargs.items()}
        returned = compute(_host(self), *map(_host, args), **hosts)
        return out if out is not None else _result(returned)

    return method


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_BINARY += ("and_", "or_", "xor", "lshift", "rshift", "matmul")


def _complete_ndarray() -> None:
    for name in _BINARY:
        bare = name.rstrip("_")
        setattr(ndarray, f"__{bare}__", _operator(name, reflected=False))
        setattr(ndarray, f"__r{bare}__", _operator(name, reflected=True))
        if bare != "matmul":
            setattr(ndarray, f"__i{bare}__", _in_place(f"i{bare}"))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(ndarray, f"__{name}__", _operator(name, reflected=False))
    for name in ("neg", "pos", "abs", "invert"):
        setattr(ndarray, f"__{name}__", _unary(name))
    for name in _API["ndarray"]:
        missing = not name.startswith("_") and name not in vars(ndarray)
        if missing and callable(getattr(numpy.ndarray, name)):
            setattr(ndarray, name, _method(name))


_complete_ndarray()


# ---------------------------------------------------------------------- functions


def _upload(array: numpy.ndarray) -> ndarray:
    counts["to_device"] += 1
    return _device_array(array.copy())


def asnumpy(a: Any, *args: Any, **kwargs: Any) -> numpy.ndarray:
    """The array on the host."""
    return a.get() if isinstance(a, ndarray) else numpy.asarray(a)


def array(obj: Any, dtype: Any = None, copy: bool = True, **kwargs: Any) -> ndarray:
    """An array of its own on the current device: one upload, unless `obj` is there already."""
    if isinstance(obj, ndarray):
        if obj._number != _current_device:  # from one device to another
            return _device_array(numpy.array(obj._array, dtype=dtype))
        same = not copy and (dtype is None or obj.dtype == numpy.dtype(dtype))
        return obj if same else _device_array(numpy.array(obj._array, dtype=dtype))
    if isinstance(obj, list | tuple) and any(isinstance(item, ndarray) for item in obj):
        return _device_array(numpy.array(_host(obj), dtype=dtype))
    made = numpy.array(obj, dtype=dtype)
    if made.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {made.dtype}")
    return _device_array(made) if isinstance(obj, _SCALARS) else _upload(made)


def asarray(a: Any, dtype: Any = None, **kwargs: Any) -> ndarray:
    """`a` itself if it is on the current device and of that dtype, else an array made of it."""
    return array(a, dtype, copy=False)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Memory full of ones: NaN as floating-point numbers, so that reading it is noticed."""
    made = numpy.empty(shape, dtype, order)
    made.reshape(-1).view(numpy.uint8)[...] = 0xFF if made.dtype.kind != "b" else 1
    return _device_array(made)


def empty_like(prototype: Any, dtype: Any = None, **kwargs: Any) -> ndarray:
    """As `empty`."""
    return empty(prototype.shape, prototype.dtype if dtype is None else dtype)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where `condition` holds, else `y`; the condition must be an array."""
    if not isinstance(condition, ndarray):
        _refuse(condition)
    return _result(numpy.where(_host(condition), _host(x), _host(y)))


def get_array_module(*arrays: Any) -> ModuleType:
    """This module if any of them is its own."""
    mine = any(isinstance(a, ndarray) for a in arrays)
    return sys.modules[__name__] if mine else numpy


def _function(name: str, parameters: list[list[Any]] | None, compute: Any) -> Callable[..., Any]:
    """NumPy's function with CuPy's parameters, behind the wall."""
    free = parameters is None or any(kind in (2, 4) for _, kind in parameters)
    known = {parameter for parameter, _ in parameters or ()}

    def function(*args: Any, **kwargs: Any) -> Any:
        for keyword in _REFUSED.get(name, set()) & set(kwargs) if free else set(kwargs) - known:
            raise TypeError(f"{name}() got an unexpected keyword argument {keyword!r}")
        if not free and len(args) > len(known):
            raise TypeError(f"{name}() takes {len(known)} arguments, got {len(args)}")
        if name in _SHAPE_ONLY:  # CuPy looks at the dtype and shape of NumPy arrays too
            args = tuple(a._array if isinstance(a, ndarray) else a for a in args)
            return _result(compute(*args, **kwargs))
        if name == "nonzero":  # how many there are decides the shape
            _read_back(args[0].ndim)
        out = kwargs.get("out")
        hosts = {key: _host(value) for key, value in kwargs.items()}
        returned = compute(*map(_host, args), **hosts)
        return out if isinstance(out, ndarray) else _result(returned)

    function.__name__ = name
    return function


class _Ufunc:
    """NumPy's ufunc with what CuPy's has."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._ufunc = getattr(numpy, name)
        self._call = _function(name, None, self._ufunc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if wrong := {key: kwargs[key] for key in set(kwargs) - _UFUNC_KEYWORDS}:
            raise TypeError(f"Wrong arguments {sorted(wrong)}")
        for value in args:
            if not isinstance(value, (ndarray, *_SCALARS)):
                _refuse(value)
        return self._call(*args, **kwargs)

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        if self.__name__ not in _HAVE_REDUCE:
            raise NotImplementedError(f"`cupy_{self.__name__}.reduce` is not supported yet")
        return _function("reduce", None, self._ufunc.reduce)(*args, **kwargs)

    def at(self, a: ndarray, indices: Any, b: Any) -> None:
        if self.__name__ not in _HAVE_AT:
            raise NotImplementedError(f"`cupy_{self.__name__}.at` is not supported yet")
        self._ufunc.at(_host(a), _key(indices, a.shape), _host(b))


def _submodule(path: str, model: Any) -> SimpleNamespace:
    listed = _API[path].items()
    return SimpleNamespace(**{n: _function(n, p, getattr(model, n)) for n, p in listed})


lib = SimpleNamespace(
    stride_tricks=_submodule("lib.stride_tricks", numpy.lib.stride_tricks),
)
linalg = _submodule("linalg", numpy.linalg)


@functools.cache
def __getattr__(name: str) -> Any:
    """All that NumPy can do for us, by the names that CuPy has too."""
    if name in _API["ufuncs"]:
        value: Any = _Ufunc(name)
    elif name in _API["functions"]:
        value = _function(name, _API["functions"][name], getattr(numpy, name))
    elif name in _API["others"] and not isinstance(getattr(numpy, name), ModuleType):
        value = getattr(numpy, name)  # a dtype or a constant
    else:
        raise AttributeError(f"module 'cupy' has no attribute {name!r} (nor has the stand-in)")
    return value


# ---------------------------------------------------------------------- devices


class Device:
    """One of the devices; `with` makes it the current one, `use` does so for good."""

    def __init__(self, number: int | None = None) -> None:
        self.id = _current_device if number is None else int(number)
        self._before: list[int] = []

    def use(self) -> None:
        global _current_device
        if not 0 <= self.id < _DEVICES:
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        _current_device = self.id

    def __enter__(self) -> "Device":
        self._before.append(_current_device)
        self.use()
        return self

    def __exit__(self, *_: object) -> None:
        Device(self._before.pop()).use()

    def synchronize(self) -> None:
        counts["synchronisations"] += 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class CUDARuntimeError(RuntimeError):
    """What CUDA's runtime raises."""


def _get_device_count() -> int:
    return _DEVICES


cuda = SimpleNamespace(
    Device=Device,
    runtime=SimpleNamespace(getDeviceCount=_get_device_count, CUDARuntimeError=CUDARuntimeError),
)

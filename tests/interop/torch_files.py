"""Writers of PyTorch's two file formats, without PyTorch: what its documents and files show.

Names that such files may hold are given by stand-ins whose `__module__` is PyTorch's. The files
that `torch.save` itself writes are read in tests/parity.
"""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"int": 4}}
TYPES = {
    "f4": "Float",
    "f8": "Double",
    "f2": "Half",
    "i8": "Long",
    "i4": "Int",
    "i2": "Short",
    "i1": "Char",
    "u1": "Byte",
    "b1": "Bool",
}


def stand_in(module, name):
    """Something that pickles as `module.name`."""

    def function(*args):
        raise AssertionError("never called")

    function.__module__, function.__qualname__, function.__name__ = module, name, name
    sys.modules.setdefault(module, types.ModuleType(module))
    return function


class Call:
    """Something that pickles as a call of `function` with `args`."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


class Storage:
    def __init__(self, array, key, size=None, kind=None):
        self.array = np.require(array, requirements="C")
        self.key = key
        self.size = self.array.size if size is None else size
        self.kind = kind or TYPES[self.array.dtype.str[1:]]

    def identity(self, *rest):
        return (
            "storage",
            stand_in("torch", f"{self.kind}Storage"),
            self.key,
            "cpu",
            self.size,
            *rest,
        )


def tensor(storage, shape=None, strides=None, offset=0, function="_rebuild_tensor_v2"):
    """A tensor of `storage`: the whole of it, in C order, unless told otherwise."""
    shape = storage.array.shape if shape is None else shape
    if strides is None:
        strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    args = (storage, offset, shape, strides)
    if function == "_rebuild_tensor_v2":
        args += (False, collections.OrderedDict())
    return Call(stand_in("torch._utils", function), *args)


class Pickler(pickle._Pickler):
    """The one in Python, because the fast one checks that each name can be imported."""

    def __init__(self, file, rest, protocol=2):
        super().__init__(file, protocol)
        self.storages, self.rest = {}, rest

    def persistent_id(self, value):
        if isinstance(value, Storage):
            self.storages[value.key] = value
            return value.identity(*self.rest)
        return None

    def save_global(self, value, name=None):
        module, name = value.__module__, name or value.__qualname__
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | dict.fromkeys(
        (types.FunctionType, types.BuiltinFunctionType, type), save_global
    )


def pickled(content, rest=(), protocol=2):
    """The pickle of `content`, and the storages in it by key."""
    file = io.BytesIO()
    pickler = Pickler(file, rest, protocol)
    pickler.dump(content)
    return file.getvalue(), pickler.storages


def legacy(content, *, protocol=2, sizes=None, system=SYSTEM, view=None):
    """The bytes of a file in the older format; `sizes` lies about those of storages."""
    data, storages = pickled(content, (view,), protocol)
    out = [pickle.dumps(MAGIC, 2), pickle.dumps(VERSION, 2), pickle.dumps(system, 2), data]
    out.append(pickle.dumps(sorted(storages), 2))
    for key in sorted(storages):
        size = (sizes or {}).get(key, storages[key].size)
        out += [struct.pack("<q", size), storages[key].array.tobytes()]
    return b"".join(out)


def zipped(content, *, protocol=2, root="archive", compression=zipfile.ZIP_STORED, extra=()):
    """The bytes of a file in the zip format, with `extra` records."""
    data, storages = pickled(content, (), protocol)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", data)
        archive.writestr(f"{root}/byteorder", b"little")
        for key, storage in storages.items():
            archive.writestr(f"{root}/data/{key}", storage.array.tobytes())
        archive.writestr(f"{root}/version", b"3\n")
        for name, text in extra:
            archive.writestr(f"{root}/{name}", text)
    return file.getvalue()


FORMATS = {"legacy": legacy, "zip": zipped}

"""PyTorch files read without PyTorch: what is in them, and what is refused."""

import collections
import contextlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from interop.torch_files import (
    FORMATS,
    MAGIC,
    SYSTEM,
    TYPES,
    VERSION,
    Call,
    Storage,
    legacy,
    pickled,
    stand_in,
    tensor,
    zipped,
)

from minires import models
from minires.interop import load_torch, load_weights, read_checkpoint
from minires.interop.unpickler import PickleError, unpickle
from minires.training import FileError

both = pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)


@pytest.fixture
def file(tmp_path):
    def make(data, name="weights"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return make


# ---------------------------------------------------------------------- what is in them


@both
@pytest.mark.parametrize("code", TYPES)
def test_every_type_of_number_comes_back(write, file, code, rng):
    array = rng.integers(0, 2 if code == "b1" else 100, (3, 4)).astype(code)
    read = load_torch(file(write({"bias": tensor(Storage(array, "0"))})))["bias"]
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@both
def test_bfloat16_becomes_float32(write, file):
    values = np.array([1, -2.5, 0.15625, 3e38, np.inf], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    read = load_torch(file(write({"bias": tensor(Storage(upper, "0", kind="BFloat16"))})))["bias"]
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, values, rtol=2**-7)


@both
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_everything_else_in_a_checkpoint_comes_back(write, file, protocol):
    weight = tensor(Storage(np.arange(6, dtype="f4"), "0"), (2, 3), (3, 1))
    names = collections.OrderedDict(weight=weight)
    names._metadata = collections.OrderedDict(version=1)
    content = {
        "state_dict": names,
        "epoch": 200,
        "best": [91.73, -1, 2**40, 2**80, True, None, (), (1, 2), (1, 2, 3, "ä")],
        "bytes": b"\x00\xff" if protocol > 2 else "",
        "nested": {1: {"lr": 0.1}},
    }
    read = read_checkpoint(file(write(content, protocol=protocol)))
    np.testing.assert_array_equal(read["state_dict"]["weight"].read(), [[0, 1, 2], [3, 4, 5]])
    assert {key: value for key, value in read.items() if key != "state_dict"} == {
        key: value for key, value in content.items() if key != "state_dict"
    }


@both
def test_views_of_one_storage(write, file):
    storage = Storage(np.arange(24, dtype="f4"), "7")
    whole = storage.array.reshape(2, 3, 4)
    views = {
        "whole": tensor(storage, (2, 3, 4)),
        "part": tensor(storage, (2, 2), (12, 4), offset=5),
        "transposed": tensor(storage, (4, 6), (1, 4)),
        "scalar": tensor(storage, (), (), offset=3),
        "empty": tensor(storage, (0, 4), (4, 1)),
    }
    read = load_torch(file(write(views)))
    np.testing.assert_array_equal(read["whole"], whole)
    np.testing.assert_array_equal(read["part"], whole[:, 1:, 1])
    np.testing.assert_array_equal(read["transposed"], whole.reshape(6, 4).T)
    assert (read["scalar"], read["scalar"].shape, read["empty"].shape) == (3, (), (0, 4))


@both
def test_layouts_names_and_wrappers(write, file, rng):
    conv, linear = rng.normal(size=(5, 3, 2, 1)), rng.normal(size=(4, 5))
    state = {
        "module.conv.weight": tensor(Storage(conv, "0")),
        "module.linear.weight": tensor(Storage(linear, "1"), function="_rebuild_tensor"),
        "module.linear.bias": Call(
            stand_in("torch._utils", "_rebuild_parameter"),
            tensor(Storage(linear[0], "2")),
            True,
            collections.OrderedDict(),
        ),
    }
    for content in (state, {"state_dict": state, "epoch": 3}, {"net": state, "acc": 90.0}):
        read = load_torch(file(write(content)))
        assert list(read) == ["conv.weight", "linear.weight", "linear.bias"]
        np.testing.assert_array_equal(read["conv.weight"], conv.transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(read["linear.weight"], linear.T)
        np.testing.assert_array_equal(read["linear.bias"], linear[0])


def test_arrays_are_views_of_the_file(file):
    read = load_torch(file(zipped({"bias": tensor(Storage(np.ones(4, "f4"), "0"))})))["bias"]
    assert not read.flags.writeable
    assert not read.flags.owndata


# ---------------------------------------------------------------------- into a network


def torch_state(model, prefix="", rename=lambda name: name):
    """A model's state as PyTorch would save it, with fresh random numbers; and the numbers."""
    rng = np.random.default_rng(1)
    state, ours = {}, {}
    for i, (name, own) in enumerate(model.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        ours[name] = rng.uniform(0.5, 1, own.shape).astype("f4")
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(own.ndim, (0,))
        array = ours[name].transpose(axes)
        state[prefix + rename(name)] = tensor(Storage(array, str(i)), function="_rebuild_tensor")
    return state, ours


def other_names(name):
    return name.replace("fc.", "linear.").replace(".downsample.", ".shortcut.")


@both
@pytest.mark.parametrize("depth", [8, 20, 32])
def test_the_cifar_family_with_names_of_others(write, file, depth):
    model = models.create(f"resnet{depth}")
    state, ours = torch_state(model, "module.", other_names)
    path = file(write({"state_dict": state, "best_prec1": 91.7}))
    for loaded in (load_weights(path, model), load_weights(path, f"resnet{depth}")):
        assert not loaded.training
        for name, values in ours.items():
            np.testing.assert_array_equal(loaded.state_dict()[name].numpy(), values, name)
    assert set(load_torch(path)) == set(ours)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_classes_channels_and_shortcuts_are_read_off_the_weights(file, shortcut):
    model = models.resnet8(7, 1, shortcut=shortcut)
    state, ours = torch_state(model, rename=other_names)
    loaded = load_weights(file(zipped(state)), "resnet8")
    assert {k: v.shape for k, v in loaded.state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }
    np.testing.assert_array_equal(loaded.fc.weight.numpy(), ours["fc.weight"])


def test_keys_that_do_not_fit_are_named_and_nothing_is_loaded(file):
    model = models.resnet8()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    state, _ = torch_state(model)
    del state["layer1.0.bn1.bias"]
    state["extra.weight"] = state["layer2.0.conv1.weight"]
    state["fc.weight"] = tensor(Storage(np.zeros((3, 64), "f4"), "fc"))
    path = file(zipped(state))
    with pytest.raises(FileError) as caught:
        load_weights(path, model)
    assert str(caught.value) == (
        f"cannot load {path}: its weights do not fit: missing: layer1.0.bn1.bias; "
        "unknown: extra.weight; fc.weight has shape (3, 64), wanted (10, 64)"
    )
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


# ---------------------------------------------------------------------- what is refused


def test_a_hostile_pickle_runs_nothing_and_is_named(file, tmp_path):
    target = tmp_path / "written by the pickle"
    for protocol in (2, 4):
        for call, name in (
            (Call(os.system, f"touch '{target}'"), f"{os.system.__module__}.system"),
            (Call(open, str(target), "w"), f"{open.__module__}.open"),
            (Call(eval, f"open({str(target)!r}, 'w')"), "builtins.eval"),
            (Call(getattr, {}, "clear"), "builtins.getattr"),
            (Call(stand_in("torch.hub", "load"), "x"), "torch.hub.load"),
            (Call(stand_in("__main__", "ResNet")), "__main__.ResNet"),
        ):
            for write in FORMATS.values():
                path = file(write({"state_dict": call}, protocol=protocol))
                with pytest.raises(FileError, match="not among the few names allowed") as caught:
                    load_torch(path)
                assert f"{path}: it asks for {name}," in str(caught.value)
    assert not target.exists()


HOSTILE = {
    "an instruction that makes instances": (b"(i__main__\nX\n.", "uses INST"),
    "another": (b"(cos\nsystem\no.", "asks for os.system"),
    "a registered extension": (b"\x82\x01.", "uses EXT1"),
    "a new object": (b"ccollections\nOrderedDict\n)\x81.", "uses NEWOBJ"),
    "attributes of a list": (b"](K\x01K\x02eN}b.", "attributes"),
    "a call of a string": (b"X\x01\x00\x00\x00x)R.", "calls what is no function"),
    "arguments that are no tuple": (b"ccollections\nOrderedDict\n]R.", "calls what is no function"),
    "a name that is no string": (b"\x80\x04]]\x93.", "damaged"),
    "a name with a line break": (b"\x80\x04\x8c\x03a\nb\x8c\x01c\x93.", r"asks for 'a\\nb.c'"),
    "a persistent id": (b"K\x01Q.", "data outside"),
    "no end": (b"]", "damaged"),
    "nothing at the end": (b".", "damaged"),
    "more than one object": (b"K\x01K\x02.", "more or less than one object"),
    "an empty stack": (b"0.", "damaged"),
    "no mark": (b"e.", "damaged"),
    "a memory that was not written": (b"h\x05.", "damaged"),
    "an unknown instruction": (b"\xf0.", "damaged"),
    "a string longer than the file": (b"X\xff\xff\xff\x7fx.", "damaged"),
    "a key that is a list": (b"}]K\x01s.", "damaged"),
    "a key that is a deep tuple": (b"}(" + b")" + b"\x85" * 500_000 + b"K\x01u.", "damaged"),
    "an odd number of items": (b"}(K\x01u.", "damaged"),
    "items for a number": (b"K\x01(K\x02e.", "damaged"),
    "bytes that are no text": (b"X\x01\x00\x00\x00\xff.", "damaged"),
    "an enormous number": (b"I" + b"9" * 100_000 + b"\n.", "damaged"),
}


@pytest.mark.parametrize("program", HOSTILE)
def test_strange_pickles_are_refused(program):
    data, message = HOSTILE[program]
    with pytest.raises(PickleError, match=message):
        unpickle(io.BytesIO(data), {"collections.OrderedDict": dict})


def test_deep_lists_are_no_trouble():
    found = unpickle(io.BytesIO(b"]" * 100_000 + b"a" * 99_999 + b"."), {})
    assert len(found) == 1


def one(**options):
    return {"bias": tensor(Storage(np.arange(4, dtype="f4"), "0"), **options)}


LIES = {
    "beyond the storage": (one(shape=(5,), strides=(1,)), "reaches beyond its 4 numbers"),
    "beyond by its stride": (one(shape=(2, 2), strides=(3, 1)), "reaches beyond"),
    "beyond by its offset": (one(offset=1), "reaches beyond"),
    "a number that repeats": (one(shape=(10**9,), strides=(0,)), "repeats its 4 numbers"),
    "a negative offset": (one(offset=-1), "no whole numbers"),
    "a negative stride": (one(shape=(2,), strides=(-1,), offset=3), "no whole numbers"),
    "a shape of floats": (one(shape=(4.0,), strides=(1,)), "no whole numbers"),
    "a shape of booleans": (one(shape=(True,), strides=(1,)), "no whole numbers"),
    "more strides than axes": (one(shape=(4,), strides=(1, 1)), "do not fit together"),
    "an endless empty shape": (one(shape=(0, 2**62), strides=(1, 1)), "damaged"),
    "a storage that is a number": (
        {"bias": Call(stand_in("torch._utils", "_rebuild_tensor"), 3, 0, (1,), (1,))},
        "do not fit together",
    ),
    "a negative size": (
        {"bias": tensor(Storage(np.ones(1, "f4"), "0", size=-1), (0,))},
        "described",
    ),
    "a size beyond memory": (
        {"bias": tensor(Storage(np.ones(4, "f4"), "0", size=2**60), (2**60,))},
        "cut off|bytes, its tensors say",
    ),
    "one storage of two types": (
        {
            "a": tensor(Storage(np.ones(4, "f4"), "0")),
            "b": tensor(Storage(np.ones(4, "f4"), "0", kind="Int")),
        },
        "two types or sizes",
    ),
}


@both
@pytest.mark.parametrize("lie", LIES)
def test_lying_tensors_are_refused(write, file, lie):
    content, message = LIES[lie]
    with pytest.raises(FileError, match=message) as caught:
        load_torch(file(write(content)))
    assert "\n" not in str(caught.value)


@both
def test_a_file_cut_off_anywhere_is_refused(write, file):
    data = write({"state_dict": one(), "epoch": 1})
    for length in range(len(data)):
        with pytest.raises(FileError, match="weights: "):
            load_torch(file(data[:length]))


@both
def test_a_changed_byte_does_no_harm(write, file, rng):
    """It is refused, or it changes a number or a name; nothing else may happen."""
    data = write({"state_dict": one(), "epoch": 1})
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(FileError):
            read = load_torch(file(bytes(changed)))
            assert sum(array.nbytes for array in read.values()) <= len(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: legacy(one(), sizes={"0": 3}), "holds 3 numbers, its tensors say 4"),
        (lambda: legacy(one(), sizes={"0": -1}), "holds -1 numbers"),
        (lambda: legacy(one(), system={"little_endian": False}), "big-endian"),
        (lambda: legacy(one(), system=7), "big-endian"),
        (lambda: legacy(one(), view=("0", 0, 4)), "window on another"),
        (lambda: legacy(one()).replace(b"\x4d\xe9\x03", b"\x4d\xea\x03", 1), "version is unknown"),
        (lambda: zipped(one(), extra=[("constants.pkl", b"")]), "TorchScript"),
        (lambda: zipped(one(), extra=[("more/data.pkl", b"")]), "not one of PyTorch's"),
        (lambda: zipped(one(), compression=zipfile.ZIP_DEFLATED), "compressed"),
        (lambda: b"", "is empty"),
        (lambda: b"hello, world", "not one of PyTorch's"),
        (lambda: pickle.dumps({"bias": 1}), "not one of PyTorch's"),
        (lambda: zipped({"epoch": 1}), "no value in it is a state dict; it holds: epoch"),
        (lambda: zipped([1, 2]), "holds a list, not a state dict"),
        (lambda: zipped({"state_dict": {}}), "no value in it is a state dict"),
    ],
)
def test_files_that_lie_or_are_something_else(file, change, message):
    with pytest.raises(FileError, match=message):
        load_torch(file(change()))


def test_a_list_of_storages_that_is_not_the_tensors(file):
    data, _ = pickled(one(), (None,))
    for keys in (["1"], [], ["0", "0"], "0", None):
        parts = [pickle.dumps(part, 2) for part in (MAGIC, VERSION, SYSTEM)]
        parts += [data, pickle.dumps(keys, 2), struct.pack("<q", 4), bytes(16)]
        with pytest.raises(FileError, match="list of storages"):
            load_torch(file(b"".join(parts)))


def test_a_zip_bomb_is_not_unpacked(file):
    """64 MB of zeros in 64 KB, as a tensor and as the pickle itself."""
    data, _ = pickled({"bias": tensor(Storage(np.zeros(1, "f4"), "0", size=2**24), (2**24,))})
    for bomb, others in (("data/0", {"data.pkl": data}), ("data.pkl", {})):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, text in others.items():
                archive.writestr(f"archive/{name}", text)
            archive.writestr(f"archive/{bomb}", bytes(2**26), zipfile.ZIP_DEFLATED)
        assert len(out.getvalue()) < 70_000
        path = file(out.getvalue())
        tracemalloc.start()
        with pytest.raises(FileError, match="compressed"):
            load_torch(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
        tracemalloc.stop()


def lying_zip(offset, fmt, value):
    """A zip file with a field of the list entry of `data/0` changed."""
    data = bytearray(zipped(one()))
    entry = data.rindex(b"archive/data/0") - 46
    struct.pack_into(fmt, data, entry + offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("offset", "fmt", "value"),
    [
        (10, "<H", 8),  # the method: said to be deflated
        (24, "<I", 2**31),  # the size
        (24, "<I", 8),
        (42, "<I", 2**31),  # where its header is
        (42, "<I", 3),
        (8, "<H", 1),  # encrypted
    ],
)
def test_a_zip_whose_list_lies(file, offset, fmt, value):
    with pytest.raises(FileError, match=r"compressed|not where|damaged|bytes, its tensors|cut off"):
        load_torch(file(lying_zip(offset, fmt, value)))


def test_records_that_overlap_take_no_memory(file):
    """Many records that are the same bytes: the file is mapped, so nothing grows."""
    tensors = {f"b{i}": tensor(Storage(np.ones(1000, "f4"), str(i))) for i in range(20)}
    data = bytearray(zipped(tensors))
    first = data.rindex(b"archive/data/0") - 46
    (where,) = struct.unpack_from("<I", data, first + 42)
    for i in range(1, 20):
        entry = data.rindex(f"archive/data/{i}".encode()) - 46
        struct.pack_into("<I", data, entry + 42, where)
    read = load_torch(file(bytes(data)))
    assert all((array == 1).all() for array in read.values())
    assert all(array.base is not None for array in read.values())


def test_no_such_file(tmp_path):
    with pytest.raises(FileError, match=r"cannot read .*nowhere: No such file"):
        load_torch(tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform != "linux", reason="measures resident memory in Linux's way")
def test_a_large_file_is_not_in_memory_twice(file):
    """Loading into a network may take the network's own memory and little more."""
    code = """
import resource, sys
import minires.nn.init
from minires import models
from minires.interop import load_weights
minires.nn.init._fill = lambda tensor, draw: tensor
model = models.resnet18()
for p in model.parameters():
    p.data.fill(0)  # its memory is there before
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
load_weights(sys.argv[1], model)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024)
"""
    state, _ = torch_state(models.resnet18())
    path = file(zipped(state))
    grown = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert path.stat().st_size > 46e6
    assert float(grown.stdout) < 25  # MB: the largest tensor and its neighbours

"""Files of minires: what goes in comes out, no pickle, and never half a file."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import small_run

import minires
from minires import Tensor, data, models, nn
from minires.files import atomic_write
from minires.training import FileError
from minires.training.archive import read_archive, write_archive

quick = pytest.fixture(small_run.quick)

# ---------------------------------------------------------------------- archives


def test_what_goes_in_comes_out(tmp_path, rng):
    arrays = {
        "float32": rng.normal(size=(2, 3)).astype(np.float32),
        "float64": rng.normal(size=4),
        "int64": np.arange(5),
        "zero-d": np.array(2.5),
        "none": np.zeros((0, 3), np.float32),
        "strided": np.arange(12.0).reshape(3, 4)[:, ::2],
    }
    content = {
        "arrays": arrays,
        "tensor": Tensor([1.0, 2.0]),
        "numbers": [1, 2.5, -1e-300, 2**60, True, None, float("inf")],
        "text": "naïve ✓\n",
        "nested": [[{"a.b/c": np.array([1, 2])}], {}, []],
        "numpy": np.float64(0.1),
    }
    write_archive(tmp_path / "a.npz", "thing", content)
    got = read_archive(tmp_path / "a.npz", "thing")
    for name, wanted in arrays.items():
        np.testing.assert_array_equal(got["arrays"][name], wanted, strict=True)
    np.testing.assert_array_equal(got["tensor"], np.array([1, 2], np.float32), strict=True)
    assert got["numbers"] == content["numbers"]
    assert [type(v) for v in got["numbers"]] == [type(v) for v in content["numbers"]]
    assert got["text"] == content["text"]
    np.testing.assert_array_equal(got["nested"][0][0]["a.b/c"], [1, 2])
    assert got["nested"][1:] == [{}, []]
    assert got["numpy"] == 0.1
    assert type(got["numpy"]) is float


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_archive(tmp_path / name, "thing", {"x": np.arange(4), "y": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_anybody_can_read_the_arrays(tmp_path):
    """It is a plain .npz: no minires is needed to get at the numbers."""
    write_archive(tmp_path / "a.npz", "thing", {"state": {"fc.weight": np.eye(2)}})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["state/fc.weight"], np.eye(2))
        assert json.loads(str(archive["minires.json"]))["format"] == "minires thing"


def forge(path, tree):
    text = tree if isinstance(tree, str) else json.dumps(tree)
    with path.open("wb") as file:
        np.savez(file, **{"minires.json": np.array(text)})


def tree(**changes):
    return {"format": "minires thing", "version": 1, "content": {}, **changes}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "cannot read .*: No such file or directory"),
        (lambda p: p.mkdir(), "cannot read "),
        (lambda p: p.write_bytes(b""), "is damaged or not a minires thing file"),
        (lambda p: p.write_bytes(b"hello"), "is damaged or not a minires thing file"),
        (lambda p: p.write_bytes(pickle.dumps({"a": 1})), "is damaged or not a minires thing file"),
        (lambda p: p.write_bytes(npy()), "is damaged or not a minires thing file"),
        (lambda p: p.write_bytes(zipped()), "is not a minires file"),
        (lambda p: np.savez(p.open("wb"), x=np.eye(2)), "is not a minires file"),
        (lambda p: forge(p, tree(format="minires other")), "is a minires other file, wanted .*ing"),
        (lambda p: forge(p, tree(version=2)), "has version 2 of its format, this minires reads 1"),
        (lambda p: forge(p, {"format": "minires thing", "version": 1}), "is damaged .*KeyError"),
        (lambda p: forge(p, [1, 2]), "is damaged"),
        (lambda p: forge(p, tree(content={"array": "gone"})), "is damaged .*KeyError.*gone"),
        (lambda p: forge(p, "[" * 100_000), "is damaged"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_other_files_are_refused(tmp_path, make, message):
    path = tmp_path / "file.npz"
    make(path)
    with pytest.raises(FileError, match=message) as caught:
        read_archive(path, "thing")
    assert "file.npz" in str(caught.value)
    assert "pickle" not in str(caught.value)  # NumPy's advice to allow it is no advice


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.eye(2))
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return buffer.getvalue()


class Bomb:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    "where", ["an array of the state", "the tree", "an array that is not used"]
)
def test_a_pickle_in_disguise_is_refused_unread(tmp_path, where):
    target = tmp_path / "written by the pickle"
    hostile = np.array([Bomb(target)], dtype=object)
    good = np.array(
        json.dumps(
            {
                "format": "minires weights",
                "version": 1,
                "content": {
                    "architecture": {"name": "resnet8", "num_classes": 10},
                    "metadata": {},
                    "state": {"conv1.weight": {"array": "w"}},
                },
            }
        )
    )
    arrays = {
        "an array of the state": {"minires.json": good, "w": hostile},
        "the tree": {"minires.json": hostile},
        "an array that is not used": {"minires.json": good, "w": np.eye(2), "x": hostile},
    }[where]
    path = tmp_path / "hostile.npz"
    with path.open("wb") as file:
        np.savez(file, allow_pickle=True, **arrays)
    with pytest.raises(FileError, match=r"hostile.npz is damaged or not a minires weights file"):
        minires.load(path)
    assert not target.exists()


# ---------------------------------------------------------------------- whole or not there


def test_a_bomb_is_not_unpacked(tmp_path):
    """64 MB of zeros in 64 KB, and one record that is in the list very often."""
    write_archive(tmp_path / "x.npz", "weights", {"a": np.zeros(1000, np.uint8)})
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        arrays = dict(archive)
    np.savez_compressed(tmp_path / "small.npz", **{**arrays, "a": np.zeros(2**26, np.uint8)})
    assert (tmp_path / "small.npz").stat().st_size < 70_000
    data = (tmp_path / "x.npz").read_bytes()
    start = data.rindex(b"PK\x01\x02", 0, data.rindex(b"a.npy"))
    length = data.index(b"PK", start + 1) - start
    entries, end = data[start : start + length] * 500, data.rindex(b"PK\x05\x06")
    (first,) = struct.unpack_from("<I", data, end + 16)
    listed = data[first:start] + entries + data[start + length : end]
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 501, 501, len(listed))
    (tmp_path / "often.npz").write_bytes(data[:first] + listed + tail)
    tracemalloc.start()
    for name, message in (("small", "are compressed"), ("often", "claim more bytes than it has")):
        with pytest.raises(FileError, match=message):
            read_archive(tmp_path / f"{name}.npz", "weights")
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_an_atomic_write_replaces_at_the_end(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    with atomic_write(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    with atomic_write(path) as file:
        file.write(b"two")
        file.flush()
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")
def test_permissions_are_those_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "file") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_exception_while_writing_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write():
        with atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


FULL = OSError(28, "No space left on device")


def full(*args, **kwargs):
    raise FULL


@pytest.mark.parametrize("what", ["os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, what):
    path = tmp_path / "weights.npz"
    model = models.resnet8(in_channels=1)
    minires.save(model, path)
    old = path.read_bytes()
    monkeypatch.setattr(what, full)
    with pytest.raises(OSError, match="No space left on device; what was there is unchanged") as e:
        minires.save(models.resnet8(in_channels=1), path)
    assert e.value.errno == 28
    assert str(path) in str(e.value)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["weights.npz"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from minires.training.archive import read_archive, write_archive

path, limit = Path(sys.argv[1]), int(sys.argv[2])
write_archive(path, "thing", {"x": np.zeros(100)})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write_archive(path, "thing", {"x": np.ones(100_000), "y": np.ones(100_000)})
except OSError as error:
    print(error)
assert (read_archive(path, "thing")["x"] == 0).all()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE there")
@pytest.mark.parametrize("limit", [100, 4096, 799_000, 1_000_000])
def test_a_file_that_may_not_grow(tmp_path, limit):
    """The system refuses the bytes for real, early, late, and while the archive is closed."""
    path = tmp_path / "file.npz"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, path, str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"cannot write {path}: File too large; what was there is unchanged" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["file.npz"]


@pytest.mark.parametrize("path", ["file/in/a/file", "folder", ""])
def test_places_where_no_file_can_be(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="cannot write "), atomic_write(path) as file:
        file.write(b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"old"


# ---------------------------------------------------------------------- weights


def images(rng, *shape):
    return Tensor(rng.normal(size=shape).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet8", {"num_classes": 7, "in_channels": 1}),
        ("resnet8", {"shortcut": "B", "zero_gamma": True}),
        ("preact_resnet14", {}),
        ("plain8", {"num_classes": 3}),
        ("resnet26", {}),  # of the family, though in no list
    ],
)
def test_save_and_load_one_line_each(tmp_path, rng, name, options):
    model = models.create(name, **options)
    x = images(rng, 4, 8, 8, options.get("in_channels", 3))
    model(x)  # moves the running statistics
    minires.save(model, tmp_path / "w.npz")
    again = minires.load(tmp_path / "w.npz")
    assert not again.training
    assert again.architecture == model.architecture
    assert again.metadata == {}
    for (key, wanted), (key_again, got) in zip(
        model.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert key == key_again
        np.testing.assert_array_equal(got.numpy(), wanted.numpy(), strict=True)
    np.testing.assert_array_equal(again(x).numpy(), model.eval()(x).numpy())


def test_metadata_comes_back(tmp_path):
    model = models.resnet8()
    metadata = {
        "classes": ["cat", "dog's", "Ærø"],
        "mean": (0.1, 0.2, 0.3),
        "size": [32, 32],
        "epoch": 3,
        "note": None,
    }
    minires.save(model, tmp_path / "w.npz", **metadata)
    again = minires.load(tmp_path / "w.npz")
    assert again.metadata == {**metadata, "mean": [0.1, 0.2, 0.3]}
    minires.save(again, tmp_path / "v.npz", epoch=4)  # kept, and the new wins
    assert minires.load(tmp_path / "v.npz").metadata == {**again.metadata, "epoch": 4}


class Custom(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.first = nn.Linear(2, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x):
        return self.norm(self.first(x))


def test_a_network_of_ones_own(tmp_path, rng):
    model = Custom()
    model(images(rng, 5, 2))
    minires.save(model, tmp_path / "w.npz", classes=["a", "b", "c"])
    again = minires.load(tmp_path / "w.npz", Custom())
    assert again.metadata == {"classes": ["a", "b", "c"]}
    for key, wanted in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[key].numpy(), wanted.numpy(), strict=True)
    with pytest.raises(
        FileError, match=r"w.npz holds weights of a network that is not from .*build"
    ):
        minires.load(tmp_path / "w.npz")


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    minires.save(Custom(3), tmp_path / "w.npz")
    wide = Custom(4)
    before = {key: value.numpy().copy() for key, value in wide.state_dict().items()}
    with pytest.raises(ValueError, match=r"first.weight: shape \(2, 3\), wanted \(2, 4\)"):
        minires.load(tmp_path / "w.npz", wide)
    for key, value in wide.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


@pytest.mark.usefixtures("quick")
def test_a_checkpoint_is_no_weights_file(tmp_path):
    train = data.digits().subset(np.arange(20))
    model = models.resnet8(in_channels=1)
    minires.fit(model, train, valid=None, epochs=1, batch_size=10, out=tmp_path, progress=False)
    with pytest.raises(FileError, match=r"last.npz is a minires checkpoint file, wanted .*weights"):
        minires.load(tmp_path / "last.npz")


def test_an_incomplete_weights_file(tmp_path):
    resnet8 = {"name": "resnet8"}
    others = {f"{i}": np.zeros(1) for i in range(8)}
    for content, message in (
        ({"metadata": {}, "architecture": resnet8}, "'state'"),
        ({"state": {}, "architecture": resnet8}, "'metadata'"),
        ({"state": {}, "metadata": {}}, "'architecture'"),
        ({"state": others, "metadata": {}, "architecture": resnet8}, "missing: conv1.weight, "),
        ({"state": others, "metadata": {}, "architecture": {**resnet8, "x": 1}}, "no option x"),
        ({"state": {}, "metadata": {}, "architecture": {"name": "alexnet"}}, "unknown model"),
        ({"state": {}, "metadata": {}, "architecture": ["resnet8"]}, "an object"),
    ):
        write_archive(tmp_path / "w.npz", "weights", content)
        with pytest.raises(FileError, match=rf"(?s)w.npz cannot be loaded: .*{message}"):
            minires.load(tmp_path / "w.npz")

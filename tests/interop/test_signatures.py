"""Files of other kinds: each is called what it is, wherever it is given."""

import gzip
import io
import json
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

import minires
from minires.files import FileError
from minires.interop import (
    file_format,
    load_keras,
    load_onnx,
    load_safetensors,
    load_torch,
    load_weights,
)


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return out.getvalue()


def tarred():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights"), io.BytesIO())
    return out.getvalue()


def npz():
    out = io.BytesIO()
    np.savez(out, weight=np.ones(3))
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.ones(3))
    return out.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"
INDEX = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}

KINDS = {
    "tflite": (b"\x1c\0\0\0TFL3\x14\0\x20\0", r"a TensorFlow Lite model \(\.tflite\)"),
    "lfs": (LFS, "a git-LFS pointer, not the file itself.*`git lfs pull`"),
    "html": (
        b"\n\n<!DOCTYPE html>\n<html><title>Sign in",
        "an HTML page.*a download gave a web page",
    ),
    "html in capitals": (b"<HTML>404 Not Found</HTML>", "an HTML page"),
    "html with a mark": (b"\xef\xbb\xbf<html lang='en'>", "an HTML page"),
    "xml": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML file"),
    "gzip": (gzip.compress(b"weights"), "a gzip archive.*: unpack it first"),
    "tar": (tarred(), "a tar archive.*: unpack it first"),
    "xz": (b"\xfd7zXZ\0\0\4", "an xz archive"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00", "a Zstandard archive"),
    "pickle": (pickle.dumps({"weight": [1, 2]}), "a Python pickle.*nothing is unpickled here"),
    "old pickle": (pickle.dumps({"weight": [1, 2]}, 2), "a Python pickle"),
    "npy": (npy(), r"a NumPy array \(\.npy\)"),
    "npz": (npz(), r"an \.npz archive of NumPy arrays that minires did not write"),
    "zip": (zipped(a="1", b__c="2"), r"a zip archive of a, b/c.*: unpack it first"),
    "large zip": (zipped(**{f"f{i}": "" for i in range(9)}), "zip archive of f0, .* and 5 more"),
    "keras 3": (
        zipped(**{"config.json": "{}", "model.weights.h5": ""}),
        r"a Keras 3 archive.*\.h5",
    ),
    "jar": (zipped(**{"META-INF__MANIFEST.MF": ""}), "a Java archive"),
    "json": (
        json.dumps({"architectures": ["ResNet"], "depths": [3]}).encode(),
        "a JSON file of arch",
    ),
    "index": (
        json.dumps(INDEX).encode(),
        "several files.*: they are in model-1.safetensors, model-2",
    ),
    "gguf": (b"GGUF\3\0\0\0" + bytes(16), "a GGUF file"),
    "saved model": (b"\x08\x01\x12\xff\x01serve", "a TensorFlow SavedModel"),
    "picture": (b"\x89PNG\r\n\x1a\n", "an image"),
    "pdf": (b"%PDF-1.7\n", "a PDF document"),
    "matlab": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "a MATLAB file"),
    "sqlite": (b"SQLite format 3\0", "an SQLite database"),
}

LOADERS = {
    "load": minires.load,
    "load by name": lambda path: minires.load(path, "resnet8"),
    "load_weights": lambda path: load_weights(path, "resnet8"),
    "load_torch": load_torch,
    "load_safetensors": load_safetensors,
    "load_onnx": load_onnx,
    "load_keras": load_keras,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_called_what_it_is(tmp_path, kind):
    data, message = KINDS[kind]
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    assert file_format(path) == "other"
    for name, load in LOADERS.items():
        with pytest.raises(
            FileError, match=f"cannot load .*weights.pth: it is .*{message}"
        ) as caught:
            load(path)
        text = str(caught.value)
        assert text.isprintable(), name
        assert "damaged" not in text
        assert len(text) < 300 + len(str(path))


def test_the_command_line_says_it_too(run, tmp_path):
    (tmp_path / "best.npz").write_bytes(LFS)
    code, out, err = run("eval", "--weights", "best.npz")
    assert (code, out) == (2, "")
    assert err.startswith("minires: cannot load best.npz: it is a git-LFS pointer")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"Not Found", "text that begins 'Not Found'"),
        ("größer als".encode(), "text that begins 'größer als'"),
        (b"{ no json", "text that begins like JSON"),
        (b"\x1b[2J\x1b]0;hi\x07", "of an unknown kind"),
        (bytes(range(256)), "of an unknown kind"),
        (b"[" * 10**5, r"text that begins '\[\[\[\[.*\.\.\.'"),
        (b'{"a":' * 10**5, "text that begins like JSON"),
        (b"\xff" * 100, "of an unknown kind"),
    ],
)
def test_what_may_be_damaged_is_said_to_be(tmp_path, data, message):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(FileError, match=f"x is damaged or not a minires weights file: .*{message}"):
        minires.load(path)
    for load in (load_torch, load_safetensors, load_keras):
        with pytest.raises(FileError, match=message) as caught:
            load(path)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300 + len(str(path))


def test_what_can_be_read_is_known(tmp_path):
    from interop.torch_files import FORMATS, Storage, tensor

    path = tmp_path / "x"
    for write in FORMATS.values():
        path.write_bytes(write({"a": tensor(Storage(np.ones(3, "f4"), "0"))}))
        assert file_format(path) == "torch"
    model = minires.models.resnet8()
    minires.interop.save_torch_compatible(model, path)
    assert file_format(path) == "safetensors"
    minires.interop.export_onnx(model, path, (8, 8, 3))
    assert file_format(path) == "onnx"
    minires.save(model, path)
    assert file_format(path) == "minires"


@pytest.mark.parametrize("length", [0x8B1F, 0x4D42, 0x5A4D, 0x5025, 0x1A3C, 0x0308, 0x0280])
def test_the_length_of_a_head_is_no_signature(tmp_path, length):
    """A safetensors file begins with a number, which may look like another kind's beginning."""
    head = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "x"
    path.write_bytes(length.to_bytes(8, "little") + head.ljust(length) + bytes(4))
    assert list(load_safetensors(path)) == ["a"]

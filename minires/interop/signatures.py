"""What a file is, from its first bytes: those that can be read here, and those that cannot."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from minires.files import FileError, refuse_pipe
from minires.text import shown

Format = Literal["torch", "safetensors", "keras", "onnx", "minires", "other"]
ZIP_START = b"PK\x03\x04"
TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # what the first pickle of the older format is
READ = 4096  # bytes at the beginning; a JSON file is read whole up to a thousand times as many


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    what : str
        As in "it is ...".
    format : str
        Who reads it; "other" if nobody does.
    advice : str
        What can be done with a file of a kind that is not read here.
    sure : bool
        False where it may as well be a damaged file of any kind.
    """

    what: str
    format: Format = "other"
    advice: str = ""
    sure: bool = True


def starts(*beginnings: bytes, at: int = 0) -> Callable[[bytes], bool]:
    """Whether a file has one of these at a place."""
    return lambda start: start[at:].startswith(beginnings)


def begins_text(*words: str) -> Callable[[bytes], bool]:
    """Whether a text begins so, whatever its case and the white space before it."""
    marks = tuple(word.encode() for word in words)
    return lambda start: start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(marks)


def starts_torch(start: bytes) -> bool:
    """Whether a file that starts like this is in PyTorch's older format."""
    return start[:1] == b"\x80" and TORCH_MAGIC.to_bytes(10, "little") in start[:32]


def starts_safetensors(start: bytes) -> bool:
    """Whether a file that starts like this is in the format: a length, then a JSON object."""
    return len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**32


def _is_onnx(start: bytes) -> bool:
    """A protocol buffer: the version of ONNX's IR, then another of the model's fields."""
    return (
        start[:1] == b"\x08" and start[1:2] < b"\x40" and start[2:3] in _FIELDS and len(start) > 3
    )


_FIELDS = [bytes([8 * number + kind]) for number, kind in ((2, 2), (3, 2), (4, 2), (5, 0))]
_FIELDS += [bytes([8 * number + 2]) for number in (6, 7, 8, 14)]

_UNPACK = "unpack it first"
_CONVERT = "convert it to ONNX, which is read here"

SIGNATURES: Sequence[tuple[Callable[[bytes], bool], Kind]] = (
    (starts_safetensors, Kind("a safetensors file", "safetensors")),
    (starts_torch, Kind("a PyTorch file of the older format", "torch")),
    (starts(b"\x89HDF\r\n\x1a\n"), Kind("an HDF5 file, as Keras writes (.h5)", "keras")),
    (starts(b"TFL3", at=4), Kind("a TensorFlow Lite model (.tflite)", advice=_CONVERT)),
    (
        starts(b"version https://git-lfs.github.com/spec/"),
        Kind("a git-LFS pointer, not the file itself", advice="fetch that with `git lfs pull`"),
    ),
    (
        begins_text("<!doctype html", "<html", "<head", "<body"),
        Kind("an HTML page", advice="a download gave a web page instead of the file"),
    ),
    (begins_text("<?xml"), Kind("an XML file", advice="weights stand in another file beside it")),
    (starts(b"\x1f\x8b"), Kind("a gzip archive", advice=_UNPACK)),
    (starts(b"BZh"), Kind("a bzip2 archive", advice=_UNPACK)),
    (starts(b"\xfd7zXZ\0"), Kind("an xz archive", advice=_UNPACK)),
    (starts(b"\x28\xb5\x2f\xfd"), Kind("a Zstandard archive", advice=_UNPACK)),
    (starts(b"7z\xbc\xaf\x27\x1c"), Kind("a 7-Zip archive", advice=_UNPACK)),
    (starts(b"Rar!\x1a\x07"), Kind("a RAR archive", advice=_UNPACK)),
    (starts(b"ustar", at=257), Kind("a tar archive", advice=_UNPACK)),
    (starts(b"\x93NUMPY"), Kind("a NumPy array (.npy)", advice="np.load reads it")),
    (starts(b"GGUF", b"ggml", b"ggjt"), Kind("a GGUF file of a language model")),
    (starts(b"MATLAB "), Kind("a MATLAB file (.mat)")),
    (starts(b"SQLite format 3\0"), Kind("an SQLite database")),
    (starts(b"ARROW1", b"PAR1"), Kind("a table of Apache Arrow or Parquet")),
    (starts(b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM"), Kind("an image")),
    (starts(b"%PDF-"), Kind("a PDF document")),
    (starts(b"\x7fELF", b"MZ"), Kind("a program")),
    (starts(b"\x08\x01\x12"), Kind("a TensorFlow SavedModel (saved_model.pb)", advice=_CONVERT)),
    (_is_onnx, Kind("an ONNX file", "onnx")),
    (
        starts(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        Kind(
            "a Python pickle",
            advice="nothing is unpickled here but tensors: save a state dict with torch.save",
        ),
    ),
)
"""What comes first counts. What a zip archive or JSON file is shows in its contents."""

# by names in it, of which one must match
ARCHIVES: Sequence[tuple[str, Kind]] = (
    (r".*/data\.pkl", Kind("a PyTorch file", "torch")),
    (r"minires\.json(\.npy)?", Kind("a file of minires's own", "minires")),
    (
        r"model\.weights\.h5",
        Kind("a Keras 3 archive (.keras)", advice='save it as .h5, `model.save("model.h5")`'),
    ),
    (
        r".*\.npy",
        Kind(
            "an .npz archive of NumPy arrays that minires did not write",
            advice="np.load reads it; load_state_dict takes the arrays",
        ),
    ),
    (r"META-INF/MANIFEST\.MF", Kind("a Java archive")),
    (r"\[Content_Types\]\.xml", Kind("an Office document")),
)


def file_kind(path: str | Path) -> Kind:
    """What a file is.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    refuse_pipe(path)
    try:
        with Path(path).open("rb") as file:
            start = file.read(READ)
            if start.lstrip()[:1] == b"{":
                start += file.read(1000 * READ)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    if not start:
        return Kind("empty", sure=False)
    if start.startswith(ZIP_START):
        return _archive(path, start)
    for matches, kind in SIGNATURES:
        if matches(start):
            return kind
    return _text(start)


def refusal(path: str | Path, kind: Kind, wanted: str = "") -> FileError:
    """The error for a file that is of another kind than was wanted, or of one that nobody reads."""
    no = f", not {wanted}" if wanted else ""
    advice = f": {kind.advice}" if kind.advice else ""
    return FileError(f"cannot load {path}: it is {kind.what}{no}{advice}")


def _archive(path: str | Path, start: bytes) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        if b"/data.pkl" in start:
            return Kind("a damaged PyTorch file", "torch")
        return Kind("a damaged zip archive", "minires", sure=False)
    for pattern, kind in ARCHIVES:
        if any(re.fullmatch(pattern, name) for name in names):
            return kind
    inside = ", ".join(shown(name, 40) for name in names[:4]) or "nothing"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return Kind(f"a zip archive of {inside}{more}", advice=_UNPACK)


def _text(start: bytes) -> Kind:
    if start.lstrip()[:1] == b"{":
        try:
            content = json.loads(start)
        except (ValueError, RecursionError):
            return Kind("text that begins like JSON", sure=False)
        if isinstance(content.get("weight_map"), dict):
            files = sorted({str(name) for name in content["weight_map"].values()})
            inside = ", ".join(shown(name, 60) for name in files[:3])
            return Kind("an index of weights in several files", advice=f"they are in {inside}")
        keys = ", ".join(shown(str(key), 30) for key in list(content)[:5]) or "nothing"
        return Kind(f"a JSON file of {keys}", advice="weights stand in another file")
    try:
        text = start[:200].decode("utf-8")
    except UnicodeDecodeError as error:
        text = start[: error.start].decode("utf-8") if error.start > 190 else ""
    if text and all(c.isprintable() or c in "\t\r\n" for c in text):
        return Kind(f"text that begins {shown(text.split(chr(10))[0].strip(), 40)!r}", sure=False)
    return Kind("of an unknown kind", sure=False)

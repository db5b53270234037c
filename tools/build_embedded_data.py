"""Rebuild the data sets that ship inside the package, from public files, to the same bytes.

    python tools/build_embedded_data.py --digits digits.csv.gz --fashion-mnist FOLDER \\
        --austen Rdata.rdb [--out DIR]

--digits: `sklearn/datasets/data/digits.csv.gz` of scikit-learn (BSD-3-Clause), which is the file
`optdigits.tes` of the UCI repository's "Optical Recognition of Handwritten Digits"
(https://archive.ics.uci.edu/dataset/80, CC BY 4.0) with one row of 64 pixels and a label a line.

--fashion-mnist: a folder with the four idx .gz files of Zalando Research
(https://github.com/zalandoresearch/fashion-mnist/tree/master/data/fashion, MIT). Debian's package
`dataset-fashion-mnist` holds the same data, compressed anew; hence the checksums below are those of
the decompressed files.

--austen: `data/Rdata.rdb` of the R package janeaustenr (Debian: `r-cran-janeaustenr`), which holds
Jane Austen's novels line by line, from Project Gutenberg; in the public domain. A file of blocks:
the length of what it becomes, and a zlib stream, in which R has serialised a vector of strings.

The archives are plain .npz files whose time stamps are fixed. Another version of zlib may compress
to other bytes; the arrays are the same, and the test suite compares those.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHA256 = {  # of the decompressed files
    "digits.csv": "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
AUSTEN = "5bc881a937491968e0c998c5e3960444555e4b23ea4b96b741445570949cba18"
FASHION_PER_CLASS = {"train": 500, "t10k": 100}
OUT = Path(__file__).resolve().parent.parent / "minires" / "data" / "embedded"

Bytes = NDArray[np.uint8]


def decompressed(path: Path, name: str) -> bytes:
    """The decompressed bytes of `path`, once their checksum is known to be that of `name`."""
    with gzip.open(path) as stream:
        content = stream.read()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise SystemExit(f"{path}: sha256 of the decompressed file is {found}, not {SHA256[name]}")
    return content


def digits(path: Path) -> dict[str, Bytes]:
    """All 1,797 images (8x8, values 0 to 16) and labels, in file order."""
    rows = np.loadtxt(io.BytesIO(decompressed(path, "digits.csv")), delimiter=",", dtype=np.uint8)
    return {"images": rows[:, :64].reshape(-1, 8, 8), "labels": rows[:, 64]}


def fashion_mini(folder: Path) -> dict[str, Bytes]:
    """The first k images of each class, kept in file order."""
    arrays = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        name = f"{prefix}-images-idx3-ubyte"
        content = decompressed(folder / f"{name}.gz", name)
        images = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
        name = f"{prefix}-labels-idx1-ubyte"
        content = decompressed(folder / f"{name}.gz", name)
        labels = np.frombuffer(content, np.uint8, offset=8)
        count = FASHION_PER_CLASS[prefix]
        chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(10)]))
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = images[chosen], labels[chosen]
    return arrays


def lines_of_r(serialised: bytes) -> list[str]:
    """A vector of strings as R serialises it: X, versions, the encoding, then the vector."""
    place = 14 + 4 + struct.unpack_from(">I", serialised, 14)[0] + 4
    count = struct.unpack_from(">I", serialised, place)[0]
    place, lines = place + 4, []
    for _ in range(count):
        length = struct.unpack_from(">I", serialised, place + 4)[0]
        lines.append(serialised[place + 8 : place + 8 + length].decode())
        place += 8 + length
    return lines


def austen(path: Path) -> dict[str, Bytes]:
    """Volume I of Pride and Prejudice: chapters 1 to 23, one line a paragraph, plain ASCII."""
    content, place = path.read_bytes(), 0
    while place < len(content):
        stream = zlib.decompressobj()
        lines = lines_of_r(stream.decompress(content[place + 4 :]))
        place = len(content) - len(stream.unused_data)
        if lines[0] == "PRIDE AND PREJUDICE":
            break
    else:
        raise SystemExit(f"{path} does not hold Pride and Prejudice")
    first, end = lines.index("Chapter 1"), lines.index("Chapter 24")
    paragraphs = "\n".join(lines[first:end]).split("\n\n")
    joined = (re.sub(r"\s+", " ", each.replace("_", "")).strip() for each in paragraphs)
    text = "\n".join(filter(None, joined)) + "\n"
    found = hashlib.sha256(text.encode("ascii")).hexdigest()
    if found != AUSTEN:
        raise SystemExit(f"{path}: sha256 of the text is {found}, not {AUSTEN}")
    return {"text": np.frombuffer(text.encode("ascii"), np.uint8)}


def write(path: Path, arrays: dict[str, Bytes]) -> None:
    """Write an .npz as `np.savez_compressed` does, with a fixed date and the best compression."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # as on Unix, wherever this runs
            member.compress_type = zipfile.ZIP_DEFLATED
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(member, content.getvalue(), compresslevel=9)
    print(
        f"{path}: {path.stat().st_size:,} bytes, "
        f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Rebuild minires/data/embedded.")
    parser.add_argument("--digits", type=Path, required=True, help="digits.csv.gz")
    parser.add_argument("--fashion-mnist", type=Path, required=True, help="folder of idx .gz files")
    parser.add_argument("--austen", type=Path, required=True, help="janeaustenr's Rdata.rdb")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out / "digits.npz", digits(options.digits))
    write(options.out / "fashion-mini.npz", fashion_mini(options.fashion_mnist))
    write(options.out / "austen.npz", austen(options.austen))


if __name__ == "__main__":
    main()

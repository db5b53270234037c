"""The two binary formats that the classic data sets are published in: idx and CIFAR's records."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from minires.data.arrays import IntArray, UInt8Array, check_labels
from minires.data.errors import DataError
from minires.data.files import damage_named, open_maybe_gzip

MAX_IDX = 1 << 31  # bytes of values. Fashion-MNIST's largest file has 47 million

CIFAR_PIXELS = 3 * 32 * 32


def read_idx(path: Path, rank: int) -> UInt8Array:
    """Read an idx file of bytes, compressed with gzip or not.

    The format (LeCun, Cortes and Burges, the MNIST page): two zero bytes, the type (8: unsigned
    bytes), the rank, the sizes as big-endian 32-bit integers, then the values in C order.

    Parameters
    ----------
    path : Path
    rank : int
        3 for images (N, H, W), 1 for labels (N,).

    Raises
    ------
    DataError
        If the file is missing, truncated or corrupt, has another magic number or trailing bytes.
    """
    magic = bytes([0, 0, 8, rank])
    with damage_named(path), open_maybe_gzip(path) as stream:
        header = stream.read(4 + 4 * rank)
        if header[:4] != magic:
            raise DataError(
                f"{path}: no idx file of rank {rank}: magic number 0x{header[:4].hex()}, "
                f"expected 0x{magic.hex()}"
            )
        if len(header) < 4 + 4 * rank:
            raise DataError(
                f"{path}: truncated: {len(header)} bytes, the header has {4 + 4 * rank}"
            )
        shape = tuple(np.frombuffer(header, ">u4", offset=4).tolist())
        size = math.prod(shape)
        if size > MAX_IDX:
            raise DataError(f"{path}: its header claims {size:,} values, more than {MAX_IDX:,}")
        content = stream.read(size)
        if len(content) < size:
            raise DataError(
                f"{path}: truncated: {len(content):,} values, its header says {shape}, {size:,}"
            )
        if stream.read(1):
            raise DataError(f"{path}: trailing bytes after the {size:,} values of shape {shape}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def cifar_records(
    content: bytes, where: Path, label_bytes: int, classes: int
) -> tuple[UInt8Array, IntArray]:
    """Take apart a file of CIFAR records.

    The format (https://www.cs.toronto.edu/~kriz/cifar.html): for each image its label (CIFAR-100:
    first the coarse label, then the fine one) and 3,072 bytes, the red plane, then green, then
    blue, each row by row.

    Parameters
    ----------
    content : bytes
    where : Path
        For messages.
    label_bytes : int
        1, or 2 for CIFAR-100. The last of them is the label.
    classes : int

    Returns
    -------
    planes : uint8 (N, 3, 1024)
        A view of `content`, channels first as in the file.
    labels : int64 (N,)

    Raises
    ------
    DataError
        If the file is empty or ends within a record, or if a label is out of range.
    """
    record = label_bytes + CIFAR_PIXELS
    count, rest = divmod(len(content), record)
    if rest or not count:
        raise DataError(
            f"{where}: {len(content):,} bytes, expected whole records of {record:,} bytes: "
            f"{count:,} are there and {rest:,} bytes more (truncated, or trailing bytes)"
        )
    table = np.frombuffer(content, np.uint8).reshape(count, record)
    labels = check_labels(table[:, label_bytes - 1], classes, str(where))
    return table[:, label_bytes:].reshape(count, 3, -1), labels


def interleave(planes: UInt8Array, out: UInt8Array) -> None:
    """Copy planes (N, 3, H*W) into images (N, H, W, 3), a plane at a time (3 times faster)."""
    pixels = out.reshape(len(out), -1, 3)
    for channel in range(3):
        pixels[:, :, channel] = planes[:, channel]

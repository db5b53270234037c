"""Read an image file: whatever it holds becomes red, green and blue of 8 bits, or is refused."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minires.data.arrays import UInt8Array
from minires.data.errors import DataError

_NO_STILL = {"EPS", "FLI", "MPEG"}  # a program, and formats of films

# Tags of TIFF (revision 6.0, section 8 and 19)
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339


def read_image(path: str | Path) -> UInt8Array:
    """Decode an image file as uint8 (H, W, 3): red, green and blue, as a viewer shows it.

    A photograph is turned the way its EXIF data say; of an animation the first picture is read.
    Transparency is dropped, and colour profiles are not applied. Grey of more than 8 bits becomes
    its highest 8, of 16 bits `value >> 8`: a format with unsigned integers of up to 16 bits says
    which number is white. Signed, 32-bit and floating-point pixels do not, so they are refused.

    Raises
    ------
    DataError
        If the file is missing or cannot be decoded, if nothing says which number is white, or if
        Pillow is not installed.
    """
    Image = pillow()
    from PIL import ImageOps, UnidentifiedImageError

    try:
        Image.init()
        # a file is what its content says; EPS is a program, which Ghostscript would run
        formats = [name for name in Image.ID if name != "EPS"]
        # A file with a name would be mapped into memory, and some Pillows then mix up the sides of
        # a TIFF file that is to be turned.
        with Path(path).open("rb") as file, Image.open(file, formats=formats) as image:
            image.load()
            if image.format != "TIFF":  # which is turned already, by loading it
                with suppress(Exception):  # damaged EXIF data keep no viewer from showing the rest
                    ImageOps.exif_transpose(image, in_place=True)
            _refuse_unknown_white(image)
            if image.mode.startswith("I"):
                return np.repeat(_highest_8_bits(image)[..., None], 3, axis=-1)
            image.info.pop("transparency", None)
            return np.array(image.convert("RGB"))
    except Exception as error:  # decoders raise nearly anything when they are fed garbage
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, UnidentifiedImageError):  # whose text is about Python's file object
            reason = "of no known format, or damaged at its beginning"
        raise DataError(f"{path}: cannot be read as an image: {reason}") from error


@cache
def extensions() -> frozenset[str]:
    """How the names of image files end, in lower case: what this Pillow reads of still images."""
    Image = pillow()
    from PIL.ImageFile import StubImageFile

    Image.init()
    found = {".mpo"}  # photographs, registered for writing only
    for extension, name in Image.registered_extensions().items():
        opener = Image.OPEN[name][0] if name in Image.OPEN else None
        stub = isinstance(opener, type) and issubclass(opener, StubImageFile)  # known, not read
        if opener is not None and not stub and name not in _NO_STILL:
            found.add(extension)
    return frozenset(found)


def pillow() -> Any:
    """Pillow's `Image`, which matplotlib brings."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("images need Pillow: pip install 'minires[images]'") from error
    return Image


def _refuse_unknown_white(image: Any) -> None:
    tags = getattr(image, "tag_v2", {})
    integers = set(tags.get(_SAMPLE_FORMAT, (1,))) <= {1, 4}  # unsigned, or not said
    if image.mode == "I":  # 32 bits; PNG and PPM have 16 at most, which some Pillows read so
        integers = image.format in ("PNG", "PPM")
    if image.mode == "F" or not integers:
        raise ValueError(
            "its pixels are signed, 32-bit or floating-point numbers, of which none is known to be "
            "white; store them as 8 or 16 bits"
        )


def _highest_8_bits(image: Any) -> UInt8Array:
    """Grey pixels of 16 bits, or of the 12 that a TIFF file may have."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, (16,))[0]
    grey: UInt8Array = (np.asarray(image) >> (bits - 8)).astype(np.uint8)
    # Pillow turns "white is 0" round for up to 8 bits only
    return ~grey if tags.get(_PHOTOMETRIC) == 0 else grey

"""Reading image files: every mode and format, turned, damaged, and of more than 8 bits."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from minires.data import DataError, read_image

LOSSLESS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"),
    "BMP": ("1", "L", "P", "RGB"),
    "PPM": ("1", "L", "RGB"),
    "GIF": ("L", "P"),
    "WEBP": ("RGB", "RGBA"),
}
TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""How pixels are stored that the EXIF orientation says to turn (Exif 2.3, tag 274), turned."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("images") / "image"


def written(path, content):
    path.write_bytes(content)
    return path


def picture(mode, size, seed):
    """Noise of any mode, which as a palette has noise too."""
    rng = np.random.default_rng(seed)
    if mode == "1":
        return Image.fromarray(rng.integers(0, 2, size[::-1], dtype=np.uint8) * 255).convert("1")
    bands = len(Image.new(mode, (1, 1)).getbands())
    raw = rng.integers(0, 256, (*size[::-1], bands), dtype=np.uint8).tobytes()
    made = Image.frombytes(mode, size, raw)
    if mode in ("P", "PA"):
        made.putpalette(rng.integers(0, 256, 768, dtype=np.uint8).tobytes())
    return made


@st.composite
def pictures(draw):
    format = draw(st.sampled_from(sorted(LOSSLESS)))
    mode = draw(st.sampled_from(LOSSLESS[format]))
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    return format, picture(mode, size, draw(st.integers(0, 99)))


@given(pictures(), st.integers(0, 9), st.none() | st.binary(min_size=1, max_size=256))
@settings(max_examples=200)
def test_what_is_written_is_read(path, drawn, orientation, transparency):
    """Whatever its mode, as Pillow converts it in memory; upright; transparency does not matter."""
    format, image = drawn
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} if format in ("PNG", "TIFF", "WEBP") else {}
    turn = TURNED.get(orientation if options else 1, TURNED[1])
    if format == "WEBP":
        options |= {"lossless": True, "exact": True}
    if format in ("PNG", "GIF") and transparency and image.mode in ("P", "L"):
        whole = format == "GIF" or image.mode == "L"
        options["transparency"] = transparency[0] if whole else transparency
    image.save(path, format, **options)
    read = read_image(path)
    assert (read.dtype, read.flags.writeable) == (np.uint8, True)
    assert np.array_equal(read, turn(np.asarray(image.convert("RGB"))))


# --- more than 8 bits -----------------------------------------------------------------------------


def png(values):
    """Grey of 16 bits, byte by byte (as some Pillows write none)."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def pgm(values, maximum=65535):
    height, width = values.shape
    return f"P5 {width} {height} {maximum}\n".encode() + values.astype(">u2").tobytes()


def plain_pgm(values):
    height, width = values.shape
    return f"P2 {width} {height} 65535\n{' '.join(map(str, values.ravel()))}\n".encode()


def tiff(values, bits=16, order="<", kind=1, white=65535, orientation=1):
    """An uncompressed strip; `kind` is 1 for unsigned, 2 for signed, 3 for floating-point."""
    height, width = values.shape
    if bits == 12:  # three bytes hold two values
        pairs = np.pad(values, ((0, 0), (0, width % 2))).reshape(height, -1, 2).astype(np.uint32)
        both = (pairs[..., 0] << 12 | pairs[..., 1]).astype(">u4")
        strip = both.view(np.uint8).reshape(height, -1, 4)[..., 1:].reshape(height, -1)
        strip = strip[:, : (width * 12 + 7) // 8].tobytes()
    else:
        strip = values.astype(f"{order}{'.uif'[kind]}{bits // 8}").tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1 if white else 0, 273: None}
    tags |= {274: orientation, 277: 1, 278: height, 279: len(strip), 339: kind}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    fields = [struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items()]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return head + b"".join(fields) + bytes(4) + strip


FILES = {
    "png": png,
    "pgm": pgm,
    "pgm in digits": plain_pgm,
    "tiff": tiff,
    "tiff, the other order": lambda v: tiff(v, order=">"),
    "tiff, white is 0": lambda v: tiff(~v, white=0),
    "tiff of 12 bits": lambda v: tiff(v >> 4, bits=12),
    "tiff, on its side": lambda v: tiff(np.rot90(v), orientation=6),
    "jpeg 2000": lambda v: saved(Image.fromarray(v), "JPEG2000", irreversible=False),
}


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("name", FILES)
@given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.integers(0, 99))
@settings(max_examples=15)
def test_of_16_bits_the_highest_8_count(path, name, size, seed):
    if name == "jpeg 2000" and not features.check("jpg_2000"):
        pytest.skip("this Pillow has no JPEG 2000")
    values = np.random.default_rng(seed).integers(0, 65536, size, dtype=np.uint16)
    values.flat[:3] = (65535, 255, 256)[: values.size]
    read = read_image(written(path, FILES[name](values)))
    assert np.array_equal(read, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=-1))


def test_a_smaller_maximum_is_white_too(path):
    levels = np.arange(0, 1001, 10, dtype=np.uint16)[None]
    read = read_image(written(path, pgm(levels, 1000)))[0, :, 0]
    assert abs(read - levels[0] * (256 / 1001)).max() <= 1
    assert (read[0], read[-1]) == (0, 255)


VALUES = np.array([[0, 1, 200], [255, 300, 40000]])


@pytest.mark.parametrize(
    "content",
    [
        saved(Image.fromarray(VALUES.astype(np.int32)), "TIFF"),
        saved(Image.fromarray(VALUES.astype(np.float32)), "TIFF"),
        tiff(VALUES, kind=2),
        tiff(VALUES, kind=2, order=">"),
        tiff(VALUES, bits=8, kind=2),
        tiff(VALUES, bits=32),
        tiff(VALUES / 65535, bits=32, kind=3),
    ],
)
def test_numbers_of_which_none_is_known_to_be_white_are_refused(path, content):
    with pytest.raises(DataError, match=r"image: .*no.* known to be white; store them as 8 or 16"):
        read_image(written(path, content))


# --- what else there is ---------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_pictures_the_first_is_read(path, format):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(path, format, save_all=True, append_images=frames[1:])
    assert abs(read_image(path).astype(int) - (255, 0, 0)).max() <= 2
    assert read_image(path).shape == (4, 5, 3)


@pytest.mark.parametrize(
    "damage", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM"]
)
@pytest.mark.filterwarnings("ignore")  # Pillow's, of what is damaged
def test_damaged_exif_data_keep_no_picture_from_being_read(path, damage):
    image = picture("RGB", (5, 4), 0)
    image.save(path, "JPEG", exif=damage, quality=95)
    with Image.open(path) as plain:
        expected = np.asarray(plain)
    assert np.array_equal(read_image(path), expected)


def test_a_program_is_no_image(path):
    """EPS is PostScript, which Pillow hands to Ghostscript."""
    content = saved(picture("RGB", (5, 4), 0), "EPS")
    with Image.open(io.BytesIO(content)) as known:
        assert known.format == "EPS"
    with pytest.raises(DataError, match="cannot be read as an image: of no known format"):
        read_image(written(path, content))


@given(pictures(), st.integers(0, 2**32), st.integers(1, 6))
@settings(max_examples=200)
@pytest.mark.filterwarnings("ignore")  # as above
def test_damaged_files_are_read_or_refused(path, drawn, seed, changes):
    format, image = drawn
    content = bytearray(saved(image, format))
    rng = np.random.default_rng(seed)
    for _ in range(changes):
        content[rng.integers(len(content))] = rng.integers(256)
    content = content[: rng.integers(1, 2 * len(content))]
    with suppress(DataError):
        read = read_image(written(path, bytes(content)))
        assert (read.dtype, read.shape[2:]) == (np.uint8, (3,))
        assert read.size

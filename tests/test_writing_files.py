"""Files are whole or not there; what is no file is written to as it stands."""

import os
import sys
import threading

import pytest

from minires.files import FileError, atomic_write, read_small, remove_parts, whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="Unix's kinds of files")


def write(path, content=b"new"):
    with atomic_write(path) as file:
        file.write(content)


@posix
def test_what_is_no_file_is_written_to_and_stays(tmp_path):
    """As /dev/null and /dev/stdout are; a pipe can be made anywhere, and replaced by mistake."""
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
        reader.start()
        write(tmp_path / name)
        reader.join(timeout=60)
        assert pipe.is_fifo()
    assert got == [b"new"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


@posix
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("below/later")
    for link, place in (("link", "target"), ("dangling", "below/later")):
        write(tmp_path / link)
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / place).read_bytes() == b"new"
    (tmp_path / "circle").symlink_to("circle")
    write(tmp_path / "circle")  # which leads nowhere, so it is what is replaced
    assert (tmp_path / "circle").read_bytes() == b"new"
    names = ["below", "circle", "dangling", "link", "target"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_only_files_of_the_given_names_are_cleared_up(tmp_path):
    names = [".last.npz.0a1b2c3d.part", ".other.npz.0a1b2c3d.part", ".last.npz.0a1b2c3.part"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    remove_parts(tmp_path, ["last.npz", "b.npz"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_what_cannot_sensibly_be_large(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert read_small(tmp_path / "file", 100) == b"x" * 100
    with pytest.raises(FileError, match="has more than 99 bytes"):
        read_small(tmp_path / "file", 99)
    if sys.platform != "win32":
        with pytest.raises(FileError, match="has more than"):
            read_small("/dev/zero")


@posix
def test_links_in_a_circle_are_a_path_like_others(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    assert whole(tmp_path / "circle") == tmp_path.resolve() / "circle"

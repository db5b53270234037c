"""Downloads from a server in this process: broken off, resumed, wrong."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minires.data import CIFAR10, DataError
from minires.data.download import download

CONTENT = np.random.default_rng(1).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves one content at every path, as well or badly as its attributes say."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.ranges = True  # whether it heeds Range
        self.cuts = []  # after how many bytes to break off the first, second, ... answer
        self.statuses = []  # statuses of the first answers, where not 200
        self.says_length = True
        self.requests = []  # the Range of each request
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file.bin"

    def handle_error(self, request, client_address):
        """Say nothing about a client that hangs up."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if server.statuses and (status := server.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        start = int(wanted[len("bytes=") : -1]) if wanted and server.ranges else 0
        if start and start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            total = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if server.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(body[:cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folders" / "file.bin"


def fetch(server, path, **options):
    options = {"sha256": SHA256, "size": len(CONTENT), "pause": 0, "timeout": 5, **options}
    download(server.url, path, **options)


def part_of(path):
    return path.with_name("file.bin.part")


def test_download(server, path):
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]
    fetch(server, path)  # it is there: nothing to do
    assert server.requests == [None]


def test_shows_its_progress(server, path, capsys):
    fetch(server, path)
    assert "file.bin: 100%" in capsys.readouterr().err


def test_goes_on_after_a_cut_connection(server, path):
    server.cuts = [300_000, 400_000]
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-", "bytes=700000-"]


def test_starts_anew_where_the_server_knows_no_ranges(server, path):
    server.ranges = False
    server.cuts = [300_000, 600_000]
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_run_goes_on(server, path):
    server.cuts = [100_000, 100_000]
    with pytest.raises(DataError, match="got 200,000 of 1,000,000 bytes in 2 attempts"):
        fetch(server, path, attempts=2)
    assert not path.exists()
    assert part_of(path).read_bytes() == CONTENT[:200_000]
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=200000-"
    assert not part_of(path).exists()


def test_a_whole_part_is_only_checked(server, path):
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(CONTENT)
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize("part", [b"x" * 400_000, b"x" * 1_000_000, b""])
def test_wrong_checksum_leaves_nothing_behind(server, path, part):
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(part)
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(
        DataError, match=rf"wrong checksum: got sha256 [0-9a-f]*, expected {SHA256}"
    ):
        fetch(server, path)
    assert list(path.parent.iterdir()) == []


def test_too_long_a_part_is_thrown_away(server, path):
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(b"x" * 1_000_001)
    fetch(server, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"?", b"<html>moved</html>"])
@pytest.mark.parametrize("part", [b"", CONTENT[:100_000]])
def test_another_length_than_expected(server, path, content, part):
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(part)
    server.content = content
    with pytest.raises(
        DataError, match=f"server offers {len(content):,} bytes, expected 1,000,000"
    ):
        fetch(server, path)
    assert list(path.parent.iterdir()) == []


def test_a_server_that_never_stops(server, path):
    server.content, server.says_length = CONTENT * 3, False
    with pytest.raises(DataError, match="sends more than the 1,000,000 bytes wanted"):
        fetch(server, path)
    assert not path.exists()
    assert part_of(path).stat().st_size < 1_600_000


def test_a_server_that_does_not_say_the_length(server, path):
    server.says_length, server.cuts = False, [250_000]
    fetch(server, path)
    assert path.read_bytes() == CONTENT


def test_refusals_are_final_but_server_errors_are_not(server, path):
    server.statuses = [503, 429, 200]
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    path.unlink()
    server.statuses = [404]
    with pytest.raises(DataError, match="the server answers 404 Not Found"):
        fetch(server, path)
    assert not path.parent.joinpath("file.bin").exists()
    assert len(server.requests) == 4


def test_no_server(path):
    with pytest.raises(DataError, match=r"refused.*: got 0 of 10 bytes in 2 attempts"):
        download("http://127.0.0.1:9/x", path, sha256="", size=10, attempts=2, pause=0, timeout=1)


def test_nowhere_to_write(server, tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(server, tmp_path / "file" / "below.bin")


def test_a_dataset_downloads_its_archive_once(server, tmp_path, monkeypatch):
    remote = CIFAR10.remote
    monkeypatch.setattr(
        CIFAR10, "remote", type(remote)(server.url.replace("file", "cifar"), len(CONTENT), SHA256)
    )
    for _ in range(2):
        with pytest.raises(DataError, match=r"cifar\.bin: corrupt"):  # random bytes are no archive
            CIFAR10(tmp_path, download=True)
    assert (tmp_path / "cifar.bin").read_bytes() == CONTENT
    assert len(server.requests) == 1

"""Downloads from a real server on this machine that does all that servers do."""

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import nn

from oneira.errors import WeightsError
from oneira.features.registry import Backbone
from oneira.features.weights import WeightsSource, cache_folder, load_weights, locate
from oneira.features.weights.downloading import download

CONTENT = bytes(range(256)) * 4096  # one megabyte
HALF = len(CONTENT) // 2


class Server(ThreadingHTTPServer):
    """Serves `content` in the manner that `manner` names; keeps what was asked of it in `ranges`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.manner = "good"
        self.elsewhere = ""
        self.ranges: list[str | None] = []
        self.patience = threading.Event()  # hanging ends with the test

    def source(self, filename: str = "weights.pth", sha256_prefix: str | None = None) -> WeightsSource:
        prefix = sha256_prefix or hashlib.sha256(self.content).hexdigest()[:8]
        return WeightsSource(filename, f"http://127.0.0.1:{self.server_port}/{filename}", prefix)

    def handle_error(self, request, client_address) -> None:
        pass  # clients that go away are part of the tests


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        manner, content = self.server.manner, self.server.content
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and manner != "no ranges" else 0
        if manner == "silent":
            self.server.patience.wait()
        elif manner == "404":
            self.send_error(404)
        elif manner == "hangs up":
            self.close_connection = True
        elif manner == "elsewhere":
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere)
            self.end_headers()
        elif start > 0 and start >= len(content):
            self.send_error(416)
        else:
            self.answer(manner, content, start)

    def answer(self, manner: str, content: bytes, start: int) -> None:
        self.send_response(206 if start else 200)
        if manner == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))
            return
        if manner != "no length":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        until = HALF if manner in ("truncated", "stalls") else len(content)
        self.wfile.write(content[start:until])
        if manner == "stalls":
            self.wfile.flush()
            self.server.patience.wait()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.patience.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "weights"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(source: WeightsSource, folder: Path, timeout: float = 5.0) -> str:
    with pytest.raises(WeightsError) as caught:
        download(source, folder, timeout=timeout)
    message = str(caught.value)
    assert "\n" not in message
    for part in (source.filename, source.url, source.sha256_prefix, str(folder)):
        assert part in message
    assert not (folder / source.filename).exists()
    return message


@pytest.mark.parametrize("manner", ["good", "chunked", "no length"])
def test_a_file_arrives_whole_and_its_progress_is_told(server, folder, manner):
    server.manner = manner
    told: list[tuple[str, int, int | None]] = []
    path = download(server.source(), folder, progress=lambda *report: told.append(report))
    assert path == folder / "weights.pth"
    assert path.read_bytes() == CONTENT
    assert names(folder) == ["weights.pth"]
    here = [received for _, received, _ in told]
    assert here == sorted(here)
    assert here[-1] == len(CONTENT)
    assert {(name, total) for name, _, total in told} == {("weights.pth", len(CONTENT) if manner == "good" else None)}


def test_another_file_is_refused_and_nothing_of_it_is_kept(server, folder):
    assert "another file" in refusal(server.source(sha256_prefix="00000000"), folder)
    assert names(folder) == []


def test_an_absent_file(server, folder):
    server.manner = "404"
    assert "404" in refusal(server.source(), folder)
    assert names(folder) == []


def test_a_server_that_hangs_up(server, folder):
    server.manner = "hangs up"
    assert "closed connection" in refusal(server.source(), folder)
    assert names(folder) == []


def test_no_server(folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    source = WeightsSource("weights.pth", "http://127.0.0.1:9/weights.pth", "00000000")
    assert "refused" in refusal(source, folder)


@pytest.mark.parametrize("manner", ["silent", "stalls"])
def test_a_server_that_falls_silent_is_not_waited_for(server, folder, manner):
    server.manner = manner
    start = time.monotonic()
    assert "timed out" in refusal(server.source(), folder, timeout=0.2)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("manner", ["truncated", "stalls"])
def test_an_interrupted_download_goes_on_where_it_stopped(server, folder, manner):
    server.manner = manner
    refusal(server.source(), folder, timeout=0.2)
    assert names(folder) == ["weights.pth.part"]
    server.manner = "good"
    told: list[int] = []
    path = download(server.source(), folder, progress=lambda _, received, total: told.append(received))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert min(told) > HALF
    assert path.read_bytes() == CONTENT
    assert names(folder) == ["weights.pth"]


def test_how_much_came_before_the_connection_broke_is_said(server, folder):
    server.manner = "truncated"
    assert f"after {HALF} of {len(CONTENT)} bytes" in refusal(server.source(), folder)


def test_a_server_without_ranges_sends_everything_again(server, folder):
    server.manner = "truncated"
    refusal(server.source(), folder)
    server.manner = "no ranges"
    assert download(server.source(), folder).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"], ids=["all", "too much"])
def test_a_part_as_long_as_the_file_or_longer_is_no_obstacle(server, folder, left):
    folder.mkdir(parents=True)
    (folder / "weights.pth.part").write_bytes(left)
    assert download(server.source(), folder).read_bytes() == CONTENT


def test_a_part_of_another_file_is_found_out_and_dropped(server, folder):
    folder.mkdir(parents=True)
    (folder / "weights.pth.part").write_bytes(b"x" * 100)
    assert "another file" in refusal(server.source(), folder)
    assert download(server.source(), folder).read_bytes() == CONTENT


def test_ctrl_c_keeps_what_has_come(server, folder):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.source(), folder, progress=interrupt)
    assert names(folder) == ["weights.pth.part"]
    assert download(server.source(), folder).read_bytes() == CONTENT
    assert server.ranges[1] is not None


def test_what_a_killed_program_left_is_taken_over_and_what_a_living_one_writes_is_not(server, folder):
    folder.mkdir(parents=True)
    living, killed = folder / ".weights.pth.1", folder / ".weights.pth.2"
    for left in (living, killed):
        left.write_bytes(CONTENT[:HALF])
    os.utime(killed, (0, 0))
    assert download(server.source(), folder).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={HALF}-"]
    assert names(folder) == [living.name, "weights.pth"]


def test_two_downloads_at_once_do_not_disturb_each_other(server, folder):
    problems: list[Exception] = []

    def fetch() -> None:
        try:
            download(server.source(), folder)
        except WeightsError as error:
            problems.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert (folder / "weights.pth").read_bytes() == CONTENT
    assert names(folder) == ["weights.pth"]


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=r"Not a directory|File exists"):
        download(server.source(), tmp_path / "file" / "weights")


def test_a_folder_where_the_file_should_be(server, folder):
    (folder / "weights.pth").mkdir(parents=True)
    with pytest.raises(WeightsError, match="Is a directory"):
        download(server.source(), folder)
    assert (folder / "weights.pth").is_dir()


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """A certificate that nobody vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def encrypted(server: Server, certificate: tuple[Path, Path]) -> WeightsSource:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    source = server.source()
    return WeightsSource(source.filename, source.url.replace("http:", "https:"), source.sha256_prefix)


def test_a_certificate_that_nobody_vouches_for_is_refused(server, folder, certificate):
    assert "CERTIFICATE_VERIFY_FAILED" in refusal(encrypted(server, certificate), folder)


def test_an_encrypted_address_may_not_lead_to_an_open_one(server, folder, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    source = encrypted(server, certificate)
    assert download(source, folder).read_bytes() == CONTENT
    with Server() as plain:
        threading.Thread(target=plain.handle_request).start()
        server.manner, server.elsewhere = "elsewhere", plain.source().url
        (folder / "weights.pth").unlink()
        assert "not encrypted" in refusal(source, folder)


def test_load_weights_downloads_once_and_then_takes_the_cache(server, tmp_path, monkeypatch):
    monkeypatch.delenv("ONEIRA_WEIGHTS", raising=False)
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path))
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "made.pth")
    server.content = (tmp_path / "made.pth").read_bytes()
    tiny, sources = Backbone("tiny", lambda: nn.Linear(2, 2)), {"tiny": server.source()}
    assert locate(tiny, sources).where == "to download"
    told: list[str] = []
    first = load_weights(tiny, progress=lambda name, *_: told.append(name), sources=sources)
    assert set(told) == {"weights.pth"}
    assert first.path == cache_folder() / "weights.pth"
    assert first.sha256 == hashlib.sha256(server.content).hexdigest()
    again = load_weights(tiny, offline=True, sources=sources)
    assert again.sha256 == first.sha256
    assert len(server.ranges) == 1
    assert locate(tiny, sources).where == "cache"

"""The runtime of the page comes from npm's registry once, and is what was published."""

import base64
import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from oneira.errors import WeightsError
from oneira.feedforward.export import browser_runtime
from oneira.feedforward.export import runtime as places

CONTENT = {places.SCRIPT: b"var ort;", places.MODULE: b"export {};", places.BINARY: b"\0asm"}


def tarball():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in CONTENT.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no settings of npm."""
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "runtimes" / f"{places.PACKAGE}-{places.VERSION}.tgz"


@pytest.fixture
def registry():
    """A registry on this machine: what it serves, and what it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(published)))
            self.end_headers()
            self.wfile.write(published)

        def log_message(self, *_):
            pass

    published, asked = tarball(), []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}", published, asked
        server.shutdown()
        serving.join()


@pytest.fixture
def published(registry, monkeypatch):
    """As if what the registry serves were what npm has published."""
    _, data, _ = registry
    told = base64.b64encode(hashlib.sha512(data).digest()).decode()
    monkeypatch.setattr(places, "INTEGRITY", f"sha512-{told}")
    monkeypatch.setattr(places, "SHA256_PREFIX", hashlib.sha256(data).hexdigest()[:16])


def test_the_runtime_is_fetched_once_and_then_kept(registry, published, cache, monkeypatch):
    address, data, asked = registry
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{address}/mirror")
    seen = []
    runtime = browser_runtime(progress=lambda *told: seen.append(told))
    assert asked == [f"/mirror/onnxruntime-web/-/onnxruntime-web-{places.VERSION}.tgz"]
    assert (runtime.script, runtime.module, runtime.binary) == ("var ort;", "export {};", b"\0asm")
    assert cache.read_bytes() == data
    assert seen[-1] == (cache.name, len(data), len(data))
    assert browser_runtime(offline=True) == runtime
    assert len(asked) == 1


@pytest.mark.parametrize("line", ["registry={}", "registry = {}/", 'registry="{}"'])
def test_the_registry_is_the_one_in_the_users_settings(registry, published, line, tmp_path):
    address, _, asked = registry
    (tmp_path / ".npmrc").write_text(f"audit=false\n; a comment\n{line.format(address)}\n")
    browser_runtime()
    assert len(asked) == 1


def test_a_variable_of_any_case_goes_before_the_settings(registry, published, tmp_path, monkeypatch):
    address, _, asked = registry
    (tmp_path / "settings").write_text("registry=http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "settings"))
    monkeypatch.setenv("npm_config_registry", address)
    browser_runtime()
    assert len(asked) == 1


def test_without_settings_it_is_npms_own(cache):
    with pytest.raises(WeightsError, match=r"fetch it from https://registry\.npmjs\.org/onnxruntime-web/-/"):
        browser_runtime(offline=True)
    assert not cache.exists()


def test_something_else_than_was_published_is_not_kept(registry, cache, monkeypatch):
    address, _, _ = registry
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", address)
    with pytest.raises(WeightsError, match="what came is another file"):
        browser_runtime()
    assert not cache.exists()


def test_a_damaged_file_in_the_cache_is_told(cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(tarball())
    with pytest.raises(WeightsError, match=r"is not what npm published as onnxruntime-web .*; delete it"):
        browser_runtime()


def test_a_registry_that_is_no_address_is_told(monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "file:///etc/")
    with pytest.raises(WeightsError, match="must be an address that begins with https"):
        browser_runtime()


def test_a_registry_that_cannot_be_reached_is_told_in_one_line(monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="cannot download onnxruntime-web") as raised:
        browser_runtime()
    assert "\n" not in str(raised.value)

"""ONNX Runtime for browsers, from the npm registry: fetched once, kept, and known by npm's own hash."""

import base64
import hashlib
import os
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from oneira.errors import WeightsError
from oneira.features.weights.downloading import Progress, download
from oneira.features.weights.places import cache_folder
from oneira.features.weights.sources import WeightsSource

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
SHA256_PREFIX = "d2228df7e4616bc3"  # of the same file: what is wrong while it arrives is known then
REGISTRY = "https://registry.npmjs.org/"

# The build that computes on the processor alone: a third of the others' size, and it runs in every browser.
SCRIPT, MODULE, BINARY = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"


@dataclass(frozen=True)
class BrowserRuntime:
    """What a page needs of it: the script of its interface, the module that starts the WebAssembly, and that itself."""

    script: str
    module: str
    binary: bytes


def browser_runtime(*, offline: bool = False, progress: Progress | None = None) -> BrowserRuntime:
    """From the cache ($ONEIRA_CACHE, as for weights), or from the npm registry that npm itself would ask.

    Raises WeightsError where it is not in the cache and `offline`, or cannot be had, or is not what was published.
    """
    source = WeightsSource(
        f"{PACKAGE}-{VERSION}.tgz", f"{_registry()}{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz", SHA256_PREFIX
    )
    folder = cache_folder().parent / "runtimes"
    path = folder / source.filename
    if not path.exists():
        if offline:
            raise WeightsError(
                f"{source.filename} is not in {folder}, and --offline forbids to fetch it from {source.url}"
            )
        download(source, folder, progress=progress)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    if f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}" != INTEGRITY:
        raise WeightsError(
            f"{path} is not what npm published as {PACKAGE} {VERSION}; delete it, and it is fetched anew"
        )
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        script, module, binary = (_member(archive, name) for name in (SCRIPT, MODULE, BINARY))
    return BrowserRuntime(script.decode(), module.decode(), binary)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"package/dist/{name}")
    assert file is not None  # the hash said so
    return file.read()


def _registry() -> str:
    """The registry that npm is set up for: by its variable, by the user's .npmrc, or npm's own."""
    told = _variable("npm_config_registry") or _registry_of_user()
    if told is None:
        return REGISTRY
    if not told.startswith(("https://", "http://")):
        raise WeightsError(
            f"npm's registry is set to {told!r}; it must be an address that begins with https:// or http://"
        )
    return told.rstrip("/") + "/"


def _registry_of_user() -> str | None:
    chosen = _variable("npm_config_userconfig")
    try:
        lines = (Path(chosen) if chosen else Path.home() / ".npmrc").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, RuntimeError):
        return None
    settings = dict(line.replace(" ", "").partition("=")[::2] for line in lines)
    return settings.get("registry", "").strip("\"'") or None


def _variable(name: str) -> str | None:
    """A variable of the environment, in letters of any case, as npm reads its own."""
    return next((value for key, value in os.environ.items() if key.lower() == name), None)

"""Downloads files from the first mirror that has the expected content, atomically."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from narrows.errors import DownloadError
from narrows.io.files import replacing
from narrows.io.progress import Progress

__all__ = ["download"]

TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 1 << 16


def download(
    urls: Sequence[str],
    target: Path,
    sha256: str,
    n_bytes: int,
    progress: Progress | None = None,
) -> None:
    """Download a gzipped file from the first of `urls` that has the expected content.

    Parameters
    ----------
    urls : sequence of str
        Mirrors of the same file, http or https, tried in order.
    target : Path
        Path of the unzipped file, written atomically; its folder is created.
    sha256 : str
        Hex digest of the *unzipped* content, since mirrors may compress it differently.
    n_bytes : int
        Size of the unzipped content.
    progress : callable, optional
        Called with the bytes so far, and with all bytes if the server sends their number.

    Raises
    ------
    DownloadError
        If no mirror has it; the message gives the reason for each.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        try:
            with replacing(target) as file:
                _stream(url, file, target.name, n_bytes, progress)
                file.flush()
                _verify(Path(file.name), sha256, n_bytes)
        except (OSError, EOFError, http.client.HTTPException, zlib.error, ValueError) as error:
            failures.append(f"{url} ({error or type(error).__name__})")
        else:
            return
    raise DownloadError(f"{target.name} could not be downloaded from {' or '.join(failures)}.")


def _stream(url: str, file: IO[bytes], name: str, n_bytes: int, progress: Progress | None) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError("the address must start with http:// or https://")
    request = urllib.request.Request(url, headers={"User-Agent": "narrows"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
        length = response.headers.get("Content-Length")
        total = int(length) if length is not None else None
        n_read = 0
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            n_read += len(chunk)
            if n_read > n_bytes + CHUNK_BYTES:
                raise ValueError(f"the compressed file is larger than {n_bytes:,} bytes, its size after unzipping")
            if progress is not None:
                progress(f"downloading {name}", n_read, total, "bytes")
    if total is not None and n_read != total:
        raise ValueError(f"the download stopped after {n_read:,} of {total:,} bytes")


def _verify(path: Path, sha256: str, n_bytes: int) -> None:
    digest, n_read = hashlib.sha256(), 0
    with gzip.open(path) as stream:
        while n_read <= n_bytes and (chunk := stream.read(1 << 20)):
            digest.update(chunk)
            n_read += len(chunk)
    if n_read != n_bytes or digest.hexdigest() != sha256:
        raise ValueError("the content of the file does not have the expected SHA-256 checksum")

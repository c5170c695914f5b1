"""Recognises kinds of files by their first bytes and by their extensions."""

from __future__ import annotations

__all__ = ["IMAGE_ENDINGS", "SAFETENSORS", "kind_of"]

IMAGE_ENDINGS = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
"""Extensions of the files that are read as images."""

SAFETENSORS = "a .safetensors file, the format of models"

_BEGINNINGS = {
    b"\x89NRW": "an archive of narrows",
    b"\x93NUMPY": "a .npy file",
    b"PK\x03\x04": "a .zip or .npz file",
    b"\x1f\x8b": "a gzipped file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x89PNG\r\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"%PDF-": "a PDF file",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\0\0\x08": "an IDX file",
}


def kind_of(start: bytes) -> str | None:
    r"""Return the kind of a file with these first bytes, 16 or more; None if it is unknown.

    Examples
    --------
    >>> kind_of(b"\x93NUMPY, and so on"), kind_of(b"nothing in particular")
    ('a .npy file', None)
    """
    for beginning, kind in _BEGINNINGS.items():
        if start.startswith(beginning):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "a WebP image"
    if start[8:10] == b'{"' and int.from_bytes(start[:8], "little") < 1 << 27:
        return SAFETENSORS
    return None

"""What kind of picture some bytes are, and how large: from the headers of PNG, JPEG and GIF."""

from __future__ import annotations

from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_GIFS = (b"GIF87a", b"GIF89a")
# Start-of-frame markers, which hold the size; C4, C8 and CC among them mean something else.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# No header of a picture that people upload is longer, with thumbnails and profiles in it.
HEADER_BYTES = 512 * 1024


@dataclass(frozen=True)
class Image:
    """A picture: `kind` is png, jpg or gif; sizes in pixels, 0 if the header is cut off."""

    kind: str
    width: int
    height: int


def image_of(head: bytes) -> Image | None:
    """The picture that begins with these bytes; None if they begin something else."""
    if head.startswith(_PNG):
        return Image("png", _number(head[16:20]), _number(head[20:24]))
    if head.startswith(_GIFS):
        return Image(
            "gif", int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
        )
    return _jpeg(head) if head.startswith(_JPEG) else None


def _number(four: bytes) -> int:
    return int.from_bytes(four, "big")


def _jpeg(head: bytes) -> Image:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        if head[at + 1] in _JPEG_FRAMES:
            return Image("jpg", _number(head[at + 7 : at + 9]), _number(head[at + 5 : at + 7]))
        at += 2 + _number(head[at + 2 : at + 4])
    return Image("jpg", 0, 0)

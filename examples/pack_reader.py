"""A reader of git packs: each object of a pack as ``git verify-pack`` has it, offsets and deltas included.

    python examples/pack_reader.py .git/objects/pack/pack-....pack

prints name, type and size of each object. Windows slide along the pack; only what is decompressed is copied.
"""

import hashlib
import sys
import zlib
from collections.abc import Iterator

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager

KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
OFFSET_DELTA, NAME_DELTA = 6, 7


def number(data: bytes, at: int) -> tuple[int, int]:
    """A little-endian number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def patched(base: bytes, delta: bytes) -> bytes:
    """``base`` changed by copies (first bit set) and insertions."""
    at, result = number(delta, number(delta, 0)[1])[1], bytearray()
    while at < len(delta):
        code, at = delta[at], at + 1
        if code < 128:
            result += delta[at : at + code]
            at += code
            continue
        fields = [0] * 7
        for bit in range(7):
            if code >> bit & 1:
                fields[bit], at = delta[at], at + 1
        begin, size = int.from_bytes(fields[:4], "little"), int.from_bytes(fields[4:], "little") or 65536
        result += base[begin : begin + size]
    return bytes(result)


def objects(pack: SlidingWindowMapBuffer) -> Iterator[tuple[str, str, int]]:
    """Name, type and size of each object, in the order of the pack."""
    known: dict[int | str, tuple[str, bytes]] = {}
    at = 12
    for _ in range(int.from_bytes(pack[8:12], "big")):
        start, head = at, pack[at : at + 64]
        kind, skip = head[0] >> 4 & 7, number(head, 0)[1]
        base: int | str = ""
        if kind == OFFSET_DELTA:
            back, skip = head[skip] & 127, skip + 1
            while head[skip - 1] & 128:
                back, skip = (back + 1 << 7) | head[skip] & 127, skip + 1
            base = start - back
        elif kind == NAME_DELTA:
            base, skip = head[skip : skip + 20].hex(), skip + 20
        at, inflate, content = start + skip, zlib.decompressobj(), bytearray()
        while not inflate.eof:
            piece = pack[at : at + 4096]
            content += inflate.decompress(piece)
            at += len(piece) - len(inflate.unused_data)
        name, data = (
            (KINDS[kind], bytes(content))
            if kind in KINDS
            else (known[base][0], patched(known[base][1], bytes(content)))
        )
        digest = hashlib.sha1(b"%s %d\0%s" % (name.encode(), len(data), data)).hexdigest()
        known[start] = known[digest] = name, data
        yield digest, name, len(data)


if __name__ == "__main__":
    with SlidingWindowMapManager(window_size=128 * 1024, max_memory_size=1024 * 1024) as manager:
        for line in objects(SlidingWindowMapBuffer(manager.make_cursor(sys.argv[1]))):
            print(*line)

"""A reader of git packs: prints name, type and size of each object of the given pack.

The buffer moves its window along the pack, and back to the base of a delta. Only the few
objects that were read last are kept in memory. It needs nothing but this library:

    python examples/pack_reader.py .git/objects/pack/*.pack
"""

import functools
import hashlib
import sys
import zlib
from collections.abc import Iterator, Sequence

from smmap_typed import SlidingWindowMapBuffer, SlidingWindowMapManager

KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
OFFSET_DELTA, NAME_DELTA = 6, 7


def digits(data: Sequence[int], at: int) -> tuple[list[int], int]:
    """Return the seven-bit digits of a number, and where it ends: its last byte is below 128."""
    end = next(end for end in range(at + 1, len(data) + 1) if data[end - 1] < 128)
    return [data[place] & 127 for place in range(at, end)], end


def patched(base: bytes, delta: bytes) -> bytes:
    """Apply ``delta`` to ``base``: after two sizes, it has bytes to insert and ranges to copy."""
    at, result = digits(delta, digits(delta, 0)[1])[1], bytearray()
    while at < len(delta):
        code, at, fields = delta[at], at + 1, bytearray(7)
        if code < 128:
            result += delta[at : at + code]
            at += code
        else:
            for bit in (bit for bit in range(7) if code >> bit & 1):
                fields[bit], at = delta[at], at + 1
            begin = int.from_bytes(fields[:4], "little")
            size = int.from_bytes(fields[4:], "little") or 65536
            result += base[begin : begin + size]
    return bytes(result)


def objects(pack: SlidingWindowMapBuffer) -> Iterator[tuple[str, str, int]]:
    """Yield name, type and size of each object, in the order of the pack."""
    offsets, place = dict[bytes, int](), 12

    @functools.lru_cache(maxsize=16)
    def read(begin: int) -> tuple[str, bytes, int]:
        """Return the type and content of the object at ``begin``, and where the next one begins."""
        kind, at, base = pack[begin] >> 4 & 7, digits(pack, begin)[1], 0
        if kind == OFFSET_DELTA:
            back, at = digits(pack, at)
            base = begin - functools.reduce(lambda high, low: (high + 1) << 7 | low, back)
        elif kind == NAME_DELTA:
            base, at = offsets[pack[at : at + 20]], at + 20
        content, inflate = bytearray(), zlib.decompressobj()
        while not inflate.eof:
            piece = pack[at : at + 4096]
            content += inflate.decompress(piece)
            at += len(piece) - len(inflate.unused_data)
        if base:
            return read(base)[0], patched(read(base)[1], bytes(content)), at
        return KINDS[kind], bytes(content), at

    for _ in range(int.from_bytes(pack[8:12], "big")):
        kind, content, end = read(place)
        name = hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(content), content))
        offsets[name.digest()], place = place, end
        yield name.hexdigest(), kind, len(content)


if __name__ == "__main__":
    with SlidingWindowMapManager(window_size=2**17, max_memory_size=2**20) as manager:
        for path in sys.argv[1:] or sys.exit("usage: pack_reader.py PACK..."):
            for line in objects(SlidingWindowMapBuffer(manager.make_cursor(path))):
                print(*line)

"""Windows: ranges of a file as immutable values."""

from dataclasses import dataclass
from typing import final

__all__ = ["Window"]


@final
@dataclass(frozen=True, order=True, slots=True)
class Window:
    """A range of a file, an immutable value: ``size`` bytes from ``offset``.

    Windows compare, sort and hash by their two fields. Safe in any thread.

    >>> Window(4096, 100).end, Window(4096, 100).includes_ofs(4195)
    (4196, True)
    """

    offset: int
    """First byte, absolute in the file."""
    size: int
    """Bytes."""

    def __post_init__(self) -> None:
        if self.offset < 0 or self.size < 0:
            raise ValueError(f"offset and size must not be negative, got {self.offset} and {self.size}")

    @property
    def end(self) -> int:
        """One past the last byte, absolute in the file."""
        return self.offset + self.size

    def ofs_begin(self) -> int:
        """First byte, absolute in the file; smmap's word for ``offset``."""
        return self.offset

    def ofs_end(self) -> int:
        """One past the last byte, absolute in the file; smmap's word for ``end``."""
        return self.end

    def includes_ofs(self, ofs: int) -> bool:
        """Whether the byte at ``ofs`` lies inside."""
        return self.offset <= ofs < self.end

"""Compares the manager, its cursors and the kernel with the reference model."""

from collections import Counter

from smmap_typed import ALLOCATIONGRANULARITY, StaticWindowMapManager, WindowCursor
from smmap_typed.testing import kernel
from smmap_typed.testing.model import Model
from smmap_typed.testing.regions import Cursor

__all__ = ["agree_in_figures", "agree_on_cursor", "agree_on_windows", "agree_with_the_kernel", "same", "same_bytes"]


def same(actual: object, predicted: object, what: str = "the result") -> None:
    """Raise AssertionError, also under ``python -O``, unless ``actual`` equals ``predicted``."""
    if actual != predicted:
        raise AssertionError(f"{what} is {actual!r}, predicted was {predicted!r}")


def same_bytes(actual: memoryview | bytes, predicted: bytes, what: str) -> None:
    """Raise AssertionError, naming the first wrong byte, unless ``actual`` equals ``predicted``."""
    if actual == predicted:
        return
    length = min(len(actual), len(predicted))
    first = next((at for at in range(length) if actual[at] != predicted[at]), length)
    raise AssertionError(
        f"{what} has {len(actual)} bytes of {len(predicted)}, and is wrong from byte {first} on: "
        f"{bytes(actual[first : first + 16]).hex(' ')}, predicted was {predicted[first : first + 16].hex(' ')}"
    )


def agree_in_figures(manager: StaticWindowMapManager, model: Model) -> None:
    """Check that the manager reports the figures that the model predicts."""
    stats = manager.stats()
    uses = model.uses()
    files = Counter(region.seen for region in model.regions)
    same(
        {
            "handles": manager.num_file_handles(),
            "bytes": manager.mapped_memory_size(),
            "handle limit": manager.max_file_handles(),
            "memory limit": manager.max_mapped_memory_size(),
            "window": manager.window_size(),
            "open files": (manager.num_open_files(), stats.open_files),
            "kept descriptors": stats.kept_descriptors,
            "acquisitions": stats.acquisitions,
            "misses": stats.misses,
            "hits": stats.hits,
            "maps": stats.maps,
            "unmaps": stats.unmaps,
            "evictions": stats.evictions,
            "detached": (stats.detached_reads, stats.detached_bytes, stats.marks_forgotten),
            "idle": stats.idle_regions,
            "pinned": stats.pinned_regions,
            "viewed": stats.view_pinned_regions,
        },
        {
            "handles": len(model.regions),
            "bytes": model.mapped(),
            "handle limit": model.handles,
            "memory limit": model.memory,
            "window": model.window,
            "open files": (0, 0) if model.closed else (len(files), len(files)),
            "kept descriptors": len(model.kept),
            "acquisitions": model.acquisitions,
            "misses": model.misses,
            "hits": model.acquisitions - model.misses,
            "maps": model.maps,
            "unmaps": model.unmaps,
            "evictions": model.evictions,
            "detached": (model.detached_reads, model.detached_bytes, model.forgotten),
            "idle": uses["idle"],
            "pinned": uses["pinned"],
            "viewed": uses["viewed"],
        },
        "what the manager reports",
    )
    if not model.closed:
        same(
            Counter((file.file_size, file.handles) for file in stats.files),
            Counter((seen.size, handles) for seen, handles in files.items()),
            "what the manager reports of each file",
        )


def agree_on_windows(manager: StaticWindowMapManager, model: Model) -> None:
    """Check which regions exist, and so which region an eviction took; the kernel does not show that for copies."""
    if model.closed:
        return
    tables = manager._pool.tables
    same(
        Counter(
            (tables.files[frame.file].state.inode, frame.file_size, frame.begin, frame.size)
            for frame in list(tables.frames.values())
        ),
        Counter((region.seen.inode.number, region.seen.size, region.begin, region.size) for region in model.regions),
        "the regions by inode, file size, begin and size",
    )


def agree_on_cursor(cursor: WindowCursor, predicted: Cursor, model: Model) -> None:
    """Check that the cursor is where the model's cursor is, and shows the bytes there."""
    region, expected = cursor.region(), predicted.region
    same(cursor.is_associated(), predicted.source is not None, "that the cursor has a file")
    same(region is None, expected is None, "that the cursor stands nowhere")
    if region is None or expected is None:
        same((cursor.size(), cursor.includes_ofs(predicted.begin)), (0, False), "what a cursor that stands nowhere has")
        return
    same((region.ofs_begin(), region.ofs_end()), (expected.begin, expected.end), "the cursor's window")
    same(region.client_count(), 1 + model.cursors_on(expected), "the region's client_count")
    same((cursor.ofs_begin(), cursor.ofs_end()), (predicted.begin, predicted.end), "the cursor's place")
    same(cursor.size(), predicted.end - predicted.begin, "the cursor's size")
    bounds = cursor.includes_ofs(predicted.begin), cursor.includes_ofs(predicted.end)
    same(bounds, (True, False), "what the cursor includes")
    content = expected.bytes_of(predicted.begin, predicted.end)
    same_bytes(cursor.buffer()[: len(content)], content, "what the cursor shows")


def agree_with_the_kernel(model: Model, strangers: set[int]) -> None:
    """Check that the kernel has mapped and open exactly the pages and descriptors that the model predicts.

    ``strangers`` are the inodes of other anonymous maps in this process. Does nothing unless ``kernel.IS_HEARD``.
    """
    if not kernel.IS_HEARD:
        return
    copies = model.copies
    pages = model.pages()
    if copies:
        anonymous = (one for one in kernel.mapped_ranges("/dev/zero") if one.inode not in strangers)
        same(sum(one.size for one in anonymous), pages.total() * ALLOCATIONGRANULARITY, "the size of the copies")
        pages.clear()
    mapped = kernel.mapped_pages(model.disk.directory)
    if mapped != pages and model.disk.maps_tell_numbers:
        raise AssertionError(f"the kernel has {mapped - pages} too much and {pages - mapped} too little")
    opened = kernel.open_inodes(model.disk.device)
    told = {inode.number: opened[inode.number] for inode in model.disk.inodes}
    # From CPython 3.13 on it is the reader's choice, by ``trackfd``, whether a map keeps a descriptor.
    choices = (0,) if copies else (kernel.DESCRIPTORS_PER_REGION, 1)
    predicted = [descriptors(model, per_region) for per_region in choices]
    same(told, told if told in predicted else predicted[0], "the number of descriptors of each inode")


def descriptors(model: Model, per_region: int) -> dict[int, int]:
    """Return how many descriptors of each inode are open if each region costs ``per_region``."""
    regions = Counter(region.seen.inode.number for region in model.regions)
    kept = Counter(seen.inode.number for seen in model.kept)
    return {
        inode.number: 1 + model.disk.opened.count(inode) + per_region * regions[inode.number] + kept[inode.number]
        for inode in model.disk.inodes
    }

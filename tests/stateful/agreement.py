"""What the manager, its cursors and the kernel must agree on with the reference model."""

from collections import Counter

from smmap_typed import StaticWindowMapManager, WindowCursor
from stateful import kernel
from stateful.model import Model
from stateful.regions import Cursor
from support import DESCRIPTORS_PER_REGION, GRANULE

__all__ = ["agree_in_figures", "agree_on_cursor", "agree_on_windows", "agree_with_the_kernel", "same"]


def same(actual: object, predicted: object) -> None:
    assert actual == predicted, f"{actual!r} was predicted to be {predicted!r}"


def agree_in_figures(manager: StaticWindowMapManager, model: Model) -> None:
    """The manager reports the figures that the model predicts."""
    stats = manager.stats()
    uses = model.uses()
    files = Counter(region.seen for region in model.regions)
    same((manager.num_file_handles(), manager.mapped_memory_size()), (len(model.regions), model.mapped()))
    assert (manager.max_file_handles(), manager.max_mapped_memory_size()) == (model.handles, model.memory)
    assert manager.window_size() == model.window
    assert manager.num_open_files() == stats.open_files == (0 if model.closed else len(files))
    same(
        {
            "acquisitions": stats.acquisitions,
            "misses": stats.misses,
            "hits": stats.hits,
            "maps": stats.maps,
            "unmaps": stats.unmaps,
            "evictions": stats.evictions,
            "idle": stats.idle_regions,
            "pinned": stats.pinned_regions,
            "viewed": stats.view_pinned_regions,
        },
        {
            "acquisitions": model.acquisitions,
            "misses": model.misses,
            "hits": model.acquisitions - model.misses,
            "maps": model.maps,
            "unmaps": model.unmaps,
            "evictions": model.evictions,
            "idle": uses["idle"],
            "pinned": uses["pinned"],
            "viewed": uses["viewed"],
        },
    )
    if not model.closed:
        assert Counter((file.file_size, file.handles) for file in stats.files) == Counter(
            (seen.size, handles) for seen, handles in files.items()
        )


def agree_on_windows(manager: StaticWindowMapManager, model: Model) -> None:
    """Which regions there are, and so which one an eviction took, for the reader whose maps the kernel hides."""
    holds = [] if model.closed else list(manager._core.tables.holds.values())
    assert Counter((hold.identity.inode, hold.identity.size, hold.begin, hold.size) for hold in holds) == Counter(
        (region.seen.inode.number, region.seen.size, region.begin, region.size)
        for region in model.regions
        if not model.closed
    )


def agree_on_cursor(cursor: WindowCursor, predicted: Cursor, model: Model) -> None:
    """The cursor stands where the model's does, and shows the bytes there."""
    region, expected = cursor.region(), predicted.region
    assert cursor.is_associated() == (predicted.source is not None)
    assert (region is None) == (expected is None)
    if region is None or expected is None:
        assert cursor.size() == 0
        assert not cursor.includes_ofs(predicted.begin)
        return
    assert (region.ofs_begin(), region.ofs_end()) == (expected.begin, expected.end)
    assert region.client_count() == 1 + model.cursors_on(expected)
    assert (cursor.ofs_begin(), cursor.ofs_end()) == (predicted.begin, predicted.end)
    assert cursor.size() == predicted.end - predicted.begin
    assert cursor.includes_ofs(predicted.begin)
    assert not cursor.includes_ofs(predicted.end)
    content = expected.bytes_of(predicted.begin, predicted.end)
    assert cursor.buffer()[: len(content)] == content


def agree_with_the_kernel(model: Model, strangers: set[int]) -> None:
    """Every page that is mapped, and every descriptor that is open, is one that the model knows of.

    ``strangers`` are the inodes of other anonymous maps in this process.
    """
    copies = model.copies
    pages = model.pages()
    if copies:
        anonymous = (one for one in kernel.mapped_ranges("/dev/zero") if one.inode not in strangers)
        assert sum(one.size for one in anonymous) == pages.total() * GRANULE
        pages.clear()
    mapped = kernel.mapped_pages(model.disk.directory)
    assert mapped == pages, f"the kernel has {mapped - pages} too much and {pages - mapped} too little"
    opened = kernel.open_inodes(model.disk.device)
    kept = 0 if copies else DESCRIPTORS_PER_REGION
    for inode in model.disk.inodes:
        regions = sum(region.seen.inode is inode for region in model.regions)
        assert opened[inode.number] == 1 + model.disk.opened.count(inode) + kept * regions

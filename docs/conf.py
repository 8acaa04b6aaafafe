"""The documentation site: Markdown pages and docstrings, by Sphinx, MyST and furo. ``nox -s docs`` builds it."""

import os.path
import re

from sphinx.application import Sphinx

from smmap_typed import __version__

project = "smmap_typed"
author = "The smmap_typed developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
nitpicky = True
html_theme = "furo"
html_title = f"smmap_typed {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
myst_heading_anchors = 3
# The site is built without a network, so what is not ours has no page to lead to. Names of ours stand here only where
# signatures name a part that is not public.
nitpick_ignore = [
    *(("py:class", name) for name in ("os.PathLike", "typing_extensions.Buffer", "types.EllipsisType")),
    *(("py:class", name) for name in ("re.Match", "re.Pattern", "mmap.mmap")),
    *(("py:class", name) for name in ("collections.abc.Iterator", "collections.abc.Callable")),
    ("py:exc", "io.UnsupportedOperation"),
    # What the library passes to constructors that users do not call, and the protocol of smmap's managers.
    ("py:class", "smmap_typed._hold.Hold"),
    ("py:class", "smmap_typed._types.ManagerLike"),
    # Public under smmap_typed; signatures give the module that defines them.
    *(
        ("py:class", f"smmap_typed._events.{n}")
        for n in ("RegionMapped", "RegionUnmapped", "MapFailed", "LimitReached")
    ),
    ("py:class", "smmap_typed._stats.RegionStats"),
]


def without_links_to_the_repository(_: Sphinx, page: str, source: list[str]) -> None:
    """What is no page of the site stays as text: the repository has no public address yet to lead to."""

    def text(link: re.Match[str]) -> str:
        target = os.path.normpath(f"docs/{page}/../{link[2]}")
        return link[0] if target.startswith("docs/") else link[1]

    source[0] = re.sub(r"\[([^]]+)\]\((\.\./[^)\s]+)\)", text, source[0])


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("source-read", without_links_to_the_repository)

"""The documentation site: Markdown pages and docstrings, by Sphinx, MyST and furo. ``nox -s docs`` builds it."""

from smmap_typed import __version__

project = "smmap_typed"
author = "The smmap_typed developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
nitpicky = True
html_theme = "furo"
html_title = f"smmap_typed {version}"
myst_heading_anchors = 3
# The site is built without a network, so what is not ours has no page to lead to.
nitpick_ignore_regex = [
    (r"py:.*", r"(builtins|collections|io|mmap|os|types|typing|typing_extensions)\..*"),
    # Constructors of what only the library makes name its parts.
    (r"py:class", r"(smmap_typed\._\w+\.)?[A-Z]\w+|type|int|object|bool|bytes|optional|slice|float|str|memoryview"),
    (r"py:exc", r"\w+"),
]
# Folders of the repository are no pages.
suppress_warnings = ["myst.xref_missing"]

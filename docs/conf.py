"""The documentation site: Markdown pages and docstrings, by Sphinx, MyST and furo. ``nox -s docs`` builds it."""

import os.path
import re

from sphinx.application import Sphinx

from smmap_typed import __version__

project = "smmap_typed"
author = "The smmap_typed developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
# Copy what one types: without prompts, and without what the interpreter answers.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
autodoc_member_order = "groupwise"
# A default as it is written: sys.maxsize, and not its figures.
autodoc_preserve_defaults = True
nitpicky = True
# A block without a language is a drawing, or what a terminal shows.
highlight_language = "text"
html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"smmap_typed {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
myst_heading_anchors = 3
# The site is built without a network, so what is not ours has no page to lead to, and a type variable never has one.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|io|mmap|os|pathlib|re|types|typing_extensions|hypothesis|prometheus_client)\..+"),
    ("py:class", r"smmap_typed\..+\.T"),
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

"""The built site: its links lead to what is there, and its reference has every public name. `nox -s docs` builds it."""

import re
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
from typing_extensions import override

SITE: Final = Path(__file__).parents[2] / "build" / "site"

MODULES: Final = [
    "smmap_typed",
    "smmap_typed.compat",
    "smmap_typed.exceptions",
    "smmap_typed.prometheus",
    "smmap_typed.readers",
    "smmap_typed.testing",
    "smmap_typed.testing.content",
    "smmap_typed.testing.kernel",
    "smmap_typed.testing.machines",
    "smmap_typed.testing.settings",
    "smmap_typed.testing.strategies",
]
# What the library asks of itself, under a public name.
NOT_FOR_USERS: Final = {"default_window", "reader_of"}


class Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: Final[list[str]] = []
        self.anchors: Final[set[str]] = {""}
        self.feed(path.read_text())

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in {"href", "src"} and value is not None:
                self.links.append(value)


def test_every_internal_link_and_anchor_is_there() -> None:
    pages = {path.resolve(): Page(path) for path in SITE.rglob("*.html")}
    internal = [(path, link) for path, page in pages.items() for link in page.links if not is_elsewhere(link)]
    assert SITE / "index.html" in pages
    assert len(internal) > len(pages)
    assert [f"{path.relative_to(SITE)}: {link}" for path, link in internal if not leads(pages, path, link)] == []


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_has_every_public_name(module: str) -> None:
    """Under the module that it is used from, or under that which defines it."""
    names = public_names(import_module(module))
    places = {anchor.rpartition(".")[2] for anchor in Page(SITE / "reference.html").anchors}
    assert names
    assert names - places == set()


def test_the_module_index_has_the_package_and_its_public_modules() -> None:
    listed = set(re.findall(r'href="reference.html#module-([\w.]+)"', (SITE / "py-modindex.html").read_text()))
    assert {module for module in MODULES if module != "smmap_typed.testing.settings"} <= listed


def public_names(module: ModuleType) -> set[str]:
    everything = {name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    return set(getattr(module, "__all__", everything)) - NOT_FOR_USERS


def test_the_contents_name_each_page_once() -> None:
    contents = (SITE / "genindex.html").read_text().partition('class="sidebar-tree"')[2].partition("</div>")[0]
    links = re.findall(r'href="([^"#]+)"', contents)
    assert "reference.html" in links
    assert sorted(links) == sorted(set(links))


def is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def leads(pages: dict[Path, Page], path: Path, link: str) -> bool:
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages:
        return target.is_file()
    # Furo's link to the top is made by its script.
    return unquote(parts.fragment) in pages[target].anchors

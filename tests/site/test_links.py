"""Every link inside the built site leads to a file and an anchor that are there. `nox -s docs` builds it first."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from typing_extensions import override

SITE: Final = Path(__file__).parents[2] / "build" / "site"


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


def is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def leads(pages: dict[Path, Page], path: Path, link: str) -> bool:
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages:
        return target.is_file()
    # Furo's link to the top is made by its script.
    return unquote(parts.fragment) in pages[target].anchors

"""Look for links inside a built site that lead nowhere.

    python tools/check_site.py docs/_build/html

Every `href` and `src` of every page, with its anchor. Links to other sites are not followed.
"""

import argparse
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for every element."""
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")


@cache
def read(path: Path) -> Page:
    """The page in a file."""
    return Page(path.read_text(encoding="utf-8"))


def broken(site: Path) -> list[str]:
    """The links that lead nowhere, each as `page: link`."""
    site = site.resolve()
    found = []
    for path in sorted(site.rglob("*.html")):
        for link in dict.fromkeys(read(path).links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            lost = not target.is_file() or not target.is_relative_to(site)
            anchor = unquote(parts.fragment)
            if not lost and anchor and target.suffix == ".html":
                lost = anchor not in read(target).anchors
            if lost:
                found.append(f"{path.relative_to(site)}: {link}")
    return found


def main() -> None:
    """Print what is broken; exit with 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="the folder with index.html")
    site = parser.parse_args().site
    if not (site / "index.html").is_file():
        sys.exit(f"{site}: no index.html here")
    found = broken(site)
    print("\n".join(found) or f"{site}: all links inside it lead somewhere")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

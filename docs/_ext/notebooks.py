"""The notebooks and the assignments' page, which live outside `docs`, as pages of the site.

They are copied to `docs/notebooks` (which git ignores). Links between `docs` and `notebooks` lead
one folder less far up then; in the sources they are as they must be on a code host.
"""

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
PAGES = "*.ipynb", "assignments/README.md"


def copy(app: Sphinx) -> None:
    """Bring the pages here, anew where they have changed."""
    here = Path(app.srcdir) / "notebooks"
    sources = [path for pattern in PAGES for path in sorted((ROOT / "notebooks").glob(pattern))]
    wanted = {here / path.relative_to(ROOT / "notebooks"): path for path in sources}
    for stale in {path for path in here.rglob("*.*") if path.is_file()} - set(wanted):
        stale.unlink()
    for target, path in wanted.items():
        if not target.exists() or target.stat().st_mtime != path.stat().st_mtime:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def shorten_links(app: Sphinx, page: str, source: list[str]) -> None:
    """`../notebooks/` in `docs`, and `../docs/` in `notebooks`, from where the copies are."""
    if page.startswith("notebooks/"):
        source[0] = re.sub(r"\]\(((?:\.\./)+)docs/", r"](\1", source[0])
    else:
        source[0] = re.sub(r"\]\(\.\./((?:\.\./)*notebooks/)", r"](\1", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", copy)
    app.connect("source-read", shorten_links)
    return {"parallel_read_safe": True}

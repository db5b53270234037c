"""Build the browser edition: a static JupyterLite site with minires and its notebooks.

    python -m tools.browser OUT                      # Python comes from Pyodide's own server
    python -m tools.browser OUT --pyodide ARCHIVE    # or lies beside the site, for no internet

`OUT` is served by any web server, beside the documentation or alone; nothing runs there. Needs
`pip install -e '.[lite]'`; see docs/everywhere.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).resolve().parent.parent
NOTEBOOKS = CHECKOUT / "notebooks"
APPS = "lab", "notebooks", "tree"
PURE = "tqdm", "threadpoolctl"
"""What minires needs beside Pyodide's own packages; each is Python alone."""

START = """\
# In a browser: minires lies beside these pages, NumPy and matplotlib come with Pyodide
%pip install -q numpy matplotlib
%pip install -q --no-deps minires tqdm threadpoolctl"""

LARGE = (
    "*The experiments of this notebook are as large here as on a computer, and a browser is ten to "
    "twenty times slower: a cell that trains may take many minutes, and the page has to be loaded "
    "anew to end it. Here you can read it, with the outputs that it was built with, and run the "
    "smaller cells.*"
)
NOT_HERE = dict.fromkeys(("09", "10", "12", "13", "14", "15", "16"), LARGE) | {
    "11": "*This notebook wants a GPU with CuPy, which a browser has not. Here you can read it, "
    "with the outputs that it was built with, and run the cells that need NumPy alone.*",
}
"""By a notebook's number, what it says at the top of what does not run, or not soon enough."""


def wheels(folder: Path) -> list[Path]:
    """The wheels of minires and of what Pyodide may lack, made or fetched into a folder."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    into = ["wheel", "-q", "--no-deps", "-w", str(folder)]
    subprocess.run([*pip, *into, "--no-build-isolation", str(CHECKOUT)], check=True)
    subprocess.run([*pip, *into, *PURE], check=True)
    return sorted(folder.glob("*.whl"))


NOTICE = """\
<script>
fetch(new URL(%s, location.href)).then(answer => { if (!answer.ok) throw answer }).catch(() => {
  const notice = document.createElement("p");
  notice.id = "no-python";
  notice.setAttribute("role", "alert");
  notice.style = "position:fixed;z-index:9999;bottom:0;left:0;right:0;margin:0;padding:.7em 1em;"
    + "background:#7c2d12;color:#fff;font:15px sans-serif";
  notice.textContent = %s;
  document.body.append(notice);
});
</script>
"""
"""On each page: whether what runs the cells can be fetched, which JupyterLite keeps to itself."""


def notice(out: Path) -> None:
    """Have each page say so where Python cannot be fetched."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL

    beside = out / "static" / "pyodide" / "pyodide.mjs"
    place = "../static/pyodide/pyodide.mjs" if beside.exists() else f"{PYODIDE_CDN_URL}/pyodide.mjs"
    text = (
        "Python could not be fetched from %s: the notebooks can be read and their players stepped "
        "through, but no cell runs. Without internet, ask whoever built this site for one with "
        "Pyodide beside it."
    )
    server = "beside this page" if beside.exists() else urlsplit(place).netloc
    script = NOTICE % (json.dumps(place), json.dumps(text % server))
    for app in APPS:
        page = out / app / "index.html"
        html = page.read_text(encoding="utf-8")
        page.write_text(html.replace("</body>", f"{script}</body>"), encoding="utf-8")


def check_version(beside: Path) -> None:
    """Refuse a Pyodide that JupyterLite's kernel would not start with, which nobody would be told.

    Raises
    ------
    SystemExit
        If the folder holds none, or one of another version.
    """
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    lock = beside / "pyodide-lock.json"
    if not lock.is_file():
        sys.exit("there is no pyodide-lock.json in what --pyodide names")
    version = json.loads(lock.read_text(encoding="utf-8"))["info"]["version"]
    if version != PYODIDE_VERSION:
        sys.exit(f"this is Pyodide {version}, and JupyterLite's kernel wants {PYODIDE_VERSION}")


def for_browser(path: Path) -> dict[str, Any]:
    """A notebook that starts with a cell that fetches minires; its outputs are kept and trusted."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"]["trusted"] = True  # or the players' scripts would be taken out
            for output in cell["outputs"]:  # whose lists of lines JupyterLite joins with commas
                for texts in (output, output.get("data", {})):
                    texts |= {k: "".join(v) for k, v in texts.items() if _is_lines(v)}
    start: dict[str, Any] = {
        "cell_type": "code",
        "id": "in-a-browser",
        "metadata": {"trusted": True},
        "execution_count": None,
        "outputs": [],
        "source": START,
    }
    added = [start]
    if (number := path.name[:2]) in NOT_HERE:
        text = {"cell_type": "markdown", "id": "not-here", "metadata": {}}
        added.insert(0, text | {"source": NOT_HERE[number]})
    notebook["cells"][1:1] = added  # after the title
    kernel = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
    notebook["metadata"] |= {"kernelspec": kernel}
    return notebook


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def build(out: Path, pyodide: str | None) -> None:
    """Build the site in a folder.

    Raises
    ------
    SystemExit
        If JupyterLite is not installed, or fails.
    subprocess.CalledProcessError
        If pip fails; it has said why.
    """
    try:
        import jupyterlite_core  # noqa: F401
        import jupyterlite_pyodide_kernel  # noqa: F401
    except ImportError as error:
        sys.exit(f"{error}: pip install -e '.[lite]'")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "files").mkdir()
        (work / "wheels").mkdir()
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            text = json.dumps(for_browser(path), ensure_ascii=False, indent=1)
            (work / "files" / path.name).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(work)]
        command += ["--contents", str(work / "files"), "--output-dir", str(out.resolve())]
        for app in APPS:
            command += ["--apps", app]
        for wheel in wheels(work / "wheels"):
            command += ["--piplite-wheels", str(wheel)]
        if pyodide is not None:
            command += ["--pyodide", pyodide if "://" in pyodide else str(Path(pyodide).resolve())]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            sys.exit(f"jupyter lite build failed:\n{done.stdout}{done.stderr}")
    if pyodide is not None:
        check_version(out / "static" / "pyodide")
    notice(out)


def link(out: Path) -> int:
    """Give each notebook's page of a documentation around `out` a link to it; how many have one."""
    pages = [out.parent / "notebooks" / f"{path.stem}.html" for path in NOTEBOOKS.glob("*.ipynb")]
    pages = [page for page in pages if page.exists()]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if 'class="run-here"' not in text:
            there = f"../{out.name}/notebooks/index.html?path={page.stem}.ipynb"
            link = f'<p class="run-here"><a href="{there}">Run it in the browser</a></p>'
            text = text.replace("</h1>", f"</h1>\n{link}", 1)
            page.write_text(text, encoding="utf-8")
    return len(pages)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder for the site, such as one of the docs'")
    parser.add_argument(
        "--pyodide",
        metavar="ARCHIVE",
        help="a release of Pyodide (pyodide-VERSION.tar.bz2), a file or an address, to put beside "
        "the site; the version is that which jupyterlite-pyodide-kernel names",
    )
    arguments = parser.parse_args()
    given = arguments.pyodide
    if given is not None and "://" not in given and not Path(given).is_file():
        parser.error(
            f"--pyodide {given}: no such file (a release's archive is wanted, not a folder)"
        )
    build(arguments.out, arguments.pyodide)
    index = json.loads((arguments.out / "api" / "contents" / "all.json").read_text("utf-8"))
    count = link(arguments.out.resolve())
    print(
        f"{arguments.out}: {len(index['content'])} notebooks, {count} linked from pages beside it"
    )


if __name__ == "__main__":
    main()

"""Write the table of ONNX's node tests in docs/weights.md: what is computed, what is refused.

Run `python tools/build_onnx_table.py` where the newest onnx is installed. tests/interop compares
the page with what it finds.
"""

from __future__ import annotations

import collections
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "weights.md"
WRITTEN_OUT = "written out in other nodes"


def rows(outcomes: Mapping[tuple[str, str], str]) -> str:
    """The table in Markdown: for each operation how many tests, and why some are refused."""
    from interop.onnx_node_tests import WAYS, all_cases

    tests: dict[str, list[tuple[str, str]]] = collections.defaultdict(list)
    for (name, way), said in outcomes.items():
        kinds = all_cases()[name].kinds
        tests[kinds[0] if len(kinds) == 1 else WRITTEN_OUT].append((way, said))
    lines = [
        "| operation | weights known | weights computed | refused |",
        "| --- | ---: | ---: | --- |",
    ]
    for kind in sorted(tests, key=lambda kind: (kind == WRITTEN_OUT, kind)):
        cells = []
        for way in WAYS:
            said = [text for one, text in tests[kind] if one == way]
            cells.append(f"{said.count('')} of {len(said)}" if said else "")
        why = collections.Counter(reason(text) for _, text in tests[kind] if text)
        refused = "; ".join(f"{text} ({count})" for text, count in sorted(why.items()))
        lines.append(f"| {kind} | {' | '.join(cells)} | {refused} |")
    return "\n".join(lines)


def reason(text: str) -> str:
    """Why a graph is refused, without the names in it."""
    text = text.removeprefix("cannot load it: ")
    text = re.sub(r"^[A-Z]\w* \S+: ", "", text)
    text = re.sub(r"^\S+ is computed, a constant was wanted$", "weights that are computed", text)
    text = re.sub(r"^(a cast to|images of) type \S+", r"\1 another type", text)
    text = re.sub(r"^it, of these inputs,", "of these inputs", text)
    text = re.sub(r"^\w+ over axis .* wants at least one value.*", "over no numbers", text)
    return text.split(";")[0].removesuffix(" is not known here").removesuffix(" are not known here")


def version(page: str) -> str:
    """The version of onnx whose tests the page shows."""
    return re.findall(r"tests of onnx ([\d.]+)", page)[0]


def main() -> None:
    """Write the page's block."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import onnx
    from interop.onnx_node_tests import outcomes

    from benchmarks import markdown

    with tempfile.TemporaryDirectory() as folder:
        found = outcomes(Path(folder) / "node.onnx")
    wrong = [name for name, said in found.items() if said.startswith("WRONG")]
    passed = sum(not said for said in found.values())
    refused, names = len(found) - passed - len(wrong), {name for name, _ in found}
    head = (
        f"The {len(names)} tests of onnx {onnx.__version__} for these operations, with all inputs\n"
        "but one known, and with all floating-point inputs computed in the graph: "
        f"{passed} graphs\ngive what they should, {refused} are refused, {len(wrong)} are wrong.\n"
    )
    markdown.write(PAGE, {"nodes": lambda: f"{head}\n{rows(found)}"})


if __name__ == "__main__":
    main()

"""A directive for the reference: names of a module, first in a table, then one after the other.

.. public:: minires.optim

   SGD Adam
"""

import inspect
from importlib import import_module
from typing import Any

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import minires
from minires.engine import Op


class Public(SphinxDirective):
    """What a module offers, in the order in which the page names it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[Node]:
        """The lines that one would have written by hand."""
        module = self.arguments[0]
        home = import_module(module)
        names = " ".join(self.content).split()
        lines = [f".. py:currentmodule:: {module}", "", ".. list-table::", "   :class: public", ""]
        for name in names:
            lines += [f"   * - `{name}`", f"     - {summary(getattr(home, name))}"]
        for name in names:
            directive = kind(getattr(home, name))
            lines += ["", f".. auto{directive}:: {module}.{name}"]
            lines += ["   :members:"] if directive == "class" else []
        nodes = self.parse_text_to_nodes("\n".join(lines))
        for name in names:
            self.note_other_names(module, name, getattr(home, name))
        return nodes

    def note_other_names(self, module: str, name: str, value: Any) -> None:
        """Let links find it where it is defined, and in `minires` itself, if it is there too."""
        domain = self.env.domains.python_domain
        entry = domain.objects[f"{module}.{name}"]
        others = {f"{value.__module__}.{value.__name__}"}
        if getattr(minires, name, None) is value:
            others.add(f"minires.{name}")
        for other in sorted(others - set(domain.objects)):
            domain.note_object(other, entry.objtype, entry.node_id, aliased=True, location=self)


def kind(value: Any) -> str:
    """Which of autodoc's directives describes it; an operation is shown as the function it is."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if isinstance(value, Op) or inspect.isroutine(value) else "data"


def summary(value: Any) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("public", Public)
    return {"parallel_read_safe": True}

"""A directive for the command line: `.. help:: train` shows what `minires train --help` prints."""

import io
import os
from contextlib import redirect_stdout
from unittest.mock import patch

from docutils.nodes import Node, literal_block
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minires.cli.commands import app, coursework_app

WIDTH = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
app.rich_markup_mode = coursework_app.rich_markup_mode = None  # plain text, no boxes


class Help(SphinxDirective):
    """The help of one command."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[Node]:
        """A block of text."""
        command = self.arguments[0].split()
        with redirect_stdout(io.StringIO()) as out, patch.dict(os.environ, WIDTH):
            app([*command, "--help"], prog_name="minires", standalone_mode=False)
        text = out.getvalue().strip("\n")
        return [literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("help", Help)
    return {"parallel_read_safe": True}

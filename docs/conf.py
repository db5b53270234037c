"""How the documentation is built: `docs/README.md` has the command."""

import sys
from pathlib import Path

import minires

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "minires"
author = "the minires authors"
version = release = minires.__version__
html_title = "minires"
language = "en"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "command_help",  # these four are in docs/_ext
    "mathml",
    "notebooks",
    "public",
]
exclude_patterns = ["_build"]
nitpicky = True
_INNER = "_\\w+|AnyDataset|Samples|Row|Scene|State|Frame|Batch|Error|Setting"  # types inside
nitpick_ignore_regex = [
    (r"py:.*", r"(?!minires\.).*"),  # other projects' names: the build asks no network for them
    (r"py:class", rf"minires\..*\b({_INNER})"),
]

# Pages and notebooks. Nothing is run: the notebooks are committed with what came out.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# The reference. `name` in a docstring is code, and a link where there is something to link to.
default_role = "py:obj"
add_module_names = False
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "github-dark-high-contrast"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # it fetches pages, which a site on a disk may not
html_show_copyright = False

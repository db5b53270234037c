"""An assignment of one question, for tests of everything around it."""

SOURCE = """# %% [markdown]
# # Doubling

# %% question="double"
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% check="double"
print(double(2))
"""
GRADING = """import numpy as np
from minires.coursework import question

@question(points=1, returns="y")
def double(x):
    return x + x

double.case("two", np.array([2.0]), visible=True)
double.mistake(801, "squared", "x * x is not x + x.", "2 * x", "x * x")
"""


def write(folder, source=SOURCE, grading=GRADING):
    """The assignment's two files."""
    folder.mkdir(parents=True)
    (folder / "assignment.py").write_text(source)
    (folder / "grading.py").write_text(grading)
    return folder

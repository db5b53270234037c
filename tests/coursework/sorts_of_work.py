"""What students write: notebooks of many sorts, each with the points that it must get.

A sort draws a notebook for an assignment, most of them right but for one question, so that it also
shows what the others lose by it: nothing.
"""

import copy
import json
from dataclasses import dataclass

from test_odd_answers import ANSWERS

from minires.coursework.assignment import load_assignments
from minires.coursework.build import student_notebook

LEFT_BLANK = {"06_resnet8": ["train"]}
"""Questions that nobody answers here, since a right answer takes long."""


class Kit:
    """An assignment, as students get it, and its solutions."""

    def __init__(self, name, source=None):
        (self.assignment,) = load_assignments(source, name)
        self.name, self.questions = name, self.assignment.questions
        self.blank = json.loads(student_notebook(self.assignment))
        self.answered = [q for q in self.questions if q not in LEFT_BLANK.get(name, ())]
        self.solutions = {q: self.assignment.solution(q) for q in self.answered}
        self.points = sum(self.questions[q].points for q in self.answered)
        self.functions = [q for q in self.answered if self.solutions[q].startswith("def ")]

    def notebook(self, answers=None):
        """All right but for these: a source, pairs of a kind and a source, None for a blank."""
        document, cells = copy.deepcopy(self.blank), []
        answers = self.solutions | (answers or {})
        for cell in document["cells"]:
            answer = answers.get(question_of(cell))
            if answer is None:
                cells.append(cell)
                continue
            for kind, source in [("answer", answer)] if isinstance(answer, str) else answer:
                own = copy.deepcopy(cell) if kind == "answer" else code(source)
                cells.append(own | {"source": source})
        return document | {"cells": cells}

    def all_but(self, question, answer, least=0.0, most=0.0, says=""):
        """All right but one question, of whose points it gets so many."""
        rest = self.points - self.questions[question].points
        return Work(self.notebook({question: answer}), rest + least, rest + most, says)

    def less(self, question, answer, says=""):
        """All right but one question, of whose points it loses some."""
        points = self.questions[question].points
        return self.all_but(question, answer, most=points - 0.01, says=says)

    def full(self, answers=None):
        """A notebook that gets everything."""
        return Work(self.notebook(answers), self.points, self.points)


@dataclass
class Work:
    """A notebook, or a script; the points that it must get, and what its feedback says."""

    content: dict | str
    least: float
    most: float
    says: str = ""


def question_of(cell):
    """The question whose answer a cell is, or None."""
    mine = cell["metadata"].get("nbgrader", {})
    return mine["grade_id"] if mine.get("solution") else None


def code(source):
    """A cell of the student's own."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }


WORK = {}
"""Sorts of work: functions of a random number generator and a kit."""


def sort(name):
    """Declare a sort."""

    def declare(function):
        WORK[name] = function
        return function

    return declare


@sort("right")
def right(draw, kit):
    return kit.full()


@sort("blank")
def blank(draw, kit):
    return Work(kit.blank, 0.0, 0.0, "NotImplementedError")


@sort("some questions only")
def some(draw, kit):
    left = draw.sample(kit.answered, draw.randint(1, len(kit.answered)))
    lost = sum(kit.questions[q].points for q in left)
    return Work(kit.notebook(dict.fromkeys(left)), kit.points - lost, kit.points - lost)


@sort("a known mistake")
def mistake(draw, kit):
    question = draw.choice([q for q in kit.answered if kit.questions[q].mistakes])
    variant = draw.choice(kit.questions[question].mistakes)
    return kit.less(question, kit.assignment.with_variant(kit.questions[question], variant))


@sort("another right way")
def right_way(draw, kit):
    ways = {
        q: kit.assignment.with_variant(kit.questions[q], draw.choice(kit.questions[q].correct_ways))
        for q in kit.answered
    }
    return kit.full(ways)


@sort("an odd style")
def odd_style(draw, kit):
    mine = [
        (question, cells)
        for question, cells in ANSWERS.values()
        if question in kit.answered and {kind for kind, _ in cells} == {"added", "answer"}
    ]
    if not mine:
        return right_way(draw, kit)
    question, cells = draw.choice(mine)
    return kit.full({question: cells})


@sort("answered in a cell of one's own")
def own_cell(draw, kit):
    work = kit.full(dict.fromkeys(kit.answered))
    for question in draw.sample(kit.answered, len(kit.answered)):
        work.content["cells"].append(code(kit.solutions[question]))
    return work


@sort("answered in another question's cell")
def another_cell(draw, kit):
    one, *others = draw.sample(kit.answered, len(kit.answered))
    if not others:
        return own_cell(draw, kit)
    both = f"{kit.solutions[one]}\n\n{kit.solutions[others[0]]}"
    return kit.full({one: None, others[0]: both})


@sort("all in one cell")
def one_cell(draw, kit):
    work = kit.full(dict.fromkeys(kit.answered))
    work.content["cells"] = [code("\n\n".join([*given(kit), *kit.solutions.values()]))]
    return work


def given(kit):
    return [cell.source for cell in kit.assignment.given()]


@sort("a script with cells")
def script(draw, kit):
    cells = [f'# %% question="{q}"\n{kit.solutions[q]}\n' for q in kit.answered]
    return Work("\n".join(cells), kit.points, kit.points)


@sort("a script without cells")
def plain_script(draw, kit):
    return Work("\n\n".join([*given(kit), *kit.solutions.values()]), kit.points, kit.points)


@sort("tested below the cells' mark for a script")
def main_script(draw, kit):
    text = "\n\n".join([*given(kit), *kit.solutions.values()])
    tests = '\n\nif __name__ == "__main__":\n    while True:\n        pass\n'
    return Work(text + tests, kit.points, kit.points)


@sort("timed")
def timed(draw, kit):
    magic = draw.choice(["%%time\n", "%%timeit -n 10\n", "\n%%capture out\n", "%%prun -q\n"])
    return kit.full({q: magic + kit.solutions[q] for q in kit.answered})


@sort("IPython's commands")
def commands(draw, kit):
    lines = ["!ls", "files = !ls -la", "%matplotlib inline", "np.sum?", "%cd ..", "!pip install x"]
    return kit.full(
        {q: f"{draw.choice(lines)}\n{kit.solutions[q]}\n{draw.choice(lines)}" for q in kit.answered}
    )


@sort("another language")
def language(draw, kit):
    return with_cell(draw, kit, draw.choice(["%%bash\nrm -rf ~", "%%html\n<b>", "%%R\nx <- 1"]))


def with_cell(draw, kit, source):
    """All right, and a cell more somewhere."""
    work = kit.full()
    cells = work.content["cells"]
    cells.insert(draw.randrange(len(cells) + 1), code(source))
    return work


TRIES = {
    "a syntax error beside": "def f(:\n    pass",
    "an endless loop beside": "while True:\n    pass",
    "an experiment that fails": "x = np.zeros(3) + np.zeros(4)\nassert False",
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    "half a surrogate pair in a cell": "text = '\ud800'  # \udfff",
    "a null character in a cell": "text = '\x00'",
    "an exit beside": "import sys\nsys.exit()",
    "another import beside": "import torch\nimport torchvision.transforms as T",
    "ten thousand brackets": "x = " + "[" * 10_000 + "]" * 10_000,
    "turned text": "# \u202e sredro ni \u202c\nname = 'עברית'",
}
for name, source in TRIES.items():
    sort(name)(lambda draw, kit, source=source: with_cell(draw, kit, source))


@sort("copied cells, the last one counts")
def copied(draw, kit):
    question = draw.choice(kit.answered)
    first = f"def {question}(*a, **k):\n    return 1\n"
    return kit.full({question: [("answer", first), ("answer", kit.solutions[question])]})


@sort("the blank copied below the answer")
def blank_below(draw, kit):
    work = kit.full()
    blanks = [cell for cell in kit.blank["cells"] if question_of(cell) in kit.answered]
    work.content["cells"] += copy.deepcopy(blanks)
    return work


@sort("no metadata of the grading")
def no_metadata(draw, kit):
    work = kit.full()
    work.content["metadata"] = {}
    for cell in work.content["cells"]:
        cell["metadata"] = draw.choice([{}, {"id": "x"}, {"collapsed": False}])
    return work


@sort("cells in another order")
def shuffled(draw, kit):
    work = kit.full()
    draw.shuffle(work.content["cells"])
    return work


@sort("given cells deleted")
def no_given(draw, kit):
    work = kit.full()
    work.content["cells"] = [cell for cell in work.content["cells"] if question_of(cell)]
    return work


@sort("given cells changed")
def changed_given(draw, kit):
    work = kit.full()
    for cell in work.content["cells"]:
        if cell["cell_type"] == "code" and not question_of(cell):
            cell["source"] = "np = None\nraise SystemExit"
    return work


@sort("a syntax error in an answer")
def syntax(draw, kit):
    question = draw.choice(kit.answered)
    line = draw.choice(["if x = 1:", "  return 1", "x = (", "print 'x'", "<<<<<<< HEAD", "“x”"])
    return kit.all_but(question, f"{kit.solutions[question]}\n{line}", says="Error")


def spoilt(kit, question, body, says=""):
    """A right function that does something else in the end."""
    lines = "\n".join("        " + line for line in body.split("\n"))
    source = (
        f"{kit.solutions[question]}\n\ndef _spoilt(right):\n"
        f"    def own(*arguments, **options):\n{lines}\n    return own\n"
        f"{question} = _spoilt({question})\n"
    )
    return kit.less(question, source, says)


ENDS = {
    "an endless loop": ("while True:\n    pass", "time-out"),
    "a long sleep": ("import time\ntime.sleep(1e6)", "time-out"),
    "memory without end": ("x = []\nwhile True:\n    x.append(bytearray(1 << 26))", "MemoryError"),
    "a large array": ("import numpy\nreturn numpy.ones((1 << 17, 1 << 17))", "MemoryError"),
    "os._exit": ("import os\nos._exit(0)", ""),
    "sys.exit": ("import sys\nsys.exit()", "SystemExit"),
    "killed by itself": ("import os\nos.kill(os.getpid(), 9)", ""),
    "recursion": ("def f(n):\n    return f(n + 1) + 1\nreturn f(0)", "RecursionError"),
    "forks": ("import os\nwhile True:\n    os.fork()", ""),
    "threads": ("import threading\nwhile True:\n    threading.Thread(target=int).start()", ""),
    "closes everything": ("import os\nos.closerange(0, 1000)\nreturn 1", ""),
    "fills the disk": ("open('x', 'wb').write(bytes(1 << 28))", "Error"),
    "reads other files": ("return open('/etc/passwd').read() + open('../x').read()", "Error"),
    "the network": ("import socket\nsocket.create_connection(('127.0.0.1', 80))", "Error"),
    "an import that is not allowed": ("import torch\nreturn torch.relu", "torch may not be used"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "raises half a surrogate pair": ("raise RuntimeError('\\ud800' * 3)", "RuntimeError"),
    "an error named by half a pair": ("raise type('\\ud800', (Exception,), {})('\\udfff')", ""),
    "an error that cannot be shown": (
        "class Bad(Exception):\n    def __str__(self):\n        raise self\nraise Bad",
        "",
    ),
    "arguments changed in place": (
        "import numpy\nright(*arguments, **options)\nfor one in arguments:\n"
        "    for part in one if isinstance(one, list) else [one]:\n"
        "        array = part if isinstance(part, numpy.ndarray) else getattr(part, 'data', None)\n"
        "        if array is not None:\n            array[...] = 7\n"
        "return None",
        "",
    ),
}
for name, (body, says) in ENDS.items():

    def ending(draw, kit, body=body, says=says):
        return spoilt(kit, draw.choice(kit.functions), body, says) if kit.functions else None

    sort(name)(ending)

WRONG = {
    "huge numbers": ["10 ** 400", "-(10 ** 5000)", "[10 ** 400] * 3", "1e308 * 10", "2 ** 63"],
    "of another type": [
        *("'text'", "None", "{1: 2}", "{1, 2}", "object()", "int", "lambda: 1", "...", "1j"),
        *("(i for i in range(3))", "b'bytes'", "range(3)", "memoryview(b'x')", "[]", "()"),
    ],
    "nested without end": ["deep(5000)", "circle()"],
    "arrays of another sort": [
        *("numpy.array(['a', 'b'])", "numpy.array([None, 1], object)", "numpy.zeros(0)"),
        *("numpy.array('2026-11-30', 'M8[D]')", "numpy.zeros(3, 'f8,i4')", "numpy.ones(2) * 1j"),
        *("numpy.ma.masked_all(3)", "numpy.full((2, 2), numpy.nan)", "numpy.zeros((1,) * 30)"),
        *("numpy.zeros((1 << 40, 0))", "numpy.broadcast_to(1.0, (1 << 40,))"),
    ],
    "more than crosses over": ["numpy.zeros(1 << 23)", "'x' * (1 << 26)", "[1.0] * 3_000_000"],
}
MADE = """import numpy
def deep(count):
    value = []
    for _ in range(count):
        value = [value]
    return value
def circle():
    value = []
    value.append(value)
    return value
return """
for name, values in WRONG.items():

    def returning(draw, kit, values=values):
        value = draw.choice(values)
        return spoilt(kit, draw.choice(kit.functions), MADE + value) if kit.functions else None

    sort(f"returns {name}")(returning)


@sort("scaled until it overflows")
def overflows(draw, kit):
    arrays = [q for q in kit.functions if kit.questions[q].driver is None]
    if not arrays:
        return None
    body = (
        "result = right(*arguments, **options)\nfactor = 1e308\n"
        "if isinstance(result, tuple):\n    return tuple(r * factor * 1e3 for r in result)\n"
        "return result * factor * 1e3"
    )
    return spoilt(kit, draw.choice(arrays), body)


@sort("prints megabytes")
def prints(draw, kit):
    if not kit.functions:
        return None
    question = draw.choice(kit.functions)
    body = "print('\\x1b[31m\\u202e' + 'x' * (1 << 20))\nreturn right(*arguments, **options)"
    work = spoilt(kit, question, body)
    return Work(work.content, kit.points, kit.points)


@sort("exits beside its answer")
def exits(draw, kit):
    question = draw.choice(kit.answered)
    return kit.full({question: f"{kit.solutions[question]}\nimport sys\nsys.exit(1)"})

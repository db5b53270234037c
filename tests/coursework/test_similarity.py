"""Answers that are alike: the same in disguise is the same, others are not; nothing is run."""

import ast
import csv
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minires.coursework.assignment import load_assignments
from minires.coursework.build import handed_out
from minires.coursework.cells import Cell
from minires.coursework.commands import whole_class as class_commands
from minires.coursework.similarity import normalised
from minires.coursework.similarity import pairs as similarity
from minires.coursework.similarity.fingerprints import MOST_TOKENS, HandedOut, Work
from minires.coursework.similarity.pairs import Answered, identical, similar


@pytest.fixture(scope="module")
def assignments():
    return load_assignments()


@pytest.fixture(scope="module")
def course(assignments):
    """Every question: its assignment's given code, and the sources of right ways to answer it."""
    found = []
    for assignment in assignments:
        code = HandedOut(handed_out(assignment.cells), list(assignment.questions))
        for question in assignment.questions.values():
            ways = [assignment.with_variant(question, way) for way in question.correct_ways]
            found.append((question.name, code, [assignment.solution(question.name), *ways]))
    return found


def fragments(source, question, code):
    return Work([Cell("code", source, "question", question, 1)], code).answer(question)


def share(a, b):
    return 2 * len(a & b) / (len(a) + len(b))


class Disguise(ast.NodeTransformer):
    """Other names for all that a student names, other numbers and texts, and nothing else."""

    def __init__(self, tree, draw, kept):
        own = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        own |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _bound(n)}
        own |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        own = sorted(own - kept - {"self", "__init__"})
        numbers = draw(st.permutations(range(len(own))))
        self.names = {name: f"v{number}" for name, number in zip(own, numbers, strict=True)}

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node):
        return ast.arg(self.names.get(node.arg, node.arg))

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            node.attr = f"my_{node.attr}"
        return node

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.name = self.names.get(node.name, node.name)
        node.body = [ast.Expr(ast.Constant("other words")), *node.body, ast.Pass()]
        return node

    def visit_Constant(self, node):
        return ast.Constant(node.value + 1) if type(node.value) in (int, float) else node


def _bound(node):
    return isinstance(node.ctx, ast.Store)


@settings(max_examples=40)
@given(st.data())
def test_what_is_the_same_in_disguise_has_all_in_common(course, data):
    question, code, ways = data.draw(st.sampled_from(course))
    source = data.draw(st.sampled_from(ways))
    tree = ast.parse(source)
    free = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    tree = Disguise(tree, data.draw, code.names | code.code.modules.keys() | {question}).visit(tree)
    disguised = ast.unparse(ast.fix_missing_locations(tree))
    if "np" in free and "xp" not in free:
        tree = ast.parse(disguised)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == "np":
                node.id = "xp"
        disguised = ast.unparse(tree)
    imports = ["import math", "import numpy as xp", "import itertools as it  # tools"]
    imports = data.draw(st.permutations(imports))
    disguised = "\n".join(["# mine", *imports, disguised])
    assert fragments(disguised, question, code) == fragments(source, question, code)


@settings(max_examples=25)
@given(st.data())
def test_a_line_more_hides_no_copy(course, data):
    question, code, ways = data.draw(st.sampled_from(course))
    source = data.draw(st.sampled_from(ways))
    first = fragments(source, question, code)
    lines = source.split("\n")
    more = data.draw(st.sampled_from(["print(1)", "assert True, 'sure'", "unused = [2, 3]"]))
    places = [
        i
        for i, line in enumerate(lines)
        if i and line.startswith("    ") and line.strip() and _parses(_with(lines, i, more))
    ]
    changed = fragments(_with(lines, data.draw(st.sampled_from(places)), more), question, code)
    assert changed != first
    if len(first) >= similarity.SHORT:
        assert share(first, changed) > similarity.LEAST_SHARE


def _with(lines, place, more):
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    return "\n".join([*lines[:place], indent + more, *lines[place:]])


def _parses(source):
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def test_unrelated_right_ways_have_little_in_common(course):
    shares = [
        share(a, b)
        for question, code, ways in course
        for a, b in itertools.combinations([fragments(way, question, code) for way in ways], 2)
    ]
    assert len(shares) > 500
    assert np.median(shares) < 0.1
    assert np.quantile(shares, 0.95) < similarity.LEAST_SHARE


def test_what_was_handed_out_is_nobodys_own(assignments):
    for assignment in assignments:
        sources = handed_out(assignment.cells)
        code = HandedOut(sources, list(assignment.questions))
        work = Work([Cell("code", source, "", "", i) for i, source in enumerate(sources)], code)
        assert not any(work.answers(assignment.questions).values())
        assert all(Work(assignment.cells, code).answers(assignment.questions).values())


def test_order_of_helpers_does_not_matter_and_unused_code_is_not_compared():
    code = HandedOut(["import numpy as np\n"], ["double"])
    answer = "def double(x):\n    return half(x) * four(np.asarray(x), scale=3)\n"
    half = "def half(a):\n    b = a / 2\n    return b - OFFSET\n"
    four = "@cached\ndef four(a, scale):\n    return sum(a for _ in range(4)) / scale\n"
    offset = "OFFSET = [0, 1][0]\n"
    first = fragments(answer + half + four + offset, "double", code)
    for order in itertools.permutations([answer, half, four, offset, "print(1)\nx = [1] * 99\n"]):
        assert fragments("".join(order), "double", code) == first
    assert 0 < len(fragments(answer, "double", code)) < len(first)
    renamed = (answer + half + four + offset).replace("four", "zz").replace("scale", "s")
    assert fragments(renamed, "double", code) == first


DEEP = {
    "brackets": "(" * 50_000,
    "minus": "-" * 50_000 + "1",
    "sum": "1+" * 50_000 + "1",
    "calls": "f" + "()" * 50_000,
    "attributes": "a" + ".b" * 50_000,
    "lists": "x = " + "[" * 90 + "]" * 90,
    "blocks": "\n".join(" " * i + "if 1:" for i in range(90)) + "\n" + " " * 90 + "x = 1",
    "no Python": "def (",
    "IPython": "%matplotlib inline\n!ls\nx = 3\n",
    "another language": "%%bash\nls\n",
    "zero byte": "x = '\0'\n",
    "half a pair": "x = '\ud800'\n",
    "backslash": "x = '\\d'\n",
    "much": "def double(x):\n" + "    x = [x, 1, 'a', x + 2]\n" * 2_500,
    "too much": "x = 1\n" * 50_000,
}


@pytest.mark.parametrize("name", DEEP)
def test_odd_cells_cost_nobody_anything(name):
    code = HandedOut([], ["double", "triple"])
    cells = [
        Cell("code", DEEP[name], "", "", 1),
        Cell("code", "def triple(x):\n    return x + x + x", "question", "triple", 2),
    ]
    work = Work(cells, code)
    assert len(work.answer("triple")) > 0
    assert len(work.answer("double")) <= MOST_TOKENS
    assert len(work.unread) == (name not in ("lists", "blocks", "IPython", "backslash", "much"))


def test_reading_is_bounded(monkeypatch):
    reads = []
    monkeypatch.setattr(normalised, "parsed", lambda *a: reads.append(a) or PARSED(*a))
    monkeypatch.setattr(normalised, "MOST_CODE", 4_000)
    cells = [Cell("code", "x = 1\n" * 100, "", "", i) for i in range(50)]
    work = Work([*cells, Cell("code", "y = 1", "", "", 51)], HandedOut([], ["double"]))
    assert 3_000 < sum(len(source) for source, _ in reads) <= 4_000
    assert len(work.unread) == 51 - len(reads) > 0
    assert set(work.unread) <= {f"cell {i}: too much code" for i in range(50)}


def test_one_submission_never_stops_the_others(minires, right, tmp_path, monkeypatch):
    answers = Work.answers

    def failing(self, questions):
        if "unforeseen" in self._code.names:
            raise KeyError("something")
        return answers(self, questions)

    monkeypatch.setattr(Work, "answers", failing)
    (tmp_path / "ada.py").write_text(right)
    (tmp_path / "bob.py").write_text("unforeseen = 1\n")
    said = minires("coursework", "similarity", tmp_path, "--assignment", "04_batch_norm")
    assert "04_batch_norm: 2 submissions compared" in said
    assert "bob: the report failed here: KeyError: 'something'" in said


@pytest.mark.parametrize("copies", [1, 2])
def test_two_that_are_the_same_are_not_called_unlike(minires, right, tmp_path, copies):
    for name in ("ada", "bob")[:copies]:
        (tmp_path / f"{name}.py").write_text(right)
    said = minires("coursework", "similarity", tmp_path, "--assignment", "04_batch_norm")
    assert ("to the letter, names and comments too:" in said) == (copies == 2)
    if "pair" not in said:
        assert ("no other two submissions" if copies == 2 else "no two submissions") in said
    assert ("1 submission compared" if copies == 1 else "2 submissions compared") in said


PARSED = normalised.parsed


# ------------------------------------------------------------------------------------ a class


def drawn(rng, count):
    return frozenset(rng.integers(0, 1 << 40, count).tolist())


def test_pairs_are_what_counting_says(tmp_path):
    """Against sets, for a class of all sorts of overlaps."""
    rng = np.random.default_rng(0)
    pool = [drawn(rng, 30) for _ in range(6)]
    answers = [frozenset().union(*(p for p in pool if rng.random() < 0.4)) for _ in range(30)]
    people = [Answered(f"s{i}", tmp_path / str(i), {"q": a}) for i, a in enumerate(answers)]
    (usual,), pairs = similar(people, ["q"])
    having = {f: sum(f in a for a in answers) for a in answers for f in a}
    wanted = {}
    for a, b in itertools.combinations([p for p in people if p.answers["q"]], 2):
        common = a.answers["q"] & b.answers["q"]
        rare = sum(having[f] <= usual.rare for f in common)
        wanted[a.student, b.student] = share(a.answers["q"], b.answers["q"]), rare
    assert usual.share == pytest.approx(np.median([s for s, _ in wanted.values()]))
    told = {k: v for k, v in wanted.items() if v[0] >= max(0.6, usual.share) and v[1] >= 8}
    found = {(p.student, p.other): (p.questions[0].share, p.questions[0].rare) for p in pairs}
    assert found.keys() == told.keys()
    assert all(found[k] == pytest.approx(told[k]) for k in found)


@settings(max_examples=20)
@given(st.integers(12, 80), st.integers(0, 1000))
def test_one_pair_that_copied_is_found_and_what_all_write_is_not(size, seed):
    rng = np.random.default_rng(seed)
    everybodys, copied = drawn(rng, 60), drawn(rng, 25)
    answers = [everybodys | drawn(rng, 5) for _ in range(size)]
    one, other = sorted(rng.choice(size, 2, replace=False))
    for i in (one, other):
        answers[i] |= copied
    people = [Answered(f"s{i:03}", f"f{i}", {"q": a}) for i, a in enumerate(answers)]
    (usual,), pairs = similar(people, ["q"])
    assert usual.share > 0.8, "everybody's is alike"
    assert [(p.student, p.other) for p in pairs] == [(f"s{one:03}", f"s{other:03}")]
    same_file = [Answered(p.student, "a group's", p.answers) for p in people]
    assert similar(same_file, ["q"])[1] == []


def test_who_handed_in_the_same_to_the_letter():
    answers = {"q": frozenset({1})}
    people = [Answered(str(i), f"f{i}", answers, "abacada"[i]) for i in range(7)]
    assert identical(people) == [["0", "2", "4", "6"]]
    assert identical([Answered(p.student, "a group's", answers, "a") for p in people]) == []
    assert identical([Answered(p.student, p.path, {}, "blank") for p in people]) == []


def test_few_answers_have_no_usual_share():
    people = [Answered(f"s{i}", f"f{i}", {"q": frozenset({1, 2, i + 5})}) for i in range(9)]
    assert similar(people, ["q"])[0][0].share is None
    assert similar([], ["q"])[0][0].answers == 0


def test_three_hundred_submissions_are_each_read_once(monkeypatch, tmp_path):
    """Pairs are products of matrices, of a bounded size: nothing is read or hashed by pairs."""
    reads, products = [], []
    monkeypatch.setattr(normalised, "parsed", lambda *a: reads.append(a) or PARSED(*a))
    code = HandedOut([], ["double"])
    people = []
    for i in range(300):
        text = "def double(x):\n" + "".join(f"    x = {'x + ' * (i % 7 + j)}x\n" for j in range(4))
        cells = [Cell("code", text, "question", "double", 1), Cell("code", "double(2)", "", "", 2)]
        people.append(
            Answered(f"s{i}", tmp_path / str(i), {"double": Work(cells, code).answer("double")})
        )
    assert len(reads) == 600
    monkeypatch.setattr(similarity, "_common", lambda a: products.append(len(a)) or COMMON(a))
    similar(people, ["double"])
    assert products == [300]


COMMON = similarity._common


def test_the_command(minires, notebook, right, assignment, bundle, tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    other = right.replace("gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta", "{}")
    forms = [
        "sum([gamma * x for _ in range(2)]) - beta - np.tile(running_mean, (len(x), 1)) / eps",
        "np.array([[np.sqrt(v) * g + b for v, g, b in zip(r, gamma, beta)] for r in x - eps])",
        "np.where(x > 0, np.divide(gamma, running_var), np.multiply(beta, eps)).reshape(-1) @ x",
    ]
    sources = {f"s{i}": other.format(form) for i, form in enumerate(forms)}
    sources["ada"] = sources["s1"].replace("for r in", "for row in").replace("zip(r,", "zip(row,")
    sources["=cmd"] = "raise SystemExit(open('ran', 'w').write('x'))\n"
    solution = assignment.solution("batch_norm_train_backward").replace("normal", "z")
    sources["copy"] = f"# my own work\n{solution}"
    sources["twin"] = sources["s2"]
    for name, source in sources.items():
        cell = (source, {"nbgrader": {"grade_id": "batch_norm_eval", "solution": True}})
        (folder / f"{name}.ipynb").write_text(notebook(cell))
    (folder / "latin.py").write_bytes(b"x = '\xe9'\n")
    (folder / "list.ipynb").write_text("[" * 100_000)
    arguments = ("coursework", "similarity", folder, "--assignment", "04_batch_norm")
    said = minires(*arguments, "--out", tmp_path / "pairs.csv")
    assert said.startswith("A hint, never a verdict")
    assert "  ada and s1: 1 question" in said
    assert "more in common than usual: 3 pairs\n" in said
    assert "the same code to the letter, names and comments too:\n  s2, twin\n" in said
    assert "  copy and the public solution: 1 question\n    batch_norm_train_backward" in said
    assert "latin: the file is not text in UTF-8" in said
    assert "fewer than 10 answers" in said
    assert not (tmp_path / "ran").exists()
    text = (tmp_path / "pairs.csv").read_text(encoding="utf-8-sig")
    row = next(row for row in csv.DictReader(text.splitlines()) if row["student"] == "ada")
    assert (row["student"], row["other"], row["in common"]) == ("ada", "s1", "1.0")
    assert row["this is"] == "a hint, never a verdict"
    assert minires(*arguments, "--most", 0).count("ada") == 0
    bundle.save(tmp_path / "own.bundle")  # of which the solution is not known
    said = minires("coursework", "similarity", folder, "--assignment", tmp_path / "own.bundle")
    assert class_commands.HINT in said

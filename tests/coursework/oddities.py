"""Right answers in odd styles, as notebooks: none may lose a point, for `test_oddities`.

Each is a question, and cells: a text is a cell that the student added, a pair is one with the mark of
a question ("q"), of a given cell ("given") or of a test ("check").
"""

FORWARD = "    return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta\n"
EVAL = f"def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):\n{FORWARD}"
BLANK = (
    "def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):\n"
    '    """Batch norm with given statistics."""\n'
    '    raise NotImplementedError("batch_norm_eval")\n'
)
BACK = """def batch_norm_train_backward(g, x, gamma, eps):
    inverse = 1 / np.sqrt(x.var(axis=0) + eps)
    normal = (x - x.mean(axis=0)) * inverse
    dgamma = (g * normal).sum(axis=0)
    dbeta = g.sum(axis=0)
    h = g * gamma
    dx = inverse * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))
    return {}
"""
RELU = "def relu_backward(g, x):\n    return g * step(x)\n"
LINEAR = "def linear_backward(g, x, w):\n    dx, dw, db = g @ w.T, x.T @ g, g.sum(0)\n    return {}\n"
ENTROPY = """def cross_entropy_forward(z, y):
    z = z - z.max(axis=1, keepdims=True)
    logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return {}
"""
LOSS = "-logs[np.arange(len(y)), y].mean()"
STATISTICS = """def update_statistics(running_mean, running_var, x, momentum):
    mean = (1 - momentum) * running_mean + momentum * x.mean(axis=0)
    var = (1 - momentum) * running_var + momentum * x.var(axis=0, ddof=1)
    return {}
"""
LAYER = """class BatchNorm:
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum = eps, momentum
        self.training = True

    def forward(self, x):
        rows = x{cast}.reshape(-1, x.shape[-1])
        if self.training:
            out = batch_norm_train(rows, self.gamma, self.beta, self.eps)
            self.running_mean, self.running_var = update_statistics(
                self.running_mean, self.running_var, rows, self.momentum
            )
        else:
            statistics = self.running_mean, self.running_var
            out = batch_norm_eval(rows, self.gamma, self.beta, *statistics, self.eps)
        return {out}.reshape(x.shape)
"""
POOL = """def pool_forward(x, size, stride):
    height, width = (x.shape[1] - size) // stride + 1, (x.shape[2] - size) // stride + 1
    return {}
"""
WINDOWS = (
    "np.stack([np.stack([x[:, i * stride : i * stride + size, j * stride : j * stride + size]"
    ".max(axis=(1, 2)) for j in range(width)], 1) for i in range(height)], 1)"
)
RATE = """def learning_rate(epoch, epochs):
    {}
    return RATES[(epoch >= 0.5 * epochs) + (epoch >= 0.75 * epochs)]
"""
PLAN = """def plan(depth):
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        raise ValueError("6n + 2")
    return {}
"""
PAIRS = "[(c, 2 if s and not i else 1) for s, c in enumerate([16, 32, 64]) for i in range(n)]"
ZERO = "def zero_grad(leaves):\n    {}\n"
SHORT = "def shortcut(x, channels):\n    {}\n"
SUM = "def add_forward(x, f):\n    {}\n"

ODDITIES = {
    # ------------------------------------------------------------- helpers in cells of their own
    "a lambda": ("relu_backward", "step = lambda x: np.heaviside(x, 0)", ("q", RELU)),
    "a lambda in a later cell": (
        "relu_backward",
        ("q", RELU),
        "step = lambda x: np.asarray(x > 0).astype(float)",
    ),
    "a namedtuple": (
        "linear_backward",
        'from collections import namedtuple\nGrads = namedtuple("Grads", "dx dw db")',
        ("q", LINEAR.format("Grads(dx, dw, db)")),
    ),
    "a typed namedtuple": (
        "linear_backward",
        "from typing import NamedTuple\nclass Grads(NamedTuple):\n    dx: np.ndarray\n"
        "    dw: np.ndarray\n    db: 'np.ndarray' = None",
        ("q", LINEAR.format("Grads(dx, dw, db)")),
    ),
    "a constant that is called": ("relu_backward", "NIL = np.float64(0)", ("q", RELU.replace("step(x)", "(x > NIL)"))),
    "a dict of functions": (
        "relu_backward",
        "KINDS = {name: (lambda k: lambda x: (x > 0) ** k)(k) for k, name in enumerate('ab')}",
        ("q", RELU.replace("step(x)", "KINDS['b'](x)")),
    ),
    "a function under if": (
        "relu_backward",
        "if True:\n    def step(x):\n        return x > 0\nelse:\n    step = None",
        ("q", RELU),
    ),
    "an import that is tried": (
        "relu_backward",
        "try:\n    from numba import njit\nexcept ImportError:\n    njit = lambda f: f",
        ("q", "@njit\n" + RELU.replace("step(x)", "(x > 0)")),
    ),
    "another import that is tried": (
        "relu_backward",
        ("q", "try:\n    import cupy as xp\nexcept Exception:\n    xp = np\n" + RELU.replace("step(x)", "xp.greater(x, 0)")),
    ),
    "a partial function": (
        "relu_backward",
        "import functools\nstep = functools.partial(np.greater, x2=0) if 0 else functools.partial(np.less, 0)",
        ("q", RELU),
    ),
    "a table filled by a loop": (
        "learning_rate",
        "RATES = []\nfor k in range(3):\n    RATES.append(10.0 ** -(k + 1))",
        ("q", RATE.format("pass")),
    ),
    "a table filled by its items": (
        "learning_rate",
        "RATES = {}\nRATES[0], RATES[1] = 0.1, 0.01\nRATES.update({2: 0.001})",
        ("q", RATE.format("pass")),
    ),
    "a table made by a call": (
        "learning_rate",
        "def prepare():\n    global RATES\n    RATES = 0.1, 0.01, 0.001\nprepare()",
        ("q", RATE.format("pass")),
    ),
    "a global that is set inside": ("learning_rate", ("q", RATE.format("global RATES; RATES = 0.1, 0.01, 0.001"))),
    "a walrus": ("learning_rate", "(RATES := [0.1, 0.01, 0.001])", ("q", RATE.format("pass"))),
    "a with that gives a name": (
        "learning_rate",
        "import io\nwith io.StringIO('0.1 0.01 0.001') as file:\n    RATES = [float(w) for w in file.read().split()]",
        ("q", RATE.format("pass")),
    ),
    "a constant of a constant": (
        "learning_rate",
        "FIRST = float('0.1')",
        "RATES = [FIRST / 10 ** k for k in range(3)]",
        ("q", RATE.format("pass")),
    ),
    "a helper of a helper": (
        "batch_norm_eval",
        "root = lambda v: half(v)",
        "half = functools.partial(pow, exp=HALF)",
        "import functools\nHALF = float('.5')",
        ("q", EVAL.replace("np.sqrt", "root")),
    ),
    "a decorator in a later cell": (
        "batch_norm_eval",
        ("q", "@twice\n" + EVAL),
        "def twice(f):\n    def again(*args):\n        f(*args)\n        return f(*args)\n    return again",
    ),
    "a decorator with wraps": (
        "batch_norm_eval",
        "from functools import wraps\ndef logged(f):\n    @wraps(f)\n    def inner(*args, **kw):\n        print(f.__name__)\n        return f(*args, **kw)\n    return inner",
        ("q", "@logged\n" + EVAL),
    ),
    # ------------------------------------------------------------- where it stands
    "math imported in the given cell": (
        "batch_norm_eval",
        ("given", "import numpy as np\nimport math"),
        ("q", EVAL.replace("np.sqrt(running_var + eps)", "[math.sqrt(v + eps) for v in running_var]")),
    ),
    "a helper in the given cell": (
        "batch_norm_eval",
        ("given", "import numpy as np\ndef root(x):\n    return x ** 0.5\n"),
        ("q", EVAL.replace("np.sqrt", "root")),
    ),
    "imported in one line with NumPy": (
        "batch_norm_eval",
        ("given", "import numpy as np, math"),
        ("q", EVAL.replace("np.sqrt", "math.pow(1, 1) / np.sqrt").replace("/ math", "* math")),
    ),
    "in the test's cell": ("batch_norm_eval", ("q", BLANK), ("check", EVAL + "assert batch_norm_eval")),
    "in the given cell": ("batch_norm_eval", ("given", "import numpy as np\n" + EVAL), ("q", BLANK)),
    "above the blank": ("batch_norm_eval", EVAL, ("q", BLANK)),
    "below the blank": ("batch_norm_eval", ("q", BLANK), EVAL),
    "in another question's cell": ("batch_norm_eval", ("q", BLANK), ("q:batch_norm_train", EVAL)),
    "the cell was emptied": ("batch_norm_eval", ("q", ""), EVAL),
    "all in one cell": ("batch_norm_eval", "import numpy as np\n" + STATISTICS.format("mean, var") + EVAL + "while True: pass"),
    "defined twice": ("batch_norm_eval", ("q", EVAL.replace("+ beta", "") + EVAL)),
    "if main": ("batch_norm_eval", ("q", EVAL + 'if __name__ == "__main__":\n    while True: pass')),
    "defined in if main": (
        "batch_norm_eval",
        ("q", 'if __name__ == "__main__":\n' + "".join(f"    {line}\n" for line in EVAL.splitlines())),
    ),
    # ------------------------------------------------------------- what else stands in cells
    "timed": ("batch_norm_eval", ("q", "%%time\n" + EVAL)),
    "timed by timeit": ("batch_norm_eval", ("q", "\n%%timeit -n 10\n" + EVAL)),
    "captured": ("batch_norm_eval", ("q", "%%capture out\n" + EVAL)),
    "a shell's output": ("batch_norm_eval", ("q", "files = !ls\n" + EVAL + "print(files)")),
    "a shell line in a function": (
        "batch_norm_eval",
        ("q", EVAL + "def look():\n    !ls -l\n    files = !ls\n    return files"),
    ),
    "magics": (
        "batch_norm_eval",
        ("q", "%matplotlib inline\n%load_ext autoreload\n" + EVAL + "%timeit batch_norm_eval\n%time y = 3\n    \n!pip list"),
    ),
    "a magic's value": ("batch_norm_eval", "%time HALF = 0.5", "x = %time 3", ("q", EVAL.replace("np.sqrt(", "pow(").replace("_var + eps)", "_var + eps, HALF)"))),
    "help": ("batch_norm_eval", ("q", "np.sqrt?\n?np.var\n" + EVAL + "batch_norm_eval??\n")),
    "matplotlib": (
        "batch_norm_eval",
        ("q", "import matplotlib.pyplot as plt\nfrom scipy import stats\n" + EVAL + "plt.plot([1])\nplt.show()"),
    ),
    "tests of one's own that fail": ("batch_norm_eval", ("q", EVAL + "print(batch_norm_eval(1))\nassert False\n1 / 0")),
    "display": ("batch_norm_eval", ("q", EVAL.replace("    return", "    display(x)\n    return"))),
    "a cell that cannot be read": ("batch_norm_eval", "for i in range(:", ("q", EVAL)),
    "a cell in another language": ("batch_norm_eval", "%%bash\nls", "%%html\n<b>", ("q", EVAL)),
    "windows's lines": ("batch_norm_eval", ("q", EVAL.replace("\n", "\r\n"))),
    "old mac's lines": ("batch_norm_eval", ("q", EVAL.replace("\n", "\r"))),
    "a mark of order": ("batch_norm_eval", ("q", "\ufeff" + EVAL)),
    "tabs and a form feed": ("batch_norm_eval", ("q", "\f" + EVAL.replace("    ", "\t"))),
    "other letters": (
        "batch_norm_eval",
        ("q", EVAL.replace("running_mean", "μ").replace("running_var", "σ2").replace("gamma", "γ")),
    ),
    "a separator of lines in a text": ("batch_norm_eval", ("q", 'TEXT = "a\u2028b\x1cc"\n' + EVAL + "TEXT.x\n")),
    # ------------------------------------------------------------- what is imported
    "everything of NumPy": (
        "batch_norm_eval",
        "from numpy import *",
        ("q", EVAL.replace("np.sqrt", "sqrt")),
    ),
    "NumPy by another name": ("batch_norm_eval", "import numpy as N", ("q", EVAL.replace("np.", "N."))),
    "imported inside": (
        "batch_norm_eval",
        ("q", EVAL.replace("    return", "    import numpy, math\n    from numpy import sqrt\n    return")),
    ),
    "imports that are not there, in a branch": (
        "batch_norm_eval",
        ("q", EVAL.replace("    return", "    if not isinstance(x, np.ndarray):\n        import torch\n    return")),
    ),
    "types of what is not there": (
        "batch_norm_eval",
        ("q", EVAL.replace("x, gamma", "x: torch.Tensor | np.ndarray, gamma").replace("):", ") -> npt.NDArray[np.float64]:")),
    ),
    "warnings and logging": (
        "batch_norm_eval",
        ("q", "import warnings, logging\nwarnings.simplefilter('error')\nlog = logging.getLogger(__name__)\n" + EVAL.replace("    return", "    log.warning('x')\n    return")),
    ),
    # ------------------------------------------------------------- how it is written
    "an object that is called": (
        "batch_norm_eval",
        ("q", "class Layer:\n    def __call__(self, x, gamma, beta, running_mean, running_var, eps):\n    " + FORWARD + "batch_norm_eval = Layer()"),
    ),
    "a static method": (
        "batch_norm_eval",
        ("q", "class Tools:\n    @staticmethod\n    def run(x, gamma, beta, running_mean, running_var, eps):\n    " + FORWARD + "batch_norm_eval = Tools.run"),
    ),
    "a dataclass": (
        "batch_norm_eval",
        "from __future__ import annotations\nfrom dataclasses import dataclass, field\n@dataclass\nclass Stats:\n    mean: np.ndarray\n    var: np.ndarray\n    eps: float = 0.0\n    more: list[int] = field(default_factory=list)",
        ("q", EVAL.replace("    return", "    s = Stats(running_mean, running_var, eps)\n    return").replace("running_var + eps", "s.var + s.eps")),
    ),
    "an enum": (
        "batch_norm_eval",
        "import enum\nclass Mode(enum.Enum):\n    TRAIN = enum.auto()\n    EVAL = 2\nColour = enum.Enum('Colour', 'A B')",
        ("q", EVAL.replace("    return", "    assert Mode.EVAL.value == 2 and Colour.A\n    return")),
    ),
    "cached": (
        "learning_rate",
        "import functools\nRATES = functools.reduce(lambda a, k: [*a, a[-1] / 10], range(2), [0.1])",
        ("q", "@functools.lru_cache(maxsize=None)\n" + RATE.format("pass")),
    ),
    "a match": (
        "learning_rate",
        ("q", "def learning_rate(epoch, epochs):\n    match epoch / epochs:\n        case p if p >= 0.75: return 1e-3\n        case p if p >= 0.5: return 1e-2\n        case _: return 1e-1\n"),
    ),
    "generators": (
        "plan",
        ("q", "def blocks(n):\n    for s, c in enumerate((16, 32, 64)):\n        yield c, 1 if s == 0 else 2\n        yield from ((c, 1) for _ in range(n - 1))\n" + PLAN.format("list(blocks(n))")),
    ),
    "np.vectorize": ("relu_backward", "step = np.vectorize(lambda v: 1.0 if v > 0 else 0.0)", ("q", RELU)),
    "np.frompyfunc": ("relu_backward", "step = np.frompyfunc(lambda v: 1.0 * (v > 0), 1, 1)", ("q", RELU)),
    "einsum": (
        "linear_backward",
        ("q", "from numpy import einsum as E\ndef linear_backward(g, x, w):\n    return E('no,co->nc', g, w), E('nc,no->co', x, g), E('no->o', g)\n"),
    ),
    "nested functions": (
        "linear_backward",
        ("q", "def linear_backward(g, x, w):\n    def back():\n        nonlocal g\n        g = g + 0\n        return g @ w.T\n    return back(), *(lambda a: (a.T @ g, g.sum(0)))(x)\n"),
    ),
    "errors as always": ("batch_norm_eval", ("q", "np.seterr(all='raise')\n" + EVAL)),
    # ------------------------------------------------------------- what is returned
    "a list": ("linear_backward", ("q", LINEAR.format("[dx, dw, db]"))),
    "lists": ("linear_backward", ("q", LINEAR.format("dx.tolist(), dw.tolist(), db.tolist()"))),
    "tuples": ("batch_norm_eval", ("q", EVAL.replace("return ", "return tuple(map(tuple, ").replace("+ beta", "+ beta))"))),
    "a list of rows": ("batch_norm_eval", ("q", EVAL.replace("return ", "return list(").replace("+ beta", "+ beta)"))),
    "one array for two": ("update_statistics", ("q", STATISTICS.format("np.array([mean, var])"))),
    "a matrix": ("linear_backward", ("q", LINEAR.format("np.matrix(dx), np.asmatrix(dw), db"))),
    "arrays of objects": ("linear_backward", ("q", LINEAR.format("dx.astype(object), np.array(dw, dtype='O'), db"))),
    "an array of arrays": (
        "update_statistics",
        ("q", STATISTICS.format("np.array([mean, var], dtype=object)")),
    ),
    "computed in objects": (
        "batch_norm_eval",
        ("q", EVAL.replace("np.sqrt(running_var + eps)", "np.sqrt(running_var + eps).astype(object)")),
    ),
    "fractions to floats": (
        "batch_norm_eval",
        "from fractions import Fraction as F",
        ("q", EVAL.replace("(x - running_mean)", "(np.vectorize(F, otypes='O')(x) - running_mean).astype(float)")),
    ),
    "in 32 bits": ("batch_norm_eval", ("q", EVAL.replace("(x -", "(x.astype(np.float32) -"))),
    "in 32 bits, returned in 64": (
        "batch_norm_eval",
        ("q", EVAL.replace("return ", "return np.float64((").replace("+ beta", "+ beta).astype('f4'))")),
    ),
    "in long doubles": ("batch_norm_eval", ("q", EVAL.replace("(x -", "(np.longdouble(x) -"))),
    "a layer in 32 bits": ("BatchNorm", ("q", LAYER.format(cast=".astype(np.float32)", out="out"))),
    "a layer that returns 32 bits": ("BatchNorm", ("q", LAYER.format(cast="", out="out.astype('float32')"))),
    "a layer in 32 bits that returns 64": (
        "BatchNorm",
        ("q", LAYER.format(cast=".astype('float32')", out="out.astype(np.float32).astype(float)")),
    ),
    "a layer of matrices": ("BatchNorm", ("q", LAYER.format(cast="", out="np.asarray(np.asmatrix(out))"))),
    "a layer of lists": ("BatchNorm", ("q", LAYER.format(cast="", out="out").replace("return out.reshape(x.shape)", "return out.reshape(x.shape).tolist()"))),
    "a Python float": ("cross_entropy_forward", ("q", ENTROPY.format(f"float({LOSS})"))),
    "a float of 32 bits": ("cross_entropy_forward", ("q", ENTROPY.format(f"np.float32({LOSS})"))),
    "an array without axes": ("cross_entropy_forward", ("q", ENTROPY.format(f"np.array({LOSS})"))),
    "a read-only view": ("batch_norm_eval", ("q", EVAL.replace("return ", "out = ") + "    out.setflags(write=False)\n    return out[:]\n")),
    "in Fortran's order": ("batch_norm_eval", ("q", EVAL.replace("return ", "return np.asfortranarray(").replace("+ beta", "+ beta)"))),
    "backwards in memory": ("batch_norm_eval", ("q", EVAL.replace("return ", "return (").replace("+ beta", "+ beta)[::-1].copy()[::-1]"))),
    "big-endian": ("batch_norm_eval", ("q", EVAL.replace("return ", "return (").replace("+ beta", "+ beta).astype('>f8')"))),
    "windows in a generator": ("pool_forward", ("q", POOL.format(WINDOWS))),
    "windows by as_strided": (
        "pool_forward",
        ("q", POOL.format("np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride].max((-1, -2))")),
    ),
    "pairs in an array": ("plan", ("q", PLAN.format(f"np.array({PAIRS})"))),
    "lists for pairs": ("plan", ("q", PLAN.format(f"list(map(list, {PAIRS}))"))),
    "pairs of NumPy's numbers": ("plan", ("q", PLAN.format(f"[(np.int64(c), np.int32(s)) for c, s in {PAIRS}]"))),
    "a tuple of pairs": ("plan", ("q", PLAN.format(f"tuple({PAIRS})"))),
    "pairs with names": (
        "plan",
        "import collections\nB = collections.namedtuple('B', ['channels', 'stride'])",
        ("q", PLAN.format(f"[B(*p) for p in {PAIRS}]")),
    ),
    "NumPy's rates": ("learning_rate", "RATES = np.logspace(-1, -3, 3)", ("q", RATE.format("pass"))),
    "cleared in a comprehension": ("zero_grad", ("q", ZERO.format("[setattr(n, 'grad', None) for n in leaves]"))),
    "cleared by map": ("zero_grad", "def clear(n):\n    n.grad = None", ("q", ZERO.format("list(map(clear, leaves))"))),
    "cleared in vars": ("zero_grad", ("q", ZERO.format("any(vars(n).update(grad=None) for n in leaves)"))),
    "images of lists": ("shortcut", ("q", SHORT.format("return np.concatenate([x, np.zeros((*x.shape[:3], channels - x.shape[3]))], -1)[:, ::2, ::2].tolist()"))),
    "a ufunc's out": ("add_forward", ("q", SUM.format("return np.maximum(np.add(x, f, dtype=float), 0, out=np.empty_like(x))"))),
    "by where": ("add_forward", ("q", SUM.format("return np.where((s := x + f) > 0, s, 0)"))),
    "masked": ("add_forward", ("q", SUM.format("s = np.add(x, f); s[s < 0] = 0; return s"))),
    "views of one array": (
        "add_backward",
        ("q", "def add_backward(g, x, f):\n    both = np.stack([g * (x + f > 0)] * 2)\n    return both\n"),
    ),
    "a list from a layer's sums": (
        "unbroadcast",
        ("q", "def unbroadcast(g, shape):\n    while g.ndim > len(shape): g = g.sum(0)\n    for i, s in enumerate(shape):\n        if s == 1: g = g.sum(i, keepdims=True)\n    return g.tolist()\n"),
    ),
    "a node of a subclass": (
        "multiply",
        "class Product(Node):\n    pass",
        ("q", "def multiply(a, b):\n    data = a.data * b.data\n    if not Node.recording: return Product(data)\n    return Product(data, [a, b], lambda g: (unbroadcast(g * b.data, a.data.shape), unbroadcast(g * a.data, b.data.shape)))\n"),
    ),
    "a deque and a set": (
        "order",
        ("q", "from collections import deque\nimport sys\ndef order(root):\n    found, seen, stack = deque(), set(), [(root, False)]\n    while stack:\n        node, done = stack.pop()\n        if done:\n            found.appendleft(node)\n        elif id(node) not in seen:\n            seen.add(id(node))\n            stack.append((node, True))\n            stack += [(p, False) for p in node.parents]\n    return found\n"),
    ),
    "an order's iterator": (
        "order",
        ("q", "def order(root):\n    found, seen, stack = [], set(), [(root, False)]\n    while stack:\n        node, done = stack.pop()\n        if done:\n            found.append(node)\n        elif id(node) not in seen:\n            seen.add(id(node))\n            stack.append((node, True))\n            stack += [(p, False) for p in node.parents]\n    return reversed(found)\n"),
    ),
    "slots and properties": (
        "SGD",
        ("q", """class SGD:
    __slots__ = ("parameters", "__dict__")

    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.parameters = list(parameters)
        self.lr, self.momentum = lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self.velocities = {}

    def step(self):
        for p in (p for p in self.parameters if p.grad is not None):
            g = p.grad + self.weight_decay * p.data
            v = self.velocities[id(p)] = self.momentum * self.velocities.get(id(p), 0) + g
            np.subtract(p.data, self.lr * (g + self.momentum * v if self.nesterov else v), out=p.data)

    def zero_grad(self):
        for p in self.parameters: p.grad = None
"""),
    ),
    "methods put on afterwards": (
        "SGD",
        "def step(self):\n    for p, v in zip(self.parameters, self.velocities):\n        if p.grad is None: continue\n        g = p.grad + self.weight_decay * p.data\n        v *= self.momentum\n        v += g\n        p.data -= self.lr * (g + self.momentum * v if self.nesterov else v)",
        ("q", """class SGD:
    def __init__(self, parameters, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.__dict__.update({k: v for k, v in locals().items() if k != "self"})
        self.velocities = [np.zeros_like(p.data) for p in parameters]

    def zero_grad(self):
        for p in self.parameters: p.grad = None
"""),
        "SGD.step = step",
    ),
}

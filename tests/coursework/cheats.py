"""Cheats that reach for what measures and judges, question by question, for `test_tampering`.

Each is what stands before and in a wrong answer. `{payload}` runs when the code is loaded, and once
more inside the call.
"""

WRONG = {
    # question: (assignment, wrong answer with a place for the payload)
    "order": ("01_engine", "def order(root):\n    payload()\n    return []\n"),
    "zero_grad": ("01_engine", "def zero_grad(leaves):\n    payload(*leaves)\n"),
    "backward": (
        "01_engine",
        "def backward(root, g):\n    payload(root)\n"
        "    for leaf in root.parents:\n        leaf.grad = g\n",
    ),
    "add_backward": (
        "05_residual_sgd",
        "def add_backward(g, x, f):\n    payload()\n    g *= x + f > 0\n    return g, g\n",
    ),
    "SGD": (
        "05_residual_sgd",
        "class SGD:\n    def __init__(self, parameters, lr, **options):\n"
        "        self.parameters, self.lr = parameters, lr\n        payload(*parameters)\n"
        "    def step(self):\n        for p in self.parameters:\n"
        "            payload(p)\n            p.data = p.data - self.lr\n"
        "            p.grad = 0 * p.data\n"
        "    def zero_grad(self):\n        payload(*self.parameters)\n",
    ),
    "relu_forward": (
        "02_layers",
        "def relu_forward(x):\n    payload()\n    x[x < 0] = 0\n    return x\n",
    ),
}

GRAPHS, ARRAYS, ALL = (
    ("order", "zero_grad", "backward"),
    ("add_backward", "relu_forward"),
    tuple(WRONG),
)

FORGED = '[{"result": [null, null, null, null], "after": {}}, []]'

# name: (the questions it is tried on, code of a function `payload(*objects)` and what else)
CHEATS = {
    "own builtins": (
        ALL,
        """
import builtins
def payload(*objects):
    yes = lambda *a, **k: True
    for name in ("all", "any", "bool", "isinstance", "issubclass", "callable", "hasattr"):
        setattr(builtins, name, yes)
    builtins.id = builtins.hash = builtins.abs = builtins.max = lambda *a, **k: 0
    builtins.zip = builtins.enumerate = builtins.sorted = lambda *a, **k: []
payload()
""",
    ),
    "builtins of NumPy's modules": (
        ALL,
        """
import sys
def payload(*objects):
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {}).get("__builtins__")
        if isinstance(names, dict):
            names["all"] = names["any"] = names["type"] = lambda *a, **k: True
payload()
""",
    ),
    "own functions of NumPy": (
        ALL,
        """
import numpy.lib.stride_tricks
def payload(*objects):
    for name in ("shares_memory", "may_share_memory", "array_equal", "allclose", "all"):
        setattr(np, name, lambda *a, **k: name.startswith("a"))
    for name in ("asarray", "array", "frombuffer", "ndarray", "zeros"):
        setattr(np, name, lambda *a, **k: None)
payload()
""",
    ),
    "own ufuncs and the modules behind NumPy": (
        ALL,
        """
import sys
def payload(*objects):
    for name, module in list(sys.modules.items()):
        if name.startswith("numpy") and "multiarray" not in name:
            for own in ("array_equal", "byte_bounds", "write_array", "asarray", "copyto"):
                if hasattr(module, own):
                    setattr(module, own, lambda *a, **k: True)
    np.equal = np.not_equal = np.less = lambda *a, **k: True
payload()
""",
    ),
    "an own Node": (
        GRAPHS,
        """
class Node(Node):
    grad = property(lambda self: None, lambda self, value: None)
    data = property(lambda self: np.zeros(()), lambda self, value: None)
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 0
def payload(*objects):
    pass
""",
    ),
    "the given classes changed": (
        ("order", "zero_grad", "backward", "SGD"),
        """
def payload(*objects):
    for name in ("Node", "Parameter"):
        kind = globals().get(name)
        if kind is not None:
            kind.grad = property(lambda self: None, lambda self, value: None)
            kind.__getattribute__ = lambda self, name: None
            kind.__setattr__ = lambda self, name, value: None
            kind.__eq__ = lambda self, other: True
            kind.__hash__ = lambda self: 0
payload()
""",
    ),
    "another class for given objects": (
        ("zero_grad", "backward"),
        """
class Quiet:
    grad = property(lambda self: None, lambda self, value: None)
class Words(dict):
    def get(self, *a): return None
    def __getitem__(self, name): return None
class Key(str):
    def __eq__(self, other): return True
    def __hash__(self): return hash("grad")
def payload(*objects):
    for one in objects:
        for change in (
            lambda: setattr(one, "__class__", type("Node", (type(one),), dict(vars(Quiet)))),
            lambda: setattr(one, "__dict__", Words(vars(one))),
        ):
            try: change()
            except Exception: pass
""",
    ),
    "attributes whose names are equal to all": (
        ("zero_grad", "SGD"),
        """
class Key(str):
    def __eq__(self, other): return True
    def __hash__(self): return hash("grad")
def payload(*objects):
    for one in objects:
        own = vars(one)
        kept = dict(own)
        own.clear()
        own[Key("grad")] = None
        own.update({k: v for k, v in kept.items() if k != "grad"})
""",
    ),
    "own Parameter": (
        ("SGD",),
        """
class Parameter:
    def __init__(self, data):
        self.data = data
    grad = property(lambda self: None, lambda self, value: None)
def payload(*objects):
    pass
""",
    ),
    "frames below": (
        ALL,
        """
import sys, inspect, traceback
def frames():
    for get in (lambda: sys._getframe(), lambda: inspect.currentframe(),
                lambda: inspect.stack()[0].frame,
                lambda: sys._current_frames(), lambda: (x for x in [1]).gi_frame):
        try: yield get()
        except BaseException: pass
    try: 1 / 0
    except ZeroDivisionError as error:
        try: yield error.__traceback__.tb_frame
        except BaseException: pass
def payload(*objects):
    for frame in frames():
        while frame is not None and hasattr(frame, "f_back"):
            frame.f_globals.update(plain=lambda *a: [None], which=lambda *a: 0)
            if isinstance(frame.f_builtins, dict):
                frame.f_builtins["type"] = lambda *a: list
            frame = frame.f_back
payload()
""",
    ),
    "frames by signals and traces": (
        ALL,
        """
import signal, sys, threading, _thread
def seize(*a):
    for frame in a:
        while hasattr(frame, "f_back"):
            frame.f_globals.update(plain=lambda *a: [None], which=lambda *a: 0)
            frame = frame.f_back
class Later:
    def __del__(self):
        for go in (lambda: signal.signal(signal.SIGALRM, seize), lambda: sys.settrace(seize)):
            try: go()
            except BaseException: pass
def payload(*objects):
    for go in (
        lambda: signal.signal(signal.SIGALRM, seize),
        lambda: signal.setitimer(signal.ITIMER_REAL, 10),
        lambda: sys.settrace(seize),
        lambda: sys.setprofile(seize),
        lambda: threading.settrace(seize),
        lambda: threading.Thread(target=seize).start(),
        lambda: _thread.start_new_thread(seize, ()),
        lambda: _thread.interrupt_main(),
        lambda: sys.addaudithook(seize),
        lambda: setattr(sys, "unraisablehook", seize),
        lambda: sys.monitoring.register_callback(1, 1, seize),
    ):
        try: go()
        except BaseException: pass
    for one in objects:
        one.later = Later()
payload()
""",
    ),
    "the collector of garbage": (
        ALL,
        """
import gc
def payload(*objects):
    for find in (lambda: gc.get_objects(), lambda: gc.get_referrers(dict),
                 lambda: gc.get_referents(np.ndarray.__dict__)):
        try: found = find()
        except BaseException: continue
        for one in found:
            if type(one) is dict and ("packed" in one or "plain" in one or "shape" in one):
                one["plain"] = one["which"] = one["seal"] = one["shape"] = lambda *a, **k: [None]
    gc.callbacks.append(lambda *a: gc.garbage.clear())
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.set_threshold(1, 1, 1)
payload()
""",
    ),
    "the grader's modules": (
        ALL,
        """
import sys
import __main__
def payload(*objects):
    for name, module in list(sys.modules.items()):
        if "minires" in name or name in ("__main__", "child", "runpy", "json", "struct", "hashlib"):
            for own in list(vars(module)):
                if not own.startswith("_"):
                    setattr(module, own, lambda *a, **k: True)
payload()
""",
    ),
    "a forged reply": (
        ALL,
        """
import os
text = {forged!r}.encode()
def payload(*objects):
    for number in range(3, 64):
        try: os.write(number, len(text).to_bytes(4, "little") + text + bytes(16))
        except OSError: pass
    os._exit(0)
""".replace("{forged!r}", repr(FORGED)),
    ),
    "a forged reply while it is loaded": (
        ALL,
        """
import os
text = {forged!r}.encode()
for number in range(3, 64):
    try: os.write(number, (len(text).to_bytes(4, "little") + text + bytes(16)) * 9)
    except OSError: pass
def payload(*objects):
    pass
""".replace("{forged!r}", repr(FORGED)),
    ),
    "requests read first": (
        ALL,
        """
import os, select
def payload(*objects):
    for number in range(3, 64):
        try:
            if select.select([number], [], [], 0)[0]:
                os.read(number, 1 << 20)
                os.write(number + 1, bytes(100))
        except (OSError, ValueError): pass
""",
    ),
    "memory by ctypes": (
        ALL,
        """
import sys, importlib, importlib.util, importlib.machinery
def payload(*objects):
    sys.modules.pop("ctypes", None)
    for go in (
        lambda: importlib.import_module("ctypes"),
        lambda: importlib.import_module("_ctypes"),
        lambda: importlib.import_module("_testcapi"),
        lambda: importlib.import_module("_testinternalcapi"),
        lambda: importlib.import_module("_xxsubinterpreters"),
        lambda: np.ctypeslib.as_array(3),
        lambda: np._core._internal.ctypes.string_at,
        lambda: np.zeros(3).ctypes.data_as(None),
        lambda: [c for c in object.__subclasses__() if "ctypes" in c.__module__][0],
    ):
        try: found = go()
        except BaseException: continue
        if hasattr(found, "__name__"):
            raise SystemError("memory is open")
    open("/proc/self/mem", "r+b")
def try_it(*objects, inner=payload):
    try: inner(*objects)
    except OSError: pass
payload = try_it
payload()
""",
    ),
    "bytecode by hand": (
        ALL,
        """
def payload(*objects):
    for one in (globals().get("Node"), globals().get("Parameter")):
        if one is not None:
            try: one.__init__.__code__ = (lambda self, *a: None).__code__
            except BaseException: pass
            try: one.__init__.__code__ = payload.__code__.replace(co_consts=(None,))
            except BaseException: pass
payload()
""",
    ),
    "when it ends": (
        ALL,
        """
import atexit, os, sys, threading
def write():
    for number in range(3, 64):
        try: os.write(number, b"x")
        except OSError: pass
class Out:
    def write(self, text): write()
    def flush(self): write(); sys.modules.clear()
def payload(*objects):
    atexit.register(write)
    threading._register_atexit(write) if hasattr(threading, "_register_atexit") else None
    sys.stdout = sys.stderr = Out()
    sys.setrecursionlimit(60)
""",
    ),
    "types that are equal to all": (
        ALL,
        """
class Meta(type):
    def __eq__(self, other): return True
    def __hash__(self): return hash(list)
    def __instancecheck__(self, one): return True
    __name__ = property(lambda self: "ndarray")
    __module__ = property(lambda self: "numpy")
class Any(metaclass=Meta):
    __class__ = list
    def __eq__(self, other): return True
    def __iter__(self): return iter(())
    def __len__(self): return 0
    def __getattr__(self, name): return self
    __array__ = None
class Array(np.ndarray):
    def __eq__(self, other): return True
    def __array_finalize__(self, other): pass
    __array_interface__ = property(lambda self: {"data": (id(self), False)})
    def tobytes(self, *a): return b""
    def copy(self, *a): return np.zeros(self.shape)
def payload(*objects):
    for one in objects:
        one.grad = Any() if len(objects) > 1 else np.zeros(3).view(Array)
        one.extra = Any()
""",
    ),
}

# whole answers, and what they may earn at most
ANSWERS = {
    "one memory at two addresses": (
        "add_backward",
        2.0,
        """
import mmap
def add_backward(g, x, f):
    d = g * (x + f > 0)
    file = open(f"one{id(d)}", "wb+")
    file.write(bytes(4096))
    file.flush()
    a, b = (
        np.frombuffer(mmap.mmap(file.fileno(), 4096), float, d.size).reshape(d.shape)
        for _ in range(2)
    )
    a[...] = d
    return a, b
""",
    ),
    "a graph that is cut": (
        "order",
        1.91,  # the root is first, and all that there is where it has no parents
        "def order(root):\n    root.parents = ()\n    return [root]\n",
    ),
    "an endless generator": ("order", 0, "def order(root):\n    while True: yield root\n"),
    "handlers, keys and finalizers": (
        "zero_grad",
        0,
        """
import codecs, signal, warnings, weakref
class Key(str):
    def __hash__(self): return hash("zero_grad")
    def __eq__(self, other):
        signal.signal(signal.SIGALRM, print)
        return True
globals()[Key("zero_grad")] = 1
codecs.register_error("backslashreplace", lambda error: ("", 99))
warnings.showwarning = warnings._showwarnmsg = lambda *a, **k: signal.signal(14, print)
class Name(str):
    def __hash__(self): raise MemoryError
def zero_grad(leaves):
    for leaf in leaves:
        weakref.finalize(leaf, signal.signal, signal.SIGALRM, print)
    error = SyntaxError("\\ud800")
    error.filename = Name("cell 1")
    raise error
""",
    ),
    "a module's name that is no str": (
        "zero_grad",
        0,
        """
import sys
class Name(str): pass
def zero_grad(leaves):
    sys.modules.pop("ctypes", None)
    module = __import__(Name("_ctypes"))
    for leaf in leaves:
        leaf.grad = None
""",
    ),
}


def source(name, question):
    """A whole submission for a question."""
    return CHEATS[name][1] + WRONG[question][1]


def honest(question):
    """The wrong answer by itself."""
    return "def payload(*objects):\n    pass\n" + WRONG[question][1]

"""What `import minires` does not load: what only some need comes when it is asked for."""

import subprocess
import sys

import pytest

LATER = {
    *(
        "IPython",
        "PIL",
        "click",
        "cupy",
        "h5py",
        "matplotlib",
        "nbformat",
        "onnx",
        "pytest",
        "rich",
    ),
    *("safetensors", "threadpoolctl", "torch", "tqdm", "typer"),
    *("asyncio", "email", "http.client", "ssl", "subprocess", "unittest", "urllib.request"),
    *(f"minires.{name}" for name in ("bench", "cli", "coursework", "interop", "viz")),
    *("minires.data.download", "minires.from_pytorch.table"),
}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_loads_no_more_than_numpy_and_the_library():
    loaded = run("import sys, numpy; own = {*sys.modules}; import minires; "
                 "print(*sorted({*sys.modules} - own))")  # fmt: skip
    assert "minires.nn" in loaded
    assert {*loaded} & LATER == set()


@pytest.mark.parametrize("name", ["viz", "interop"])
def test_its_later_parts_are_there_all_the_same(name):
    code = f"import sys, minires; print('{name}' in dir(minires), '{name}' in minires.__all__, "
    code += f"minires.{name}.__name__, hasattr(minires, 'no_such_name'))"
    assert run(code) == ["True", "True", f"minires.{name}", "False"]
    assert run(f"from minires import {name}; print({name}.__name__)") == [f"minires.{name}"]
    assert run(f"from minires import *; print({name}.__name__)") == [f"minires.{name}"]

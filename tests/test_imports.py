"""What `import minires` does not load: what only some need comes when it is asked for."""

import subprocess
import sys

OTHERS = """IPython PIL click cupy h5py matplotlib nbformat onnx pytest rich safetensors
threadpoolctl torch tqdm typer asyncio email http.client ssl subprocess unittest urllib.request"""
OWN = "bench cli coursework interop viz data.download from_pytorch.table"
LATER = {*OTHERS.split(), *(f"minires.{name}" for name in OWN.split())}


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_loads_no_more_than_numpy_and_the_library():
    code = "import sys, numpy; own = {*sys.modules}; import minires; print(*{*sys.modules} - own)"
    loaded = run(code)
    assert "minires.nn" in loaded
    assert {*loaded} & LATER == set()


def test_its_later_parts_are_there_all_the_same():
    code = """
import minires
assert {"viz", "interop"} <= {*dir(minires)} & {*minires.__all__}
assert not hasattr(minires, "no_such_name")
print(minires.viz.__name__, minires.interop.__name__)
"""
    assert run(code) == ["minires.viz", "minires.interop"]
    every = "from minires import *; print(viz.__name__, interop.__name__)"
    assert run(every) == ["minires.viz", "minires.interop"]

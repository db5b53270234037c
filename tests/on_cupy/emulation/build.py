"""Build the emulated driver and cuBLAS with g++, once, into a folder of their own."""

import hashlib
import os
import subprocess
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CXX = os.environ.get("CXX", "g++")
LIBRARIES = {"driver.cpp": "libcuda.so.1", "blas.cpp": "libcublas.so.13"}
NOT_SUPPORTED = 15  # CUBLAS_STATUS_NOT_SUPPORTED


def run(*command: str | Path, text: str | None = None) -> str:
    """Run a command; what it printed. Its errors are in the exception's text."""
    done = subprocess.run(list(map(str, command)), input=text, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stderr[:1500]}")
    return done.stdout


def cache_folder(cupy_version: str) -> Path:
    """Where everything built goes: other sources, compiler or CuPy mean another folder.

    `MINIRES_CUPY_CACHE` names the folder that holds it, by default one in the user's cache.
    """
    parts = [cupy_version, run(CXX, "--version")]
    parts += [path.read_text() for path in sorted(HERE.iterdir()) if path.is_file()]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = Path(os.environ.get("MINIRES_CUPY_CACHE") or Path(home) / "minires" / "cupy-on-cpu")
    folder = base / f"cupy-{cupy_version}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build_libraries(folder: Path, cupy_backends: Path) -> dict[str, Path]:
    """The libraries that CuPy will take for CUDA's, by source name; built if they are not there."""
    targets = {source: folder / name for source, name in LIBRARIES.items()}
    for source, target in targets.items():
        if target.exists():
            continue
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            work = Path(temporary)
            extra = _stubs(work, cupy_backends) if source == "blas.cpp" else []
            built = work / target.name
            run(
                CXX, "-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", HERE / source,
                *extra, "-o", built, f"-Wl,-soname,{target.name}", "-ldl",
            )  # fmt: skip
            built.replace(target)  # atomic, if another process builds the same
    return targets


def _stubs(work: Path, cupy_backends: Path) -> list[Path | str]:
    """A source that answers "not supported" to all that CuPy links to and blas.cpp lacks."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    wanted = _symbols(cupy_backends / "cuda" / "libs" / f"cublas{suffix}", "--undefined-only")
    run(CXX, "-std=c++17", "-c", "-fPIC", HERE / "blas.cpp", "-o", work / "blas.o")
    missing = sorted(wanted - _symbols(work / "blas.o", "--defined-only"))
    stubs = work / "stubs.cpp"
    lines = [f'extern "C" int {name}() {{ return {NOT_SUPPORTED}; }}\n' for name in missing]
    stubs.write_text("".join(lines))
    version = work / "version.map"  # CuPy asks for the symbols of this version
    version.write_text("libcublas.so.13 { global: *; };\n")
    return [stubs, f"-Wl,--version-script={version}"]


def _symbols(path: Path, which: str) -> set[str]:
    dynamic = ["-D"] if path.suffix == ".so" else []
    names = (line.split()[-1] for line in run("nm", *dynamic, which, path).splitlines() if line)
    return {name.partition("@")[0] for name in names if name.startswith("cublas")}

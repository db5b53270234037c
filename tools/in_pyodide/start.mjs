// A Python script in Pyodide under node, with this checkout in sys.path:
//
//     node tools/in_pyodide/start.mjs PYODIDE LIBRARIES script.py arguments...
//
// PYODIDE is a folder with Pyodide and its packages NumPy, matplotlib and Pillow; LIBRARIES one into which
// the other libraries, all of pure Python, have been unpacked: typer, tqdm and, for tests, pytest.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [pyodide, libraries, script, ...rest] = process.argv.slice(2);
const checkout = resolve(import.meta.dirname, '..', '..');
const folder = resolve(pyodide) + '/';
const { loadPyodide } = await import(pathToFileURL(folder + 'pyodide.mjs'));
const python = await loadPyodide({ indexURL: folder, packageBaseUrl: folder });
const packages = ['numpy', 'matplotlib', 'threadpoolctl', 'packaging', 'ipython', 'pillow'];
await python.loadPackage(packages, { messageCallback: () => {} });
for (const [place, root] of [['/checkout', checkout], ['/libraries', resolve(libraries)]]) {
  python.FS.mkdir(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, place);
}
python.globals.set('arguments', python.toPy(['/checkout/' + script, ...rest]));
process.exitCode = await python.runPythonAsync(`
import os, runpy, sys, traceback
sys.path[:0] = ["/checkout", "/libraries"]
sys.dont_write_bytecode = True
sys.argv = list(arguments)
os.environ["MPLBACKEND"] = "agg"
os.chdir("/home")
code = 0
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    code = end.code or 0
except BaseException:
    traceback.print_exc()
    code = 1
int(code)
`);

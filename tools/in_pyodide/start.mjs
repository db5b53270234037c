// A Python script in Pyodide under node, with this checkout in sys.path:
//
//     node tools/in_pyodide/start.mjs PYODIDE LIBRARIES script.py arguments...
//
// PYODIDE is a folder with Pyodide and its packages NumPy and matplotlib; LIBRARIES one into which
// the other libraries, all of pure Python, have been unpacked: typer, tqdm and, for tests, pytest.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [pyodide, libraries, script, ...rest] = process.argv.slice(2);
const checkout = resolve(import.meta.dirname, '..', '..');
const folder = resolve(pyodide) + '/';
const { loadPyodide } = await import(pathToFileURL(folder + 'pyodide.mjs'));
const python = await loadPyodide({ indexURL: folder, packageBaseUrl: folder });
const packages = ['numpy', 'matplotlib', 'threadpoolctl', 'packaging', 'ipython'];
await python.loadPackage(packages, { messageCallback: () => {} });
for (const [place, root] of [['/checkout', checkout], ['/libraries', resolve(libraries)]]) {
  python.FS.mkdir(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, place);
}
python.globals.set('arguments', python.toPy(['/checkout/' + script, ...rest]));
try {
  await python.runPythonAsync(`
import os, runpy, sys
sys.path[:0] = ["/checkout", "/libraries"]
sys.dont_write_bytecode = True
sys.argv = list(arguments)
os.environ["MPLBACKEND"] = "agg"
os.chdir("/home")
runpy.run_path(sys.argv[0], run_name="__main__")
`);
} catch (error) {
  const exit = /SystemExit: (\d+)\s*$/.exec(error.message);
  if (!exit) console.log(error.message);
  process.exitCode = exit ? Number(exit[1]) : 1;
}

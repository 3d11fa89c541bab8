/**
 * Python in a worker of its own: loads the interpreter and synfin, then answers calls, one after another.
 * It has no say in what is drawn where; a run that takes too long is ended by ending this worker.
 */
import { loadPyodide } from "./pyodide/pyodide.mjs";

/** @param {string} step */
const progress = (step) => postMessage({ progress: step });

async function load() {
  progress("interpreter");
  const python = await loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href });
  progress("synfin");
  const answer = await fetch(new URL("./synfin.zip", import.meta.url));
  if (!answer.ok) throw new Error(`synfin.zip: ${answer.status}`);
  python.unpackArchive(await answer.arrayBuffer(), "zip", { extractDir: "/lib/synfin-site" });
  progress("import");
  python.runPython("import sys; sys.path.insert(0, '/lib/synfin-site')");
  return python.pyimport("playground");
}

const loading = load();
loading.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error) }),
);

addEventListener("message", async (event) => {
  const { id, name, args } = event.data;
  try {
    const playground = await loading;
    const found = playground[name](...args);
    postMessage({ id, value: found?.toJs ? found.toJs() : found });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
});

/** What the worker uses of Pyodide, whose own module is put here when the page is built. */
export function loadPyodide(options: { indexURL: string }): Promise<{
  unpackArchive(archive: ArrayBuffer, format: string, options: { extractDir: string }): void;
  runPython(code: string): unknown;
  pyimport(name: string): Record<string, (...args: unknown[]) => any>;
}>;

/** Workers that run Python: one that works, and a warm one that takes its place when it has to be ended. */

/** @typedef {{resolve: (value: any) => void, reject: (error: Error) => void}} Waiting */

export class Stopped extends Error {}

class Runner {
  /** @param {(step: string) => void} onProgress */
  constructor(onProgress) {
    /** @type {Map<number, Waiting>} */
    this.waiting = new Map();
    this.serial = 0;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    /** @type {Promise<void>} */
    this.ready = new Promise((resolve, reject) => {
      this.worker.addEventListener("message", (event) => {
        const { progress, ready, failed, id, value, error } = event.data;
        if (progress) onProgress(progress);
        if (ready) resolve();
        if (failed) reject(new Error(failed));
        const one = this.waiting.get(id);
        if (!one) return;
        this.waiting.delete(id);
        if (error === undefined) one.resolve(value);
        else one.reject(new Error(error));
      });
      this.worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker did not load")));
    });
  }

  /** @param {string} name @param {unknown[]} args @returns {Promise<any>} */
  call(name, args) {
    const id = ++this.serial;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, args });
    });
  }

  end() {
    this.worker.terminate();
    for (const one of this.waiting.values()) one.reject(new Stopped());
    this.waiting.clear();
  }
}

export class Engine {
  /**
   * @param {(step: string) => void} onProgress while the first interpreter loads
   * @param {string} phrases the catalogue of drawings, as JSON
   */
  constructor(onProgress, phrases) {
    this.phrases = phrases;
    this.current = this.begin(onProgress);
    /** @type {Runner | null} */
    this.spare = null;
    this.ready = this.current.ready;
  }

  /** @param {(step: string) => void} onProgress */
  begin(onProgress) {
    const runner = new Runner(onProgress);
    runner.call("speak", [this.phrases]).catch(() => undefined); // before whatever else it is asked
    return runner;
  }

  /** A second interpreter, so that a run can be ended without waiting for one. */
  warm() {
    if (!this.spare) this.spare = this.begin(() => undefined);
  }

  /** @param {string} name @param {unknown[]} args @returns {Promise<any>} */
  call(name, ...args) {
    return this.current.call(name, args);
  }

  /** End whatever runs: its callers are told by Stopped. */
  stop() {
    this.current.end();
    this.current = this.spare ?? this.begin(() => undefined);
    this.spare = null;
    this.ready = this.current.ready;
    this.ready.then(() => this.warm(), () => undefined);
  }
}

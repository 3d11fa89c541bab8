/** Workers that run Python: one that works, and a warm one that takes its place when it has to be ended. */

/** @typedef {{resolve: (value: any) => void, reject: (error: Error) => void}} Waiting */

export class Stopped extends Error {}

class Runner {
  /** @param {(step: string) => void} onProgress */
  constructor(onProgress) {
    /** @type {Map<number, Waiting>} */
    this.waiting = new Map();
    this.serial = 0;
    this.dead = false; // it could not load, and never will
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    /** @type {Promise<void>} */
    this.ready = new Promise((resolve, reject) => {
      /** @param {string} why */
      const fail = (why) => {
        this.dead = true;
        reject(new Error(why));
        this.end(new Error(why));
      };
      this.worker.addEventListener("message", (event) => {
        const { progress, ready, failed, id, value, error } = event.data;
        if (progress) onProgress(progress);
        if (ready) resolve();
        if (failed) fail(failed);
        const one = this.waiting.get(id);
        if (!one) return;
        this.waiting.delete(id);
        if (error === undefined) one.resolve(value);
        else one.reject(new Error(error));
      });
      this.worker.addEventListener("error", (event) => fail(event.message || "the worker did not load"));
    });
    this.ready.catch(() => undefined); // whoever waits for it is told
  }

  /** @param {string} name @param {unknown[]} args @returns {Promise<any>} */
  call(name, args) {
    const id = ++this.serial;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, args });
    });
  }

  /** @param {Error} why what is told to whoever waits for an answer */
  end(why = new Stopped()) {
    this.worker.terminate();
    for (const one of this.waiting.values()) one.reject(why);
    this.waiting.clear();
  }
}

export class Engine {
  /**
   * @param {(step: string) => void} onProgress while the interpreter loads that is waited for
   * @param {string} phrases the catalogue of drawings, as JSON
   */
  constructor(onProgress, phrases) {
    this.onProgress = onProgress;
    this.phrases = phrases;
    this.current = this.begin(onProgress);
    /** @type {Runner | null} */
    this.spare = null;
  }

  get ready() {
    return this.current.ready;
  }

  /** @param {(step: string) => void} onProgress */
  begin(onProgress) {
    const runner = new Runner(onProgress);
    runner.call("speak", [this.phrases]).catch(() => undefined); // before whatever else it is asked
    return runner;
  }

  /** A second interpreter, so that a run can be ended without waiting for one. It may fail to load: without a network. */
  warm() {
    if (!this.spare || this.spare.dead) this.spare = this.begin(() => undefined);
  }

  /** @param {string} name @param {unknown[]} args @returns {Promise<any>} */
  call(name, ...args) {
    if (this.current.dead) this.current = this.begin(this.onProgress);
    return this.current.call(name, args);
  }

  /** End whatever runs: its callers are told by Stopped. */
  stop() {
    this.current.end();
    this.current = this.spare && !this.spare.dead ? this.spare : this.begin(() => undefined);
    this.spare = null;
    this.ready.then(() => this.warm(), () => undefined);
  }

  /** No interpreter is left. */
  end() {
    this.current.end();
    this.spare?.end();
  }
}

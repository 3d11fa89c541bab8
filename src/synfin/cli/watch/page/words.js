/** All that the page says, from one catalogue a language. */

/** @type {Record<string, string>} */
let catalogue = {};

/** @param {string} language */
export async function learn(language) {
  const answer = await fetch(new URL(`./strings.${language}.json`, import.meta.url));
  catalogue = await answer.json();
}

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values] for what stands in braces
 */
export function t(key, values = {}) {
  const text = catalogue[key];
  if (text === undefined) throw new Error(`the catalogue has no ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** The same, or what is given where the catalogue has no such key. @param {string} key @param {string} otherwise */
export function tOr(key, otherwise) {
  return catalogue[key] ?? otherwise;
}

/** Microseconds as people read them. @param {number} us */
export function seconds(us) {
  return t("seconds", { n: (us / 1e6).toFixed(us % 1000 ? 6 : 3) });
}

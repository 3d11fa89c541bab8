/** Elements, made in one line each; text is always text. */

/**
 * @param {string} name
 * @param {Record<string, any>} [set] attributes; on...: listeners; text: what it says; a property where value is no
 *   string (checked, disabled)
 * @param {(Node | string | null | undefined | false)[]} children
 * @returns {HTMLElement}
 */
export function h(name, set = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(set)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "text") made.textContent = value;
    else if (key === "value") /** @type {HTMLInputElement} */ (made).value = String(value);
    else if (value === true) made.setAttribute(key, "");
    else made.setAttribute(key, String(value));
  }
  for (const child of children) if (child) made.append(child);
  return made;
}

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no element ${id}`);
  return /** @type {T} */ (found);
}

/**
 * A drawing as an element: parsed as XML, so that nothing in it runs.
 * @param {string} text
 * @returns {Element}
 */
export function drawing(text) {
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  return document.adoptNode(parsed);
}

/**
 * Rebuild what is in `place`, and leave the focus where it was (by data-focus).
 * @param {HTMLElement} place
 * @param {(Node | string | null | undefined | false)[]} children
 */
export function refill(place, ...children) {
  const held = /** @type {HTMLElement | null} */ (document.activeElement);
  const key = held && place.contains(held) ? held.dataset.focus : undefined;
  place.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== false));
  if (!key) return;
  const again = /** @type {HTMLElement | null} */ (place.querySelector(`[data-focus="${CSS.escape(key)}"]`));
  again?.focus();
}

/**
 * An experiment of the lab on its page: the table of its parameters becomes a form, and the run is told below it.
 * What a parameter may be, the experiment itself says; nothing is loaded before the first run.
 */
import { drawing, h } from "./dom.js";
import { Engine, Stopped } from "./engine.js";
import { learn, t } from "./words.js";

/** @typedef {{told: string, claims: [string, boolean][], drawings: [string, string][]}} Told */

/** @type {Engine | null} */
let engine = null;

/** @param {HTMLFormElement} form */
export async function begin(form) {
  const language = document.documentElement.lang;
  await learn(language);
  const fields = fieldsOf(form);
  const status = h("p", { role: "status" });
  const run = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", text: t("lab.run") }));
  const stop = /** @type {HTMLButtonElement} */ (h("button", { type: "button", disabled: true, text: t("stop") }));
  const results = h("div", { class: "results" });
  form.append(h("div", { class: "doing" }, run, stop, status), results);
  /** @param {string} text */
  const say = (text) => {
    status.textContent = text;
  };
  stop.addEventListener("click", () => engine?.stop());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (run.disabled) return;
    run.disabled = true;
    stop.disabled = false;
    results.replaceChildren();
    for (const field of fields) tell(field, "");
    try {
      engine ??= await load(language, say);
      const given = JSON.stringify(Object.fromEntries(fields.map((field) => [field.name, field.value])));
      engine.ready.then(() => say(t("status.running")), () => undefined);
      const width = Math.max(480, Math.min(730, form.clientWidth));
      const [answer] = await Promise.all([engine.call("experimented", form.dataset.name, given, width), engine.ready]);
      const found = JSON.parse(answer);
      if (found.wrong) complain(fields, found.wrong);
      else show(results, found);
      say(t(found.wrong ? "lab.refused" : "lab.done"));
    } catch (error) {
      say(error instanceof Stopped ? t("status.stopped") : t("error.python", { why: String(error) }));
      if (error instanceof Stopped) return;
      engine?.end();
      engine = null;
    } finally {
      run.disabled = false;
      stop.disabled = true;
    }
  });
  form.dataset.ready = "true";
}

/** @param {string} language @param {(text: string) => void} say */
async function load(language, say) {
  say(t("loading.interpreter"));
  const phrases = await (await fetch(new URL(`./phrases.${language}.json`, import.meta.url))).text();
  return new Engine((step) => say(t(`loading.${step}`)), phrases);
}

/** A field in each row, in place of the default. @param {HTMLFormElement} form @returns {HTMLInputElement[]} */
function fieldsOf(form) {
  return [...form.querySelectorAll("tbody tr")].map((row) => {
    const cells = [...row.querySelectorAll("td")];
    const name = cells[0].textContent?.trim() ?? "";
    const id = `parameter-${name}`;
    cells[0].id = `${id}-name`;
    cells[cells.length - 1].id = `${id}-help`;
    const field = /** @type {HTMLInputElement} */ (h("input", {
      id, name, inputmode: "numeric", autocomplete: "off", value: cells[1].textContent?.replace(/\D/g, ""),
      "aria-labelledby": `${id}-name`, "aria-describedby": `${id}-help ${id}-wrong`,
    }));
    cells[1].replaceChildren(field, h("span", { id: `${id}-wrong`, class: "wrong" }));
    return field;
  });
}

/** @param {HTMLInputElement} field @param {string} why "": it is right */
function tell(field, why) {
  field.setAttribute("aria-invalid", String(why !== ""));
  if (field.nextElementSibling) field.nextElementSibling.textContent = why;
}

/** @param {HTMLInputElement[]} fields @param {Record<string, [number, number]>} wrong */
function complain(fields, wrong) {
  const refused = fields.filter((field) => wrong[field.name]);
  for (const field of refused) {
    const [low, high] = wrong[field.name];
    tell(field, t("lab.wrong", { low, high }));
  }
  refused[0]?.focus();
}

/** @param {HTMLElement} place @param {Told} found */
function show(place, { told, claims, drawings }) {
  place.replaceChildren(
    h("h3", { text: t("lab.found") }),
    h("ul", {}, ...claims.map(([sentence, held]) => h("li", { text: `${held ? "✓" : "✗"} ${sentence}` }))),
    ...drawings.flatMap(([title, svg]) => [
      h("h3", { text: title }),
      h("div", { class: "drawing", tabindex: "0", role: "region", "aria-label": title }, drawing(svg)),
    ]),
    h("details", {}, h("summary", { text: "JSON" }), h("pre", { tabindex: "0", class: "told", text: told })),
  );
}

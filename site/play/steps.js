/**
 * The lists of what the programs do: to add, change, move and delete steps, and how each step ended.
 * @import { Outcome, Result, Scenario, Step } from "./types.js"
 */
import { h, refill } from "./dom.js";
import { ACTIONS, addStep, changeStep, moveStep, newStep, otherHost, removeStep, stepsOf } from "./model.js";
import { seconds, t } from "./words.js";

/**
 * @param {HTMLElement} place
 * @param {Scenario} scenario
 * @param {Result | null} result
 * @param {(scenario: Scenario) => void} change
 */
export function showSteps(place, scenario, result, change) {
  refill(place, ...scenario.hosts.map((host) => card(scenario, host.name, result, change)));
}

/** @param {Scenario} scenario @param {string} host @param {Result | null} result @param {(scenario: Scenario) => void} change */
function card(scenario, host, result, change) {
  const steps = stepsOf(scenario, host);
  const heading = `steps-of-${host}`;
  const add = /** @type {HTMLSelectElement} */ (
    h("select", { "aria-label": t("step.add", { host }), "data-focus": `add ${host}` },
      h("option", { value: "", text: t("step.add.short") }),
      ...Object.keys(ACTIONS).map((action) => h("option", { value: action, text: t(`do.${action}`) })))
  );
  add.addEventListener("change", () => {
    if (add.value) change(addStep(scenario, newStep(scenario, host, add.value)));
  });
  return h("section", { class: "program", "aria-labelledby": heading },
    h("h3", { id: heading, text: host }),
    h("ol", {}, ...steps.map(({ step, number }, index) =>
      row(scenario, step, number, index, steps.length, result?.outcomes[number], change))),
    add);
}

/**
 * @param {Scenario} scenario @param {Step} step @param {number} number @param {number} index @param {number} count
 * @param {Outcome | undefined} outcome @param {(scenario: Scenario) => void} change
 */
function row(scenario, step, number, index, count, outcome, change) {
  const about = t("step.about", { n: index + 1, host: step.host });
  const action = /** @type {HTMLSelectElement} */ (
    h("select", { "aria-label": `${about}: ${t("step.action")}`, "data-focus": `do ${number}` },
      ...Object.keys(ACTIONS).map((each) =>
        h("option", { value: each, text: t(`do.${each}`), selected: each === step.do }))));
  action.addEventListener("change", () => change(changeStep(scenario, number, { do: action.value })));
  const fields = ACTIONS[step.do].map((name) => field(scenario, step, number, name, about, change));
  /** @param {string} name @param {string} text @param {() => void} act @param {boolean} off */
  const button = (name, text, act, off) =>
    h("button", {
      type: "button", class: "small", "aria-label": `${about}: ${t(`step.${name}`)}`, title: t(`step.${name}`),
      "data-focus": `${name} ${number}`, onclick: act, disabled: off, text,
    });
  return h("li", { class: `step ${outcome?.result ?? ""}` },
    h("div", { class: "what" }, action, ...fields,
      h("span", { class: "buttons" },
        button("up", "↑", () => change(moveStep(scenario, number, -1)), index === 0),
        button("down", "↓", () => change(moveStep(scenario, number, 1)), index === count - 1),
        button("delete", "×", () => change(removeStep(scenario, number)), false))),
    h("div", { class: "when" },
      time(step, number, "at_us", about, scenario, change),
      time(step, number, "after_us", about, scenario, change),
      h("span", { text: "ms" }),
      outcome && h("span", { class: "ending", text: ending(step, outcome) })));
}

/**
 * @param {Scenario} scenario @param {Step} step @param {number} number @param {string} name @param {string} about
 * @param {(scenario: Scenario) => void} change
 */
function field(scenario, step, number, name, about, change) {
  const label = t(`step.${name}`);
  if (name === "to") {
    return scenario.hosts.length > 2
      ? h("label", {}, `${label} `, peers(scenario, step, number, change))
      : null;
  }
  const value = name === "port" ? step.port ?? 80 : step.bytes ?? "";
  const low = name === "port" ? 1 : step.do === "write" ? 1 : 0;
  return h("label", {}, `${label} `, numberInput(`${about}: ${label}`, `${name} ${number}`, value, low,
    step.do === "read" && name === "bytes" ? t("step.all") : "",
    (typed) => change(changeStep(scenario, number, { [name]: typed }))));
}

/** @param {Scenario} scenario @param {Step} step @param {number} number @param {(scenario: Scenario) => void} change */
function peers(scenario, step, number, change) {
  const select = /** @type {HTMLSelectElement} */ (
    h("select", { "data-focus": `to ${number}` }, ...scenario.hosts.filter((each) => each.name !== step.host).map((each) =>
      h("option", { value: each.name, text: each.name, selected: each.name === (step.to ?? otherHost(scenario, step.host)) }))));
  select.addEventListener("change", () => change(changeStep(scenario, number, { to: select.value })));
  return select;
}

/**
 * @param {Step} step @param {number} number @param {"at_us" | "after_us"} name @param {string} about
 * @param {Scenario} scenario @param {(scenario: Scenario) => void} change
 */
function time(step, number, name, about, scenario, change) {
  const label = t(`step.${name}`);
  const us = step[name];
  return h("label", {}, `${label} `,
    numberInput(`${about}: ${label}`, `${name} ${number}`, us ? us / 1000 : "", 0, "–",
      (ms) => change(changeStep(scenario, number, { [name]: ms ? Math.round(ms * 1000) : undefined })), "any"));
}

/**
 * A field for a number; it tells when it is left, or Enter is typed.
 * @param {string} label @param {string} focus @param {string | number} value @param {number} low @param {string} hint
 * @param {(value: number | undefined) => void} tell @param {string} [step]
 */
export function numberInput(label, focus, value, low, hint, tell, step = "1") {
  const input = /** @type {HTMLInputElement} */ (
    h("input", { type: "number", inputmode: "decimal", min: low, step, value, placeholder: hint, "aria-label": label,
      "data-focus": focus }));
  input.addEventListener("change", () => tell(input.value === "" ? undefined : Number(input.value)));
  return input;
}

/** @param {Step} step @param {Outcome} outcome */
function ending(step, outcome) {
  if (outcome.result === "failed") return t("ending.failed", { error: outcome.error, at: seconds(outcome.ended_us) });
  if (outcome.result === "waiting") return t(outcome.began_us < 0 ? "ending.never" : "ending.waiting");
  if (outcome.result !== "done") return t(`ending.${outcome.result}`);
  const at = seconds(outcome.ended_us);
  if (step.do !== "read") return t("ending.done", { at });
  const key = outcome.forged ? "ending.read.forged" : "ending.read";
  return t(key, { at, n: outcome.bytes, forged: outcome.forged });
}

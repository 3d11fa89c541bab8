/**
 * The slider through time: from one thing that happens to the next, with the states of both hosts and their place in the
 * state diagram.
 * @import { Result } from "./types.js"
 */
import { drawing, h } from "./dom.js";
import { beginOf } from "./diagram.js";
import { seconds, t, tOr } from "./words.js";

/** All moments at which something happens. @param {Result} result @returns {number[]} */
export function momentsOf(result) {
  const found = new Set([0]);
  for (const one of result.segments) {
    found.add(beginOf(one));
    for (const at of one.arrived_us) found.add(at);
  }
  for (const change of result.states) found.add(change.at_us);
  return [...found].sort((a, b) => a - b);
}

/** The states of all ends at a time: by host and connection. @param {Result} result @param {number} at @param {string[]} hosts */
export function statesAt(result, at, hosts) {
  /** @type {Map<string, {host: string, connection: number, state: string, why: string, rfc: string}>} */
  const found = new Map();
  for (const host of hosts) {
    const first = result.states.find((each) => each.host === host && each.connection === 0);
    if (first) found.set(`${host} 0`, { host, connection: 0, state: first.before, why: "", rfc: "" });
  }
  for (const { at_us, host, connection, after, said, rfc } of result.states) {
    if (at_us > at || connection < 0) continue;
    found.set(`${host} ${connection}`, { host, connection, state: after, why: said, rfc });
  }
  return [...found.values()];
}

/** @param {HTMLElement} place @param {Result} result @param {number} at @param {string[]} hosts */
export function showStates(place, result, at, hosts) {
  const all = statesAt(result, at, hosts);
  const many = all.some((each) => each.connection > 0);
  place.replaceChildren(...hosts.map((host) =>
    h("div", { class: "end" }, h("h3", { text: host }),
      ...all.filter((each) => each.host === host).map((each) => h("p", { class: "state-now", "data-host": host },
        many && h("span", { class: "hint", text: `${t("states.connection", { n: each.connection + 1 })}: ` }),
        h("strong", { text: each.state }), ` ${tOr(`state.${each.state}`, "")}`,
        each.why && h("span", { class: "hint", text: ` ${each.why}${each.rfc ? ` (${each.rfc})` : ""}` }))))));
  return all;
}

/**
 * The place of states in the state diagram.
 * @param {Element} svg @param {{host: string, state: string}[]} states @param {string[]} hosts
 */
export function light(svg, states, hosts) {
  for (const group of svg.querySelectorAll("[data-state]")) {
    hosts.forEach((host, number) => {
      const here = states.some((each) => each.host === host && each.state === group.getAttribute("data-state"));
      group.querySelector("rect")?.classList.toggle(`here-${number}`, here);
    });
  }
}

/** @param {HTMLElement} place @param {string} text the drawing */
export function showStateDiagram(place, text) {
  const svg = drawing(text);
  place.replaceChildren(svg);
  return svg;
}

/** What the slider says. @param {number} at @param {number} number @param {number} count */
export const momentText = (at, number, count) => t("time.now", { at: seconds(at), n: number + 1, count });

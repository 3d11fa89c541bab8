/**
 * The link, the hosts' settings, and the list of what happens to segments.
 * @import { Scenario } from "./types.js"
 */
import { h, refill } from "./dom.js";
import { changeForgery, changeLink, changeSetting, linksOf, removeForgery, setFate } from "./model.js";
import { numberInput } from "./steps.js";
import { t } from "./words.js";

/** What may be set of a host, with the default of a scenario: [name, default, kind]; kind: us: a time in ms. */
const SETTINGS = /** @type {[string, string | number | boolean, string[] | "us" | "number" | "switch"][]} */ ([
  ["congestion_control", "cubic", ["cubic", "newreno", "bbr"]],
  ["sack", true, "switch"],
  ["timestamps", true, "switch"],
  ["window_scale", true, "switch"],
  ["nodelay", false, "switch"],
  ["pacing", true, "switch"],
  ["ack_delay_us", 40_000, "us"],
  ["msl_us", 30_000_000, "us"],
  ["syn_cookies", "when-full", ["off", "when-full", "always"]],
  ["ecn", "accept", ["off", "accept", "on", "accurate"]],
  ["receive_buffer", 131_072, "number"],
  ["initial_window", 10, "number"],
  ["mtu", 1500, "number"],
  ["rto_initial_us", 1_000_000, "us"],
  ["rto_min_us", 200_000, "us"],
  ["keepalive_idle_us", 0, "us"],
]);

/** @param {HTMLElement} place @param {Scenario} scenario @param {(scenario: Scenario) => void} change */
export function showNetwork(place, scenario, change) {
  const all = linksOf(scenario);
  const links = all.map((link, number) => {
    const which = all.length > 1 ? ` ${link.a} – ${link.b}` : "";
    /** @param {"delay_us" | "bandwidth" | "queue" | "mtu"} name @param {string | number} value @param {number} scale @param {string} unit */
    const field = (name, value, scale, unit) =>
      h("label", {}, h("span", { text: t(`link.${name}`) }),
        h("span", {}, numberInput(t(`link.${name}`) + which, `link ${number} ${name}`, value, 0, t("link.none"),
          (typed) => change(changeLink(scenario, number,
            { [name]: typed === undefined ? undefined : Math.round(typed * scale) })),
          "any"), ` ${unit}`));
    return h("fieldset", {}, h("legend", { text: t("link") + which }),
      field("delay_us", (link.delay_us ?? 10_000) / 1000, 1000, "ms"),
      field("bandwidth", link.bandwidth ? link.bandwidth / 1e6 : "", 1e6, "Mbit/s"),
      field("queue", link.queue ? link.queue / 1000 : "", 1000, "kB"),
      field("mtu", link.mtu ?? "", 1, t("bytes")));
  });
  const hosts = scenario.hosts.map((host) =>
    h("fieldset", {}, h("legend", { text: host.name }),
      ...SETTINGS.map(([name, standard, kind]) =>
        setting(host.name, name, host.settings?.[name] ?? standard, standard, kind,
          (value) => change(changeSetting(scenario, host.name, name, value))))));
  refill(place, ...links, ...hosts);
}

/**
 * @param {string} host @param {string} name @param {string | number | boolean} value
 * @param {string | number | boolean} standard @param {string[] | "us" | "number" | "switch"} kind
 * @param {(value: string | number | boolean | undefined) => void} tell undefined: the default
 */
function setting(host, name, value, standard, kind, tell) {
  const label = t(`setting.${name}`);
  const focus = `${host} ${name}`;
  /** @param {string | number | boolean} now */
  const told = (now) => tell(now === standard ? undefined : now);
  if (kind === "switch") {
    const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", checked: value === true, "data-focus": focus }));
    box.addEventListener("change", () => told(box.checked));
    return h("label", { class: "switch" }, h("span", { text: label }), box);
  }
  if (Array.isArray(kind)) {
    const select = /** @type {HTMLSelectElement} */ (h("select", { "data-focus": focus },
      ...kind.map((each) => h("option", { value: each, text: each, selected: each === value }))));
    select.addEventListener("change", () => told(select.value));
    return h("label", {}, h("span", { text: label }), select);
  }
  const scale = kind === "us" ? 1000 : 1;
  return h("label", {}, h("span", { text: label }),
    h("span", {}, numberInput(`${host}: ${label}`, focus, Number(value) / scale, 0, "",
      (typed) => told(typed === undefined ? standard : Math.round(typed * scale)), "any"),
      kind === "us" ? " ms" : ""));
}

/** What was done to segments, each with a button that undoes it. @param {HTMLElement} place @param {Scenario} scenario @param {(scenario: Scenario) => void} change */
export function showDoings(place, scenario, change) {
  const fates = (scenario.fates ?? []).map((fate, number) => {
    const [from, to, , flags, seq, , nth] = fate.packet;
    const what = t(`did.${fate.do}`, { ms: (fate.by_us ?? 0) / 1000 });
    const again = nth ? ` ${t("doing.nth", { n: nth + 1 })}` : "";
    const text = `${from} → ${to}: ${flags}, seq ${seq}${again}: ${what}`;
    return item(text, `fate ${number}`, () => change(setFate(scenario, fate.packet, null)));
  });
  const forged = (scenario.forged ?? []).map((each, number) => {
    const text = `${each.flags || "–"}${each.length ? `, ${each.length} ${t("bytes")}` : ""}: ${t("doing.forged", { as: each.as_host, to: each.to })}`;
    const at = numberInput(`${text}: ${t("doing.at")}`, `forged at ${number}`, each.at_us / 1000, 0, "",
      (ms) => change(changeForgery(scenario, number, { at_us: Math.round((ms ?? 0) * 1000) })), "any");
    return item(text, `forged ${number}`, () => change(removeForgery(scenario, number)),
      h("label", {}, ` ${t("doing.at")} `, at, " ms"));
  });
  const all = [...fates, ...forged];
  refill(place, all.length ? h("ul", { class: "doings" }, ...all) : h("p", { class: "hint", text: t("doing.none") }));
}

/** @param {string} text @param {string} focus @param {() => void} undo @param {HTMLElement} [more] */
function item(text, focus, undo, more) {
  return h("li", {}, h("span", { text }), more,
    h("button", { type: "button", class: "small", text: "×", title: t("doing.undo"), "aria-label": `${t("doing.undo")}: ${text}`,
      "data-focus": focus, onclick: undo }));
}

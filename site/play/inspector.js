/**
 * One segment: its bytes and fields, why it was sent, what it did, and what may be done to it.
 * @import { Details, Fate, Result, Scenario, Segment } from "./types.js"
 */
import { h, refill } from "./dom.js";
import { addForgery, fateOf, FORGERIES, setFate, stepsOf } from "./model.js";
import { numberInput } from "./steps.js";
import { seconds, t, tOr } from "./words.js";

/**
 * @param {HTMLElement} place @param {Scenario} scenario @param {Result} result @param {string | null} id
 * @param {{change: (scenario: Scenario) => void, choose: (id: string | null) => void}} acts
 */
export function showSegment(place, scenario, result, id, { change, choose }) {
  const one = result.segments.find((each) => each.id === id);
  if (!one) {
    place.replaceChildren(h("p", { class: "hint", text: t("inspector.none") }));
    return;
  }
  refill(place,
    h("div", { class: "title" },
      h("h2", { id: "inspector-title", tabindex: "-1", "data-focus": "title", text: t("inspector.title", { id: one.id, from: one.sender, to: one.receiver, flags: one.flags || "–" }) }),
      h("button", { type: "button", class: "small", text: "×", "aria-label": t("inspector.close"), title: t("inspector.close"),
        onclick: () => choose(null) })),
    h("p", { text: journey(one) }),
    ...doing(scenario, one, change),
    h("h3", { text: t("inspector.because") }), because(one, scenario, choose));
}

/** @param {HTMLElement} place @param {Details | null} found null: none is chosen, or they are not there yet */
export function showDetails(place, found) {
  refill(place, ...(found ? [
    ...(found.reasons.length ? [h("h3", { text: t("inspector.did") }), h("ul", {}, ...found.reasons.map(reason))] : []),
    h("h3", { text: t("inspector.fields") }), ...bytesOf(found),
  ] : []));
}

/** @param {Segment} one */
function journey(one) {
  const parts = one.sent_us >= 0 ? [t("inspector.sent", { at: seconds(one.sent_us) })] : [t("inspector.forged")];
  if (one.arrived_us.length) parts.push(t("inspector.arrived", { at: one.arrived_us.map(seconds).join(", ") }));
  if (one.fate !== "arrived" && one.fate !== "forged") parts.push(tOr(`fate.${one.fate}`, one.fate));
  if (one.refused) parts.push(tOr(`refused.${one.refused}`, one.refused));
  return parts.join(" · ");
}

/** @param {Scenario} scenario @param {Segment} one @param {(scenario: Scenario) => void} change */
function doing(scenario, one, change) {
  const made = [];
  if (one.name) {
    const name = one.name;
    const fate = fateOf(scenario, name);
    /** @param {Omit<Fate, "packet"> | null} wanted @param {string} label */
    const button = (wanted, label) => h("button", {
      type: "button", text: label, "aria-pressed": String((fate?.do ?? "") === (wanted?.do ?? "")), "data-do": wanted?.do ?? "pass",
      "data-focus": `do ${wanted?.do ?? "pass"}`,
      onclick: () => change(setFate(scenario, name, wanted)),
    });
    const by = numberInput(t("do-to.by"), "by", (fate?.by_us ?? 300_000) / 1000, 1, "",
      (ms) => fate?.do === "delay" && ms && change(setFate(scenario, name, { do: "delay", by_us: Math.round(ms * 1000) })), "any");
    const late = h("button", { type: "button", text: t("do-to.delay"), "aria-pressed": String(fate?.do === "delay"), "data-do": "delay",
      "data-focus": "do delay",
      onclick: () => change(setFate(scenario, name, { do: "delay", by_us: Math.round(Number(/** @type {HTMLInputElement} */ (by).value) * 1000) || 1000 })) });
    made.push(h("h3", { text: t("inspector.do") }),
      h("div", { class: "choices", role: "group", "aria-label": t("inspector.do") },
        button(null, t("do-to.pass")), button({ do: "drop" }, t("do-to.drop")),
        button({ do: "duplicate" }, t("do-to.duplicate")), button({ do: "corrupt" }, t("do-to.corrupt")),
        h("span", { class: "pair" }, late, by, " ms")));
  }
  const at = one.arrived_us[0] ?? Math.max(one.sent_us, 0);
  const select = /** @type {HTMLSelectElement} */ (h("select", { id: "forge-kind", "data-focus": "forge-kind" },
    ...Object.keys(FORGERIES).map((kind) => h("option", { value: kind, text: t(`forge.${kind}`) }))));
  const target = /** @type {HTMLSelectElement} */ (h("select", { id: "forge-to", "data-focus": "forge-to" },
    ...[one.receiver, one.sender].map((host) => h("option", { value: host, text: t("forge.to", { host }) }))));
  made.push(h("h3", { text: t("forge") }),
    h("div", { class: "choices" },
      h("label", { class: "hidden", for: "forge-kind", text: t("forge") }), select,
      h("label", { class: "hidden", for: "forge-to", text: t("forge.target") }), target,
      h("button", { type: "button", "data-do": "forge", "data-focus": "forge", text: t("forge.send"), onclick: () => {
        const other = target.value === one.receiver ? one.sender : one.receiver;
        change(addForgery(scenario, { at_us: at + 5000, to: target.value, as_host: other,
          ...(one.connection > 0 ? { connection: one.connection } : {}), ...FORGERIES[select.value] }));
      } })),
    h("p", { class: "hint", text: t("forge.hint", { at: seconds(at + 5000) }) }));
  return made;
}

/** @param {Segment} one @param {Scenario} scenario @param {(id: string) => void} choose */
function because(one, scenario, choose) {
  if (one.sent_us < 0) return h("p", { text: t("because.forged") });
  const items = one.because.map((cause) => {
    if (cause === "timer" || cause === "icmp") return h("li", { text: t(`because.${cause}`) });
    if (cause.startsWith("step ")) {
      const number = Number(cause.slice(5));
      const step = (scenario.steps ?? [])[number];
      if (!step) return h("li", { text: cause });
      const place = stepsOf(scenario, step.host).findIndex((each) => each.number === number) + 1;
      return h("li", { text: t("because.step", { host: step.host, n: place, action: t(`do.${step.do}`) }) });
    }
    return h("li", {}, h("button", { type: "button", class: "link", text: t("because.segment", { id: cause }), onclick: () => choose(cause) }));
  });
  return items.length ? h("ul", {}, ...items) : h("p", { text: t("because.timer") });
}

/** @param {import("./types.js").Reason} each */
function reason(each) {
  return h("li", {}, h("span", { class: "who", text: each.who ? `${each.who}: ` : "" }), each.change && h("strong", { text: `${each.change} ` }),
    `${each.what} `, each.rfc && h("span", { class: "rfc", text: each.rfc }));
}

/** The fields as a table beside the bytes; a field that is pointed at or focused shows which bytes are its own. @param {Details} one */
function bytesOf(one) {
  const bytes = one.hex.match(/../g) ?? [];
  const shown = bytes.slice(0, 160);
  const cells = shown.map((byte, index) => h("span", { "data-byte": String(index), text: byte }));
  const dump = h("div", { class: "bytes", role: "region", tabindex: "0", "aria-label": t("inspector.bytes", { n: bytes.length }) });
  cells.forEach((cell, index) => {
    if (index % 16 === 0) dump.append(h("span", { class: "offset", text: `${index ? "\n" : ""}${index.toString(16).padStart(4, "0")} ` }));
    dump.append(cell, " ");
  });
  if (bytes.length > shown.length) dump.append(`\n… ${t("inspector.more", { n: bytes.length - shown.length })}`);
  /** @param {number} begin @param {number} end @param {boolean} on */
  const light = (begin, end, on) => cells.slice(begin, end).forEach((cell) => cell.classList.toggle("lit", on));
  const rows = one.fields.map(([name, value, begin, end]) => h("tr", {
    tabindex: "0", onmouseenter: () => light(begin, end, true), onmouseleave: () => light(begin, end, false),
    onfocus: () => light(begin, end, true), onblur: () => light(begin, end, false),
  }, h("th", { scope: "row", text: t(`field.${name}`) }), h("td", { text: value })));
  return [h("table", { class: "fields" }, h("caption", { class: "hidden", text: t("inspector.fields") }), h("tbody", {}, ...rows)), dump];
}

/**
 * The diagram that Python has drawn: arrows are chosen, marked as changed, and dimmed where their time has not come.
 * @import { Result, Segment } from "./types.js"
 */
import { drawing, h } from "./dom.js";
import { seconds, t, tOr } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {HTMLElement} place
 * @param {string} text the drawing
 * @param {Result} result
 * @param {(id: string) => void} choose
 */
export function showDiagram(place, text, result, choose) {
  const svg = drawing(text);
  const known = new Map(result.segments.map((one) => [one.id, one]));
  for (const group of svg.querySelectorAll("g[data-segment]")) {
    const ids = idsOf(group);
    const changes = new Set(ids.map((id) => known.get(id)?.change ?? "same"));
    changes.delete("same");
    for (const change of changes) group.classList.add(`change-${change}`);
    if (ids.some((id) => id.startsWith("f"))) group.classList.add("forged");
    group.addEventListener("click", () => choose(ids[0]));
    if (!group.classList.contains("segment")) continue;
    group.addEventListener("keydown", (event) => {
      const { key } = /** @type {KeyboardEvent} */ (event);
      if (key === "Enter" || key === " ") {
        event.preventDefault();
        choose(ids[0]);
      }
    });
    widen(group);
    if (changes.size) {
      const label = group.getAttribute("aria-label") ?? "";
      group.setAttribute("aria-label", `${label} (${[...changes].map((each) => t(`change.${each}`)).join(", ")})`);
    }
  }
  place.replaceChildren(svg);
}

/** A broad invisible line over an arrow, so that it is easily hit. @param {Element} group */
function widen(group) {
  const line = group.querySelector("line");
  if (!line) return;
  const wide = document.createElementNS(SVG, "line");
  for (const name of ["x1", "y1", "x2", "y2"]) wide.setAttribute(name, line.getAttribute(name) ?? "0");
  wide.setAttribute("class", "hit");
  group.prepend(wide);
}

/** @param {Element} group */
const idsOf = (group) => (group.getAttribute("data-segment") ?? "").split(" ");

/** @param {HTMLElement} place @param {string | null} id the one that is chosen */
export function markChosen(place, id) {
  for (const group of place.querySelectorAll("g[data-segment]")) {
    const chosen = id !== null && idsOf(group).includes(id);
    group.classList.toggle("chosen", chosen);
    if (group.classList.contains("segment")) group.setAttribute("aria-pressed", String(chosen));
  }
}

/** @param {HTMLElement} place @param {Result} result @param {number} at */
export function dim(place, result, at) {
  const begun = new Set(result.segments.filter((one) => beginOf(one) <= at).map((one) => one.id));
  for (const group of place.querySelectorAll("g[data-segment]")) {
    group.classList.toggle("future", !idsOf(group).some((id) => begun.has(id)));
  }
  for (const remark of place.querySelectorAll("g[data-at]")) {
    remark.classList.toggle("future", Number(remark.getAttribute("data-at")) > at);
  }
}

/** When a segment is first on its way, or arrives if nobody sent it. @param {Segment} one */
export const beginOf = (one) => (one.sent_us >= 0 ? one.sent_us : one.arrived_us[0] ?? 0);

/** The same as a table, for whoever reads it so. @param {HTMLElement} place @param {Result} result @param {(id: string) => void} choose */
export function showTable(place, result, choose) {
  const heads = ["id", "sent", "arrived", "from", "to", "flags", "seq", "ack", "bytes", "fate", "change"];
  const body = result.segments.map((one) => h("tr", { "data-segment": one.id, class: one.change ? `change-${one.change}` : "" },
    h("td", {}, h("button", { type: "button", class: "small", text: one.id, onclick: () => choose(one.id),
      "aria-label": t("table.open", { id: one.id }) })),
    ...[
      one.sent_us >= 0 ? seconds(one.sent_us) : "–",
      one.arrived_us.map(seconds).join(", ") || "–",
      one.sender, one.receiver, one.flags,
      one.seq < 0 ? "–" : String(one.seq), one.ack < 0 ? "–" : String(one.ack), String(one.length),
      tOr(`fate.${one.fate}`, one.fate), one.change ? t(`change.${one.change}`) : "–",
    ].map((text) => h("td", { text }))));
  place.replaceChildren(h("table", {},
    h("caption", { class: "hidden", text: t("table.caption") }),
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col", text: t(`table.${head}`) })))),
    h("tbody", {}, ...body)));
}

/**
 * The page of `synfin watch`: asks for what is newest, draws it, asks again. All that is drawn comes as drawings and
 * texts from Python; nothing here knows TCP.
 *
 * @typedef {{which: string, key: string, heard: boolean, open: boolean, title: string, state: string, cells: string[], left_out: number,
 *   missed: number, diagram: string, table: string[][], figure: string}} Chosen
 * @typedef {{version: number, trouble: boolean, name: string, pid: number, facts: Record<string, number>, total: number,
 *   found: number, rows: {key: string, cells: string[]}[], figure: string, chosen: Chosen | null}} State
 */
import { byId, drawing, h, refill } from "./dom.js";
import { learn, t } from "./words.js";

const PAUSE_MS = 400;
const AGAIN_MS = 2000;
const KEPT = "synfin-watch";
const COLUMNS = ["State", "Recv-Q", "Send-Q", "Local", "Peer", "in", "out", "Timer", "cwnd", "rtt", "rto", "in flight",
  "retries", "held up by"];
const TEXTS = new Set(["State", "Local", "Peer", "Timer", "held up by"]);
const OF_CHOSEN = ["State", "Recv-Q", "Send-Q", "", "", "Timer", "cwnd", "rtt", "rto", "in flight", "retries", "rate",
  "held up by"];
const THEMES = ["auto", "light", "dark"];

const place = {
  status: byId("status"),
  error: byId("error"),
  main: byId("main"),
  facts: byId("facts"),
  figure: byId("host-figure"),
  count: byId("count"),
  columns: byId("columns"),
  rows: byId("rows"),
  hint: byId("chosen-hint"),
  chosen: byId("chosen"),
  chosenFacts: byId("chosen-facts"),
  chosenFigure: byId("chosen-figure"),
  cut: byId("cut"),
  diagram: byId("diagram"),
  table: byId("table"),
};
const find = /** @type {HTMLInputElement} */ (byId("find"));
const pause = /** @type {HTMLButtonElement} */ (byId("pause"));

let key = "";
let seen = 0;
let follow = "";
let wishes = 0;
let order = "";
let down = false;
let paused = false;
let said = "";
/** Ends the question that waits for news, so that a new wish is asked at once. */
let asking = new AbortController();

/** @param {number} ms */
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a screen reader is told: only what is new. @param {string} text */
function say(text) {
  if (text === said) return;
  said = text;
  place.status.textContent = text;
}

/** @param {string} text "": nothing is wrong */
function complain(text) {
  if (place.error.textContent !== text) place.error.textContent = text;
  place.error.hidden = !text;
}

/** The key, for the token of the address or as it was kept; "" without either. */
async function enter() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", location.pathname);
    const answer = await fetch("enter", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
    if (answer.ok) sessionStorage.setItem(KEPT, (await answer.json()).key);
  }
  return sessionStorage.getItem(KEPT) ?? "";
}

/** @returns {Promise<State | null>} null: there is no admission any more */
async function ask() {
  const width = Math.floor((follow ? place.chosenFigure : place.figure).clientWidth || place.figure.clientWidth || 700);
  const asked = new URLSearchParams({
    seen: String(seen), follow, order, down: down ? "1" : "", find: find.value, width: String(width),
    language: document.documentElement.lang,
  });
  const answer = await fetch(`state?${asked}`, { headers: { Authorization: `Bearer ${key}` }, signal: asking.signal });
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

/** Ask and draw, for as long as this page is open. */
async function watch() {
  for (;;) {
    try {
      if (paused || document.hidden) {
        await later(PAUSE_MS);
        continue;
      }
      const state = await ask();
      if (state === null) {
        complain(t("error.key"));
        return;
      }
      complain(state.trouble ? t("error.host") : "");
      seen = state.version;
      show(state);
      await later(PAUSE_MS);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") continue;
      complain(t("error.server"));
      await later(AGAIN_MS);
    }
  }
}

/** Something else is to be seen. */
function wish() {
  seen = 0;
  asking.abort();
  asking = new AbortController();
}

/** @param {string} which a connection's key, "next", or "" for none */
function choose(which) {
  follow = which === "next" ? `next.${++wishes}` : which;
  say("");
  wish();
}

/** @param {State} state */
function show(state) {
  place.main.hidden = false;
  pause.disabled = false;
  if (!state.name) return;
  document.title = t("page.of", { name: state.name });
  byId("heading").textContent = t("page.of", { name: state.name });
  showFacts(place.facts, [["pid", String(state.pid)], ...Object.entries(state.facts)
    .map(([name, value]) => /** @type {[string, string]} */ ([name, value.toLocaleString(document.documentElement.lang)]))]);
  put(place.figure, state.figure);
  showRows(state);
  showChosen(state.chosen);
}

/** @param {HTMLElement} list @param {[string, string][]} facts */
function showFacts(list, facts) {
  list.replaceChildren(...facts.map(([name, value]) =>
    h("div", {}, h("dt", { text: t(`fact.${name}`) }), h("dd", { text: value, "data-fact": name }))));
}

/** A drawing into its place, which keeps where it is scrolled to. @param {HTMLElement} where @param {string} text */
function put(where, text) {
  if (text) where.replaceChildren(drawing(text));
  else where.replaceChildren();
}

/** @param {State} state */
function showRows(state) {
  place.count.textContent = state.rows.length < state.total
    ? t("count.some", { shown: state.rows.length, found: state.found, total: state.total })
    : t("count.all", { total: state.total });
  refill(place.columns, h("tr", {}, h("td", {}, h("span", { class: "hidden", text: t("follow") })), ...COLUMNS.map((name) => {
    const sorted = name === order ? (down ? "descending" : "ascending") : undefined;
    const arrow = sorted ? (down ? " ↓" : " ↑") : "";
    const button = name === "held up by" ? null : h("button", { type: "button", text: t(`column.${name}`) + arrow,
      "data-focus": `column ${name}`, onclick: () => sortBy(name) });
    return h("th", { scope: "col", "aria-sort": sorted, class: TEXTS.has(name) ? "" : "number",
      text: button ? undefined : t(`column.${name}`) }, button);
  })));
  refill(place.rows, ...state.rows.map((row) => {
    const mine = row.key === state.chosen?.key;
    return h("tr", { class: mine ? "followed" : "", "data-key": row.key },
      h("td", {}, h("button", { type: "button", class: "small", "aria-pressed": String(mine), text: mine ? "●" : "○",
        "data-focus": row.key, "aria-label": t("follow.one", { peer: row.cells[4], local: row.cells[3] }),
        onclick: () => choose(mine ? "" : row.key) })),
      ...row.cells.map((text, number) => h("td", { text, class: TEXTS.has(COLUMNS[number]) ? "" : "number" })));
  }));
}

/** @param {string} name of a column */
function sortBy(name) {
  if (order !== name) [order, down] = [name, !TEXTS.has(name)];
  else if (down === !TEXTS.has(name)) down = !down;
  else [order, down] = ["", false];
  wish();
}

/** @param {Chosen | null} chosen */
function showChosen(chosen) {
  place.chosen.hidden = chosen === null;
  place.hint.hidden = chosen !== null && chosen.key !== "";
  place.hint.textContent = chosen === null ? t("chosen.none") : chosen.heard ? t("follow.waiting") : "";
  if (chosen === null) return;
  if (!chosen.key && chosen.heard) say(t("follow.waiting"));
  if (chosen.key) say(chosen.open ? t("follow.now", { title: chosen.title, state: chosen.state }) : t("follow.ended"));
  const facts = OF_CHOSEN.flatMap((name, number) => (name && chosen.cells[number] !== undefined
    ? [/** @type {[string, string]} */ ([name, chosen.cells[number]])] : []));
  place.chosenFacts.replaceChildren(
    ...(chosen.title ? [h("div", {}, h("dt", { text: t("chosen.ends") }), h("dd", { text: chosen.title }))] : []),
    ...facts.map(([name, value]) => h("div", {}, h("dt", { text: t(`column.${name}`) }), h("dd", { text: value, "data-fact": name }))));
  put(place.chosenFigure, chosen.figure);
  place.cut.textContent = [
    chosen.left_out ? t("cut.before", { n: chosen.left_out }) : "",
    chosen.missed ? t("cut.missed", { n: chosen.missed }) : "",
  ].filter(Boolean).join(" ");
  const atEnd = place.diagram.scrollTop + place.diagram.clientHeight >= place.diagram.scrollHeight - 40;
  put(place.diagram, chosen.diagram);
  if (atEnd) place.diagram.scrollTop = place.diagram.scrollHeight;
  place.table.replaceChildren(...chosen.table.map((cells) => h("tr", {}, ...cells.map((text) => h("td", { text })))));
}

function switchTheme() {
  const now = document.documentElement.dataset.theme ?? "auto";
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // It holds for this page, then.
  }
  say(t("theme", { now: t(`theme.${next}`) }));
}

async function begin() {
  await learn(document.documentElement.lang);
  byId("theme").addEventListener("click", switchTheme);
  byId("next").addEventListener("click", () => choose("next"));
  find.addEventListener("input", wish);
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    say(t(paused ? "paused" : "resumed"));
  });
  key = await enter();
  if (!key) {
    complain(t("error.key"));
    return;
  }
  await watch();
}

begin().catch((error) => complain(String(error)));

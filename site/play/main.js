/**
 * The page: one scenario, its run, and everything that shows or changes them.
 * Rule for the next editor: the scenario changes through `change` alone, and is run anew by it.
 * @import { Drawn, Result, Scenario } from "./types.js"
 */
import { light, momentsOf, momentText, showStateDiagram, showStates } from "./clock.js";
import { dim, markChosen, showDiagram, showTable } from "./diagram.js";
import { byId, drawing, h } from "./dom.js";
import { Engine, Stopped } from "./engine.js";
import { showDetails, showSegment } from "./inspector.js";
import { showDoings, showNetwork } from "./network.js";
import { copy, save } from "./saving.js";
import { showSteps } from "./steps.js";
import { learn, t } from "./words.js";

const SLOW_MS = 600;

/** @type {Record<string, Scenario>} */
let examples = {};
/** @type {Scenario | null} */
let scenario = null;
/** @type {Drawn | null} */
let drawn = null;
/** The scenario whose run that is, as text. */
let drawnText = "";
/** The segment whose details are shown, as it is called in that run. @type {string | null} */
let detailed = null;
/** @type {Scenario[]} */
const past = [];
/** The scenario before the last change, with which the run is compared. @type {Scenario | null} */
let before = null;
/** @type {string | null} */
let chosen = null;
/** @type {number[]} */
let moments = [0];
let moment = 0;
/** The width of the diagram that is shown; 0: none is. */
let drawnFor = 0;
let runs = 0;
let running = false;
/** @type {Element | null} */
let states = null;
/** @type {Engine} */
let engine;

const place = {
  status: byId("status"),
  error: byId("error"),
  steps: byId("steps"),
  network: byId("network"),
  doings: byId("doings"),
  diagram: byId("diagram"),
  changes: byId("changes"),
  table: byId("table"),
  inspector: byId("inspector"),
  chosen: byId("chosen"),
  details: byId("details"),
  states: byId("states"),
  stateDiagram: byId("state-diagram"),
  plots: byId("plots"),
  moment: byId("moment"),
};
const slider = /** @type {HTMLInputElement} */ (byId("time"));
const undo = /** @type {HTMLButtonElement} */ (byId("undo"));
const stop = /** @type {HTMLButtonElement} */ (byId("stop"));
const choice = /** @type {HTMLSelectElement} */ (byId("example"));
const plotting = /** @type {HTMLDetailsElement} */ (byId("plotting"));
const tabling = /** @type {HTMLDetailsElement} */ (byId("tabling"));

/** @param {string} text */
const say = (text) => {
  place.status.textContent = text;
};

/** @param {string} text "": nothing is wrong */
const complain = (text) => {
  place.error.textContent = text;
  place.error.hidden = !text;
};

/** @param {Scenario} next */
function change(next) {
  if (scenario) past.push(scenario);
  before = scenario;
  scenario = next;
  perform();
}

/** Another scenario altogether: nothing to compare it with. @param {Scenario} next */
function open(next) {
  if (scenario) past.push(scenario);
  before = null;
  chosen = null;
  moment = -1;
  scenario = next;
  return perform();
}

/** Run it and show what came of it. */
async function perform() {
  const wanted = scenario;
  if (!wanted) return;
  const number = ++runs;
  showEditors(wanted, null);
  undo.disabled = past.length === 0;
  const slow = setTimeout(() => {
    stop.hidden = false;
    say(t("status.running"));
  }, SLOW_MS);
  try {
    if (running) engine.stop();
    running = true;
    drawnFor = width();
    const begun = performance.now();
    const found = JSON.parse(await engine.call("ran", text(wanted), before ? text(before) : "", drawnFor));
    if (number !== runs) return;
    performance.measure("run", { start: begun });
    if (found.error) complain(t("error.scenario", { why: found.error }));
    else show(wanted, found);
  } catch (error) {
    if (number !== runs) return;
    if (error instanceof Stopped) {
      say(t("status.stopped"));
      showChosen(); // what was asked for meanwhile is not answered any more
    } else complain(t("error.python", { why: String(error) }));
  } finally {
    clearTimeout(slow);
    if (number === runs) {
      stop.hidden = true;
      running = false;
      redraw();
    }
  }
}

/** The same run for another width, if it has another: nothing is computed anew. */
async function redraw() {
  if (!drawn || running || Math.abs(width() - drawnFor) < 24) return;
  const wanted = drawn;
  drawnFor = width();
  const begun = performance.now();
  const answer = await engine.call("redrawn", drawnText, drawnFor).catch(() => null);
  if (!answer || wanted !== drawn) return;
  showDiagram(place.diagram, JSON.parse(answer).diagram, drawn.result, choose);
  markChosen(place.diagram, chosen);
  dim(place.diagram, drawn.result, moments[moment]);
  if (place.diagram.offsetHeight) performance.measure("redraw", { start: begun }); // laid out, that is
}

/** @param {Scenario} wanted */
const text = (wanted) => JSON.stringify({ ...wanted, version: 1 });

const width = () => Math.max(320, Math.min(860, place.diagram.clientWidth || 860));

/** @param {Scenario} wanted @param {Drawn} found */
function show(wanted, found) {
  const begun = performance.now();
  complain("");
  drawn = found;
  drawnText = text(wanted);
  const { result } = found;
  if (chosen && !result.segments.some((one) => one.id === chosen)) chosen = null;
  showEditors(wanted, result);
  showDiagram(place.diagram, found.diagram, result, choose);
  if (tabling.open) showTable(place.table, result, choose);
  const last = moment < 0 || moment >= moments.length - 1;
  const at = moments[moment];
  moments = momentsOf(result);
  slider.max = String(moments.length - 1);
  moment = last ? moments.length - 1 : Math.max(0, moments.findLastIndex((each) => each <= at));
  showChosen();
  showMoment();
  showChanges(result);
  say(t(`stopped.${result.stopped}`, { n: result.segments.length, at: (result.ended_us / 1e6).toFixed(3) }));
  history.replaceState(null, "", `#${found.fragment}`);
  document.body.dataset.digest = result.digest;
  if (place.diagram.offsetHeight) performance.measure("draw", { start: begun }); // laid out, that is
  if (plotting.open) plot();
}

/** @param {Scenario} wanted @param {Result | null} result */
function showEditors(wanted, result) {
  showSteps(place.steps, wanted, result, change);
  showNetwork(place.network, wanted, change);
  showDoings(place.doings, wanted, change);
}

/** @param {string | null} id */
function choose(id) {
  const from = chosen;
  chosen = id;
  showChosen();
  if (id) byId("inspector-title").focus({ preventScroll: innerWidth > 1100 });
  else if (from) /** @type {HTMLElement | null} */ (place.diagram.querySelector(`g.segment[data-segment~="${from}"]`))?.focus();
}

function showChosen() {
  if (!scenario || !drawn) return;
  markChosen(place.diagram, chosen);
  showSegment(place.chosen, scenario, drawn.result, chosen, { change, choose });
  place.inspector.classList.toggle("open", chosen !== null);
  detail();
}

/** What a segment consists of is asked for when it is looked at; until then its own of the run before stands there. */
async function detail() {
  const [wanted, of] = [chosen, drawn];
  if (wanted !== detailed) showDetails(place.details, null);
  detailed = wanted;
  if (!wanted) return;
  const answer = await engine.call("opened_segment", drawnText, wanted).catch(() => null);
  if (!answer || chosen !== wanted || drawn !== of) return;
  const found = JSON.parse(answer);
  if (!found.error) showDetails(place.details, found);
}

function showMoment() {
  if (!scenario || !drawn) return;
  const at = moments[moment];
  slider.value = String(moment);
  const said = momentText(at, moment, moments.length);
  place.moment.textContent = said;
  slider.setAttribute("aria-valuetext", said);
  dim(place.diagram, drawn.result, at);
  const hosts = scenario.hosts.map((each) => each.name);
  const now = showStates(place.states, drawn.result, at, hosts);
  if (states) light(states, now, hosts);
}

/** @param {Result} result */
function showChanges(result) {
  const counts = { new: 0, moved: 0, fate: 0 };
  for (const one of result.segments) {
    if (one.change && one.change !== "same") counts[/** @type {"new" | "moved" | "fate"} */ (one.change)] += 1;
  }
  const gone = result.gone?.length ?? 0;
  const some = counts.new + counts.moved + counts.fate + gone > 0;
  place.changes.replaceChildren(...(some
    ? [h("span", { text: t("changes") }), ...Object.entries(counts).filter(([, n]) => n).map(([kind, n]) =>
        h("span", { class: `mark change-${kind}`, text: `${n} ${t(`change.${kind}`)}` })),
      gone ? h("span", { class: "mark change-gone", text: `${gone} ${t("change.gone")}` }) : ""]
    : before ? [h("span", { text: t("changes.none") })] : []));
  for (const { what } of result.remarks) place.changes.append(h("p", { class: "warning", text: what }));
}

async function plot() {
  if (!scenario) return;
  const wanted = scenario;
  const answer = await engine.call("plotted", text(wanted), place.plots.clientWidth || 800).catch(() => null);
  if (!answer || wanted !== scenario) return;
  const found = JSON.parse(answer);
  place.plots.replaceChildren(...(found.figures ?? []).map(drawing));
  if (!place.plots.children.length) place.plots.append(h("p", { class: "hint", text: t("plots.none") }));
}

/** What the address names: an example, or a scenario. */
async function fromAddress() {
  const fragment = decodeURIComponent(location.hash.slice(1));
  const named = fragment.startsWith("example=") ? fragment.slice(8) : fragment ? "" : "conversation";
  if (named && examples[named]) {
    choice.value = named;
    await open(examples[named]);
    return;
  }
  await read(fragment);
}

/** @param {string} content a file's, or an address's */
async function read(content) {
  const found = JSON.parse(await engine.call("opened", content));
  if (found.scenario) {
    choice.value = "";
    await open(found.scenario);
    return;
  }
  if (!scenario) await open(examples.conversation);
  complain(t("error.scenario", { why: found.error }));
}

function listen() {
  choice.addEventListener("change", () => {
    if (choice.value) open(examples[choice.value]);
  });
  undo.addEventListener("click", () => {
    const last = past.pop();
    if (!last) return;
    before = scenario;
    scenario = last;
    perform();
  });
  stop.addEventListener("click", () => engine.stop());
  slider.addEventListener("input", () => {
    moment = Number(slider.value);
    showMoment();
  });
  byId("share").addEventListener("click", async () => {
    say(t((await copy(location.href)) ? "status.copied" : "status.address"));
  });
  for (const [kind, name, type] of [
    ["pcapng", "synfin.pcapng", "application/octet-stream"],
    ["pytest", "test_scenario.py", "text/x-python"],
    ["json", "scenario.json", "application/json"],
  ]) {
    byId(`save-${kind}`).addEventListener("click", async () => {
      if (scenario) save(await engine.call("saved", text(scenario), kind), name, type);
    });
  }
  byId("open").addEventListener("change", async (event) => {
    const [file] = /** @type {HTMLInputElement} */ (event.target).files ?? [];
    if (file && file.size < 1_000_000) await read(await file.text());
    else if (file) complain(t("error.large"));
  });
  tabling.addEventListener("toggle", () => {
    if (tabling.open && drawn) showTable(place.table, drawn.result, choose);
  });
  plotting.addEventListener("toggle", () => {
    if (plotting.open) plot();
  });
  addEventListener("hashchange", () => {
    if (location.hash.slice(1) !== drawn?.fragment) fromAddress();
  });
  new ResizeObserver(() => {
    if (drawnFor) redraw();
  }).observe(place.diagram);
  const other = /** @type {HTMLAnchorElement} */ (byId("other-language"));
  other.addEventListener("click", () => {
    other.href = `${other.href.split("#")[0]}${location.hash}`;
  });
  byId("theme").addEventListener("click", turnTheme);
}

const THEMES = ["auto", "light", "dark"];

function turnTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
  root.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // Storage may be forbidden; then it holds for this page.
  }
  byId("theme").setAttribute("aria-label", t("theme", { now: t(`theme.${next}`) }));
  byId("theme").title = t("theme", { now: t(`theme.${next}`) });
}

async function begin() {
  await learn(document.documentElement.lang);
  say(t("loading.interpreter"));
  const phrases = await (await fetch(new URL(`./phrases.${document.documentElement.lang}.json`, import.meta.url))).text();
  engine = new Engine((step) => say(t(`loading.${step}`)), phrases);
  listen();
  try {
    await engine.ready;
  } catch (error) {
    complain(t("error.load", { why: String(error) }));
    return;
  }
  examples = JSON.parse(await engine.call("examples"));
  for (const name of Object.keys(examples)) choice.append(h("option", { value: name, text: t(`example.${name}`) }));
  await fromAddress();
  document.body.dataset.ready = "true";
  const svg = await engine.call("state_diagram").catch(() => "");
  byId("machine").hidden = !svg;
  if (svg) {
    states = showStateDiagram(place.stateDiagram, svg);
    showMoment();
  }
  engine.warm();
  addEventListener("online", () => engine.warm());
}

begin().catch((error) => complain(String(error)));

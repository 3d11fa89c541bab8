/**
 * Changes to a scenario: each takes one and gives another. What a scenario may be is Python's to judge; here nothing is
 * checked.
 * @import { Fate, Forgery, Host, Link, PacketName, Scenario, Step } from "./types.js"
 */

/** What a program may do, and which fields say more about it. */
export const ACTIONS = Object.freeze(
  /** @type {Record<string, string[]>} */ ({
    listen: ["port"],
    accept: ["port"],
    open: ["to", "port"],
    write: ["bytes"],
    read: ["bytes"],
    shutdown: [],
    close: [],
    abort: [],
    crash: [],
    restart: [],
  }),
);

/** @param {Scenario} scenario @param {Partial<Scenario>} change @returns {Scenario} */
const but = (scenario, change) => ({ ...scenario, ...change });

/** Without what is as it is anyway. @template {object} T @param {T} part @returns {T} */
function tidy(part) {
  const kept = Object.entries(part).filter(([, value]) => value !== undefined && value !== "" && value !== null);
  return /** @type {T} */ (Object.fromEntries(kept));
}

/** The steps of a host with their numbers in the scenario. @param {Scenario} scenario @param {string} host */
export function stepsOf(scenario, host) {
  return (scenario.steps ?? []).map((step, number) => ({ step, number })).filter(({ step }) => step.host === host);
}

/** @param {Scenario} scenario @param {string} host */
export function otherHost(scenario, host) {
  return scenario.hosts.find((each) => each.name !== host)?.name ?? host;
}

/** @param {Scenario} scenario @param {string} host @param {string} action @returns {Step} */
export function newStep(scenario, host, action) {
  const step = /** @type {Step} */ ({ host, do: action });
  if (action === "open") step.to = otherHost(scenario, host);
  if (action === "write") step.bytes = 100;
  return step;
}

/** @param {Scenario} scenario @param {Step} step */
export function addStep(scenario, step) {
  return but(scenario, { steps: [...(scenario.steps ?? []), step] });
}

/** @param {Scenario} scenario @param {number} number */
export function removeStep(scenario, number) {
  return but(scenario, { steps: (scenario.steps ?? []).filter((_, each) => each !== number) });
}

/** Exchange a step with the one before (-1) or after (1) it of its host. @param {Scenario} scenario @param {number} number @param {number} way */
export function moveStep(scenario, number, way) {
  const steps = [...(scenario.steps ?? [])];
  const mine = stepsOf(scenario, steps[number].host).map((each) => each.number);
  const other = mine[mine.indexOf(number) + way];
  if (other === undefined) return scenario;
  [steps[number], steps[other]] = [steps[other], steps[number]];
  return but(scenario, { steps });
}

/** @param {Scenario} scenario @param {number} number @param {Partial<Step>} change */
export function changeStep(scenario, number, change) {
  const steps = [...(scenario.steps ?? [])];
  const before = steps[number];
  const action = change.do ?? before.do;
  const fresh = change.do ? { ...newStep(scenario, before.host, action), ...timesOf(before) } : before;
  steps[number] = tidy({ ...fresh, ...change });
  return but(scenario, { steps });
}

/** @param {Step} step */
const timesOf = ({ at_us, after_us, program }) => tidy({ at_us, after_us, program });

/** @param {PacketName} a @param {PacketName} b */
export const isSame = (a, b) => a.every((value, index) => value === b[index]);

/** @param {Scenario} scenario @param {PacketName} packet @returns {Fate | undefined} */
export function fateOf(scenario, packet) {
  return (scenario.fates ?? []).find((each) => isSame(each.packet, packet));
}

/** @param {Scenario} scenario @param {PacketName} packet @param {Omit<Fate, "packet"> | null} fate null: none */
export function setFate(scenario, packet, fate) {
  const others = (scenario.fates ?? []).filter((each) => !isSame(each.packet, packet));
  return but(scenario, { fates: fate ? [...others, { packet, ...fate }] : others });
}

/** @param {Scenario} scenario @param {Forgery} forgery */
export function addForgery(scenario, forgery) {
  return but(scenario, { forged: [...(scenario.forged ?? []), forgery] });
}

/** @param {Scenario} scenario @param {number} number @param {Partial<Forgery>} change */
export function changeForgery(scenario, number, change) {
  const forged = (scenario.forged ?? []).map((each, index) => (index === number ? { ...each, ...change } : each));
  return but(scenario, { forged });
}

/** @param {Scenario} scenario @param {number} number */
export function removeForgery(scenario, number) {
  return but(scenario, { forged: (scenario.forged ?? []).filter((_, index) => index !== number) });
}

/** All links; without any the first two hosts have one. @param {Scenario} scenario @returns {Link[]} */
export function linksOf(scenario) {
  const [a, b] = scenario.hosts.map((each) => each.name);
  return scenario.links?.length ? scenario.links : [{ a, b }];
}

/** @param {Scenario} scenario @param {number} number of the link @param {Partial<Link>} change */
export function changeLink(scenario, number, change) {
  const links = linksOf(scenario).map((link, each) => (each === number ? tidy({ ...link, ...change }) : link));
  return but(scenario, { links });
}

/** @param {Scenario} scenario @param {string} host @param {string} name @param {string | number | boolean | undefined} value */
export function changeSetting(scenario, host, name, value) {
  const hosts = scenario.hosts.map((each) => {
    if (each.name !== host) return each;
    const settings = tidy({ ...each.settings, [name]: value });
    return /** @type {Host} */ (Object.keys(settings).length ? { name: each.name, settings } : { name: each.name });
  });
  return but(scenario, { hosts });
}

/**
 * What a forger may send while a segment is about, in the name of its sender.
 * @type {Record<string, Omit<Forgery, "at_us" | "to" | "as_host">>}
 */
export const FORGERIES = {
  "rst-exact": { flags: "RST" },
  "rst-inside": { flags: "RST", seq: 1000 },
  "rst-outside": { flags: "RST", seq: 10_000_000 },
  "old-syn": { flags: "SYN", seq: -100_000, seq_from: "isn" },
  "data": { flags: "PSH,ACK", length: 20 },
  "data-outside": { flags: "PSH,ACK", length: 20, seq: 10_000_000 },
};

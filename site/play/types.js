/**
 * What passes between the modules. Only types: nothing of this is loaded.
 *
 * @typedef {{name: string, settings?: Record<string, string | number | boolean>}} Host
 * @typedef {{a: string, b: string, delay_us?: number, back_delay_us?: number, bandwidth?: number, queue?: number,
 *   mtu?: number}} Link
 * @typedef {{host: string, do: string, program?: number, at_us?: number, after_us?: number, to?: string, port?: number,
 *   from_port?: number, backlog?: number, bytes?: number, wait?: boolean}} Step
 * @typedef {[string, string, number, string, number, number, number]} PacketName
 * @typedef {{packet: PacketName, do: string, by_us?: number, overtake?: boolean}} Fate
 * @typedef {{at_us: number, to: string, as_host: string, flags: string, connection?: number, from_port?: number,
 *   to_port?: number, seq?: number, seq_from?: string, ack?: number, ack_from?: string, length?: number,
 *   window?: number}} Forgery
 * @typedef {{version: number, hosts: Host[], title?: string, about?: string, seed?: number, until_us?: number,
 *   links?: Link[], steps?: Step[], fates?: Fate[], forged?: Forgery[]}} Scenario
 *
 * @typedef {{who: string, change: string, what: string, rfc: string}} Reason
 * @typedef {{id: string, name: PacketName | null, sender: string, receiver: string, connection: number,
 *   sent_us: number, arrived_us: number[], flags: string, seq: number, ack: number, length: number, fate: string,
 *   because: string[], refused: string, change?: string}} Segment
 * @typedef {{reasons: Reason[], hex: string, fields: [string, string, number, number][]}} Details of a segment
 * @typedef {{at_us: number, host: string, connection: number, before: string, after: string, reason: string,
 *   said: string, rfc: string, cause: string}} StateChange
 * @typedef {{step: number, host: string, result: string, began_us: number, ended_us: number, error: string,
 *   bytes: number, forged: number}} Outcome
 * @typedef {{stopped: string, ended_us: number, digest: string, segments: Segment[], states: StateChange[],
 *   outcomes: Outcome[], remarks: {at_us: number, what: string}[], gone?: PacketName[],
 *   changed_endings?: number[]}} Result
 * @typedef {{result: Result, fragment: string, diagram: string}} Drawn
 */

export {};

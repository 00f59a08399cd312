/**
 * The upstream connections of one session: opened when a route first leads there, brought to the session's own state (pins,
 * settings, current database), ended together.
 */
import type { GateSession, UpstreamName } from '../gate.ts';
import { capability } from './capabilities.ts';
import { Link, type LinkOwner } from './link.ts';
import { connectUpstream, killQuery } from './upstream.ts';

const connectTimeoutMs = 10_000;
const settingsMax = 64;
const settingBytesMax = 1024;

export class Links {
  readonly #gate: GateSession;
  #capabilities: number;
  readonly #owner: LinkOwner;
  readonly #signal: AbortSignal;
  readonly #byName = new Map<UpstreamName, Link>();
  readonly #settings: string[] = [];
  /** The current database as the gate knows it; null: none, or not yet known. */
  #database: string | null = null;
  #known = false;
  #pinned: Link | null = null;

  /** @param capabilities relayed flags that the client negotiated */
  constructor(gate: GateSession, capabilities: number, owner: LinkOwner, signal: AbortSignal) {
    this.#gate = gate;
    this.#capabilities = capabilities;
    this.#owner = owner;
    this.#signal = signal;
  }

  get inTransaction(): boolean {
    return this.#pinned !== null;
  }

  get(name: UpstreamName): Link | undefined {
    return this.#byName.get(name);
  }

  has(link: Link): boolean {
    return this.#byName.get(link.target.name) === link;
  }

  /** A link on which names mean what the gate takes them to mean; null: `open` it. */
  ready(name: UpstreamName): Link | null {
    const link = this.#byName.get(name);
    return link !== undefined && link.database === this.#database ? link : null;
  }

  /** Rejects when the upstream can't be reached or can't be brought to the session's state. */
  async open(name: UpstreamName): Promise<Link> {
    if (this.#pinned !== null && this.#pinned.target.name !== name) {
      throw new Error('a transaction is open on another upstream');
    }
    const link = this.#byName.get(name) ?? (await this.#connect(name));
    if (!this.#known) this.noteDatabase(link.database);
    if (link.database !== this.#database) {
      if (this.#database === null) throw new Error('no database to choose');
      await link.use(this.#database);
    }
    return link;
  }

  async #connect(name: UpstreamName): Promise<Link> {
    const target = this.#gate.target(name);
    // What a server tells of the session's state is heard here, whether the client asked for it or not.
    const asked = this.#capabilities | capability.SESSION_TRACK;
    const connection = await connectUpstream(target, asked, connectTimeoutMs, this.#signal);
    const { messageBytesMax } = this.#gate.limits;
    const link = new Link(target, connection, this.#capabilities, this.#owner, messageBytesMax);
    try {
      await link.pin();
      for (const text of this.#settings) await link.query(text);
      if (!(await link.inspect()).pinned) throw new Error('settings that change what a text means');
      this.#signal.throwIfAborted();
    } catch (error) {
      link.destroy('2013');
      throw error;
    }
    this.#byName.set(name, link);
    return link;
  }

  noteDatabase(database: string | null): void {
    this.#database = database;
    this.#known = true;
  }

  get #path(): readonly string[] {
    return this.#database === null ? [] : [this.#database];
  }

  /** `status`: the flags that came with the link's last answer, null when it had none. */
  noteTransaction(link: Link, status: number | null): void {
    if (status === null) return;
    if (link.inTransaction) {
      if (this.#pinned === link) return;
      this.#pinned = link;
      this.#gate.pinned(link.target.name);
    } else if (this.#pinned === link) {
      this.#pinned = null;
      this.#gate.pinned(null);
    }
  }

  /** A settling text has run: kept for upstreams opened later when it is a plain setting of the session. */
  noteSetting(text: string): void {
    if (!isPlainSetting(text)) return;
    if (this.#settings.length >= settingsMax) this.#settings.shift();
    this.#settings.push(text);
  }

  /** COM_SET_OPTION, everywhere but at home, where the client's own goes. Rejects when an upstream does not take it. */
  async setMultiStatements(on: boolean): Promise<void> {
    const flag = capability.MULTI_STATEMENTS;
    this.#capabilities = on ? this.#capabilities | flag : this.#capabilities & ~flag;
    for (const [name, link] of this.#byName) {
      if (name !== this.#gate.home) await link.setMultiStatements(on);
    }
  }

  /** Before COM_RESET_CONNECTION at home: the others would keep what it is to forget. */
  reset(): void {
    this.#settings.length = 0;
    for (const [name, link] of this.#byName) {
      if (name === this.#gate.home) continue;
      this.#byName.delete(name);
      link.quit();
      this.#gate.refreshed({ path: this.#path, upstream: name, temporary: [] });
    }
    if (this.#pinned !== null && this.#pinned.target.name !== this.#gate.home) {
      this.#pinned = null;
      this.#gate.pinned(null);
    }
  }

  resume(): void {
    for (const link of this.#byName.values()) link.resume();
  }

  /** Stops the statement that runs on the link, at the server; if `wanted` says so when the server listens. */
  stop(link: Link, wanted?: () => boolean): void {
    killQuery(link.target, link.connectionId, connectTimeoutMs, wanted).catch(() => {});
  }

  /** Ends all; a statement that is running is stopped at the server. */
  end(): void {
    for (const link of this.#byName.values()) {
      if (!link.busy) {
        link.quit();
        continue;
      }
      this.stop(link);
      link.destroy('1317');
    }
    this.#byName.clear();
  }
}

/** SET of session variables to constants: harmless to say again elsewhere. No comments, subqueries or calls, nothing beyond
 *  the session, and no user variable, which holds nothing there. */
function isPlainSetting(text: string): boolean {
  return (
    text.length <= settingBytesMax &&
    /^\s*set\s/i.test(text) &&
    !/(?<!@)@(?!@)/.test(text) &&
    !/[();#]|--|\/\*|:=|\b(?:global|persist|persist_only|password|transaction|select|role|for)\b/i.test(text)
  );
}

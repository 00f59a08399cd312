/** A relay between two sides that are kept in memory, and the server's answers to what the gateway itself asks. */
import { Relay } from '../../protocols/postgres/relay.ts';
import { type OpenGateOptions, OpenGateSession } from './postgres-open-gate.ts';
import { answer } from './postgres-wire.ts';

class Ends {
  client: Buffer[] = [];
  upstream: Buffer[] = [];
  switches: { to: string; settings: readonly string[] }[] = [];
  held = false;
  ended = false;
  toClient(bytes: Buffer): void {
    this.client.push(Buffer.from(bytes));
  }
  toUpstream(bytes: Buffer): void {
    this.upstream.push(Buffer.from(bytes));
  }
  async switchTo(to: string, settings: readonly string[]): Promise<void> {
    this.switches.push({ to, settings: [...settings] });
  }
  holdClient(held: boolean): void {
    this.held = held;
  }
  end(response: Buffer | null): void {
    this.ended = true;
    if (response !== null) this.client.push(response);
  }
  /** What came since the last look. */
  takeClient(): Buffer {
    return Buffer.concat(this.client.splice(0));
  }
  takeUpstream(): Buffer {
    return Buffer.concat(this.upstream.splice(0));
  }
}

export function start(options: Partial<OpenGateOptions> = {}) {
  const session = new OpenGateSession({ targets: [], ...options });
  const ends = new Ends();
  const relay = new Relay(session, ends, 'home', '{pg_catalog,public}');
  return {
    session,
    ends,
    relay,
    client: (...frames: Buffer[]) => relay.client(Buffer.concat(frames)),
    upstream: (...frames: Buffer[]) => relay.fromUpstream(Buffer.concat(frames)),
  };
}
/** Answers the state question that has just been asked. */
export const state = (path = '{pg_catalog,public}', status: 'I' | 'T' = 'I'): Buffer =>
  Buffer.concat([
    answer.columns('current_schemas', 'current_setting'),
    answer.row(path, 'read committed'),
    answer.complete('SELECT 1'),
    answer.ready(status),
  ]);

/**
 * One PostgreSQL session by hand: node-postgres signs in, then its socket is taken over and every byte that comes
 * is kept. No gateway code in it.
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import { framesOf } from '../protocols/postgres-wire.ts';

/** What one exchange brought. */
export interface Answer {
  readonly frames: readonly Buffer[];
  /** SQLSTATE of the first error; null when there was none. */
  readonly sqlState: string | null;
  /** Its words: message, detail, hint. */
  readonly error: string;
  /** The gateway's reason, when the error is a refusal. */
  readonly reason: string | null;
  /** The session ended. */
  readonly closed: boolean;
}

export class WireSession {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #wake: () => void = () => {};
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.removeAllListeners();
    socket.on('data', (bytes: Buffer) => {
      this.#received.push(bytes);
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async open(config: pg.ClientConfig): Promise<WireSession> {
    const client = new pg.Client(config);
    client.on('error', () => {});
    await client.connect();
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
    return new WireSession(stream);
  }

  /** Sends messages and waits for `ready` ReadyForQuery messages, or the session's end. */
  async ask(messages: readonly Buffer[], ready = 1): Promise<Answer> {
    this.#received = [];
    this.#socket.write(Buffer.concat(messages));
    for (;;) {
      const bytes = Buffer.concat(this.#received);
      const frames = wholeFrames(bytes);
      if (this.closed || frames.filter((frame) => frame[0] === 0x5a).length >= ready)
        return this.#answer(frames);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #answer(frames: readonly Buffer[]): Answer {
    const failed = frames.find((frame) => frame[0] === 0x45);
    const fields = failed === undefined ? new Map<string, string>() : fieldsOf(failed);
    const detail = fields.get('D') ?? '';
    return {
      frames,
      sqlState: fields.get('C') ?? null,
      error: ['M', 'D', 'H'].map((code) => fields.get(code) ?? '').join(' | '),
      reason: /reason: (\w+); decision: /.exec(detail)?.[1] ?? null,
      closed: this.closed,
    };
  }

  end(): void {
    this.#socket.destroy();
  }
}

function wholeFrames(bytes: Buffer): Buffer[] {
  let end = 0;
  while (end + 5 <= bytes.length && end + 1 + bytes.readInt32BE(end + 1) <= bytes.length)
    end += 1 + bytes.readInt32BE(end + 1);
  return framesOf(bytes.subarray(0, end));
}

function fieldsOf(frame: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 5; frame[at] !== 0 && at < frame.length; ) {
    const end = frame.indexOf(0, at);
    fields.set(String.fromCharCode(frame[at]!), frame.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}

/** The transaction status of the last ReadyForQuery. */
export function statusOf(answer: Answer): string {
  const ready = answer.frames.findLast((frame) => frame[0] === 0x5a);
  return ready === undefined ? '' : String.fromCharCode(ready[5]!);
}

/** The bytes of an answer without what differs each time: ids of decisions. */
export function comparable(answer: Answer): string {
  return answer.frames
    .map((frame) => {
      if (frame[0] !== 0x45) return frame.toString('latin1');
      const fields = fieldsOf(frame);
      fields.set('D', (fields.get('D') ?? '').replace(/decision: \S+/, 'decision'));
      // The number of a session's temporary schema is whichever was free.
      for (const [key, text] of fields) fields.set(key, text.replace(/pg_temp_\d+/g, 'pg_temp'));
      return JSON.stringify([...fields]).replace(/corpus_[ab]/g, 'corpus');
    })
    .join('\n');
}

/** All bytes of an answer, ids of decisions taken out: they are random and could look like anything. */
export function bytesOf(answer: Answer): Buffer {
  return Buffer.from(
    Buffer.concat(answer.frames)
      .toString('latin1')
      .replace(/decision: [\w-]+/g, 'decision'),
    'latin1',
  );
}

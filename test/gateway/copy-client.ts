/** A client of COPY on top of node-postgres, which has none: simple or extended protocol, both ways. */
import type pg from 'pg';

interface Wire {
  readonly stream: NodeJS.WritableStream & { destroy(): void };
  query(text: string): void;
  parse(config: { name: string; text: string }): void;
  bind(config: object): void;
  describe(config: { type: string; name: string }): void;
  execute(config: { portal: string; rows: string }): void;
  sync(): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(why: string): void;
}

export interface CopyOptions {
  /** Default: the simple protocol. */
  readonly extended?: boolean;
  /** Told when the server asks for data; has to end it. Missing: CopyFail. */
  readonly give?: (wire: Wire) => void;
  /** Told of each CopyData. */
  readonly take?: (wire: Wire) => void;
}

export interface Copied {
  readonly tag: string;
  /** The content of every CopyData. */
  readonly chunks: readonly Buffer[];
}

/** Runs one COPY; rejects with the server's error. */
export function runCopy(client: pg.Client, text: string, options: CopyOptions = {}): Promise<Copied> {
  const { extended = false, give, take } = options;
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    let tag = '';
    let connection: Wire;
    const submittable = {
      submit(wire: Wire) {
        connection = wire;
        if (!extended) wire.query(text);
        else {
          wire.parse({ name: '', text });
          wire.bind({ portal: '', statement: '', values: [] });
          wire.describe({ type: 'P', name: '' });
          wire.execute({ portal: '', rows: '' });
          wire.sync();
        }
      },
      handleRowDescription() {},
      handleDataRow() {},
      handlePortalSuspended() {},
      handleEmptyQuery() {},
      handleCopyInResponse(wire: Wire) {
        if (give) give(wire);
        else wire.sendCopyFail('nothing to give');
        // The first Sync was not heeded.
        if (extended) wire.sync();
      },
      handleCopyData(message: { chunk: Buffer }) {
        chunks.push(Buffer.from(message.chunk));
        take?.(connection);
      },
      handleCommandComplete(message: { text: string }) {
        tag = message.text;
      },
      // node-postgres lets go of a query at its error, and waits for ReadyForQuery by itself.
      handleError: reject,
      handleReadyForQuery() {
        resolve({ tag, chunks });
      },
    };
    client.query(submittable as unknown as pg.Submittable);
  });
}

/** Gives the chunks, then CopyDone. */
export function giving(...chunks: readonly (string | Buffer)[]): (wire: Wire) => void {
  return (wire) => {
    for (const chunk of chunks) wire.sendCopyFromChunk(Buffer.from(chunk));
    wire.endCopyFrom();
  };
}

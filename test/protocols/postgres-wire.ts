/** Writes both sides' messages byte by byte for the protocol's transcripts. No gateway code in it. */

export function message(type: string, ...parts: (string | Buffer | number[])[]): Buffer {
  const content = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : Buffer.from(part))),
  );
  const header = Buffer.alloc(5);
  header.write(type, 0, 'latin1');
  header.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([header, content]);
}

const int16 = (...values: number[]): Buffer =>
  Buffer.concat(values.map((value) => Buffer.from([(value >> 8) & 255, value & 255])));
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** Client messages. */
export const say = {
  query: (text: string) => message('Q', text),
  parse: (name: string, text: string) => message('P', name, text, int16(0)),
  bind: (portal: string, statement: string, formats: number[] = []) =>
    message('B', portal, statement, int16(0), int16(0), int16(formats.length, ...formats)),
  describe: (kind: 'S' | 'P', name: string) => message('D', Buffer.from(kind), name),
  execute: (portal: string, rows = 0) => message('E', portal, int32(rows)),
  close: (kind: 'S' | 'P', name: string) => message('C', Buffer.from(kind), name),
  sync: () => message('S'),
  flush: () => message('H'),
  terminate: () => message('X'),
  copyData: (content: string | Buffer) => message('d', Buffer.from(content)),
  copyDone: () => message('c'),
  copyFail: (reason: string) => message('f', reason),
};

/** Server messages. */
export const answer = {
  parsed: () => message('1'),
  bound: () => message('2'),
  closed: () => message('3'),
  noData: () => message('n'),
  suspended: () => message('s'),
  empty: () => message('I'),
  parameters: () => message('t', int16(0)),
  columns: (...names: string[]) =>
    message(
      'T',
      int16(names.length),
      ...names.flatMap((name) => [name, int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]),
    ),
  row: (...values: (string | null)[]) =>
    message(
      'D',
      int16(values.length),
      ...values.map((value) =>
        value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
      ),
    ),
  complete: (tag: string) => message('C', tag),
  ready: (status: 'I' | 'T' | 'E' = 'I') => message('Z', Buffer.from(status)),
  error: (code: string, text = 'it failed', severity = 'ERROR') =>
    message(
      'E',
      Buffer.from(`S${severity}\0V${severity}\0C${code}\0M${text}\0DKey (email)=(a@b) exists\0`),
      [0],
    ),
  notice: (text: string) => message('N', Buffer.from(`SNOTICE\0VNOTICE\0C00000\0M${text}\0`), [0]),
  copyIn: (columns: number, format = 0) =>
    message('G', [format], int16(columns, ...Array(columns).fill(format))),
  copyOut: (columns: number, format = 0) =>
    message('H', [format], int16(columns, ...Array(columns).fill(format))),
  copyData: (content: string | Buffer) => message('d', Buffer.from(content)),
  copyDone: () => message('c'),
  parameter: (name: string, value: string) => message('S', name, value),
};

/** Type bytes of the messages in some bytes; throws when they don't come out even. */
export function typesOf(bytes: Buffer): string {
  return framesOf(bytes)
    .map((frame) => String.fromCharCode(frame[0]!))
    .join('');
}

export function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    if (end > bytes.length) throw new Error('half a frame');
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames;
}

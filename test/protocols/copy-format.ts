/** COPY's three formats as a server writes them and a client reads them, written from the manual. No gateway code in it. */
import type { Copy } from '../../sql/statement.ts';

export type Row = readonly (Buffer | null)[];

const letters: Readonly<Record<string, string>> = {
  '\b': 'b',
  '\f': 'f',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
  '\v': 'v',
};

/** One row; binary: with neither header nor trailer. Values are Latin-1 here: what counts is bytes. */
function encodeRow(row: Row, copy: Copy): Buffer {
  if (copy.format === 'binary') {
    const parts: Buffer[] = [int16(row.length)];
    for (const value of row) parts.push(int32(value?.length ?? -1), value ?? Buffer.alloc(0));
    return Buffer.concat(parts);
  }
  const fields = row.map((value) => {
    if (value === null) return copy.nullText;
    const text = value.toString('latin1');
    if (copy.format === 'text') {
      return [...text]
        .map((c) =>
          c === '\\' ? '\\\\' : letters[c] ? `\\${letters[c]}` : c === copy.delimiter ? `\\${c}` : c,
        )
        .join('');
    }
    const special = [copy.delimiter, copy.quote, '\n', '\r'].some((c) => text.includes(c));
    const quoted = special || text === copy.nullText || (row.length === 1 && text === '\\.');
    if (!quoted && copy.forceQuote !== 'all') return text;
    const inside = [...text]
      .map((c) => (c === copy.quote || c === copy.escape ? copy.escape + c : c))
      .join('');
    return copy.quote + inside + copy.quote;
  });
  return Buffer.from(`${fields.join(copy.delimiter)}\n`, 'latin1');
}

const binaryHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const binaryTrailer = Buffer.from([0xff, 0xff]);

/** A whole stream. */
export function encodeStream(rows: readonly Row[], copy: Copy): Buffer {
  const encoded = rows.map((row) => encodeRow(row, copy));
  return copy.format === 'binary'
    ? Buffer.concat([binaryHeader, ...encoded, binaryTrailer])
    : Buffer.concat(encoded);
}

function int16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 255, value & 255]);
}
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

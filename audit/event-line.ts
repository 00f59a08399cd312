/**
 * One audit event as one line of JSON, written by hand because it stands in front of every statement. Pure; the
 * journal puts the line on disk.
 */
import type { AuditEvent, EventTemplate } from './event.ts';

// What JSON writes as it is: printable ASCII without the quote and the backslash.
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** The constant fields of many events, serialized without the braces. */
export function eventTemplate(fields: Omit<AuditEvent, 'at'>): EventTemplate {
  return { json: JSON.stringify(fields).slice(1, -1) };
}

/**
 * The line, newline included, that `JSON.parse` reads back as template + at + more (`more` wins over the template).
 * Fields that are undefined are left out.
 */
export function eventLine(
  template: EventTemplate,
  at: number,
  more: Omit<AuditEvent, 'at' | 'event'>,
): string {
  let line = template.json === '' ? `{"at":${at}` : `{"at":${at},${template.json}`;
  for (const name in more) {
    const value = more[name as keyof typeof more];
    if (value === undefined) continue;
    if (typeof value === 'string') line += `,"${name}":${quoted(value)}`;
    else if (typeof value === 'number') line += `,"${name}":${Number.isFinite(value) ? value : 'null'}`;
    else {
      line += `,"${name}":[`;
      for (let i = 0; i < value.length; i++) line += (i === 0 ? '' : ',') + quoted(value[i] as string);
      line += ']';
    }
  }
  return `${line}}\n`;
}

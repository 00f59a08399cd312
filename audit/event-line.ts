/**
 * Audit events as lines of JSON, written by hand because one stands in front of every statement: what many events share
 * is said once in a segment and named by number from then on. Pure; the journal puts the lines on disk.
 */
import type { AuditEvent, EventTemplate } from './event.ts';

// What JSON writes as it is: printable ASCII without the quote and the backslash.
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** A template as a log marks it: what its journal already says of it. */
export interface JournalTemplate extends EventTemplate {
  /** How the journal's lines name it; 0: none has yet. */
  number: number;
  /** The writer's segment that defines it. */
  definedIn: number;
  /** The writer's flush that waits with a line of it. */
  pendingFor: number;
}

/** The constant fields of many events, serialized without the braces. */
export function eventTemplate(fields: Omit<AuditEvent, 'at'>): JournalTemplate {
  return { json: JSON.stringify(fields).slice(1, -1), number: 0, definedIn: 0, pendingFor: 0 };
}

/** The line that gives a template its number, for the rest of its segment. */
export function definitionLine(template: JournalTemplate): string {
  return `{"template":${template.number},"event":{${template.json}}}\n`;
}

/**
 * The line, newline included, of one event: the number of its template, `at`, and the fields of `more`, which win over
 * the template's. Fields that are undefined are left out.
 */
export function eventLine(template: JournalTemplate, rest: string): string {
  return `{"t":${template.number},${rest}`;
}

/** What an event's line says besides its template. */
export function eventRest(at: number, more: Omit<AuditEvent, 'at' | 'event'>): string {
  let line = `"at":${at}`;
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

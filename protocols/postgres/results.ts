/**
 * Reads the upstream's answers against the requests in flight: what goes to the client as it came, what is dropped,
 * what is rewritten. Everything that doesn't fit the request at the head of the queue is a breach. No I/O.
 */
import type { MaskPlan } from '../../masking/masker.ts';
import type { Admitted, Refused } from '../gate.ts';
import { noteTag } from './command-tags.ts';
import { beginCopy, copyData, copyIsOver, endCopy } from './copies.ts';
import {
  breach,
  encodeFatalRefusal,
  encodeRefusal,
  SessionEnd,
  statementTimeout,
  withholdValues,
} from './errors.ts';
import { headerBytes } from './framing.ts';
import type { Request, RequestQueue } from './requests.ts';
import {
  readCommandTag,
  readFields,
  readParameterStatus,
  readReady,
  readRow,
  readRowDescription,
  rowsOfTag,
  serverType,
  status,
} from './server-messages.ts';
import type { SettingsLog } from './settings-log.ts';
import type { Names, Portal, Prepared } from './statements.ts';
import type { FrameReader, Relayed } from './upstream-frames.ts';
import type { RowWriter } from './values.ts';

/** Told to the relay as answers come in. */
export interface ResultEvents {
  /** ReadyForQuery: of a client's request, or of the state question. */
  ready(statusByte: number): void;
  /** The answers to the state question. */
  state(answers: readonly (readonly (readonly (string | null)[])[])[] | null): void;
  /** The server failed a message and skips what follows, up to a Sync that is still to come from the client. */
  skipping(): void;
  readonly settings: SettingsLog;
  /** Names mean something else now, settling statement or not (PostgreSQL 18 reports search_path). */
  drifted(): void;
  /** The upstream is closing the session; the client has been told. */
  fatal(): void;
}

export class Results implements FrameReader {
  passing: Request | null = null;
  passingType: number = serverType.dataRow;
  /** A watched statement ran in the open transaction: what fails later may still speak of its rows. */
  #watchedTransaction = false;
  /** A statement that may change the identity ran: what goes back on it later is reported as well. */
  #identityMayChange = false;
  readonly #queue: RequestQueue;
  readonly #statements: Names<Prepared>;
  readonly #portals: Names<Portal>;
  readonly #events: ResultEvents;

  constructor(
    queue: RequestQueue,
    statements: Names<Prepared>,
    portals: Names<Portal>,
    events: ResultEvents,
  ) {
    this.#queue = queue;
    this.#statements = statements;
    this.#portals = portals;
    this.#events = events;
  }

  frame(type: number, source: Buffer, start: number, end: number, rows: () => RowWriter): Relayed {
    const head = this.#queue.head;
    if (type === serverType.dataRow) return this.#row(head, source, start, end, rows);
    if (type === serverType.copyData) {
      const relayed = copyData(head, source, start, end, rows);
      return relayed ?? this.#pass(head!, serverType.copyData, end - start);
    }
    // What comes with every statement is read in place.
    switch (type) {
      case serverType.commandComplete:
        return this.#complete(head, readCommandTag(source, start, end));
      case serverType.ready:
        return this.#ready(head, readReady(source, start, end));
      case serverType.bindComplete:
      case serverType.parseComplete:
      case serverType.closeComplete:
        return this.#acknowledged(head, type, end - start);
    }
    const content = source.subarray(start, end);
    switch (type) {
      case serverType.rowDescription:
        return this.#rowDescription(head, content);
      case serverType.parameterDescription:
        if (head?.kind !== 'describe' || !head.ofStatement || head.halfway) break;
        head.halfway = true;
        return head.hidden ? 'dropped' : 'verbatim';
      case serverType.noData:
        return this.#noData(head, content);
      case serverType.emptyQuery:
        return this.#emptyQuery(head, content);
      case serverType.portalSuspended:
        if (head?.kind !== 'execute') break;
        this.#finish(head, head.rows, null);
        this.#next();
        return 'verbatim';
      case serverType.error:
        return this.#error(head, content);
      case serverType.notice:
        if (head?.kind === 'state' || head?.refused) return 'dropped';
        return this.#watches(head) ? withholdValues(type, content) : 'verbatim';
      case serverType.notification:
        return 'verbatim';
      case serverType.parameterStatus:
        return this.#parameterStatus(head, content);
      case serverType.copyIn:
        beginCopy(head, 'in', content);
        return 'verbatim';
      case serverType.copyOut:
        return this.#copyOut(head, content);
      case serverType.copyDone:
        endCopy(head, content);
        this.passing = null;
        return 'verbatim';
      case serverType.copyBoth:
        throw breach('began a COPY that was not admitted');
    }
    throw breach(`sent a message of type ${typeName(type)} that answers no request`);
  }

  #watches(head: Request | null): boolean {
    return this.#watchedTransaction || head?.watched === true;
  }

  #next(): void {
    this.passing = null;
    this.#queue.shift();
  }

  #row(head: Request | null, source: Buffer, start: number, end: number, rows: () => RowWriter): Relayed {
    if (head === null) throw breach('sent a row that answers no request');
    if (head.kind === 'state') {
      head.answers!.at(-1)!.push(readRow(source.subarray(start, end)));
      return 'dropped';
    }
    if (head.refused !== null || head.failed || (head.kind !== 'query' && head.kind !== 'execute')) {
      throw breach('sent a row that answers no request');
    }
    if (!head.planned) {
      if (head.kind === 'execute' && head.admitted!.copies) throw breach('sent rows of a COPY as a result');
      if (head.kind === 'query') throw breach('sent a row before its description');
      head.plan = this.#planOf(head);
      head.planned = true;
    }
    if (head.watched) this.#watchedTransaction = true;
    if (head.plan === null) return this.#pass(head, serverType.dataRow, end - start);
    head.bytes += rows().row(source, start, end, head.plan);
    head.rows++;
    return 'masked';
  }

  /** A row goes as it came, and so do those that follow. */
  #pass(head: Request, type: number, contentBytes: number): Relayed {
    this.passing = head;
    this.passingType = type;
    head.rows++;
    head.bytes += contentBytes + headerBytes;
    return 'verbatim';
  }

  #copyOut(head: Request | null, content: Buffer): Relayed {
    const refused = beginCopy(head, 'out', content);
    if (refused !== null) throw contradiction(refused);
    if (head!.watched) this.#watchedTransaction = true;
    return 'verbatim';
  }

  /** The plan of an executed portal: by its own description, or its statement's with the Bind's formats. */
  #planOf(request: Request): MaskPlan | null {
    const portal = request.portal!;
    const { prepared } = portal;
    const admitted = request.admitted!;
    const own = portal.description;
    const description = own ?? (admitted.watched ? null : prepared.description);
    if (description === null) {
      if (admitted.watched) throw breach('sent rows of a masked statement without describing them');
      return null;
    }
    const formats = own === null ? portal.formats : null;
    const by = admitted.plansAs ?? admitted;
    const last = prepared.planned;
    if (last !== null && last.by === by && last.formats === formats && last.description.equals(description)) {
      return last.plan;
    }
    const plan = this.#plan(admitted, description, 0, formats);
    prepared.planned = { by, description, formats, plan };
    return plan;
  }

  #plan(
    admitted: Admitted,
    description: Buffer,
    index: number,
    formats: readonly number[] | null,
  ): MaskPlan | null {
    const columns = readRowDescription(description, formats ?? undefined);
    const plan = admitted.plan(columns, index);
    if (plan !== null && 'effect' in plan) throw contradiction(plan);
    if (plan !== null && plan.length !== columns.length) throw breach('described columns that no plan fits');
    return plan?.some((masker) => masker !== null) ? plan : null;
  }

  #rowDescription(head: Request | null, content: Buffer): Relayed {
    if (head?.kind === 'state') return 'dropped';
    if (head?.kind === 'query' && head.refused === null && !head.failed) {
      const admitted = head.admitted!;
      if (head.index >= admitted.statements) throw breach('sent more results than statements were admitted');
      this.passing = null;
      head.plan = this.#plan(admitted, content, head.index, null);
      head.planned = true;
      return 'verbatim';
    }
    if (head?.kind !== 'describe' || (head.ofStatement && !head.halfway)) {
      throw breach('described rows that nobody asked for');
    }
    if (head.ofStatement) {
      if (head.prepared !== null && !head.prepared.description?.equals(content)) {
        head.prepared.description = Buffer.from(content);
      }
    } else if (head.portal !== null) {
      const known = head.portal.prepared.planned?.description;
      head.portal.description = known?.equals(content) ? known : Buffer.from(content);
    }
    this.#next();
    return head.hidden ? 'dropped' : 'verbatim';
  }

  #noData(head: Request | null, content: Buffer): Relayed {
    if (content.length !== 0 || head?.kind !== 'describe' || (head.ofStatement && !head.halfway)) {
      throw breach('said NoData to no question');
    }
    this.#next();
    return head.hidden ? 'dropped' : 'verbatim';
  }

  #acknowledged(head: Request | null, type: number, contentBytes: number): Relayed {
    const expected =
      head?.kind === 'parse'
        ? serverType.parseComplete
        : head?.kind === 'bind'
          ? serverType.bindComplete
          : head?.kind === 'close'
            ? serverType.closeComplete
            : 0;
    if (head === null || type !== expected || contentBytes !== 0) {
      throw breach(`acknowledged what was not asked (${typeName(type)})`);
    }
    if (head.preparedGuess !== null) this.#statements.confirm(head.name, head.preparedGuess);
    if (head.portalGuess !== null) this.#portals.confirm(head.name, head.portalGuess);
    this.#next();
    return head.hidden ? 'dropped' : 'verbatim';
  }

  #emptyQuery(head: Request | null, content: Buffer): Relayed {
    if (content.length !== 0 || (head?.kind !== 'query' && head?.kind !== 'execute') || head.refused) {
      throw breach('sent an EmptyQueryResponse to no request');
    }
    if (head.kind === 'query') head.index++;
    else this.#next();
    return 'verbatim';
  }

  #complete(head: Request | null, tag: string): Relayed {
    if (head?.kind === 'state') {
      head.answers!.push([]);
      return 'dropped';
    }
    if (head === null || head.refused !== null || head.failed) throw breach('completed no request');
    if (head.kind !== 'query' && head.kind !== 'execute') throw breach('completed no request');
    const admitted = head.admitted!;
    if (head.index >= admitted.statements) throw breach('completed more statements than were admitted');
    if (!copyIsOver(head)) throw breach('completed a COPY that was not over');
    if (head.watched) this.#watchedTransaction = true;
    if (admitted.changesIdentity) this.#identityMayChange = true;
    noteTag(tag, head.settingText, this.#events.settings, this.#statements, this.#portals);
    this.#finish(head, rowsOfTag(tag), null);
    if (head.kind === 'execute') this.#next();
    else {
      this.passing = null;
      this.#queue.answered++;
      head.index++;
      head.rows = 0;
      head.bytes = 0;
      head.plan = null;
      head.planned = false;
      head.copy = null;
    }
    return head.hidden ? 'dropped' : 'verbatim';
  }

  #finish(request: Request, rows: number, sqlState: string | null): void {
    request.admitted?.completed(request.index, rows, request.bytes, sqlState);
  }

  #ready(head: Request | null, statusByte: number): Relayed {
    if (head?.kind !== 'query' && head?.kind !== 'sync' && head?.kind !== 'state') {
      throw breach('was ready while a request was open');
    }
    if (head.kind === 'query' && head.refused !== null && !head.failed) {
      throw breach('accepted a text that stood for a refused statement');
    }
    this.#next();
    this.#queue.timedOut = false;
    if (head.kind === 'state' && head.failed) {
      this.#events.state(null);
      return 'dropped';
    }
    if (head.kind === 'state') this.#events.state(head.answers!.slice(0, -1));
    if (statusByte === status.idle) {
      this.#watchedTransaction = false;
      this.#portals.clear();
    }
    this.#events.ready(statusByte);
    if (head.script !== null && !head.script.isOverWith(head)) return 'dropped';
    return head.kind === 'state' ? 'dropped' : 'verbatim';
  }

  #error(head: Request | null, content: Buffer): Relayed {
    const fields = readFields(content);
    const severity = fields.get('V') ?? fields.get('S');
    const sqlState = fields.get('C') ?? 'XX000';
    const shown = (): Relayed =>
      this.#watches(head) ? withholdValues(serverType.error, content) : 'verbatim';
    this.passing = null;
    if (severity !== 'ERROR') {
      if (head?.kind === 'query' || head?.kind === 'execute') this.#finish(head, head.rows, sqlState);
      const relayed = shown();
      this.#events.fatal();
      return relayed;
    }
    if (head === null) throw breach('sent an error that answers no request');
    if (head.kind === 'state') {
      head.failed = true;
      return 'dropped';
    }
    this.#events.settings.undone();
    if (head.script !== null) head.script.failed = true;
    const timedOut = this.#queue.timedOut && sqlState === '57014';
    const refused = head.refused ?? (timedOut ? statementTimeout : null);
    const relayed = refused !== null ? encodeRefusal(refused) : shown();
    if (head.kind === 'sync') return relayed;
    if (head.kind === 'query') {
      if (head.failed) throw breach('failed a statement twice');
      this.#finish(head, head.rows, refused?.sqlState ?? sqlState);
      head.failed = true;
      head.copy = null;
      return relayed;
    }
    if (head.kind === 'execute') this.#finish(head, head.rows, refused?.sqlState ?? sqlState);
    const synced = this.#queue.skipToSync((request) => {
      if (request.preparedGuess !== null) this.#statements.abandon(request.name, request.preparedGuess);
      if (request.portalGuess !== null) this.#portals.abandon(request.name, request.portalGuess);
      // A portal of an outer subtransaction lives on: it has to be described again before its rows.
      if (request.kind === 'describe' && request.portal?.description === null)
        request.portal.described = false;
    });
    if (!synced) this.#events.skipping();
    return relayed;
  }

  #parameterStatus(head: Request | null, content: Buffer): Relayed {
    const { name, value } = readParameterStatus(content);
    const pinned = pins.get(name);
    if (pinned !== undefined && value !== pinned) {
      throw new SessionEnd('42501', `the session was closed: ${name} changed, which changes what texts mean`);
    }
    if (identity.has(name) && !this.#identityMayChange && head?.admitted?.changesIdentity !== true) {
      throw new SessionEnd('42501', `the session was closed: its identity on the server changed (${name})`);
    }
    if (name === 'search_path') this.#events.drifted();
    return 'verbatim';
  }

  /** The session ends without an answer: what was running is reported with `sqlState`. */
  abort(sqlState: string): void {
    const head = this.#queue.head;
    if (head === null || head.failed || (head.kind !== 'query' && head.kind !== 'execute')) return;
    if (head.refused === null && head.index < (head.admitted?.statements ?? 0)) {
      this.#finish(head, head.rows, sqlState);
    }
  }
}

/** Reported after the start only when they change. */
const identity: ReadonlySet<string> = new Set(['session_authorization', 'is_superuser']);

/** Settings that every text's meaning hangs on. */
export const pins: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
]);

function contradiction(refused: Refused): SessionEnd {
  return new SessionEnd(refused.sqlState, refused.message, encodeFatalRefusal(refused));
}

function typeName(type: number): string {
  return type > 0x20 && type < 0x7f ? `'${String.fromCharCode(type)}'` : `0x${type.toString(16)}`;
}

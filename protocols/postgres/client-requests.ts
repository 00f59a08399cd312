/**
 * What each client message comes to: who is asked, what the upstream is sent, which answer is expected. Messages
 * that the gate refuses never leave here; a text that is sure to fail goes in their place, so that the server keeps
 * the order of answers, the skipping to Sync and the state of the transaction. No I/O.
 */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../bytes.ts';
import type { Admitted, GateSession, Refused } from '../gate.ts';
import {
  clientType,
  encodeNamed,
  encodeParse,
  encodeQuery,
  failingExtended,
  failingParse,
  failingQuery,
  readBind,
  readExecute,
  readNamed,
  readParse,
  readQuery,
  sync,
} from './client-messages.ts';
import { serverRefusal } from './errors.ts';
import type { Flow, Handled } from './flow.ts';
import { headerBytes } from './framing.ts';
import { Request } from './requests.ts';
import { mayRevert, settingOf } from './settings-log.ts';
import type { Names, Portal, Prepared } from './statements.ts';

export class ClientRequests {
  readonly #flow: Flow;
  readonly #session: GateSession;
  readonly #statements: Names<Prepared>;
  readonly #portals: Names<Portal>;

  constructor(flow: Flow, session: GateSession, statements: Names<Prepared>, portals: Names<Portal>) {
    this.#flow = flow;
    this.#session = session;
    this.#statements = statements;
    this.#portals = portals;
  }

  /**
   * One message.
   * @throws ProtocolError when it is malformed or of an unknown type.
   */
  message(type: number, content: Buffer): Handled {
    switch (type) {
      case clientType.query:
        return this.#query(content);
      case clientType.parse:
        return this.#parse(content);
      case clientType.bind:
        return this.#bind(content);
      case clientType.describe:
        return this.#describe(content);
      case clientType.execute:
        return this.#execute(content);
      case clientType.close:
        return this.#close(content);
      case clientType.sync:
        empty(content);
        return this.sync();
      case clientType.flush:
        empty(content);
        return 'verbatim';
      case clientType.functionCall:
        return this.#refuseQuery(this.#session.refuseMessage('FunctionCall'));
      case clientType.copyData:
      case clientType.copyDone:
      case clientType.copyFail:
        return 'consumed';
      case clientType.terminate:
        return this.#flow.terminate();
    }
    return unknownType(type);
  }

  /**
   * One message while the server takes CopyData for `request`. Sync and Flush are ignored there, for clients that send
   * them behind every Execute.
   * @throws ProtocolError on any other: a server gives up the connection over it.
   */
  copyIn(type: number, content: Buffer, request: Request): Handled {
    switch (type) {
      case clientType.copyData:
        request.bytes += content.length + headerBytes;
        return 'verbatim';
      case clientType.copyDone:
        empty(content);
        break;
      case clientType.copyFail:
        readQuery(content);
        break;
      case clientType.sync:
      case clientType.flush:
        empty(content);
        return 'consumed';
      case clientType.terminate:
        return this.#flow.terminate();
      default:
        throw new ProtocolError(`a message of type 0x${type.toString(16)} in the middle of a COPY`);
    }
    request.copy = 'given';
    // Another statement of the same text may copy as well.
    if (request.kind === 'query') this.#flow.block('copy');
    return 'verbatim';
  }

  /** A message that comes while the server is discarding. */
  discard(type: number): Handled {
    return knownTypes.has(type) ? 'consumed' : unknownType(type);
  }

  #query(content: Buffer): Handled {
    const flow = this.#flow;
    const bytes = readQuery(content);
    if (flow.settlingGroup)
      return this.#refuseQuery(this.#session.refuseMessage('Query before a setting took effect'));
    if (!isUtf8(bytes)) return this.#refuseQuery(this.#malformedText('Query'));
    const text = bytes.toString('utf8');
    const admission = flow.answer ?? this.#session.admit(text, 'query', flow.signal);
    if (admission instanceof Promise) return flow.wait(admission);
    if (admission.effect === 'refuse') {
      const { lacksCatalog, apart } = admission;
      const instead = lacksCatalog ? flow.readCatalog(lacksCatalog) : null;
      const refused = instead ?? (apart ? flow.apart(apart.texts, apart.bare) : null) ?? admission;
      return refused === 'wait' ? 'again' : this.#refuseQuery(refused, text);
    }
    if (mayFetch.test(text) && this.#maskedPortalOpen()) return this.#refuseQuery(this.#fetchRefused());
    // The client's rows would come behind the statements that are left.
    if (flow.scripts.isRunning && copiesIn(admission)) {
      return this.#refuseQuery(
        this.#session.refuseMessage('COPY FROM STDIN in a text that makes what it uses'),
      );
    }
    const elsewhere = flow.elsewhere(admission.route, admission);
    if (elsewhere === 'wait') return 'again';
    if (elsewhere !== null) return this.#refuseQuery(elsewhere);
    const request = new Request('query');
    request.admitted = admission;
    request.watched = admission.watched;
    if (admission.statements === 1) request.settingText = settingOf(text);
    flow.endGroup(request);
    const settles = admission.settles || (flow.unsettledTransaction && mayRevert(text));
    if (admission.text !== null) flow.send(encodeQuery(admission.text));
    if (settles) flow.settle();
    if (copiesIn(admission)) flow.block('copy');
    return admission.text === null ? 'verbatim' : 'consumed';
  }

  #parse(content: Buffer): Handled {
    const flow = this.#flow;
    const message = readParse(content);
    const { name } = message;
    const refuse = (refused: Refused): Handled => this.#refuseExtended(refused, failingParse(name));
    if (flow.settlingGroup) return refuse(this.#session.refuseMessage('Parse before a setting took effect'));
    if (!isUtf8(message.text)) return refuse(this.#malformedText('Parse'));
    // The unnamed statement is replaced whatever it was; a named one must not come to be on two upstreams.
    const known = name === '' ? null : this.#statements.find(name, flow.group);
    if (known === 'wait') return flow.block('confirm');
    if (known !== null && known.upstream !== flow.upstream) {
      return refuse(serverRefusal('42P05', 'a prepared statement of this name already exists'));
    }
    if (name !== '' && known === null && this.#statements.size >= this.#session.limits.preparedMax) {
      return refuse(serverRefusal('54000', 'too many prepared statements in this session'));
    }
    const text = message.text.toString('utf8');
    const admission = flow.answer ?? this.#session.admit(text, 'prepare', flow.signal);
    if (admission instanceof Promise) return flow.wait(admission);
    if (admission.effect === 'refuse') {
      const refused = admission.lacksCatalog ? flow.readCatalog(admission.lacksCatalog) : admission;
      if (refused === 'wait') return 'again';
      const asked = refused.serverMayWord === true && this.#ask(text, message.types);
      return asked ? this.#refuseExtended(refused, failingParse('')) : refuse(refused);
    }
    const elsewhere = flow.elsewhere(admission.route, admission);
    if (elsewhere === 'wait') return 'again';
    if (elsewhere !== null) return refuse(elsewhere);
    if (name !== '') this.#session.statementNamed?.(name);
    const prepared: Prepared = {
      name,
      upstream: flow.upstream,
      admitted: admission,
      reverts: mayRevert(text),
      settingText: settingOf(text),
      fetches: mayFetch.test(text),
      group: flow.group,
      epoch: this.#statements.epoch,
      description: null,
      planned: null,
    };
    const request = new Request('parse');
    request.name = name;
    request.preparedGuess = this.#statements.guess(name, prepared, flow.group);
    flow.openGroup(request);
    if (admission.text === null) return 'verbatim';
    flow.send(encodeParse(message, admission.text));
    return 'consumed';
  }

  #bind(content: Buffer): Handled {
    const flow = this.#flow;
    const message = readBind(content);
    if (flow.settlingGroup) {
      return this.#refuseExtended(this.#session.refuseMessage('Bind before a setting took effect'));
    }
    const prepared = this.#statements.find(message.statement, flow.group);
    if (prepared === 'wait') return flow.block('confirm');
    if (prepared === null) {
      return this.#refuseExtended(serverRefusal('26000', 'the prepared statement does not exist'));
    }
    const elsewhere = flow.elsewhere(prepared.upstream, null);
    if (elsewhere === 'wait') return 'again';
    if (elsewhere !== null) return this.#refuseExtended(elsewhere);
    if (flow.catalogForBind()) return 'again';
    if (this.#portals.size >= this.#session.limits.portalsMax && message.portal !== '') {
      return this.#refuseExtended(serverRefusal('54000', 'too many open portals in this session'));
    }
    const portal: Portal = {
      name: message.portal,
      prepared,
      formats: message.formats,
      group: flow.group,
      epoch: this.#portals.epoch,
      namesVersion: this.#session.namesVersion,
      admitted: null,
      description: null,
      described: false,
    };
    const request = new Request('bind');
    request.name = message.portal;
    request.watched = prepared.admitted.watched;
    request.portalGuess = this.#portals.guess(message.portal, portal, flow.group);
    flow.openGroup(request);
    return 'verbatim';
  }

  #describe(content: Buffer): Handled {
    const flow = this.#flow;
    const named = readNamed(content);
    const request = new Request('describe');
    request.ofStatement = named.statement;
    if (named.statement) {
      const prepared = this.#statements.find(named.name, flow.group);
      if (prepared === 'wait') return flow.block('confirm');
      const elsewhere = prepared === null ? null : flow.elsewhere(prepared.upstream, null);
      if (elsewhere === 'wait') return 'again';
      if (elsewhere !== null) return this.#refuseExtended(elsewhere);
      request.prepared = prepared;
    } else {
      const portal = this.#portals.find(named.name, flow.group);
      if (portal === 'wait') return flow.block('confirm');
      request.portal = portal;
      if (portal !== null) portal.described = true;
    }
    flow.openGroup(request);
    return 'verbatim';
  }

  #execute(content: Buffer): Handled {
    const flow = this.#flow;
    const name = readExecute(content);
    const portal = this.#portals.find(name, flow.group);
    if (portal === 'wait') return flow.block('confirm');
    if (portal === null) return this.#refuseExtended(serverRefusal('34000', 'the portal does not exist'));
    const { prepared } = portal;
    // A portal reads what names meant when it was bound.
    if (portal.admitted === null && portal.namesVersion !== this.#session.namesVersion) {
      const refused = this.#session.refuseMessage(
        'Execute of a portal that was bound when names meant something else',
      );
      return this.#refuseExtended({ ...refused, hint: 'Bind the statement again.' });
    }
    const admission =
      flow.answer ??
      this.#session.readmit(portal.admitted ?? prepared.admitted, flow.signal, portal.admitted !== null);
    if (admission instanceof Promise) return flow.wait(admission);
    if (admission.effect === 'refuse') {
      const refused = admission.lacksCatalog ? flow.readCatalog(admission.lacksCatalog) : admission;
      return refused === 'wait' ? 'again' : this.#refuseExtended(refused);
    }
    if (admission.route !== flow.upstream || admission.text !== prepared.admitted.text) {
      return this.#refuseExtended(this.#session.refuseMessage('Execute of a statement that is decided anew'));
    }
    if (prepared.fetches && this.#maskedPortalOpen()) return this.#refuseExtended(this.#fetchRefused());
    prepared.admitted = admission;
    portal.admitted = admission;
    if (admission.watched && !portal.described) {
      const question = new Request('describe');
      question.portal = portal;
      question.hidden = true;
      portal.described = true;
      flow.openGroup(question);
      flow.send(encodeNamed(clientType.describe, false, name));
    }
    const request = new Request('execute');
    request.admitted = admission;
    request.watched = admission.watched;
    request.portal = portal;
    request.settingText = prepared.settingText;
    flow.openGroup(request);
    if (admission.settles || (flow.unsettledTransaction && prepared.reverts)) {
      flow.settleAtSync();
    }
    if (copiesIn(admission)) flow.block('copy');
    return 'verbatim';
  }

  #close(content: Buffer): Handled {
    const flow = this.#flow;
    const named = readNamed(content);
    const request = new Request('close');
    request.name = named.name;
    if (named.statement) {
      const prepared = this.#statements.find(named.name, flow.group);
      if (prepared === 'wait') return flow.block('confirm');
      const elsewhere = prepared === null ? null : flow.elsewhere(prepared.upstream, null);
      if (elsewhere === 'wait') return 'again';
      if (elsewhere !== null) return this.#refuseExtended(elsewhere);
      this.#session.statementNamed?.(named.name);
      request.preparedGuess = this.#statements.guess(named.name, null, flow.group);
    } else request.portalGuess = this.#portals.guess(named.name, null, flow.group);
    flow.openGroup(request);
    return 'verbatim';
  }

  /** A Sync, which has no content. */
  sync(): Handled {
    const flow = this.#flow;
    const settling = flow.settlingGroup;
    flow.endGroup(new Request('sync'));
    if (settling) flow.settle();
    return 'verbatim';
  }

  /**
   * Has the server parse a text that stays refused: when it says what is wrong with it, the client hears that, and all up to Sync is
   * skipped. Else a failing Parse of the unnamed statement has to follow, so that nothing ever binds this one. False: not asked.
   */
  #ask(text: string, types: Buffer): boolean {
    if (mayHoldSeveral.test(text)) return false;
    const question = new Request('parse');
    question.hidden = true;
    this.#flow.send(encodeParse({ name: '', types }, text));
    this.#flow.openGroup(question);
    return true;
  }

  #refuseQuery(refused: Refused, text: string | null = null): Handled {
    const flow = this.#flow;
    if (refused.serverMayWord && text !== null && this.#ask(text, noTypes)) {
      const stand = new Request('refusal');
      stand.refused = refused;
      flow.send(failingParse(''));
      flow.openGroup(stand);
      flow.send(sync);
      flow.endGroup(new Request('sync'));
      return 'consumed';
    }
    const request = new Request('query');
    request.refused = refused;
    flow.send(failingQuery);
    flow.endGroup(request);
    return 'consumed';
  }

  #refuseExtended(refused: Refused, instead: Buffer = failingExtended): Handled {
    const request = new Request('refusal');
    request.refused = refused;
    this.#flow.send(instead);
    this.#flow.openGroup(request);
    this.#flow.skip();
    return 'consumed';
  }

  /** SQL's FETCH reads portals of the protocol too, by name, past their plan. */
  #maskedPortalOpen(): boolean {
    return this.#portals.some((portal) => portal.name !== '' && portal.prepared.admitted.watched);
  }

  #fetchRefused(): Refused {
    return this.#session.refuseMessage('FETCH while a portal with masked columns is open');
  }

  #malformedText(message: string): Refused {
    return {
      ...this.#session.refuseMessage(`${message} whose text is not UTF-8`),
      sqlState: '22021',
      message: 'invalid byte sequence for encoding "UTF8"',
    };
  }
}

/** A FETCH or MOVE can only begin where a statement does; `FETCH FIRST` on a line of its own looks the same. */
const mayFetch = /(?:^|;|\*\/|[\r\n])\s*(?:fetch|move)\b/i;

/** More than one statement: a Parse of them fails for their number alone. Wrong only on the side of yes. */
const mayHoldSeveral = /;\s*\S/;
const noTypes: Buffer = Buffer.alloc(2);

const knownTypes: ReadonlySet<number> = new Set(
  Object.values(clientType).filter((t) => t !== clientType.password),
);

function copiesIn({ copies, statements }: Admitted): boolean {
  if (!copies) return false;
  for (let i = 0; i < statements; i++) if (copies.direction(i) === 'in') return true;
  return false;
}

function empty(content: Buffer): void {
  if (content.length > 0) throw new ProtocolError('a Sync or Flush with content');
}

function unknownType(type: number): never {
  throw new ProtocolError(`an unknown message type 0x${type.toString(16)}`);
}

/** What each command of a signed-in client leads to. Packets are cut, decided, sent and answered elsewhere. */
import { decodeUtf8, ProtocolError } from '../bytes.ts';
import { carryOut, type KillRequest, readKill } from './cancel.ts';
import {
  checkFetch,
  command,
  commandName,
  cursorReadOnly,
  executeFlags,
  quoteName,
  readSetOption,
  statementId,
} from './client-messages.ts';
import { type Command, wireOf } from './command-queue.ts';
import { refusal, serverErrors } from './errors.ts';
import type { ClientEnd, Exchange } from './exchange.ts';
import { readFieldList } from './field-list.ts';
import { encodePacket } from './framing.ts';
import { encodeOk } from './handshake.ts';
import {
  executeWithoutNames,
  parameterCountAvailable,
  type QueryHead,
  readQueryHead,
} from './query-attributes.ts';
import { completeFailed, type Request } from './requests.ts';

/** ER_TABLEACCESS_DENIED_ERROR, as every refusal has it. */
const refusedCode = '1142';

export class Commands {
  readonly #client: ClientEnd;
  readonly #exchange: Exchange;
  readonly #owner: string;
  readonly #killElsewhere: (kill: KillRequest) => Promise<boolean>;

  /**
   * @param owner whose sessions a KILL may reach
   * @param killElsewhere the same in other processes; true when there was such a session. Never rejects.
   */
  constructor(
    client: ClientEnd,
    exchange: Exchange,
    owner: string,
    killElsewhere: (kill: KillRequest) => Promise<boolean>,
  ) {
    this.#client = client;
    this.#exchange = exchange;
    this.#owner = owner;
    this.#killElsewhere = killElsewhere;
  }

  /** Takes a command. The client is told how it ended, here or when its answer has come. */
  take(next: Command): void {
    this.#exchange.clear();
    const payload = next.buffer.subarray(next.start, next.end);
    try {
      this.#take(payload, next);
    } catch (error) {
      if (error instanceof ProtocolError) this.#client.fatal(serverErrors.malformedCommand);
      else this.#client.answer(serverErrors.internal);
    }
  }

  #take(payload: Buffer, next: Command): void {
    switch (payload[0]) {
      case command.QUERY:
        this.#query(payload, next);
        return;
      case command.STMT_EXECUTE:
        this.#execute(payload, next);
        return;
      case command.STMT_PREPARE:
        this.#prepare(payload, next);
        return;
      case command.STMT_SEND_LONG_DATA:
      case command.STMT_CLOSE:
        this.#tellStatement(payload, next);
        return;
      case command.STMT_FETCH:
        this.#fetch(payload, next);
        return;
      case command.STMT_RESET:
        this.#resetStatement(payload, next);
        return;
      case command.PING:
        this.#atHome((home) => this.#exchange.forward(home, { kind: 'plain' }, next));
        return;
      case command.SET_OPTION:
        this.#setOption(payload, next);
        return;
      case command.FIELD_LIST:
        this.#fieldList(payload);
        return;
      case command.STATISTICS:
        this.#reply(Buffer.from(statistics()));
        return;
      case command.RESET_CONNECTION:
        this.#exchange.statements.clear();
        this.#exchange.links.reset();
        this.#atHome((home) => this.#exchange.reset(home, next));
        return;
      case command.INIT_DB:
        this.#initDb(payload, next);
        return;
      case command.CHANGE_USER:
        this.#client.changeUser(payload);
        return;
      case command.QUIT:
        this.#client.end();
        return;
      case undefined:
        throw new ProtocolError('empty command');
      default:
        this.#refuse(commandName(payload[0]));
    }
  }

  #query(payload: Buffer, next: Command): void {
    const head = readQueryHead(payload, this.#exchange.namesAttributes);
    const text = this.#textOf(payload, head.textAt);
    if (text === null) return;
    if (head.attributes > 0 && this.#exchange.home?.namesAttributes === false) {
      this.#refuseAttributes('COM_QUERY');
      return;
    }
    const kill = readKill(text);
    if (kill === null) this.#run(text, 'query', next, false, head);
    else this.#kill(kill, () => this.#run(text, 'query', next, false, head));
  }

  /** `otherwise`: it names no session of the owner's. */
  #kill(kill: KillRequest, otherwise: () => void): void {
    const exchange = this.#exchange;
    const killed = (): void => {
      if (!exchange.isOver) this.#reply(encodeOk(exchange.home?.status ?? 0));
    };
    if (carryOut(kill, this.#owner)) {
      killed();
      return;
    }
    this.#killElsewhere(kill)
      .then((found) => {
        if (found) killed();
        else if (!exchange.isOver) otherwise();
      })
      .catch(() => {
        if (!exchange.isOver) this.#client.answer(serverErrors.internal);
      });
  }

  #initDb(payload: Buffer, next: Command): void {
    const name = this.#textOf(payload, 1);
    // Settles whatever the gate says of it: the current database decides what names mean.
    if (name !== null) this.#run(`USE ${quoteName(name)}`, 'query', next, true);
  }

  #prepare(payload: Buffer, next: Command): void {
    const { statements } = this.#exchange;
    statements.preparing();
    const text = this.#textOf(payload, 1);
    if (text === null) return;
    if (statements.isFull) this.#client.answer(serverErrors.tooManyStatements);
    else this.#run(text, 'prepare', next, false);
  }

  /** Asks leave for a text and sends the client's own bytes, or the text that leave was given for. */
  #run(
    text: string,
    phase: 'query' | 'prepare',
    next: Command,
    settles: boolean,
    head: QueryHead | null = null,
  ): void {
    const exchange = this.#exchange;
    exchange.decide(exchange.gate.admit(text, phase, exchange.signal), (admitted) => {
      exchange.onLink(admitted, text, (link) => {
        const request: Request =
          phase === 'prepare'
            ? { kind: 'prepare', admitted, clientId: exchange.statements.nextId() }
            : { kind: 'query', admitted, settles: settles || admitted.settles };
        const isLaidOut = head === null || link.namesAttributes === exchange.namesAttributes;
        if (admitted.text === null && isLaidOut) exchange.forward(link, request, next);
        else if (!isLaidOut && head.attributes > 0) {
          completeFailed(request, 0, 0, 0, refusedCode);
          this.#refuseAttributes('COM_QUERY');
        } else {
          const code = phase === 'prepare' ? command.STMT_PREPARE : command.QUERY;
          const front = head && next.buffer.subarray(next.start + 1, next.start + head.textAt);
          exchange.sendText(link, request, code, admitted.text ?? text, front);
        }
      });
    });
  }

  #execute(payload: Buffer, next: Command): void {
    const exchange = this.#exchange;
    const statement = exchange.statements.get(statementId(payload));
    if (statement === undefined) {
      this.#client.answer(serverErrors.unknownStatement);
      return;
    }
    const flags = executeFlags(payload);
    const known = exchange.namesAttributes ? cursorReadOnly | parameterCountAvailable : cursorReadOnly;
    if (flags & ~known) {
      this.#refuse('COM_STMT_EXECUTE with such a cursor');
      return;
    }
    const { upstream, parameters } = statement;
    const { namesAttributes = exchange.namesAttributes } = exchange.links.get(upstream) ?? {};
    const isLaidOut = namesAttributes === exchange.namesAttributes;
    const sent = isLaidOut ? payload : executeWithoutNames(payload, parameters);
    if (sent === null) {
      this.#refuseAttributes('COM_STMT_EXECUTE');
      return;
    }
    exchange.statements.endCursor(statement);
    const cursorFor = flags & cursorReadOnly ? statement.clientId : null;
    if (cursorFor !== null && exchange.statements.cursors >= exchange.gate.limits.portalsMax) {
      this.#client.answer(serverErrors.tooManyCursors);
      return;
    }
    exchange.decide(exchange.gate.readmit(statement.admitted, exchange.signal), (admitted) => {
      const link = exchange.links.get(upstream);
      // The statement stands on its upstream: leave for another place or text is no leave for this one.
      if (link === undefined || admitted.route !== upstream || admitted.text !== statement.admitted.text) {
        this.#client.answer(serverErrors.unknownStatement);
        return;
      }
      sent.writeUInt32LE(statement.upstreamId, 1);
      const request: Request = { kind: 'execute', admitted, settles: admitted.settles, cursorFor };
      if (sent === payload) exchange.forward(link, request, next);
      else exchange.send(link, request, sent);
    });
  }

  /** COM_STMT_SEND_LONG_DATA and COM_STMT_CLOSE have no answer, not even an error. */
  #tellStatement(payload: Buffer, next: Command): void {
    const { statements, links } = this.#exchange;
    const statement = statements.get(statementId(payload));
    const link = statement && links.get(statement.upstream);
    if (statement !== undefined && link !== undefined) {
      if (payload[0] === command.STMT_CLOSE) statements.delete(statement);
      payload.writeUInt32LE(statement.upstreamId, 1);
      if (!link.tell(wireOf(next))) this.#client.waitFor(link);
    }
    this.#client.done();
  }

  /** Decided when it was executed; the rows are masked as was planned then. */
  #fetch(payload: Buffer, next: Command): void {
    const { statements, links } = this.#exchange;
    const statement = statements.get(statementId(payload));
    checkFetch(payload);
    const link = statement && links.get(statement.upstream);
    const cursor = statement && statements.cursor(statement);
    if (statement === undefined || link === undefined) this.#client.answer(serverErrors.unknownStatement);
    else if (cursor === undefined) this.#client.answer(serverErrors.noCursor);
    else {
      payload.writeUInt32LE(statement.upstreamId, 1);
      this.#exchange.forward(link, { kind: 'fetch', cursor, clientId: statement.clientId }, next);
    }
  }

  #resetStatement(payload: Buffer, next: Command): void {
    const { statements, links } = this.#exchange;
    const statement = statements.get(statementId(payload));
    statements.endCursor(statement);
    const link = statement && links.get(statement.upstream);
    if (statement === undefined || link === undefined) {
      this.#client.answer(serverErrors.unknownStatement);
      return;
    }
    payload.writeUInt32LE(statement.upstreamId, 1);
    this.#exchange.forward(link, { kind: 'plain' }, next);
  }

  #fieldList(payload: Buffer): void {
    const exchange = this.#exchange;
    const { text, wildcard } = readFieldList(payload);
    exchange.decide(exchange.gate.admit(text, 'query', exchange.signal), (admitted) => {
      exchange.onLink(admitted, text, (link) => {
        exchange.sendText(link, { kind: 'fields', admitted, wildcard }, command.QUERY, admitted.text ?? text);
      });
    });
  }

  #setOption(payload: Buffer, next: Command): void {
    const exchange = this.#exchange;
    exchange.links.setMultiStatements(readSetOption(payload)).then(
      () => {
        if (exchange.isOver) return;
        this.#atHome((home) => exchange.forward(home, { kind: 'plain' }, next));
      },
      () => {
        if (!exchange.isOver) this.#client.fatal(serverErrors.upstreamLost);
      },
    );
  }

  /** Cordon's own answer. */
  #reply(payload: Buffer): void {
    this.#client.deliver([encodePacket(payload, (this.#client.sequence + 1) & 0xff)]);
    this.#client.done();
  }

  #atHome(then: (home: NonNullable<Exchange['home']>) => void): void {
    const { home } = this.#exchange;
    if (home === undefined) this.#client.fatal(serverErrors.upstreamLost);
    else then(home);
  }

  #refuse(what: string): void {
    this.#client.answer(refusal(this.#exchange.gate.refuseMessage(what)));
  }

  /** Attributes that the server can't be given: a statement that might look at them is not to go without. */
  #refuseAttributes(name: string): void {
    const refused = this.#exchange.gate.refuseMessage(`${name} with query attributes`);
    const hint = 'the database behind it takes none: send the statement without';
    this.#client.answer(refusal({ ...refused, hint }));
  }

  #textOf(payload: Buffer, at: number): string | null {
    try {
      return decodeUtf8(payload.subarray(at));
    } catch {
      this.#client.answer(serverErrors.notUtf8);
      return null;
    }
  }
}

/** COM_STATISTICS tells nothing of any server: whoever asks wants to hear that something answers. */
function statistics(): string {
  const counts = ['Questions', 'Slow queries', 'Opens', 'Open tables'].map((name) => `${name}: 0`);
  return [`Uptime: ${Math.floor(process.uptime())}`, 'Threads: 1', ...counts].join('  ');
}

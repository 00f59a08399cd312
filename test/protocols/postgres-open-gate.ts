/**
 * A gate for the protocol's own tests: it lets everything through but texts that hold `forbidden`, masks columns
 * named `email`, and remembers what it was told. `route:NAME` in a comment chooses the upstream, `slow` an answer that
 * comes later, `apart` has the statements run one by one, `unread` is a refusal that the server may word, `held` one that comes when the wait is aborted.
 */
import net from 'node:net';
import type { CopyPlan, Masker, MaskPlan, ResultColumn } from '../../masking/masker.ts';
import type {
  Admission,
  Admitted,
  AdmittedCopies,
  Credentials,
  Gate,
  GateSession,
  ListenerSettings,
  Refused,
  SessionControl,
  SessionLimits,
  SessionState,
  SignInRefused,
  UpstreamTarget,
} from '../../protocols/gate.ts';
import { servePostgres } from '../../protocols/postgres/session.ts';

export interface Completion {
  readonly text: string;
  readonly index: number;
  readonly rows: number;
  readonly bytes: number;
  readonly error: string | null;
}

export interface OpenGateOptions {
  /** The first one is home. */
  readonly targets: readonly UpstreamTarget[];
  readonly limits?: Partial<SessionLimits>;
  /** The mask of columns named `email`; by default every value becomes `masked`. */
  readonly masker?: Masker;
  /** The plan of every COPY to the client; null or missing: its data passes. */
  readonly copyPlan?: CopyPlan | null;
}

export class OpenGateSession implements GateSession {
  readonly id = 'session';
  readonly home: string;
  readonly limits: SessionLimits;
  readonly texts: string[] = [];
  readonly completions: Completion[] = [];
  readonly states: SessionState[] = [];
  readonly pins: (string | null)[] = [];
  readonly refusedMessages: string[] = [];
  readonly columns: (readonly ResultColumn[])[] = [];
  /** Refuse every execution from now on. */
  executionsRefused = false;
  /** What a plan says instead. */
  contradicts = false;
  isClosed = false;
  readonly #options: OpenGateOptions;

  constructor(options: OpenGateOptions) {
    this.#options = options;
    this.home = options.targets[0]?.name ?? 'home';
    this.limits = { messageBytesMax: 1 << 20, preparedMax: 100, portalsMax: 100, ...options.limits };
  }

  target(upstream: string): UpstreamTarget {
    return this.#options.targets.find((target) => target.name === upstream)!;
  }
  /** The next text is admitted when the session's own catalog has been read. */
  catalogMissing = false;
  namesVersion = 0;
  get lacksCatalog(): boolean {
    return this.catalogMissing;
  }
  refreshed(state: SessionState): void {
    if (state.catalog) this.catalogMissing = false;
    this.states.push(state);
  }
  pinned(upstream: string | null): void {
    this.pins.push(upstream);
  }
  closed(): void {
    this.isClosed = true;
  }
  /** What waits to be journaled, when a test says that it does. */
  waiters: ((isWritten: boolean) => void)[] = [];
  unjournaled = false;
  onJournaled(waiter: (isWritten: boolean) => void): void {
    this.waiters.push(waiter);
  }
  refuseUnjournaled(): Refused {
    return refusal('the journal is full');
  }
  refuseMessage(name: string): Refused {
    this.refusedMessages.push(name);
    return refusal(`${name} is not available`);
  }

  admit(text: string, _phase: 'query' | 'prepare', signal: AbortSignal): Admission | Promise<Admission> {
    if (this.catalogMissing) return { ...refusal('the catalog is missing'), lacksCatalog: this.home };
    this.texts.push(text);
    const answer = this.#decide(text);
    if (text.includes('/*held*/')) {
      return new Promise((resolve) =>
        signal.addEventListener('abort', () => resolve(refusal('the wait was ended')), { once: true }),
      );
    }
    if (!text.includes('/*slow*/')) return answer;
    return new Promise((resolve) => setImmediate(() => resolve(answer)));
  }

  readmit(prepared: Admitted): Admission {
    return this.executionsRefused ? refusal('executions are refused') : prepared;
  }

  #copies(text: string): AdmittedCopies | false {
    const ways = text.split(';').map((part) => {
      const found = /^\s*copy .*(to stdout|from stdin)/is.exec(part);
      return found === null ? null : /to/i.test(found[1]!) ? 'out' : 'in';
    });
    if (ways.every((way) => way === null)) return false;
    return {
      direction: (index) => ways[index] ?? null,
      plan: () =>
        this.contradicts ? refusal('the witnesses contradict each other') : (this.#options.copyPlan ?? null),
    };
  }

  #decide(text: string): Admission {
    if (text.includes('forbidden')) return refusal('this text is forbidden');
    if (text.includes('/*apart*/')) return { ...refusal('one by one'), apart: partsOf(text) };
    if (text.includes('/*unread*/'))
      return { ...refusal('this text was not understood'), serverMayWord: true };
    const statements = text.split(';').filter((part) => part.trim() !== '').length;
    return {
      effect: 'allow',
      route: /route:(\w+)/.exec(text)?.[1] ?? this.home,
      text: text.includes('/*rewrite*/') ? text.replace('/*rewrite*/', ' 42 + ') : null,
      statements,
      watched: text.includes('email') || text.includes('customers'),
      settles: /search_path/i.test(text),
      changesIdentity: text.includes('/*identity*/'),
      copies: this.#copies(text),
      plan: (columns): MaskPlan | null | Refused => {
        this.columns.push(columns);
        if (this.contradicts) return refusal('the witnesses contradict each other');
        if (!columns.some((column) => column.name === 'email')) return null;
        return columns.map((column) => (column.name === 'email' ? (this.#options.masker ?? masked) : null));
      },
      completed: (index, rows, bytes, error) => this.completions.push({ text, index, rows, bytes, error }),
    };
  }
}

function partsOf(text: string): NonNullable<Refused['apart']> {
  let at = 0;
  const texts = text
    .replace('/*apart*/', '/*parts*/')
    .split(';')
    .map((part) => {
      const before = ' '.repeat(at);
      at += part.length + 1;
      return before + part;
    });
  return { texts, bare: !text.includes('/*own*/') };
}

const masked: Masker = { mask: () => Buffer.from('masked') };

function refusal(message: string): Refused {
  return {
    effect: 'refuse',
    sqlState: '42501',
    message,
    detail: 'reason: statement_kind; decision: d1',
    hint: 'ask for less',
    position: null,
  };
}

export class OpenGate implements Gate {
  readonly credentials: Credentials[] = [];
  readonly sessions: OpenGateSession[] = [];
  readonly controls: SessionControl[] = [];
  readonly #options: OpenGateOptions;

  constructor(options: OpenGateOptions) {
    this.#options = options;
  }

  get last(): OpenGateSession {
    return this.sessions.at(-1)!;
  }

  connectionId(): number {
    throw new Error('MySQL alone has them');
  }

  readonly ownerKey = Buffer.alloc(32);
  cancelElsewhere(): void {}
  ownsElsewhere = async (): Promise<boolean> => false;
  killElsewhere = async (): Promise<boolean> => false;

  async signIn(credentials: Credentials, control: SessionControl): Promise<GateSession | SignInRefused> {
    this.credentials.push(credentials);
    if (credentials.secret !== 'token') return { effect: 'refuse', fault: 'sign_in', message: 'no' };
    if (credentials.database === 'nowhere') return { effect: 'refuse', fault: 'database', message: 'no' };
    this.controls.push(control);
    const session = new OpenGateSession(this.#options);
    this.sessions.push(session);
    return session;
  }
}

export interface Listener {
  readonly port: number;
  readonly gate: OpenGate;
  close(): Promise<void>;
}

/** A listener on a free port. */
export async function listen(
  options: OpenGateOptions,
  settings: Partial<ListenerSettings> = {},
): Promise<Listener> {
  const gate = new OpenGate(options);
  const sockets = new Set<net.Socket>();
  const whole: ListenerSettings = {
    tls: null,
    allowCleartextLoopback: true,
    handshakeTimeoutMs: 20_000,
    handshakeBytesMax: 65_536,
    ...settings,
  };
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    servePostgres(socket, gate, whole);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    gate,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

export const noTls: UpstreamTarget['tls'] = { mode: 'disable', ca: null, cert: null, key: null };

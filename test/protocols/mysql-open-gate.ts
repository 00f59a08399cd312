/**
 * A gate for the protocol's own tests: it lets everything through but texts that hold `forbidden`, masks columns named `email`,
 * and remembers what it was told.
 */
import assert from 'node:assert/strict';
import type { Masker, MaskPlan, ResultColumn } from '../../masking/masker.ts';
import type {
  Admitted,
  Credentials,
  Gate,
  GateSession,
  Refused,
  SessionControl,
  SessionState,
  SignInRefused,
  UpstreamTarget,
} from '../../protocols/gate.ts';

export interface Completion {
  readonly text: string;
  readonly index: number;
  readonly rows: number;
  readonly error: string | null;
}

export interface OpenGateOptions {
  /** The first one is home. */
  readonly targets: readonly UpstreamTarget[];
  readonly secret?: string;
  /** Others that are let in. */
  readonly secrets?: readonly string[];
  readonly messageBytesMax?: number;
  readonly preparedMax?: number;
  readonly portalsMax?: number;
  /** The mask of columns named `email`; by default every value becomes `***`. */
  readonly masker?: Masker;
  /** Answers later, as a gate that has to read a catalog does. */
  readonly slow?: boolean;
}

/** Of all gates in this process: KILL finds a connection by it. */
let lastConnectionId = 0;

const stars: Masker = { mask: () => Buffer.from('***') };

export class OpenGate implements Gate {
  readonly options: OpenGateOptions;
  readonly credentials: Credentials[] = [];
  readonly texts: string[] = [];
  readonly completions: Completion[] = [];
  readonly states: SessionState[] = [];
  readonly pins: (string | null)[] = [];
  readonly refusedMessages: string[] = [];
  readonly columns: ResultColumn[][] = [];
  readonly controls: SessionControl[] = [];
  closed = 0;

  constructor(options: OpenGateOptions) {
    this.options = options;
  }

  connectionId(): number {
    return ++lastConnectionId;
  }

  readonly ownerKey = Buffer.alloc(32);
  cancelElsewhere(): void {}
  ownsElsewhere = async (): Promise<boolean> => false;
  killElsewhere = async (): Promise<boolean> => false;

  async signIn(credentials: Credentials, control: SessionControl): Promise<GateSession | SignInRefused> {
    this.credentials.push(credentials);
    this.controls.push(control);
    const { secret = 'token', secrets = [] } = this.options;
    if (credentials.secret !== secret && !secrets.includes(credentials.secret)) {
      return { effect: 'refuse', fault: 'sign_in', message: 'no' };
    }
    if (credentials.database !== 'crm') return { effect: 'refuse', fault: 'database', message: 'no' };
    return this.#session();
  }

  #session(): GateSession {
    const { targets, messageBytesMax, preparedMax, portalsMax, slow } = this.options;
    const home = targets[0];
    if (home === undefined) throw new Error('no upstream');
    const later = <T>(value: T): T | Promise<T> =>
      slow ? new Promise((go) => setImmediate(go, value)) : value;
    return {
      id: 'session',
      home: home.name,
      target: (name) => targets.find((target) => target.name === name) ?? home,
      refreshed: (state) => void this.states.push(state),
      pinned: (upstream) => void this.pins.push(upstream),
      admit: (text) => later(this.#admit(text)),
      readmit: (prepared) => {
        this.texts.push('(again)');
        return later(prepared);
      },
      refuseMessage: (name) => {
        this.refusedMessages.push(name);
        return refused(`${name} is not supported`);
      },
      limits: {
        messageBytesMax: messageBytesMax ?? 256 * 1024 * 1024,
        preparedMax: preparedMax ?? 100,
        portalsMax: portalsMax ?? 10,
      },
      unjournaled: false,
      onJournaled: () => assert.fail('MySQL does not wait for the journal'),
      refuseUnjournaled: () => assert.fail('MySQL does not wait for the journal'),
      closed: () => {
        this.closed += 1;
      },
    };
  }

  #admit(text: string): Admitted | Refused {
    this.texts.push(text);
    if (text.includes('broken_gate')) throw new Error('the gate is broken');
    if (text.includes('forbidden')) return refused('This text is forbidden');
    const elsewhere = /\/\* at (\w+) \*\//.exec(text)?.[1];
    const home = this.options.targets[0]?.name ?? '';
    const statements = text.split(';').filter((part) => part.trim() !== '').length;
    const watched = /email/.test(text);
    return {
      effect: 'allow',
      route: elsewhere ?? home,
      text: text.includes('rewrite_me') ? text.replace('rewrite_me', "'rewritten'") : null,
      statements,
      watched,
      temporary: temporaryIn(text),
      settles: /^\s*(use|set|create|alter|drop)\b/i.test(text),
      copies: false,
      plan: (columns) => this.#plan(columns),
      completed: (index, rows, _bytes, error) => void this.completions.push({ text, index, rows, error }),
    };
  }

  #plan(columns: readonly ResultColumn[]): MaskPlan | null | Refused {
    this.columns.push([...columns]);
    if (columns.some((column) => column.name === 'contradiction')) return refused('The witnesses disagree');
    if (!columns.some((column) => column.column === 'email')) return null;
    const masker = this.options.masker ?? stars;
    return columns.map((column) => (column.column === 'email' ? masker : null));
  }
}

/** As the gate names them: of CREATE, ALTER and DROP TABLE. */
function temporaryIn(text: string): Admitted['temporary'] {
  const name = /^\s*(?:create|alter|drop) (?:temporary )?table (?:`((?:[^`]|``)*)`|(\w+))/i.exec(text);
  return name ? [{ schema: 'crm', name: name[1]?.replaceAll('``', '`') ?? name[2] ?? '' }] : [];
}

function refused(message: string): Refused {
  return {
    effect: 'refuse',
    sqlState: '42501',
    message,
    detail: 'reason: region_read; decision: 1',
    hint: 'Ask for leave.',
    position: null,
  };
}

/** Asks a world's gateway for its numbers and its health over HTTP, and reads Prometheus' text format strictly. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { World } from '../../fixtures/world.ts';

/** One answer of the operator's listener. */
export interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
}

export function get(world: World, path: string, method = 'GET', agent?: http.Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { metrics: port } = world.gateway.ports;
    const request = http.request({ host: '127.0.0.1', port, path, method, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body }),
      );
      response.on('error', reject);
    });
    request.on('error', reject).end();
  });
}

type Labels = Readonly<Record<string, string>>;

/** One reading of `/metrics`. */
export class Scrape {
  readonly text: string;
  /** By name and labels, as written. */
  readonly samples = new Map<string, number>();
  readonly #types = new Map<string, string>();

  /** Throws at whatever is not in the format. */
  constructor(text: string) {
    this.text = text;
    assert.ok(text.endsWith('\n'));
    for (const line of text.slice(0, -1).split('\n')) {
      const told = /^# (HELP|TYPE) (\w+) (.+)$/.exec(line);
      if (told) {
        if (told[1] === 'TYPE') {
          assert.ok(!this.#types.has(told[2]!), `${told[2]} comes twice`);
          assert.match(told[3]!, /^(counter|gauge|histogram)$/);
          this.#types.set(told[2]!, told[3]!);
        }
        continue;
      }
      const sample =
        /^([a-z_]+(?:\{[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*\})?) (\S+)$/.exec(
          line,
        );
      assert.ok(sample, line);
      const value = Number(sample[2]);
      assert.ok(Number.isFinite(value), line);
      assert.ok(!this.samples.has(sample[1]!), `${sample[1]} comes twice`);
      assert.ok(this.#typeOf(sample[1]!), line);
      this.samples.set(sample[1]!, value);
    }
    this.#checkHistograms();
  }

  /** The one series of that name and exactly these labels. */
  value(name: string, labels: Labels = {}): number | undefined {
    const written = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return this.samples.get(written.length === 0 ? name : `${name}{${written.join(',')}}`);
  }

  /** Of all series of that name that have these labels, and perhaps others. */
  sum(name: string, labels: Labels): number {
    let sum = 0;
    for (const [series, value] of this.samples) {
      if (series !== name && !series.startsWith(`${name}{`)) continue;
      if (Object.entries(labels).every(([label, text]) => series.includes(`${label}="${text}"`)))
        sum += value;
    }
    return sum;
  }

  /** What must never become less. */
  counters(): [string, number][] {
    return [...this.samples].filter(([series]) => this.#typeOf(series) !== 'gauge');
  }

  #typeOf(series: string): string | undefined {
    const name = series.replace(/\{.*/, '');
    return this.#types.get(name) ?? this.#types.get(name.replace(/_(bucket|sum|count)$/, ''));
  }

  #checkHistograms(): void {
    for (const [name, type] of this.#types) {
      if (type !== 'histogram') continue;
      for (const protocol of ['postgres', 'mysql']) {
        const buckets = [...this.samples].filter(([series]) =>
          series.startsWith(`${name}_bucket{protocol="${protocol}",le=`),
        );
        buckets.reduce((before, [series, count]) => {
          assert.ok(count >= before, series);
          return count;
        }, 0);
        assert.match(buckets.at(-1)![0], /le="\+Inf"/);
        assert.equal(buckets.at(-1)![1], this.value(`${name}_count`, { protocol }));
      }
    }
  }
}

export async function scrape(world: World): Promise<Scrape> {
  const { status, body } = await get(world, '/metrics');
  assert.equal(status, 200);
  return new Scrape(body);
}

/** By how much the series with these labels have grown together. */
export function grown(before: Scrape, now: Scrape, name: string, labels: Labels = {}): number {
  return now.sum(name, labels) - before.sum(name, labels);
}

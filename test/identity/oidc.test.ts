import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { type IdentityProvider, startIdentityProvider } from '../../fixtures/identity-provider.ts';
import type { IdentityErrorCode } from '../../identity/identity-error.ts';
import { createOidcVerifier, IdentityError, type OidcIssuer } from '../../identity/oidc.ts';

const claims = { subject: 'sub', name: 'email', groups: 'groups', region: 'region' };
const person = { sub: 'anna', email: 'anna@example.com', groups: ['analysts-eu'], region: 'eu' };

function issuerOf(provider: { issuer: string }, more: Partial<OidcIssuer> = {}): OidcIssuer {
  return { issuer: provider.issuer, audience: 'cordon', claims, jwksFile: null, ...more };
}

/** A verifier whose clock the test moves. */
function verifierOf(issuer: OidcIssuer) {
  let skewMs = 0;
  const verifier = createOidcVerifier([issuer], { now: () => Date.now() + skewMs });
  return {
    verify: (token: string) => verifier.verify(token),
    pass: (ms: number) => {
      skewMs += ms;
    },
  };
}

async function refused(verifying: Promise<unknown>, code: IdentityErrorCode): Promise<void> {
  await assert.rejects(verifying, (error) => {
    assert.ok(error instanceof IdentityError, String(error));
    assert.equal(error.code, code);
    return true;
  });
}

const seconds = () => Math.floor(Date.now() / 1000);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('tokens of a trusted provider', () => {
  let provider: IdentityProvider;
  before(async () => {
    provider = await startIdentityProvider({ issuerPath: '/realms/demo' });
  });
  after(() => provider.stop());

  it('says who a good token speaks of', async () => {
    const exp = seconds() + 600;
    const principal = await verifierOf(issuerOf(provider)).verify(await provider.token({ ...person, exp }));
    assert.deepEqual(principal, {
      subject: 'anna',
      issuer: provider.issuer,
      name: 'anna@example.com',
      groups: ['analysts-eu'],
      region: 'eu',
      expiresAt: exp,
    });
  });

  it('takes a missing groups claim for no groups, a missing region for none', async () => {
    const principal = await verifierOf(issuerOf(provider)).verify(await provider.token({ sub: 'bo' }));
    assert.deepEqual([principal.groups, principal.region, principal.name], [[], null, 'bo']);
  });

  it('reads groups as text, as a list, and from a nested or dotted claim', async () => {
    const groupsOf = async (path: string, more: Record<string, unknown>) => {
      const verifier = verifierOf(issuerOf(provider, { claims: { ...claims, groups: path } }));
      return (await verifier.verify(await provider.token({ sub: 'bo', ...more }))).groups;
    };
    assert.deepEqual(await groupsOf('groups', { groups: 'a b,c,  d' }), ['a', 'b', 'c', 'd']);
    assert.deepEqual(await groupsOf('groups', { groups: ['EU Analysts', 'b', 'b'] }), ['EU Analysts', 'b']);
    assert.deepEqual(await groupsOf('realm_access.roles.eu', { realm_access: { roles: { eu: ['x'] } } }), [
      'x',
    ]);
    assert.deepEqual(await groupsOf('https://example.com/groups', { 'https://example.com/groups': ['y'] }), [
      'y',
    ]);
    assert.deepEqual(await groupsOf('constructor.name', {}), []);
  });

  it('refuses claims of the wrong shape', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    for (const wrong of [
      { groups: [1] },
      { groups: { a: 1 } },
      { groups: 7 },
      { region: ['eu'] },
      { sub: 'a\u0000b' },
    ]) {
      await refused(verify(await provider.token({ ...person, ...wrong } as never)), 'malformed');
    }
    await refused(verify(await provider.token({ email: 'x@example.com' })), 'missing_claim');
    await refused(verify(await provider.token({ sub: '' })), 'missing_claim');
    const { verify: byEmployee } = verifierOf(
      issuerOf(provider, { claims: { ...claims, subject: 'employee' } }),
    );
    await refused(byEmployee(await provider.token(person)), 'missing_claim');
  });

  it('says so when the provider left the groups out', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    const overage = {
      sub: 'bo',
      _claim_names: { groups: 'src1' },
      _claim_sources: { src1: { endpoint: 'x' } },
    };
    await refused(verify(await provider.token(overage)), 'groups_overage');
    await refused(verify(await provider.token({ sub: 'bo', hasgroups: true })), 'groups_overage');
    assert.deepEqual((await verify(await provider.token({ ...overage, groups: ['a'] }))).groups, ['a']);
  });

  it('refuses alg none, however it is written', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    const body = part({ ...person, iss: provider.issuer, aud: 'cordon', exp: seconds() + 600 });
    for (const alg of ['none', 'None', 'NONE', '']) {
      await refused(verify(`${part({ alg })}.${body}.`), 'algorithm');
      await refused(verify(`${part({ alg, kid: provider.publicKey().kid })}.${body}.c2ln`), 'algorithm');
    }
  });

  it('refuses HS256 with the public key as the secret', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    for (const secret of [JSON.stringify(provider.publicKey()), provider.publicKey().x as string]) {
      const token = await provider.token(person, {
        header: { alg: 'HS256' },
        key: new TextEncoder().encode(secret.padEnd(32)),
      });
      await refused(verify(token), 'algorithm');
    }
  });

  it('refuses a wrong or missing audience, and accepts ours among several', async () => {
    const { verify } = verifierOf(issuerOf(provider, { audience: ['cordon', 'cordon-eu'] }));
    await refused(verify(await provider.token({ ...person, aud: 'grafana' })), 'wrong_audience');
    await refused(verify(await provider.token({ ...person, aud: [] })), 'wrong_audience');
    await refused(verify(await provider.token({ ...person, aud: undefined })), 'wrong_audience');
    assert.equal(
      (await verify(await provider.token({ ...person, aud: ['grafana', 'cordon-eu'] }))).subject,
      'anna',
    );
  });

  it('refuses a wrong issuer, even one that differs in a slash', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    for (const iss of [
      'https://evil.example',
      `${provider.issuer}/`,
      provider.issuer.toUpperCase(),
      undefined,
    ]) {
      await refused(verify(await provider.token({ ...person, iss })), 'wrong_issuer');
    }
    await refused(
      verify(await provider.token({ ...person, iss: [provider.issuer] } as never)),
      'wrong_issuer',
    );
  });

  it('refuses expired, endless and not yet valid tokens, with tolerance for clocks', async () => {
    const { verify } = verifierOf(issuerOf(provider, { clockToleranceSeconds: 30 }));
    await refused(verify(await provider.token({ ...person, exp: seconds() - 31 })), 'expired');
    await refused(verify(await provider.token({ ...person, exp: undefined })), 'missing_claim');
    await refused(verify(await provider.token({ ...person, exp: 'never' } as never)), 'malformed');
    await refused(verify(await provider.token({ ...person, nbf: seconds() + 90 })), 'not_yet_valid');
    assert.ok(await verify(await provider.token({ ...person, exp: seconds() - 5 })));
    assert.ok(await verify(await provider.token({ ...person, nbf: seconds() + 5 })));
  });

  it('goes by the clock that it is given', async () => {
    const ahead = verifierOf(issuerOf(provider));
    ahead.pass(91_000);
    await refused(ahead.verify(await provider.token({ ...person, exp: seconds() + 60 })), 'expired');
    const behind = verifierOf(issuerOf(provider));
    behind.pass(-91_000);
    assert.ok(await behind.verify(await provider.token({ ...person, exp: seconds() - 60 })));
    await refused(behind.verify(await provider.token({ ...person, nbf: seconds() - 60 })), 'not_yet_valid');
  });

  it("takes no key from the token's own header", async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'evil', alg: 'ES256', use: 'sig' };
    let asked = 0;
    const evil = createServer((_, response) => {
      asked++;
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(evil.address() as AddressInfo).port}/keys`;
    try {
      const { verify } = verifierOf(issuerOf(provider));
      for (const header of [{ jwk }, { jku: url }, { x5u: url }, { x5c: ['MIIB'] }]) {
        for (const kid of ['evil', url, '../../keys']) {
          const token = await provider.token(person, { header: { ...header, kid }, key: privateKey });
          await refused(verify(token), 'unknown_key');
        }
        const known = await provider.token(person, { header: header as never, key: privateKey });
        await refused(verify(known), 'bad_signature');
        const without = await provider.token(person, {
          header: { ...header, kid: undefined } as never,
          key: privateKey,
        });
        await refused(verify(without), 'bad_signature');
      }
      assert.equal(asked, 0);
      const harmless = await provider.token(person, { header: { jku: url } });
      assert.equal((await verify(harmless)).subject, 'anna');
      assert.equal(asked, 0);
    } finally {
      evil.close();
    }
  });

  it("refuses another client's token where clients are named", async () => {
    const { verify } = verifierOf(issuerOf(provider, { azp: 'cordon-cli' }));
    await refused(verify(await provider.token({ ...person, azp: 'grafana' })), 'wrong_audience');
    await refused(verify(await provider.token({ ...person, azp: ['cordon-cli'] })), 'wrong_audience');
    await refused(verify(await provider.token({ ...person, aud: ['cordon', 'grafana'] })), 'wrong_audience');
    assert.ok(
      await verify(await provider.token({ ...person, azp: 'cordon-cli', aud: ['cordon', 'grafana'] })),
    );
    assert.ok(await verify(await provider.token(person)));
    const anyClient = verifierOf(issuerOf(provider));
    assert.ok(await anyClient.verify(await provider.token({ ...person, azp: 'grafana' })));
  });

  it('refuses tokens of other kinds', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    for (const typ of ['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'application/logout+jwt', '']) {
      await refused(verify(await provider.token(person, { header: { typ } })), 'malformed');
    }
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    await refused(verify(await provider.token({ ...person, events })), 'malformed');
    for (const typ of ['at+jwt', 'application/at+jwt', 'jwt', undefined]) {
      assert.ok(await verify(await provider.token(person, { header: { typ } as never })));
    }
  });

  it('refuses critical header parameters that it does not know', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    const good = await provider.token(person);
    const [, body, signature] = good.split('.');
    const header = part({ alg: 'ES256', kid: provider.publicKey().kid, crit: ['exp'], exp: 1 });
    await refused(verify(`${header}.${body}.${signature}`), 'malformed');
  });

  it('refuses a changed, oversized or malformed token', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    const [header, , signature] = (await provider.token(person)).split('.');
    const forged = part({
      ...person,
      iss: provider.issuer,
      aud: 'cordon',
      exp: seconds() + 600,
      groups: ['dba'],
    });
    await refused(verify(`${header}.${forged}.${signature}`), 'bad_signature');
    await refused(verify(`${header}.${forged}.`), 'bad_signature');
    await refused(verify(await provider.token({ ...person, pad: 'x'.repeat(17_000) })), 'malformed');
    assert.ok(await verify(await provider.token({ ...person, pad: 'x'.repeat(8_000) })));
    for (const token of [
      '',
      '.',
      '..',
      'a.b',
      'a.b.c',
      'a.b.c.d.e',
      `${header}.${forged}`,
      `${header}.!.${signature}`,
    ]) {
      await refused(verify(token), 'malformed');
    }
    for (const json of ['[]', 'null', '1', '"x"', '{']) {
      const encoded = Buffer.from(json).toString('base64url');
      await refused(verify(`${encoded}.${forged}.${signature}`), 'malformed');
      await refused(verify(`${header}.${encoded}.${signature}`), 'malformed');
    }
  });

  it('ends in a Principal or an IdentityError that holds nothing of the token', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    const good = await provider.token(person);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length - 1),
        fc.string({ minLength: 1, maxLength: 8 }),
        async (at, text) => {
          const token = good.slice(0, at) + text + good.slice(at + text.length);
          try {
            assert.equal((await verify(token)).subject, 'anna');
          } catch (error) {
            assert.ok(error instanceof IdentityError, String(error));
            assert.ok(!good.split('.').some((piece) => error.message.includes(piece)));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('does not even ask the provider about an algorithm that it does not accept', async () => {
    const fresh = await startIdentityProvider();
    try {
      const { verify } = verifierOf(issuerOf(fresh));
      const body = part({ ...person, iss: fresh.issuer, aud: 'cordon', exp: seconds() + 600 });
      await refused(verify(`${part({ alg: 'none' })}.${body}.`), 'algorithm');
      assert.deepEqual({ ...fresh.requests }, { discovery: 0, keys: 0 });
    } finally {
      await fresh.stop();
    }
  });
});

describe('keys', () => {
  let provider: IdentityProvider;
  before(async () => {
    provider = await startIdentityProvider();
  });
  after(() => provider.stop());

  it('follows a rotation under use, and drops what an old key had signed once that key is gone', async () => {
    const { verify, pass } = verifierOf(issuerOf(provider));
    const first = await provider.token(person);
    assert.ok(await verify(first));
    pass(31_000);
    await provider.rotateKey(true);
    const second = await provider.token(person);
    assert.ok(await verify(second));
    assert.ok(await verify(first));
    pass(31_000);
    await provider.rotateKey(false);
    assert.ok(await verify(await provider.token(person)));
    await refused(verify(first), 'unknown_key');
    await refused(verify(second), 'unknown_key');
  });

  it('notices within ten minutes that a key was withdrawn, though nobody signs in with a new one', async () => {
    const { verify, pass } = verifierOf(issuerOf(provider));
    const token = await provider.token(person);
    assert.ok(await verify(token));
    await provider.rotateKey(false);
    pass(601_000);
    await refused(verify(token), 'unknown_key');
  });

  it('asks for an unknown key once in 30 seconds, however often it is named', async () => {
    const { verify, pass } = verifierOf(issuerOf(provider));
    assert.ok(await verify(await provider.token(person)));
    pass(31_000);
    const before = provider.requests.keys;
    const forged = await Promise.all(
      Array.from({ length: 20 }, (_, i) => provider.token(person, { header: { kid: `no-${i}` } })),
    );
    await Promise.all(forged.map((token) => refused(verify(token), 'unknown_key')));
    await Promise.all(forged.map((token) => refused(verify(token), 'unknown_key')));
    assert.equal(provider.requests.keys, before + 1);
  });

  it('asks once for many first sign-ins, and not at all for a token that it has verified', async () => {
    const { verify } = verifierOf(issuerOf(provider));
    const before = provider.requests.keys;
    const tokens = await Promise.all(Array.from({ length: 10 }, () => provider.token(person)));
    await Promise.all(tokens.map((token) => verify(token)));
    await Promise.all(tokens.map((token) => verify(token)));
    assert.equal(provider.requests.keys, before + 1);
  });

  it('expires a token that it has verified', async () => {
    const { verify, pass } = verifierOf(issuerOf(provider));
    const token = await provider.token({ ...person, exp: seconds() + 60 });
    assert.ok(await verify(token));
    pass(91_000);
    await refused(verify(token), 'expired');
  });

  it('lives on with the last known keys while the provider is down, for a day', async () => {
    const failing = await startIdentityProvider();
    const { verify, pass } = verifierOf(issuerOf(failing));
    const exp = seconds() + 90 * 3600;
    assert.ok(await verify(await failing.token({ ...person, exp })));
    await failing.stop();
    pass(12 * 3_600_000);
    assert.ok(await verify(await failing.token({ ...person, sub: 'bo', exp })));
    pass(13 * 3_600_000);
    await refused(verify(await failing.token({ ...person, sub: 'cy', exp })), 'provider_unavailable');
  });

  it('says that the provider is unavailable when it never was there, and recovers', async () => {
    const gone = await startIdentityProvider();
    const port = Number(new URL(gone.issuer).port);
    const { verify, pass } = verifierOf(issuerOf(gone));
    await gone.stop();
    await refused(verify(await gone.token(person)), 'provider_unavailable');
    const back = await startIdentityProvider({ port });
    try {
      pass(6_000);
      assert.ok(await verify(await back.token(person)));
    } finally {
      await back.stop();
    }
  });

  it('reads keys from a file, and again when they were rotated', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cordon-jwks-'));
    try {
      const file = join(folder, 'jwks.json');
      const save = (...keys: unknown[]) => writeFileSync(file, JSON.stringify({ keys }));
      save(provider.publicKey());
      const before = { ...provider.requests };
      const { verify, pass } = verifierOf(issuerOf(provider, { jwksFile: file }));
      assert.ok(await verify(await provider.token(person)));
      await provider.rotateKey(false);
      save(provider.publicKey());
      pass(31_000);
      assert.ok(await verify(await provider.token(person)));
      assert.deepEqual({ ...provider.requests }, before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('accepts every asymmetric algorithm, and only with a key made for it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cordon-jwks-'));
    try {
      const file = join(folder, 'jwks.json');
      const algorithms = ['RS256', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
      const made = await Promise.all(algorithms.map((alg) => generateKeyPair(alg, { extractable: true })));
      const keys: JWK[] = await Promise.all(
        made.map(async ({ publicKey }, i) => ({
          ...(await exportJWK(publicKey)),
          kid: algorithms[i] as string,
        })),
      );
      // A symmetric key, an encryption key and a private key don't become verification keys.
      const secret = { kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url'), kid: 'oct' };
      const encryption = { ...keys[0], kid: 'enc', use: 'enc' };
      writeFileSync(file, JSON.stringify({ keys: [...keys, secret, encryption, null, 7] }));
      const { verify } = verifierOf(issuerOf(provider, { jwksFile: file }));
      for (const [i, alg] of algorithms.entries()) {
        const key = (made[i] as (typeof made)[0]).privateKey;
        assert.equal(
          (await verify(await provider.token(person, { header: { alg, kid: alg }, key }))).subject,
          'anna',
        );
        await refused(
          verify(await provider.token(person, { header: { alg, kid: 'oct' }, key })),
          'unknown_key',
        );
      }
      const rsa = (await importJWK(
        await exportJWK((made[0] as (typeof made)[0]).privateKey),
        'RS256',
      )) as CryptoKey;
      await refused(
        verify(await provider.token(person, { header: { alg: 'RS256', kid: 'enc' }, key: rsa })),
        'unknown_key',
      );
      await refused(
        verify(await provider.token(person, { header: { alg: 'RS256', kid: 'ES256' }, key: rsa })),
        'unknown_key',
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('narrows the algorithms to those configured', async () => {
    const { verify } = verifierOf(issuerOf(provider, { algorithms: ['RS256'] }));
    await refused(verify(await provider.token(person)), 'algorithm');
  });

  it('does not take a nested JWT or a JWS over something else for a token', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    const { verify } = verifierOf(issuerOf(provider));
    const inner = await new SignJWT(person).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
    const outer = await new CompactSign(new TextEncoder().encode(inner))
      .setProtectedHeader({ alg: 'ES256', kid: provider.publicKey().kid as string })
      .sign(privateKey);
    await refused(verify(outer), 'malformed');
  });
});

describe('a provider that misbehaves', () => {
  async function keysFrom(
    answer: (url: string, port: number) => { status?: number; headers?: object; body?: string },
  ) {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url as string);
      const {
        status = 200,
        headers = {},
        body = '',
      } = answer(request.url as string, (server.address() as AddressInfo).port);
      response.writeHead(status, { ...headers });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { privateKey } = await generateKeyPair('ES256');
    const token = await new SignJWT({ ...person, iss: issuer, aud: 'cordon' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setExpirationTime('1h')
      .sign(privateKey);
    try {
      await refused(verifierOf(issuerOf({ issuer })).verify(token), 'provider_unavailable');
    } finally {
      server.close();
      server.closeAllConnections();
    }
    return asked;
  }
  const discovery = '/.well-known/openid-configuration';

  it('is not followed to another issuer, host or scheme', async () => {
    assert.deepEqual(
      await keysFrom((_, port) => ({
        body: JSON.stringify({ issuer: 'https://other.example', jwks_uri: `http://127.0.0.1:${port}/keys` }),
      })),
      [discovery],
    );
    for (const uri of [
      'http://192.0.2.1/keys',
      'file:///etc/passwd',
      'http://127.0.0.1.example.com/keys',
      'keys',
    ]) {
      assert.deepEqual(
        await keysFrom((_, port) => ({
          body: JSON.stringify({ issuer: `http://127.0.0.1:${port}`, jwks_uri: uri }),
        })),
        [discovery],
      );
    }
    assert.deepEqual(
      await keysFrom((_, port) => ({
        status: 302,
        headers: { location: `http://127.0.0.1:${port}/elsewhere` },
      })),
      [discovery],
    );
  });

  it('is not believed when its answer is too large, no JSON, an error or has no keys', async () => {
    const good = (port: number) =>
      JSON.stringify({ issuer: `http://127.0.0.1:${port}`, jwks_uri: `http://127.0.0.1:${port}/keys` });
    for (const body of [
      `{"keys":[],"pad":"${'x'.repeat(600_000)}"}`,
      '<html>',
      '[]',
      '{}',
      '{"keys":[]}',
      '{"keys":{}}',
    ]) {
      const asked = await keysFrom((url, port) => ({ body: url === discovery ? good(port) : body }));
      assert.deepEqual(asked, [discovery, '/keys']);
    }
    await keysFrom(() => ({ status: 500, body: '{}' }));
  });
});

describe('what is read from a provider', () => {
  /** Verifies a good token; discovery and keys come from the test, which is told what was asked for. */
  async function readWith(jwksUri: string, pad: number) {
    const provider = await startIdentityProvider();
    await provider.stop();
    const asked: string[] = [];
    const answer = async (url: string | URL | Request): Promise<Response> => {
      asked.push(String(url));
      return asked.length === 1
        ? Response.json({ issuer: provider.issuer, jwks_uri: jwksUri })
        : Response.json({ keys: [provider.publicKey()], pad: 'x'.repeat(pad) });
    };
    const verifier = createOidcVerifier([issuerOf(provider)], { now: Date.now, fetch: answer });
    const verifying = verifier.verify(await provider.token(person));
    return { asked, verifying };
  }

  it('comes from https or loopback addresses only', async () => {
    for (const uri of ['https://keys.example.com/k', 'http://127.0.0.1:1/k', 'http://localhost/k']) {
      const { asked, verifying } = await readWith(uri, 0);
      assert.equal((await verifying).subject, 'anna');
      assert.equal(asked[1], uri);
    }
    for (const uri of [
      'http://keys.example.com/k',
      'http://localhost.example.com/k',
      'ftp://127.0.0.1/k',
      '/k',
      '',
    ]) {
      const { asked, verifying } = await readWith(uri, 0);
      await refused(verifying, 'provider_unavailable');
      assert.equal(asked.length, 1);
    }
  });

  it('is bounded', async () => {
    assert.equal((await (await readWith('https://a.example/k', 400_000)).verifying).subject, 'anna');
    await refused((await readWith('https://a.example/k', 600_000)).verifying, 'provider_unavailable');
  });
});

describe('configuration', () => {
  const open = (more: Partial<OidcIssuer>) =>
    createOidcVerifier([issuerOf({ issuer: 'https://idp.example.com' }, more)], { now: Date.now });

  it('refuses what would weaken the check', () => {
    assert.ok(open({}));
    for (const issuer of [
      'http://idp.example.com',
      'http://localhost.example.com',
      'ftp://127.0.0.1',
      'idp.example.com',
    ]) {
      assert.throws(() => open({ issuer }), TypeError);
    }
    assert.throws(() => open({ issuer: 'https://user:secret@idp.example.com' }), TypeError);
    assert.throws(() => open({ issuer: 'https://idp.example.com?a=b' }), TypeError);
    for (const algorithm of ['none', 'HS256', 'rs256', '']) {
      assert.throws(() => open({ algorithms: ['RS256', algorithm] }), TypeError);
    }
    assert.throws(() => open({ audience: [] }), TypeError);
    assert.throws(() => open({ audience: '' }), TypeError);
    assert.throws(() => open({ clockToleranceSeconds: 121 }), TypeError);
    const twice = issuerOf({ issuer: 'https://idp.example.com' });
    assert.throws(() => createOidcVerifier([twice, twice], { now: Date.now }), TypeError);
  });

  it('accepts http on loopback', () => {
    for (const issuer of ['http://localhost:8080/x', 'http://127.0.0.1:1', 'http://[::1]:8080']) {
      assert.ok(open({ issuer }));
    }
  });
});

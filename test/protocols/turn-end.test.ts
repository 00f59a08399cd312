import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { TurnEndWriter } from '../../protocols/turn-end.ts';

describe('writes at the end of a turn', () => {
  let server: net.Server;
  let near: net.Socket;
  let far: net.Socket;
  before(async () => {
    server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    near = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    [far] = (await once(server, 'connection')) as [net.Socket];
    if (near.connecting) await once(near, 'connect');
  });
  after(() => {
    near.destroy();
    far.destroy();
    server.close();
  });

  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('go out together, in order, before the next turn', async () => {
    const writer = new TurnEndWriter(near, () => {});
    const before = near.bytesWritten;
    for (const text of ['a', 'b', 'c']) writer.write(Buffer.from(text));
    assert.equal(near.bytesWritten, before);
    await turn();
    assert.equal(near.bytesWritten, before + 3);
    assert.equal(String((await once(far, 'data'))[0]), 'abc');
  });

  it('large ones go out at once, behind what was kept, and flush does the same', async () => {
    const writer = new TurnEndWriter(near, () => {});
    const before = near.bytesWritten;
    writer.write(Buffer.from('a'));
    writer.write(Buffer.alloc(8192, 'b'));
    assert.equal(near.bytesWritten, before + 8193);
    writer.write(Buffer.from('c'));
    writer.flush();
    assert.equal(near.bytesWritten, before + 8194);
    let text = '';
    while (text.length < 8194) text += String((await once(far, 'data'))[0]);
    assert.equal(text, `a${'b'.repeat(8192)}c`);
    await turn();
    assert.equal(near.bytesWritten, before + 8194, 'nothing goes out twice');
  });

  it('say when the socket takes no more, and write nothing once it has ended', async () => {
    let stalled = 0;
    const writer = new TurnEndWriter(near, () => stalled++);
    far.pause();
    while (stalled === 0) writer.write(Buffer.alloc(1 << 20));
    far.resume();
    await once(near, 'drain');
    near.end();
    const errors: unknown[] = [];
    near.on('error', (error) => errors.push(error));
    writer.write(Buffer.from('late'));
    await turn();
    assert.deepEqual(errors, []);
  });
});

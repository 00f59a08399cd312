import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CancelKeys } from '../../protocols/postgres/cancel.ts';

describe('cancel keys', () => {
  it('tell sessions of one process id apart, as two servers may give the same', () => {
    const keys = new CancelKeys();
    const cancelled: string[] = [];
    const one = keys.add(7, 4, () => cancelled.push('one'));
    const other = keys.add(7, 4, () => cancelled.push('other'));
    assert.equal(keys.cancel(7, Buffer.from(other)), true);
    assert.equal(keys.cancel(7, Buffer.from(one)), true);
    assert.deepEqual(cancelled, ['other', 'one']);
    keys.remove(7, one);
    assert.equal(keys.cancel(7, Buffer.from(one)), false);
    assert.equal(keys.cancel(7, Buffer.from(other)), true);
    keys.remove(7, other);
    assert.equal(keys.cancel(7, Buffer.from(other)), false);
  });

  it('reach nobody with another id, another length or another key', () => {
    const keys = new CancelKeys();
    const key = keys.add(7, 32, () => assert.fail('cancelled'));
    const wrong = Buffer.from(key);
    wrong[31]! ^= 1;
    assert.equal(keys.cancel(8, key), false);
    assert.equal(keys.cancel(7, key.subarray(0, 4)), false);
    assert.equal(keys.cancel(7, wrong), false);
  });
});

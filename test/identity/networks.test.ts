import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createNetworks } from '../../identity/networks.ts';

describe('networks', () => {
  const networks = createNetworks({
    eu: ['127.0.0.0/8', '10.1.0.0/16', '2001:db8:1::/48'],
    us: ['10.0.0.0/8', '10.1.2.0/24', '2001:db8::/32', '192.0.2.7'],
    de: ['10.1.2.3/32'],
  });

  it('finds the longest prefix', () => {
    assert.equal(networks.regionOf('10.1.9.9'), 'eu');
    assert.equal(networks.regionOf('10.2.0.1'), 'us');
    assert.equal(networks.regionOf('10.1.2.9'), 'us');
    assert.equal(networks.regionOf('10.1.2.3'), 'de');
    assert.equal(networks.regionOf('2001:db8:1::5'), 'eu');
    assert.equal(networks.regionOf('2001:db8:2::5'), 'us');
    assert.equal(networks.regionOf('192.0.2.7'), 'us');
  });

  it('knows no region for other addresses and for what is none', () => {
    for (const text of [
      '192.0.2.8',
      '::1',
      '2001:db9::1',
      '',
      'localhost',
      '10.1.2',
      '10.1.2.3.4',
      '10.1.2.03',
      '::ffff:0:10.1.2.3',
    ]) {
      assert.equal(networks.regionOf(text), null, text);
    }
  });

  it('takes an IPv4-mapped address for the IPv4 address', () => {
    assert.equal(networks.regionOf('::ffff:10.1.2.3'), 'de');
    assert.equal(networks.regionOf('::FFFF:0a01:0203'), 'de');
    assert.equal(networks.regionOf('0:0:0:0:0:ffff:7f00:1'), 'eu');
    assert.equal(networks.regionOf('fe80::1%eth0'), null);
    assert.equal(createNetworks({ x: ['fe80::/10'] }).regionOf('fe80::1%eth0'), 'x');
    assert.equal(createNetworks({ x: ['::ffff:10.0.0.0/104'] }).regionOf('10.200.0.1'), 'x');
  });

  it('does not take an IPv6 network for an IPv4 one', () => {
    assert.equal(createNetworks({ x: ['::/0'] }).regionOf('10.0.0.1'), null);
    assert.equal(createNetworks({ x: ['0.0.0.0/0'] }).regionOf('::1'), null);
  });

  it('refuses what is no network, and one network in two regions', () => {
    for (const cidr of [
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '10.0.0/8',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
      'x',
      '',
      '::ffff:10.0.0.0/8',
    ]) {
      assert.throws(() => createNetworks({ eu: [cidr] }), TypeError, cidr);
    }
    assert.throws(() => createNetworks({ eu: ['10.1.0.0/16'], us: ['10.1.77.0/16'] }), TypeError);
    assert.ok(createNetworks({ eu: ['10.1.0.0/16', '10.1.0.0/16'], us: ['10.2.0.0/16'] }));
  });

  it('agrees with the definition of a prefix', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(32), fc.ipV4(), (network, prefix, address) => {
        const bits = (text: string) =>
          text
            .split('.')
            .map((byte) => Number(byte).toString(2).padStart(8, '0'))
            .join('');
        const isInside = bits(network).slice(0, prefix) === bits(address).slice(0, prefix);
        const found = createNetworks({ x: [`${network}/${prefix}`] }).regionOf(address);
        assert.equal(found, isInside ? 'x' : null);
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalAddress, compileAllowList, judgeAddress, specialRange } from './egress-rules.ts';

const none = compileAllowList([]);

describe('specialRange', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['10.0.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'carrier-grade NAT'],
    ['100.127.255.255', 'carrier-grade NAT'],
    ['100.100.100.200', 'cloud metadata'],
    ['168.63.129.16', 'cloud metadata'],
    ['169.254.169.254', 'cloud metadata'],
    ['169.254.0.1', 'link-local'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'reserved'],
    ['198.19.0.1', 'reserved'],
    ['192.0.0.192', 'reserved'],
    ['203.0.113.5', 'reserved'],
    ['::1', 'loopback'],
    ['::', 'unspecified'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['fd00:ec2::254', 'cloud metadata'],
    ['fd12:3456::1', 'unique local'],
    ['ff02::1', 'multicast'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['0:0:0:0:0:ffff:a9fe:a9fe', 'cloud metadata'],
    ['::127.0.0.1', 'reserved'],
    ['64:ff9b::7f00:1', 'NAT64'],
    ['64:ff9b:1::a00:1', 'NAT64'],
    ['2002:7f00:1::', '6to4'],
    ['2001:0:53aa::1', 'reserved'],
    ['2001:db8::1', 'reserved'],
    ['fec0::1', 'reserved'],
    ['5f00::1', 'reserved'],
  ])('[NET-EGRESS] %s is %s', (address, name) => {
    expect(specialRange(address)?.name).toBe(name);
    expect(judgeAddress(address, address, none).ok).toBe(false);
  });

  it.each([
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '11.0.0.1',
    '169.253.0.1',
    '::ffff:8.8.8.8',
    '2606:4700::1111',
    '2a00:1450::1',
  ])('%s is public', (address) => {
    expect(specialRange(address)).toBeUndefined();
    expect(judgeAddress(address, address, none)).toEqual({ ok: true });
  });

  it('[NET-EGRESS] judges an IPv4 address and its mapped form alike', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
        const hex = `::ffff:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
        expect(canonicalAddress(hex)).toBe(address);
        expect(specialRange(hex)?.name).toBe(specialRange(address)?.name);
      }),
    );
  });
});

describe('compileAllowList', () => {
  it('opens listed addresses and ranges, and nothing beside them', () => {
    const allow = compileAllowList(['10.1.0.0/16', '169.254.169.254', 'fd00:1::/32', '[::1]']);
    expect(judgeAddress('10.1.2.3', 'a.example', allow).ok).toBe(true);
    expect(judgeAddress('::ffff:10.1.2.3', 'a.example', allow).ok).toBe(true);
    expect(judgeAddress('10.2.0.1', 'a.example', allow).ok).toBe(false);
    expect(judgeAddress('169.254.169.254', 'a.example', allow).ok).toBe(true);
    expect(judgeAddress('fd00:1::5', 'a.example', allow).ok).toBe(true);
    expect(judgeAddress('::1', 'a.example', allow).ok).toBe(true);
    expect(judgeAddress('fd00:2::5', 'a.example', allow).ok).toBe(false);
  });

  it('never opens IPv4 space through an IPv6 range', () => {
    const allow = compileAllowList(['::/0']);
    expect(judgeAddress('127.0.0.1', 'a.example', allow).ok).toBe(false);
    expect(judgeAddress('::ffff:127.0.0.1', 'a.example', allow).ok).toBe(false);
    expect(judgeAddress('::1', 'a.example', allow).ok).toBe(true);
  });

  it('lets a listed name live on a private address, not on a metadata or link-local one', () => {
    const allow = compileAllowList(['Images.LAN.']);
    expect(judgeAddress('192.168.1.5', 'images.lan', allow).ok).toBe(true);
    expect(judgeAddress('127.0.0.1', 'images.lan.', allow).ok).toBe(true);
    expect(judgeAddress('192.168.1.5', 'other.lan', allow).ok).toBe(false);
    expect(judgeAddress('169.254.169.254', 'images.lan', allow).ok).toBe(false);
    expect(judgeAddress('fe80::1', 'images.lan', allow).ok).toBe(false);
  });

  it.each(['https://a.example', 'a.example:443', '10.0.0.0/33', '10.0.0', '', '*.example', '::ffff:10.0.0.1', 'a/b'])(
    'refuses the entry %j by name',
    (entry) => {
      expect(() => compileAllowList([entry])).toThrow(/egress allow list: /);
    },
  );

  it('says where a name led, and what to list', () => {
    const verdict = judgeAddress('10.0.0.7', 'evil.example', none);
    expect(verdict).toEqual({
      ok: false,
      reason: expect.stringMatching(/^evil\.example leads to 10\.0\.0\.7, .*private.*allow list/),
    });
  });

  it('takes what is no address for a refusal', () => {
    expect(judgeAddress('', 'a.example', compileAllowList(['a.example'])).ok).toBe(false);
  });
});

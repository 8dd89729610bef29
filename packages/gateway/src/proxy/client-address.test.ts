import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClientAddress, TrustedProxies } from './client-address.ts';

const proxies = TrustedProxies.of(['10.0.0.0/8', '2001:db8:ff::/48'])!;
const PEER = '10.0.0.1';

interface Given {
  peer?: string;
  xff?: string;
  forwarded?: string;
}
const locate = ({ peer = PEER, xff, forwarded }: Given): ClientAddress | undefined =>
  proxies.locate({ socket: { remoteAddress: peer }, headers: { forwarded, 'x-forwarded-for': xff } });
const is = (source: string): ClientAddress => ({ source, network: source });
const UNKNOWN: ClientAddress = { source: PEER, network: '' };

describe('whose headers count', () => {
  it('[GW-PROXIES] nobody is trusted unless named', () => {
    expect(TrustedProxies.of([])).toBeUndefined();
  });

  it.each(['192.0.2.1', '::1', '2001:db8::1', '127.0.0.1', '11.0.0.1', ''])(
    '[GW-PROXIES-SPOOF] those of %s do not',
    (peer) => expect(locate({ peer, xff: '198.51.100.7', forwarded: 'for=198.51.100.7' })).toBeUndefined(),
  );

  it.each(['10.0.0.1', '10.255.0.9', '::ffff:10.0.0.1', '2001:db8:ff::1'])('[GW-PROXIES] those of %s do', (peer) =>
    expect(locate({ peer, xff: '198.51.100.7' })).toEqual(is('198.51.100.7')),
  );

  it('[GW-PROXIES] a trusted peer that names nobody speaks for itself', () => {
    expect(locate({})).toBeUndefined();
  });
});

describe('X-Forwarded-For', () => {
  it.each([
    ['198.51.100.7', '198.51.100.7'],
    ['198.51.100.7:4711', '198.51.100.7'],
    ['2001:DB8:0:0::7', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['[2001:db8::7]:443', '2001:db8::7'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['\t 198.51.100.7 ,10.0.0.2\t,  10.0.0.3', '198.51.100.7'],
    // Only what the last proxy saw counts, whatever its client claimed before that.
    ['203.0.113.9, 198.51.100.7', '198.51.100.7'],
    ['203.0.113.9, 10.0.0.2, 198.51.100.7, 10.0.0.3', '198.51.100.7'],
    ['10.0.0.9, 198.51.100.7', '198.51.100.7'],
    ['unknown, <script>, , 198.51.100.7', '198.51.100.7'],
    // All of them are ours: the first is where it began.
    ['10.0.0.5, 10.0.0.2', '10.0.0.5'],
  ])('[GW-PROXIES-SPOOF] %j comes from %s', (xff, source) => expect(locate({ xff })).toEqual(is(source)));

  it.each([
    '',
    ' ',
    'unknown',
    '_hidden',
    '198.51.100.7,',
    '198.51.100.7, ',
    '198.51.100.7 198.51.100.8',
    '198.51.100',
    '198.51.100.256',
    '198.51.100.07',
    '0x7f.0.0.1',
    '3325256711',
    '198.51.100.7:',
    '198.51.100.7:123456',
    '[198.51.100.7]',
    '[2001:db8::7',
    '2001:db8::7]',
    '2001:db8::7%eth0',
    '"198.51.100.7"',
    '198.51.100.7/32',
    'localhost',
    '198.51.100.7, unknown',
    '198.51.100.7, nonsense, 10.0.0.2',
    '198.51.100.7\u00a0',
  ])('[GW-PROXIES-UNKNOWN] %j names nobody', (xff) => expect(locate({ xff })).toEqual(UNKNOWN));
});

describe('Forwarded', () => {
  it.each([
    ['for=198.51.100.7', '198.51.100.7'],
    ['For=198.51.100.7;proto=https;by=10.0.0.1', '198.51.100.7'],
    ['for="198.51.100.7:4711"', '198.51.100.7'],
    ['for="[2001:DB8::7]:4711";host="a,b;for=1.2.3.4"', '2001:db8::7'],
    ['for="198\\.51.100.7"', '198.51.100.7'],
    ['for=203.0.113.9, for=198.51.100.7 , for="[2001:db8:ff::2]"', '198.51.100.7'],
    ['for=_hidden, for=unknown, for=198.51.100.7', '198.51.100.7'],
  ])('[GW-PROXIES-SPOOF] %j comes from %s', (forwarded, source) => expect(locate({ forwarded })).toEqual(is(source)));

  it.each([
    '',
    'for=',
    'for',
    '198.51.100.7',
    'for=unknown',
    'for=_x',
    'proto=https',
    'for=198.51.100.7;for=203.0.113.9',
    'for=198.51.100.7:80',
    'for=[2001:db8::7]',
    'for="2001:db8::7',
    'for=198.51.100.7, ',
    'for=198.51.100.7;',
    'for = 198.51.100.7',
    'for=198.51.100.7, proto=https',
    'for=" 198.51.100.7"',
    // What a client opened, and a proxy appended to.
    'for=203.0.113.9;x=", for=198.51.100.7',
    'for=203.0.113.9;x=", for="[2001:db8::7]"',
    'for=203.0.113.9;x="\\", for="198.51.100.7"',
  ])('[GW-PROXIES-UNKNOWN] %j names nobody', (forwarded) => expect(locate({ forwarded })).toEqual(UNKNOWN));
});

describe('both headers', () => {
  it('[GW-PROXIES-SPOOF] count only where they agree, since a proxy may write one and pass the other on', () => {
    const xff = '203.0.113.9, 198.51.100.7';
    expect(locate({ xff, forwarded: 'for=198.51.100.7' })).toEqual(is('198.51.100.7'));
    expect(locate({ xff, forwarded: 'for=203.0.113.9' })).toEqual(UNKNOWN);
    expect(locate({ xff, forwarded: 'nonsense' })).toEqual(UNKNOWN);
    expect(locate({ xff: 'nonsense', forwarded: 'for=198.51.100.7' })).toEqual(UNKNOWN);
    expect(locate({ xff: 'nonsense', forwarded: 'nonsense' })).toEqual(UNKNOWN);
  });
});

describe('properties', () => {
  const outside = fc.oneof(
    fc.tuple(fc.integer({ min: 11, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join('.')),
    fc.array(fc.integer({ min: 1, max: 0xffff }), { minLength: 7, maxLength: 7 }).map((rest) => {
      const words = rest.map((word) => word.toString(16));
      return `2a01:${words.join(':')}`;
    }),
  );
  const ours = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => `10.${parts.join('.')}`);
  const noise = fc.oneof(outside, ours, fc.constantFrom('unknown', '', 'for=1.2.3.4', '"', '::1'), fc.string());

  /** The naive reader: from the right, past those that begin with `10.`. */
  const naive = (hops: string[]): string => [...hops].reverse().find((hop) => !hop.startsWith('10.')) ?? hops[0]!;

  it('[GW-PROXIES-SPOOF] whatever a client claims, its own address is what its first proxy saw', () => {
    fc.assert(
      fc.property(
        fc.array(noise, { maxLength: 6 }),
        outside,
        fc.array(ours, { maxLength: 4 }),
        (claims, client, on) => {
          const claimed = claims.join(', ').replace(/[^\t -~]/g, '');
          const hops = [...(claimed === '' ? [] : [claimed]), client, ...on];
          expect(locate({ xff: hops.join(', ') })).toEqual(is(client));
        },
      ),
    );
  });

  it('[GW-PROXIES-SPOOF] reads well-formed chains as a naive reader does, in both headers', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(outside, ours), { minLength: 1, maxLength: 8 }), fc.boolean(), (hops, port) => {
        const node = (hop: string): string =>
          hop.includes(':') ? `"[${hop}]${port ? ':443' : ''}"` : `"${hop}${port ? ':80' : ''}"`;
        const expected = is(naive(hops));
        expect(locate({ xff: hops.map((hop) => node(hop).slice(1, -1)).join(',') })).toEqual(expected);
        expect(locate({ forwarded: hops.map((hop) => `for=${node(hop)}`).join(', ') })).toEqual(expected);
      }),
    );
  });

  it('[GW-PROXIES-UNKNOWN] of any text, either an address that stands in it counts or nobody does', () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('for=', '198.51.100.7', '10.0.0.2', '"', ',', ';', ' ', '[', ']', '\\', ':80', 'by=x'), {
          maxLength: 12,
        })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        for (const headers of [{ xff: given }, { forwarded: given }]) {
          const found = locate(headers);
          expect(found?.network === '' ? found.source : PEER).toBe(PEER);
          if (found?.network) {
            expect(found.source).toBe(found.network);
            if (found.source.includes('.')) expect(given.replaceAll('\\', '')).toContain(found.source);
          }
        }
      }),
    );
  });

  it('[GW-PROXIES] a header of 64 KiB is read in no time worth noticing', () => {
    const blanks = ' '.repeat(65_536);
    const started = performance.now();
    for (const xff of [`${blanks}x`, `x${blanks}x`, ','.repeat(65_536), '10.0.0.2,'.repeat(7_000)]) locate({ xff });
    for (const forwarded of [`${blanks}x`, `for="${blanks}`, `for="${'\\a'.repeat(30_000)}`, 'for=x;'.repeat(10_000)]) {
      locate({ forwarded });
    }
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

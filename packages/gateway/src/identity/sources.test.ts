import { describe, expect, it } from 'vitest';
import { isInSources, parseSource, sourceList } from './sources.ts';

describe('source networks', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['192.0.2.7', '192.0.2.7/32'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['::1', '::1/128'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::/0', '::/0'],
    ['::ffff:10.0.0.0/104', '::ffff:10.0.0.0/104'],
  ])('%s is read as %s', (text, canonical) => {
    expect(parseSource(text)).toEqual({ ok: true, canonical });
  });

  it.each([
    '10.0.0.1/8',
    '2001:db8::1/32',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0.0/8',
    'example.com',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    '',
  ])('%s is refused with a reason', (text) => {
    const parsed = parseSource(text);
    expect(parsed).toMatchObject({ ok: false, reason: expect.stringContaining(JSON.stringify(text)) });
  });

  it.each([
    ['10.1.2.3', true],
    ['11.1.2.3', false],
    ['::ffff:10.1.2.3', true],
    ['::FFFF:11.1.2.3', false],
    ['2001:db8:1::9', true],
    ['2001:db9::9', false],
    ['fe80::1%eth0', true],
    ['', false],
    ['unknown', false],
  ])('[GRANT-SOURCES] %s inside: %s', (address, inside) => {
    const list = sourceList(['10.0.0.0/8', '2001:db8::/32', 'fe80::/10']);
    expect(list !== undefined && isInSources(list, address)).toBe(inside);
  });

  it('no block means any address', () => {
    expect(sourceList([])).toBeUndefined();
  });
});

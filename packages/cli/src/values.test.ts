import { describe, expect, it } from 'vitest';
import {
  apiPath,
  checkJsonObject,
  parseDuration,
  parseInteger,
  parsePairs,
  parseTime,
  queryOf,
  shellWords,
} from './values.ts';

const NOW = Date.parse('2026-05-01T12:00:00Z');

describe('times and durations', () => {
  it.each([
    ['90s', 90],
    ['15m', 900],
    ['24h', 86_400],
    ['30d', 2_592_000],
    ['2w', 1_209_600],
  ])('%s is %i seconds', (text, seconds) => expect(parseDuration(text, '--x')).toBe(seconds));

  it.each(['', '1', 'h', '-1h', '1.5h', '1y', '1 h', '9999999999s'])('%j is no duration', (text) => {
    expect(() => parseDuration(text, '--overlap')).toThrow(/--overlap: .*not a duration/);
  });

  it.each([
    ['2h', 'ahead', '2026-05-01T14:00:00.000Z'],
    ['2h', 'ago', '2026-05-01T10:00:00.000Z'],
    ['2026-06-01', 'ahead', '2026-06-01T00:00:00.000Z'],
    ['2026-06-01T10:00:00+02:00', 'ago', '2026-06-01T08:00:00.000Z'],
  ] as const)('%s %s is %s', (text, direction, time) => {
    expect(parseTime(text, '--at', NOW, direction)).toBe(time);
  });

  // A date without a zone means another moment on each machine.
  it.each(['2026-06-01T10:00:00', 'tomorrow', '1748779200', '2026-13-01', '999999999w'])('%s is no time', (text) => {
    expect(() => parseTime(text, '--at', NOW, 'ahead')).toThrow(/--at: /);
  });
});

describe('KEY=VALUE', () => {
  it('is split at the first =', () => {
    expect(parsePairs(['A=1=2', 'B='], '--env')).toEqual({ A: '1=2', B: '' });
  });

  it('must have a key, once', () => {
    expect(() => parsePairs(['=x'], '--env')).toThrow(/"=x" is not KEY=VALUE/);
    expect(() => parsePairs(['A=1', 'A=2'], '--env')).toThrow(/"A" is given twice/);
  });
});

describe('other values', () => {
  it('JSON objects are kept as they were written', () => {
    const text = '{"id": 12345678901234567890, "x": 1.10}';
    expect(checkJsonObject(text, '--args')).toBe(text);
    for (const bad of ['', '{', '[]', 'null', '"x"']) expect(() => checkJsonObject(bad, '--args')).toThrow(/--args/);
  });

  it('whole numbers stay in their range', () => {
    expect(parseInteger('50', '--limit', 1, 1000)).toBe(50);
    for (const bad of ['0', '1001', '1.5', 'x', '', '-1', '1e3'])
      expect(() => parseInteger(bad, '--limit', 1, 1000)).toThrow();
  });

  it('paths and queries are percent-encoded', () => {
    const name = 'a/../b?c#d';
    expect(apiPath`/servers/${name}/tools`).toBe('/servers/a%2F..%2Fb%3Fc%23d/tools');
    expect(queryOf({ a: 'x&y', b: undefined, c: 0 })).toBe('?a=x%26y&c=0');
    expect(queryOf({ a: undefined })).toBe('');
  });

  it('commands are shown as they would be typed', () => {
    expect(shellWords(['npx', '-y', '@a/b@1', 'two words', "it's", '$(rm)', ''])).toBe(
      `npx -y @a/b@1 'two words' 'it'\\''s' '$(rm)' ''`,
    );
  });
});

import { describe, expect, it } from 'vitest';
import type { GatehouseError } from '../errors.ts';
import { etagOf, ifMatch, mustNotExist, requireMatch } from './etag.ts';

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return (error as GatehouseError).code;
  }
  return undefined;
};

describe('entity tags', () => {
  it('reads back the tag that it wrote', () => {
    expect(etagOf(7)).toBe('"7"');
    expect(ifMatch('"7"', 'It')).toBe(7);
    expect(ifMatch(' "7" ', 'It')).toBe(7);
  });

  it('demands nothing without the header or with *', () => {
    expect(ifMatch(undefined, 'It')).toBeUndefined();
    expect(ifMatch('*', 'It')).toBeUndefined();
  });

  it.each(['7', 'W/"7"', '"seven"', '"07"', '"-1"', '"1.5"', '""', ''])(
    '[API-ETAG] a tag that no revision has matches none: %s',
    (tag) => {
      expect(codeOf(() => ifMatch(tag, 'It'))).toBe('precondition_failed');
    },
  );

  it('refuses a list of tags rather than picking one', () => {
    expect(codeOf(() => ifMatch('"1", "2"', 'It'))).toBe('invalid_input');
  });

  it('compares for removals; what has no tag matches none', () => {
    expect(codeOf(() => requireMatch('"3"', 3, 'It'))).toBeUndefined();
    expect(codeOf(() => requireMatch(undefined, 3, 'It'))).toBeUndefined();
    expect(codeOf(() => requireMatch('"2"', 3, 'It'))).toBe('precondition_failed');
    expect(codeOf(() => requireMatch('"3"', undefined, 'It'))).toBe('precondition_failed');
  });

  it('takes * alone in If-None-Match', () => {
    expect(mustNotExist(undefined)).toBe(false);
    expect(mustNotExist('*')).toBe(true);
    expect(codeOf(() => mustNotExist('"1"'))).toBe('invalid_input');
  });
});

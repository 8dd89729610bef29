import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { windowOfKey } from './counter-key.ts';
import { compileLimit, SCOPES } from './limits.ts';
import type { Charge, JudgeContext } from './types.ts';

const context = (id: string): JudgeContext => ({
  caller: {
    identity: { id: `i${id}`, name: 'Ana', groups: [] },
    grant: { id: `g${id}`, label: 'x', attributes: {} },
    server: { slug: 'flux' },
    session: `s${id}`,
  },
  now: 0,
});

describe('the key of a counter', () => {
  it('[AUD-COUNTERS] tells its window, whatever the counter and its owner are called', () => {
    const windows = [
      { window: 'minute' },
      { window: 90 },
      { window: '30d' },
      { window: 'day' },
      { window: 'day', align: 'sliding' },
      { window: 'week' },
      { window: 'month' },
      { window: 'hour', align: 'calendar' },
    ];
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('a"]["b', '][', '\\"', '["x",60,"grant"]')),
        fc.string(),
        fc.constantFrom(...windows),
        fc.constantFrom(...SCOPES),
        fc.constantFrom('UTC', 'Europe/Berlin'),
        (counter, owner, window, scope, timezone) => {
          const limit = compileLimit(
            { pointer: '/p', counter, limit: { ...window, scope, max: 3 } },
            undefined,
            timezone,
            undefined,
          );
          const { key, windowSeconds, align, unit, ...charge } = limit.charge(1, context(owner)) as Charge;
          const found = windowOfKey(key);
          expect(found).toMatchObject({ windowSeconds, align, ...(unit === undefined ? {} : { unit }) });
          if (align === 'calendar') expect(found?.timezone).toBe(charge.timezone);
        },
      ),
    );
  });

  it('tells nothing where there is no window', () => {
    for (const key of ['', 'k', '[]', '["a"]["g"]', '["a",-1,"grant"]["g"]', '["a","day@Mars/Olympus","grant"]["g"]']) {
      expect(windowOfKey(key), key).toBeUndefined();
    }
    for (const key of ['["a","day","grant"]', '["a","year@UTC","grant"]', '["a","concurrent","grant"]["g"]', '["a']) {
      expect(windowOfKey(key), key).toBeUndefined();
    }
  });
});

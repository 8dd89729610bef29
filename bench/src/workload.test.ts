import { describe, expect, it } from 'vitest';
import { callBody, callResult, LONG_CALL_BYTES, policy, TOOL_OF, tools } from './workload.ts';

describe('workload', () => {
  it('has calls and results of the sizes that it names', () => {
    const call = (size: 300 | 20_000) => Buffer.byteLength(callBody(TOOL_OF.read, size));
    const result = (size: 300 | 20_000) => Buffer.byteLength(JSON.stringify(callResult(size)));
    expect(call(300)).toBeGreaterThan(250);
    expect(call(300)).toBeLessThan(400);
    expect(call(20_000)).toBeGreaterThan(19_000);
    expect(call(20_000)).toBeLessThan(21_500);
    expect(result(300)).toBeLessThan(LONG_CALL_BYTES);
    expect(result(20_000)).toBeGreaterThan(19_000);
    expect(result(20_000)).toBeLessThan(26_000);
  });

  it('has as many tools, of as many names, and as many rules as it is told', () => {
    for (const count of [1, 2, 1_000]) {
      expect(tools(count).length).toBe(count);
      expect(new Set(tools(count).map(({ name }) => name)).size).toBe(count);
      expect(Object.keys(policy(count).tools)).toEqual(tools(count).map(({ name }) => name));
    }
  });

  it('has 20 predicates for each tool', () => {
    const { args, require, deny_if } = policy(1).tools[TOOL_OF.read]!;
    const inArgs = Object.values(args).flatMap((predicate) => Object.keys(predicate));
    expect(inArgs.length + require.length + deny_if.length).toBe(20);
  });
});

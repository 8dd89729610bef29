import { describe, expect, it } from 'vitest';
import { readOptions } from './options.ts';

describe('readOptions', () => {
  it('has defaults', () => {
    expect(readOptions([])).toEqual({
      preset: 'default',
      connections: [1, 64],
      replies: ['json'],
      sizes: [300],
      starts: 3,
      rounds: 3,
      seconds: 0.4,
      grants: 10_000,
      tools: 1_000,
      streams: 2_000,
      seed: 1,
      only: ['calls', 'flat', 'memory', 'judge'],
      against: undefined,
      json: undefined,
      writeDocs: false,
      data: undefined,
      profile: undefined,
      help: false,
    });
  });

  it('measures everything with --full', () => {
    expect(readOptions(['--full'])).toMatchObject({
      connections: [1, 16, 64, 500],
      replies: ['json', 'sse'],
      sizes: [300, 20_000],
    });
  });

  it('reads what is written, over --quick', () => {
    const written = ['--rounds', '5', '--connections', '1,16', '--only', 'judge,flat', '--sizes', '20000'];
    expect(readOptions(['--quick', ...written])).toMatchObject({
      connections: [1, 16],
      sizes: [20_000],
      rounds: 5,
      seconds: 0.05,
      only: ['judge', 'flat'],
    });
  });

  it.each([
    [['--rounds', '0'], '--rounds takes a whole number from 1 to 10000, not "0".'],
    [['--rounds', '1.5'], '--rounds takes a whole number'],
    [['--seconds', 'long'], '--seconds takes a number from 0.05 to 600, not "long".'],
    [['--connections', '1,,64'], '--connections takes a whole number from 1 to 1000, not "".'],
    [['--connections', '64,64'], '--connections names something twice: 64,64.'],
    [['--connections', '1001'], '--connections takes a whole number from 1 to 1000, not "1001".'],
    [['--only', 'nginx'], '--only takes calls, flat, memory, judge, not "nginx".'],
    [['--only', 'judge,judge'], '--only names something twice: judge,judge.'],
    [['--replies', 'xml'], '--replies takes json, sse, not "xml".'],
    [['--sizes', '1000'], '--sizes takes 300 and 20000, not "1000".'],
    [['--streams', '100'], '--streams takes a multiple of 8, not "100".'],
    [['--grants', '1'], '--grants takes a whole number from 2 to 100000, not "1".'],
    [['--quick', '--full'], '--quick and --full exclude each other.'],
    [['--quick', '--write-docs'], 'they go into no docs'],
    [['--against', 'main', '--write-docs'], 'leave out --against'],
    [['--round', '3'], 'See --help.'],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });
});

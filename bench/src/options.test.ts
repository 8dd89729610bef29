import { describe, expect, it } from 'vitest';
import { readOptions } from './options.ts';

describe('readOptions', () => {
  it('has defaults', () => {
    expect(readOptions([])).toEqual({
      connections: [1, 64],
      rounds: 6,
      seconds: 0.4,
      seed: 1,
      only: undefined,
      json: undefined,
      data: undefined,
      profile: undefined,
      help: false,
    });
  });

  it('reads what is written, over --quick', () => {
    expect(readOptions(['--quick', '--rounds', '5', '--connections', '1,16', '--only', 'judge'])).toMatchObject({
      connections: [1, 16],
      rounds: 5,
      seconds: 0.2,
      only: 'judge',
    });
  });

  it.each([
    [['--rounds', '0'], '--rounds takes a whole number from 1 to 10000, not "0".'],
    [['--rounds', '1.5'], '--rounds takes a whole number'],
    [['--seconds', 'long'], '--seconds takes a number from 0.05 to 600, not "long".'],
    [['--connections', '1,,64'], '--connections takes a whole number from 1 to 1000, not "".'],
    [['--connections', '64,64'], '--connections names a number twice'],
    [['--only', 'nginx'], '--only takes calls or judge, not "nginx".'],
    [['--round', '3'], 'See --help.'],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });
});

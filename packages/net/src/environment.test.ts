import { describe, expect, it } from 'vitest';
import { cleanEnvironment } from './environment.ts';

const parent = {
  PATH: '/bin',
  HOME: '/home/a',
  LANG: 'C.UTF-8',
  TMPDIR: '/tmp/a',
  AWS_SECRET_ACCESS_KEY: 'canary',
  NODE_OPTIONS: '--inspect',
  GATEHOUSE_SECRET_KEY: 'canary',
};

describe('cleanEnvironment', () => {
  it('[NET-ENV] keeps only what any program needs, and what the settings name', () => {
    expect(cleanEnvironment({ API_KEY: 'x' }, { parent, platform: 'linux' })).toEqual({
      PATH: '/bin',
      HOME: '/home/a',
      LANG: 'C.UTF-8',
      TMPDIR: '/tmp/a',
      API_KEY: 'x',
    });
  });

  it('lets the settings win', () => {
    expect(cleanEnvironment({ PATH: '/opt' }, { parent: { PATH: '/bin' }, platform: 'linux' })).toEqual({
      PATH: '/opt',
    });
  });

  it('compares names without case on Windows only', () => {
    const windows = { Path: 'C:\\bin', SYSTEMROOT: 'C:\\Windows', HOME: 'x', TOKEN: 'canary' };
    expect(cleanEnvironment({ PATH: 'D:\\' }, { parent: windows, platform: 'win32' })).toEqual({
      PATH: 'D:\\',
      SYSTEMROOT: 'C:\\Windows',
    });
    expect(cleanEnvironment({}, { parent: { Path: 'x' }, platform: 'linux' })).toEqual({});
  });

  it('names the entry that cannot be used', () => {
    expect(() => cleanEnvironment({ 'A=B': 'x' }, { parent })).toThrow(/"A=B"/);
    expect(() => cleanEnvironment({ '': 'x' }, { parent })).toThrow(/not a name/);
    expect(() => cleanEnvironment({ KEY: 'a\0b' }, { parent })).toThrow(/KEY/);
  });
});

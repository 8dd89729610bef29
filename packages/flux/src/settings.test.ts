import { describe, expect, it } from 'vitest';
import { signCallback } from './callbacks.ts';
import { readSettings } from './settings.ts';

describe('readSettings', () => {
  it('listens on this machine alone unless told, and flags win over the environment', () => {
    expect(readSettings({}, {})).toMatchObject({ transport: 'stdio', host: '127.0.0.1', port: 8000, caller: 'local' });
    const settings = readSettings(
      { data: '/flag', files: ['/one'] },
      { FLUX_DATA_DIR: '/env', FLUX_FILES: '/two', FLUX_CALLER: 'ana' },
    );
    expect(settings).toMatchObject({ dataFolder: '/flag', fileFolders: ['/one'], caller: 'ana' });
  });

  it('[FLUX-TOKEN] refuses to listen beyond loopback without a token', () => {
    expect(() => readSettings({ transport: 'http', host: '0.0.0.0' }, {})).toThrow(/no token is set/);
    expect(readSettings({ transport: 'http', host: '0.0.0.0' }, { FLUX_TOKEN: 't' }).token).toBe('t');
    expect(readSettings({ transport: 'http', host: '127.0.0.2' }, {}).host).toBe('127.0.0.2');
  });

  it.each([
    [{ transport: 'sse' }, {}, /--transport/],
    [{ port: '70000' }, {}, /--port: "70000"/],
    [{ port: 'x' }, {}, /--port/],
    [{ publicUrl: 'https://a.example/path' }, {}, /--public-url/],
    [{}, { FLUX_KEEP_DAYS: '0' }, /FLUX_KEEP_DAYS/],
    [{}, { LOG_LEVEL: 'loud' }, /LOG_LEVEL/],
  ])('names what is wrong in %o %o', (flags, environment, message) => {
    expect(() => readSettings(flags, environment)).toThrow(message);
  });
});

describe('signCallback', () => {
  it('[FLUX-CALLBACK] depends on the secret, the time and every byte of the body', () => {
    const all = [
      signCallback('s', 'body', 1),
      signCallback('t', 'body', 1),
      signCallback('s', 'bodz', 1),
      signCallback('s', 'body', 2),
    ].map((headers) => headers['x-flux-signature']);
    expect(new Set(all).size).toBe(4);
    expect(all[0]).toMatch(/^v1=[0-9a-f]{64}$/);
  });
});

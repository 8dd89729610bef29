import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServerInput } from '../services.ts';
import { ADMIN, openTestControl, refusal, type TestControl } from './testing.ts';

let control: TestControl;

beforeEach(async () => {
  control = await openTestControl();
});

afterEach(() => control.end());

const HTTP = { slug: 'flux', transport: { kind: 'http', url: 'https://mcp.example.com/mcp' } } as const;
const STDIO = {
  slug: 'files',
  transport: { kind: 'stdio', command: 'npx', args: ['server'], environment: { LEVEL: 'info' } },
} as const;

async function faultsOf(input: unknown): Promise<string[]> {
  const error = await refusal(control.services.servers.create(input as ServerInput, ADMIN));
  expect(error.code).toBe('invalid_input');
  return error.items.map(({ pointer }) => pointer);
}

describe('servers', () => {
  it('get the settings that the spec gives, roots for stdio alone', async () => {
    const { servers, directory } = control.services;
    const flux = await servers.create(HTTP, ADMIN);
    expect(flux).toMatchObject({
      name: 'flux',
      revision: 1,
      credentials: { kind: 'none', names: [] },
      settings: { serverRequests: { elicitation: true, sampling: false, roots: false }, newTools: 'quarantine' },
    });
    expect((await servers.create(STDIO, ADMIN)).settings.serverRequests.roots).toBe(true);
    expect(servers.list().map(({ slug }) => slug)).toEqual(['files', 'flux']);
    expect([...directory.servers()].map(({ server }) => server)).toEqual([flux, servers.get('files')]);
  });

  it('refuse a slug that is taken, and propose one for a name', async () => {
    await control.services.servers.create(HTTP, ADMIN);
    expect((await refusal(control.services.servers.create(HTTP, ADMIN))).code).toBe('conflict');
    const error = await refusal(control.services.servers.create({ ...HTTP, slug: 'Flux Pro!' }, ADMIN));
    expect(error.items[0]).toMatchObject({ pointer: '/slug', suggestion: 'flux-pro' });
    for (const slug of ['', '-a', 'A', 'a_b', 'a/b', 'a'.repeat(64)]) {
      expect(await faultsOf({ ...HTTP, slug })).toEqual(['/slug']);
    }
  });

  it.each([
    ['a relative URL', { kind: 'http', url: '/mcp' }, '/transport/url'],
    ['another scheme', { kind: 'http', url: 'file:///etc/passwd' }, '/transport/url'],
    ['a URL with a password', { kind: 'http', url: 'https://u:p@example.com/' }, '/transport/url'],
    ['a fragment', { kind: 'http', url: 'https://example.com/#x' }, '/transport/url'],
    ['a stream by another scheme', { kind: 'sse', url: 'file:///etc/passwd' }, '/transport/url'],
    ['an unknown kind', { kind: 'carrier-pigeon' }, '/transport/kind'],
    ['no command', { kind: 'stdio', command: ' ', args: [], environment: {} }, '/transport/command'],
    ['NUL in an argument', { kind: 'stdio', command: 'x', args: ['a\0'], environment: {} }, '/transport/args'],
    [
      'a bad variable',
      { kind: 'stdio', command: 'x', args: [], environment: { 'A B': '' } },
      '/transport/environment/A B',
    ],
  ])('are refused with %s', async (_, transport, pointer) => {
    expect(await faultsOf({ slug: 'x', transport })).toEqual([pointer]);
  });

  it('are refused with settings that are wrong, all named', async () => {
    const settings = {
      newTools: 'maybe',
      children: { max: 0, idleSeconds: 1e9 },
      headers: { Host: 'x', Cookie: 'secret', 'bad name': 'x', 'X-Ok': 'line\nbreak' },
      vendorMethods: ['a', 'a'],
      serverRequests: { elicitation: true, sampling: 'yes', roots: false },
      tolerated: [],
    };
    expect(await faultsOf({ ...HTTP, settings })).toEqual([
      '/settings/tolerated',
      '/settings/serverRequests/sampling',
      '/settings/vendorMethods',
      '/settings/newTools',
      '/settings/children/max',
      '/settings/children/idleSeconds',
      '/settings/headers/Host',
      '/settings/headers/Cookie',
      '/settings/headers/bad name',
      '/settings/headers/X-Ok',
    ]);
  });

  it('[P6] never repeat the value of a credential in an error', async () => {
    const error = await refusal(
      control.services.servers.create(
        {
          ...HTTP,
          credentials: { kind: 'headers', values: { Authorization: 'Bearer canary\n', 'Content-Type': 'canary' } },
        },
        ADMIN,
      ),
    );
    expect(error.items.map(({ pointer }) => pointer)).toEqual([
      '/credentials/values/Authorization',
      '/credentials/values/Content-Type',
    ]);
    expect(JSON.stringify([error.message, error.items])).not.toContain('canary');
    const other = { kind: 'environment', values: { A: 'b' } } as const;
    expect(await faultsOf({ ...HTTP, credentials: other })).toEqual(['/credentials/kind']);
    expect(await faultsOf({ ...HTTP, credentials: { kind: 'headers', values: {} } })).toEqual(['/credentials/values']);
  });

  it('change from the revision that was seen, and the data plane sees it', async () => {
    const { servers, directory } = control.services;
    await servers.create({ ...STDIO, credentials: { kind: 'environment', values: { KEY: 'v1' } } }, ADMIN);
    const changed = await servers.update(
      'files',
      { settings: { toleratedArguments: ['_trace'] }, name: 'Files' },
      1,
      ADMIN,
    );
    expect(changed).toMatchObject({ revision: 2, name: 'Files', credentials: { kind: 'environment', names: ['KEY'] } });
    expect(directory.server('files')?.toleratedArguments).toEqual(new Set(['_trace']));
    expect(directory.server('files')?.credentialEnvironment).toEqual({ KEY: 'v1' });
    expect((await refusal(servers.update('files', { name: 'x' }, 1, ADMIN))).code).toBe('precondition_failed');
    await servers.update('files', { credentials: { kind: 'none' } }, 2, ADMIN);
    expect(directory.server('files')?.credentialEnvironment).toEqual({});
    await control.reopen();
    expect(control.services.directory.server('files')?.credentialEnvironment).toEqual({});
  });

  it('[CRED-ORIGIN] do not take their credentials to another origin by themselves', async () => {
    const { servers, directory } = control.services;
    await servers.create({ ...HTTP, credentials: { kind: 'headers', values: { 'X-Key': 'v1' } } }, ADMIN);
    const to = (url: string) => ({ transport: { kind: 'http', url } as const });
    await servers.update('flux', to('https://mcp.example.com/v2/mcp'), undefined, ADMIN);
    const error = await refusal(servers.update('flux', to('https://evil.example/mcp'), undefined, ADMIN));
    expect(error.items[0]?.pointer).toBe('/credentials');
    expect((await refusal(servers.update('flux', { transport: STDIO.transport }, undefined, ADMIN))).code).toBe(
      'invalid_input',
    );
    const stream = (url: string) => ({ transport: { kind: 'sse', url } as const });
    await servers.update('flux', stream('https://mcp.example.com/sse'), undefined, ADMIN);
    const elsewhere = await refusal(servers.update('flux', stream('https://evil.example/sse'), undefined, ADMIN));
    expect(elsewhere.items[0]?.pointer).toBe('/credentials');
    await servers.update('flux', { ...to('https://new.example/mcp'), credentials: { kind: 'none' } }, undefined, ADMIN);
    expect(directory.server('flux')?.credentialHeaders).toEqual({});
  });

  it('go with all that belongs to them', async () => {
    const { servers, policies, grants } = control.services;
    await servers.create(HTTP, ADMIN);
    await policies.put('flux', 'open', { version: '1', default: 'allow' }, undefined, ADMIN);
    await grants.create({ server: 'flux', identity: 'ana', policy: 'open' }, ADMIN);
    await servers.remove('flux', ADMIN);
    expect(servers.list()).toEqual([]);
    expect(grants.list()).toEqual([]);
    expect((await refusal(servers.remove('flux', ADMIN))).code).toBe('not_found');
    await servers.create(HTTP, ADMIN);
    expect(policies.list('flux')).toEqual([]);
    await control.reopen();
    expect(control.services.policies.list('flux')).toEqual([]);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApi, fakeApi, run, TOKEN } from '../test/harness.ts';
import type { Context } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { isAlive, readServerFile } from './server-file.ts';

const LIST = ['server', 'list', '--json'];
let folder: string;
let api: FakeApi;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-cli-'));
  api = await fakeApi({ 'GET /servers': { body: { items: [] } } });
});

afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

interface Opened {
  requests: string[];
  closed: number;
}

/** The gateway's code, with a data folder that is free, or locked by somebody. */
function gatewayDouble(lockedBy?: string): { gateway: Context['gateway']; opened: Opened } {
  const opened: Opened = { requests: [], closed: 0 };
  const module = {
    loadSettings: ({ flags }: { flags: { data?: string } }) => ({
      settings: { data: flags.data ?? folder },
      described: [],
    }),
    loadSecretKey: () => ({ keyId: 'k' }),
    adminToken: (_keys: unknown, instance: string) => (instance === 'ins_1' ? TOKEN : 'gha_other'),
    openGateway: async () => {
      if (lockedBy !== undefined) {
        throw Object.assign(new Error(`Process ${lockedBy} uses it.`), {
          name: 'GatehouseError',
          code: 'store_locked',
          items: [],
        });
      }
      return {
        adminToken: TOKEN,
        api: {
          request: (path: string, init: RequestInit) => {
            opened.requests.push(`${init.method} ${path} ${new Headers(init.headers).get('authorization')}`);
            return Response.json({ items: [] });
          },
        },
        close: async () => {
          opened.closed++;
        },
      };
    },
  };
  return { gateway: async () => module as unknown as Awaited<ReturnType<Context['gateway']>>, opened };
}

function serverFile(fields: { pid?: number; api?: string; instance?: string }): void {
  const file = {
    pid: process.ppid,
    api: `${api.url}/api/v1`,
    started: '2026-05-01T00:00:00Z',
    instance: 'ins_1',
    ...fields,
  };
  writeFileSync(join(folder, 'server.json'), JSON.stringify(file));
}

describe('a gateway that was named', () => {
  it('is asked with the admin token of the environment; the address may end in /api/v1', async () => {
    for (const address of [api.url, `${api.url}/`, `${api.url}/api/v1`]) {
      const { code } = await run([...LIST, '--api', address], { env: { GATEHOUSE_ADMIN_TOKEN: TOKEN } });
      expect(code).toBe(EXIT.ok);
    }
    expect(api.seen.map(({ path }) => path)).toEqual(['/servers', '/servers', '/servers']);
  });

  it('[CLI-EXIT] no token, or a wrong one, is exit code 7', async () => {
    expect(await run(LIST, { env: { GATEHOUSE_URL: api.url } })).toMatchObject({ code: EXIT.unauthorized });
    const wrong = await run(LIST, { env: { GATEHOUSE_URL: api.url, GATEHOUSE_ADMIN_TOKEN: 'gha_no' } });
    expect(wrong.code).toBe(EXIT.unauthorized);
  });

  it('[CLI-EXIT] nothing that answers, or something else that does, is exit code 5', async () => {
    await api.close();
    const gone = await run(LIST, { env: api.env });
    expect(gone.code).toBe(EXIT.unreachable);
    expect(gone.stderr).toContain('Is it running?');
    api = await fakeApi({
      'GET /servers': { text: '<html>a router</html>', headers: { 'content-type': 'text/html' } },
    });
    expect((await run(LIST, { env: api.env })).code).toBe(EXIT.unreachable);
  });

  it('cannot send the token on to another place by a redirect', async () => {
    const other = await fakeApi({ 'GET /servers': { body: { items: [] } } });
    await api.close();
    api = await fakeApi({
      'GET /servers': { status: 307, body: {}, headers: { location: `${other.url}/api/v1/servers` } },
    });
    expect((await run(LIST, { env: api.env })).code).toBe(EXIT.unreachable);
    expect(other.seen).toEqual([]);
    await other.close();
  });

  it('is warned of where the token would cross a network unencrypted', async () => {
    const { stderr } = await run([...LIST, '--api', 'http://gateway.invalid'], {
      env: { GATEHOUSE_ADMIN_TOKEN: TOKEN },
    });
    expect(stderr).toContain('unencrypted');
  });

  it('and a data folder exclude each other; a folder that is named wins over GATEHOUSE_URL', async () => {
    expect((await run([...LIST, '--api', api.url, '--data', folder])).code).toBe(EXIT.usage);
    const { gateway, opened } = gatewayDouble();
    await run([...LIST, '--data', folder], { env: api.env, gateway });
    expect([opened.requests.length, api.seen.length]).toEqual([1, 0]);
  });
});

describe('a data folder', () => {
  it('whose gateway runs is reached over HTTP, with the token derived from the secret key', async () => {
    const { gateway, opened } = gatewayDouble();
    serverFile({});
    expect((await run(LIST, { gateway })).code).toBe(EXIT.ok);
    expect([api.seen.length, opened.requests]).toEqual([1, []]);
  });

  it('that no gateway uses is opened here, without listening, and closed again', async () => {
    const { gateway, opened } = gatewayDouble();
    expect((await run(LIST, { gateway })).code).toBe(EXIT.ok);
    expect(opened).toEqual({ requests: [`GET /api/v1/servers Bearer ${TOKEN}`], closed: 1 });
  });

  it.each([
    ['its process is gone', { pid: 2 ** 30 }],
    ['its number is that of this process now', { pid: process.pid }],
    ['its file does not say which installation', { instance: 7 as unknown as string }],
  ])('is opened here when %s, and the token is shown to nobody', async (_, fields) => {
    const { gateway, opened } = gatewayDouble();
    serverFile(fields);
    await run(LIST, { gateway });
    expect([api.seen, opened.requests.length]).toEqual([[], 1]);
  });

  it('is opened here when its process lives and its port is closed (a number that came back)', async () => {
    const { gateway, opened } = gatewayDouble();
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    serverFile({ api: `http://127.0.0.1:${port}/api/v1` });
    expect((await run(LIST, { gateway })).code).toBe(EXIT.ok);
    expect(opened.requests).toHaveLength(1);
  });

  it('[CLI-EXIT] that another process holds is exit code 5, with the way out', async () => {
    const { code, stderr } = await run(LIST, { gateway: gatewayDouble('4711').gateway });
    expect(code).toBe(EXIT.unreachable);
    expect(stderr).toContain('4711');
    expect(stderr).toContain('GATEHOUSE_URL');
  });

  it('that is not there is not made by a command that only looks', async () => {
    const { gateway, opened } = gatewayDouble();
    const missing = join(folder, 'none');
    expect((await run([...LIST, '--data', missing], { gateway })).code).toBe(EXIT.notFound);
    expect(opened.requests).toEqual([]);
    await run(['identity', 'create', 'ana', '--data', missing], { gateway });
    expect(opened.requests).toHaveLength(1);
  });
});

describe('server.json', () => {
  it('is read as far as it is one', () => {
    expect(readServerFile(folder)).toBeUndefined();
    for (const text of [
      '',
      '{',
      'null',
      '{"pid":"1"}',
      '{"pid":1,"api":"nowhere","started":"x","instance":"i"}',
      '{"pid":1,"api":"http://127.0.0.1:1/api/v1","started":"x"}',
    ]) {
      writeFileSync(join(folder, 'server.json'), text);
      expect(readServerFile(folder)).toBeUndefined();
    }
  });

  it('knows living processes from dead ones', () => {
    expect([isAlive(process.pid), isAlive(1), isAlive(2 ** 30), isAlive(0), isAlive(-1)]).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

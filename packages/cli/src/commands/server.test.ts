import { afterEach, describe, expect, it } from 'vitest';
import { type FakeApi, fakeApi, problem } from '../../test/harness.ts';
import { EXIT } from '../exit-codes.ts';

let api: FakeApi;
afterEach(() => api.close());

const SERVER = {
  id: 'srv_1',
  slug: 'files',
  name: 'files',
  revision: 1,
  transport: { kind: 'http', url: 'http://127.0.0.1:9/mcp' },
  settings: { newTools: 'quarantine' },
  credentials: { kind: 'none', names: [] },
  createdAt: '2026-05-01T00:00:00Z',
  updatedAt: '2026-05-01T00:00:00Z',
};

function tool(name: string, state: string, more: object = {}) {
  return {
    server: 'files',
    name,
    state,
    class: 'write',
    changes: [],
    observedDigest: `digest-of-${name}`,
    observed: { name, description: `It \u001b[2Jwipes.\nSecond line.` },
    firstSeenAt: '2026-05-01T00:00:00Z',
    ...more,
  };
}

const ADDED = {
  server: SERVER,
  tools: [tool('write_file', 'new')],
  intake: {},
  url: 'http://127.0.0.1:8080/mcp/files',
};
const bodyOf = (text: string): unknown => JSON.parse(text);

describe('server add', () => {
  it('sends URL and headers, their values from the environment where told so, and never shows them', async () => {
    api = await fakeApi({ 'POST /servers': { status: 201, body: ADDED } });
    const argv = [
      'server',
      'add',
      'files',
      '--url',
      'http://127.0.0.1:9/mcp',
      '--header',
      'X-A=1',
      '--header-env',
      'Authorization=SECRET',
      '--accept',
    ];
    const { code, stdout, stderr } = await api.run(argv, { env: { SECRET: 'Bearer s3cret' } });
    expect(code).toBe(EXIT.ok);
    expect(bodyOf(api.seen[0]!.text)).toEqual({
      slug: 'files',
      transport: { kind: 'http', url: 'http://127.0.0.1:9/mcp' },
      credentials: { kind: 'headers', values: { 'X-A': '1', Authorization: 'Bearer s3cret' } },
      accept: true,
    });
    expect(stdout + stderr).not.toContain('s3cret');
    expect(stdout).toContain('http://127.0.0.1:8080/mcp/files');
    expect(stderr).toContain('1 wait for you: gatehouse server accept files');
  });

  it('[GW-SSE-UPSTREAM] registers a server of HTTP+SSE, and takes --sse for nothing else', async () => {
    api = await fakeApi({ 'POST /servers': { status: 201, body: ADDED } });
    expect((await api.run(['server', 'add', 'old', '--url', 'http://127.0.0.1:9/sse', '--sse'])).code).toBe(EXIT.ok);
    expect(bodyOf(api.seen[0]!.text)).toMatchObject({ transport: { kind: 'sse', url: 'http://127.0.0.1:9/sse' } });
    const command = await api.run(['server', 'add', 'old', '--sse', '--yes', '--', 'node']);
    expect([command.code, command.stderr]).toEqual([EXIT.usage, expect.stringContaining('--sse') as string]);
    expect(api.seen).toHaveLength(1);
  });

  it('[CLI-ESCAPE] shows what a tool says of itself without doing it', async () => {
    api = await fakeApi({ 'POST /servers': { status: 201, body: ADDED } });
    const { stdout } = await api.run(['server', 'add', 'files', '--url', 'http://127.0.0.1:9/mcp']);
    expect(stdout).toContain('It \\u{1b}[2Jwipes.');
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('Second line');
  });

  it('[CLI-STDIO-SHOWN] shows a command whole and registers it only after a yes', async () => {
    api = await fakeApi({ 'POST /servers': { status: 201, body: ADDED } });
    const argv = [
      'server',
      'add',
      'files',
      '--env',
      'A=b c',
      '--env-from',
      'KEY',
      '--',
      'node',
      'x.js',
      '--data',
      'two words',
      '; rm -rf /',
    ];
    const asked: string[] = [];
    const answering = (answer: boolean) => ({
      terminal: true,
      env: { KEY: 'k3y' },
      prompts: {
        confirm: async (message: string) => {
          asked.push(message);
          return answer;
        },
        choose: async () => undefined,
      },
    });
    const refused = await api.run(argv, answering(false));
    expect(refused.stderr).toContain("node x.js --data 'two words' '; rm -rf /'");
    expect(refused.stderr).toContain('KEY from your environment');
    expect([asked.length, api.seen.length]).toEqual([1, 0]);
    await api.run(argv, answering(true));
    expect(bodyOf(api.seen[0]!.text)).toEqual({
      slug: 'files',
      transport: {
        kind: 'stdio',
        command: 'node',
        args: ['x.js', '--data', 'two words', '; rm -rf /'],
        environment: { A: 'b c' },
      },
      credentials: { kind: 'environment', values: { KEY: 'k3y' } },
    });
  });

  it('[CLI-STDIO-SHOWN] asks nobody without a terminal: only --yes is an answer there', async () => {
    api = await fakeApi({ 'POST /servers': { status: 201, body: ADDED } });
    expect((await api.run(['server', 'add', 'files', '--', 'node', 'x.js'])).code).toBe(EXIT.usage);
    expect(api.seen).toEqual([]);
    expect((await api.run(['server', 'add', 'files', '--yes', '--', 'node', 'x.js'])).code).toBe(EXIT.ok);
  });

  it.each([
    ['neither', []],
    ['both', ['--url', 'http://x', '--', 'node']],
    ['no command', ['--']],
    ['a header for a command', ['--header', 'a=b', '--', 'node']],
    ['an environment for a URL', ['--url', 'http://x', '--env', 'a=b']],
    ['a variable that is not set', ['--url', 'http://x', '--header-env', 'A=NOT_SET']],
    ['a header twice', ['--url', 'http://x', '--header', 'A=1', '--header-env', 'A=HOME_VARIABLE']],
  ])('refuses %s before anything is sent', async (_, rest) => {
    api = await fakeApi({});
    const { code } = await api.run(['server', 'add', 'files', '--yes', ...rest], { env: { HOME_VARIABLE: 'x' } });
    expect([code, api.seen]).toEqual([EXIT.usage, []]);
  });

  it('passes on a warning and names what the API did not like', async () => {
    const warned = { ...ADDED, tools: [], warning: 'could not be reached' };
    api = await fakeApi({ 'POST /servers': { status: 201, body: warned } });
    expect((await api.run(['server', 'add', 'files', '--url', 'http://x'])).stderr).toContain(
      'warning: could not be reached',
    );
    await api.close();
    api = await fakeApi({
      'POST /servers': problem(409, 'conflict', 'It exists.', [{ pointer: '/slug', message: 'taken' }]),
    });
    const { code, stderr } = await api.run(['server', 'add', 'files', '--url', 'http://x']);
    expect(code).toBe(EXIT.conflict);
    expect(stderr).toContain('error: It exists.\n  /slug: taken\n  request r-1\n');
  });
});

describe('server accept', () => {
  const routes = {
    'GET /servers/files/tools': {
      body: {
        items: [
          tool('old', 'accepted'),
          tool('a', 'new'),
          tool('b', 'changed'),
          tool('evil', 'poisoned'),
          tool('g', 'gone'),
        ],
      },
    },
    'POST /servers/files/tools/accept': { body: { items: [tool('a', 'accepted')] } },
  };
  const sent = () => api.seen.filter(({ method }) => method === 'POST').map(({ text }) => bodyOf(text));

  it('[CLI-ACCEPT-DIGEST] sends the digest of what was shown, and leaves poisoned ones out of --all', async () => {
    api = await fakeApi(routes);
    const { code, stderr } = await api.run(['server', 'accept', 'files', '--all', '--class', 'read']);
    expect(code).toBe(EXIT.ok);
    expect(sent()).toEqual([
      {
        tools: [
          { name: 'a', digest: 'digest-of-a', class: 'read' },
          { name: 'b', digest: 'digest-of-b', class: 'read' },
        ],
      },
    ]);
    expect(stderr).toContain('evil is poisoned');
  });

  it('takes a poisoned one by name', async () => {
    api = await fakeApi(routes);
    await api.run(['server', 'accept', 'files', 'evil']);
    expect(sent()).toEqual([{ tools: [{ name: 'evil', digest: 'digest-of-evil' }] }]);
  });

  it('asks which ones at a terminal, and again before it is done', async () => {
    api = await fakeApi(routes);
    const prompts = { confirm: async () => true, choose: async () => ['b'] };
    await api.run(['server', 'accept', 'files'], { terminal: true, prompts });
    expect(sent()).toEqual([{ tools: [{ name: 'b', digest: 'digest-of-b' }] }]);
    await api.run(['server', 'accept', 'files', '--all'], {
      terminal: true,
      prompts: { ...prompts, confirm: async () => false },
    });
    expect(sent()).toHaveLength(1);
  });

  it.each([
    ['nothing named', EXIT.usage, []],
    ['an unknown class', EXIT.usage, ['--all', '--class', 'nice']],
    ['names beside --all', EXIT.usage, ['a', '--all']],
    ['an unknown tool', EXIT.notFound, ['nope']],
  ])('refuses %s', async (_, code, rest) => {
    api = await fakeApi(routes);
    expect((await api.run(['server', 'accept', 'files', ...rest])).code).toBe(code);
    expect(sent()).toEqual([]);
  });
});

describe('the other server commands', () => {
  it('list, show, refresh', async () => {
    api = await fakeApi({
      'GET /servers': { body: { items: [SERVER] } },
      'GET /servers/files': { body: SERVER },
      'GET /servers/files/tools': { body: { items: [tool('a', 'new')] } },
      'GET /servers/files/tools/a': {
        body: tool('a', 'changed', {
          changes: [
            { pointer: '/annotations', kind: 'annotation', message: 'differs', before: { a: 1 }, after: { a: 2 } },
            {
              pointer: '/description',
              kind: 'text',
              message: 'differs',
              before: 'x',
              after: 'y',
              words: [
                { kind: 'same', text: `${'long '.repeat(30)}beginning ` },
                { kind: 'removed', text: 'reads' },
                { kind: 'added', text: 'sends' },
                { kind: 'same', text: ' the file' },
              ],
            },
          ],
        }),
      },
      'POST /servers/files/refresh': {
        body: { intake: { new: ['a'], changed: [], textChanged: [], poisoned: ['p'], gone: [], returned: [] } },
      },
    });
    expect((await api.run(['server', 'list'])).stdout).toMatch(
      /SERVER .*\nfiles +files +http +http:\/\/127.0.0.1:9\/mcp\n/,
    );
    expect((await api.run(['server', 'show', 'files'])).stdout).toMatch(/\na +write +new +It/);
    expect((await api.run(['server', 'show', 'files', 'a'])).stdout).toContain(
      [
        '  annotation /annotations: differs',
        '    - {"a":1}',
        '    + {"a":2}',
        '  text /description: differs',
        '    …long long long long long long beginning [-reads-]{+sends+} the file\n',
      ].join('\n'),
    );
    expect((await api.run(['server', 'refresh', 'files'])).stdout).toBe('new: a\npoisoned: p\n');
    const json = await api.run(['server', 'list', '--json']);
    expect(JSON.parse(json.stdout)).toEqual([SERVER]);
  });

  it('reads all pages of a list', async () => {
    api = await fakeApi({
      'GET /servers': ({ path }) =>
        path.endsWith('cursor=p%262')
          ? { body: { items: [{ ...SERVER, slug: 'b' }] } }
          : { body: { items: [SERVER], next: 'p&2' } },
    });
    const { stdout } = await api.run(['server', 'list', '--json']);
    expect((JSON.parse(stdout) as { slug: string }[]).map(({ slug }) => slug)).toEqual(['files', 'b']);
  });

  it('[CLI-EXIT] a server that is not there is exit code 3; removing one needs a yes', async () => {
    api = await fakeApi({ 'DELETE /servers/files': {} });
    expect((await api.run(['server', 'show', 'nope'])).code).toBe(EXIT.notFound);
    expect((await api.run(['server', 'remove', 'files'])).code).toBe(EXIT.usage);
    expect(api.seen.some(({ method }) => method === 'DELETE')).toBe(false);
    expect((await api.run(['server', 'remove', 'files', '--yes'])).stdout).toBe('Removed files.\n');
  });
});

// README, docs and examples say what is true: what is made from the code is current, and policies, settings, commands and
// links in them are held against the real thing.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSettings } from '@gatehouse/gateway';
import {
  type Caller,
  checkPolicy,
  compilePolicy,
  type Decision,
  judge,
  type PinnedTool,
  parsePolicyText,
} from '@gatehouse/policy';
import { compileSchema } from '@gatehouse/policy/ajv';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { generated } from '../../../scripts/docs.mjs';
import { EXAMPLE_POLICY } from '../src/commands/start.ts';
import type { Context } from '../src/context.ts';
import { createProgram } from '../src/program.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const PAGES = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'packages/flux/README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

interface Block {
  page: string;
  line: number;
  language: string;
  text: string;
}

function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  read(page)
    .split('\n')
    .forEach((line, i) => {
      const fence = /^```(.*)$/.exec(line);
      if (fence === null) {
        if (open !== undefined) open.text += `${line}\n`;
      } else if (open === undefined) open = { page, line: i + 1, language: (fence[1] ?? '').trim(), text: '' };
      else {
        blocks.push(open);
        open = undefined;
      }
    });
  expect(open, `an open block in ${page}`).toBeUndefined();
  return blocks;
}

const blocks = PAGES.flatMap(blocksOf);
const policies = blocks.filter(({ language }) => language.endsWith(' policy'));

function policyOf(text: string, what: string): unknown {
  const parsed = parsePolicyText(text);
  if (!parsed.ok) throw new Error(`${what}: ${JSON.stringify(parsed.problems)}`);
  return parsed.document;
}

describe('what is made from the code', () => {
  it.each([...generated()])('[CFG-DOCS] %s is current (else: node scripts/docs.mjs)', (file, text) => {
    expect(read(file)).toBe(text);
  });
});

describe('policies in the texts', () => {
  it('there are some, and every block that looks like one is marked as one', () => {
    expect(policies.length).toBeGreaterThanOrEqual(7);
    for (const { page, line, language, text } of blocks) {
      if (!/^\s*"?version"?:/m.test(text) || !/^\s*"?default"?:/m.test(text)) continue;
      expect(language, `${page}:${line}`).toMatch(/^(json|yaml) policy$/);
    }
  });

  it.each(policies.map((block): [string, Block] => [`${block.page}:${block.line}`, block]))(
    '%s has neither errors nor warnings',
    (place, { language, text }) => {
      expect(checkPolicy(policyOf(text, place)).filter((one) => one.code !== 'unvalidated')).toEqual([]);
      if (language.startsWith('json')) expect(() => JSON.parse(text) as unknown).not.toThrow();
    },
  );

  it('the policy of npm start in the README is the one that it installs', () => {
    const [first] = policies.filter(({ page }) => page === 'README.md');
    expect(policyOf(first?.text ?? '', 'README.md')).toEqual(EXAMPLE_POLICY);
  });

  it('every other JSON block is JSON', () => {
    for (const { page, line, language, text } of blocks) {
      // The format of the log shows shortened digests, which are JSON as well.
      if (language === 'json') expect(() => JSON.parse(text) as unknown, `${page}:${line}`).not.toThrow();
    }
  });
});

describe('examples', () => {
  const files = readdirSync(join(root, 'examples'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/').replace(/^\//, ''));

  it.each(files)('[CFG-DOCS] %s loads', (file) => {
    if (file.startsWith('examples/policies/')) expect(checkPolicy(policyOf(read(file), file))).toEqual([]);
    else if (file === 'examples/gatehouse.yaml') loadSettings({ file: join(root, file), env: {} });
    // Loaded by the programs that they are for.
    else if (read('packages/gateway/test/deployment.e2e.test.ts').includes(`'${file}'`))
      expect(read(file)).not.toBe('');
    else throw new Error(`No test knows what ${file} is.`);
  });

  it('gatehouse.yaml names every setting', () => {
    const { described } = loadSettings({ file: join(root, 'examples/gatehouse.yaml'), env: {} });
    expect(described.filter(({ source }) => source !== 'file').map(({ name }) => name)).toEqual([]);
  });

  const text = { type: 'string' };
  const tool = (name: string, toolClass: PinnedTool['class'], properties: Record<string, unknown>): PinnedTool => {
    const inputSchema = { type: 'object', properties };
    const compiled = compileSchema(inputSchema);
    if (!compiled.ok) throw new Error(compiled.reason);
    return {
      name,
      class: toolClass,
      digest: '0'.repeat(64),
      state: 'accepted',
      inputSchema,
      validator: compiled.validator,
    };
  };
  const TOOLS = [
    tool('flux_generate_image', 'write', { prompt: text, count: { type: 'integer' }, callback_url: text }),
    tool('read_text_file', 'read', { path: text }),
    tool('push_files', 'write', { owner: text, repo: text, branch: text }),
    tool('delete_file', 'destructive', { owner: text, repo: text }),
    tool('create_refund', 'financial', { amount: { type: 'number' }, currency: text }),
    tool('write_page', 'write', { title: text }),
  ];
  const caller: Caller = {
    identity: { id: 'i', name: 'ana', groups: [] },
    grant: { id: 'g', label: 'g', attributes: {} },
    server: { slug: 's' },
  };

  function decide(file: string, name: string, args: Record<string, unknown>, at: string): Decision {
    const tools = new Map(TOOLS.map((one) => [one.name, one]));
    const compiled = compilePolicy(policyOf(read(`examples/policies/${file}`), file), { tools });
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
    const call = { tool: name, arguments: args as never };
    return judge(compiled.policy, tools, call, { caller, now: Date.parse(at) });
  }

  const monday = '2026-11-02T10:00:00Z';
  const repository = { owner: 'example-org', repo: 'website' };
  it.each<[string, string, Record<string, unknown>, string, string]>([
    ['flux.yaml', 'flux_generate_image', { prompt: 'a boat', count: 4 }, monday, ''],
    [
      'flux.yaml',
      'flux_generate_image',
      { prompt: 'a boat', count: 5 },
      monday,
      '/tools/flux_generate_image/args/count/lte',
    ],
    [
      'flux.yaml',
      'flux_generate_image',
      { prompt: 'a boat', callback_url: 'https://hooks.example.com.evil.net/flux/' },
      monday,
      '/tools/flux_generate_image/args/callback_url/url_in',
    ],
    ['files-read-only.yaml', 'read_text_file', { path: '/srv/docs/a/../b.md' }, monday, ''],
    [
      'files-read-only.yaml',
      'read_text_file',
      { path: '/srv/docs/../etc/passwd' },
      monday,
      '/tools/read_text_file/args/path/path_within',
    ],
    [
      'files-read-only.yaml',
      'read_text_file',
      { path: '/srv/docs-private/a' },
      monday,
      '/tools/read_text_file/args/path/path_within',
    ],
    ['one-repository.json', 'push_files', { ...repository, branch: 'agent/fix' }, monday, ''],
    ['one-repository.json', 'push_files', { ...repository, branch: 'main' }, monday, '/tools/push_files/deny_if/0'],
    ['one-repository.json', 'push_files', repository, monday, '/tools/push_files/deny_if/0'],
    [
      'one-repository.json',
      'push_files',
      { ...repository, repo: 'secrets', branch: 'x' },
      monday,
      '/all_tools/require/1',
    ],
    ['one-repository.json', 'delete_file', repository, monday, '(hidden)'],
    ['payments.yaml', 'create_refund', { amount: 200, currency: 'EUR' }, monday, ''],
    [
      'payments.yaml',
      'create_refund',
      { amount: 201, currency: 'EUR' },
      monday,
      '/tools/create_refund/args/amount/lte',
    ],
    ['payments.yaml', 'create_refund', { currency: 'EUR' }, monday, '/tools/create_refund/args/amount/required'],
    ['working-hours.yaml', 'write_page', { title: 'x' }, monday, ''],
    ['working-hours.yaml', 'write_page', { title: 'x' }, '2026-11-02T18:00:00Z', '/classes/write/require/2'],
    ['working-hours.yaml', 'write_page', { title: 'x' }, '2026-11-01T10:00:00Z', '/classes/write/require/0'],
  ])('%s: %s %j at %s is decided by "%s"', (file, name, args, at, rule) => {
    const decision = decide(file, name, args, at);
    expect(decision.rule).toBe(rule);
    expect(decision.outcome).toBe(rule === '' ? 'allow' : 'deny');
  });
});

describe('commands in the texts', () => {
  const ignore = { raw: () => undefined, errorRaw: () => undefined };
  const program = createProgram({ out: ignore } as unknown as Context);
  const lines = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ page, text }) => text.split('\n').map((line): [string, string] => [page, line]))
    .filter(([, line]) => line.startsWith('gatehouse '));

  it('there are some', () => expect(lines.length).toBeGreaterThan(20));

  it.each(lines)('%s: %s', (_, line) => {
    const words =
      line
        .replace(/'[^']*'/g, 'quoted')
        .split(' -- ')[0]
        ?.split(/\s+/)
        .slice(1) ?? [];
    let command: Command = program;
    for (;;) {
      const next = command.commands.find((one) => one.name() === words[0]);
      if (next === undefined) break;
      command = next;
      words.shift();
    }
    expect(command.commands, 'a whole command').toEqual([]);
    const known = [...command.options, ...program.options].map(({ long }) => long);
    for (const word of words.filter((one) => one.startsWith('--'))) expect(known).toContain(word);
  });
});

describe('links in the texts', () => {
  const anchor = (heading: string): string =>
    heading
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
  const anchorsOf = (page: string): string[] =>
    read(page)
      .split('\n')
      .filter((line) => /^#{1,6} /.test(line))
      .map((line) => anchor(line.replace(/^#+ /, '')));

  it.each(PAGES)('%s points at what is there', (page) => {
    const text = read(page).replace(/```[\s\S]*?```/g, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target === undefined || /^https?:/.test(target)) continue;
      const [path = '', heading] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path).replaceAll('\\', '/');
      expect(existsSync(join(root, file)), target).toBe(true);
      if (heading !== undefined) expect(anchorsOf(file), target).toContain(heading);
    }
  });
});

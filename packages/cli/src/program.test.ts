import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { NOW, run } from '../test/harness.ts';
import type { Context } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { Output } from './output.ts';
import { createProgram } from './program.ts';

function program(): { root: Command; help: () => string } {
  let help = '';
  const write = (text: string): void => {
    help += text;
  };
  const context = {
    out: new Output({ json: false, colour: false, write, writeError: write }),
    now: () => NOW,
  } as Context;
  return { root: createProgram(context), help: () => help };
}

/** Commands that do something, by their whole names. */
function leaves(command: Command, prefix = ''): [string, Command][] {
  return command.commands.flatMap((child): [string, Command][] => {
    const name = `${prefix}${child.name()}`;
    return child.commands.length === 0 ? [[name, child]] : leaves(child, `${name} `);
  });
}

const NAMES = leaves(program().root).map(([name]) => name);

describe('every command', () => {
  it('is there', () => {
    expect(NAMES).toEqual([
      'serve',
      'start',
      'run',
      ...['add', 'list', 'show', 'refresh', 'accept', 'remove'].map((name) => `server ${name}`),
      ...['check', 'judge', 'apply', 'show', 'list', 'versions', 'remove'].map((name) => `policy ${name}`),
      ...['create', 'list', 'show', 'update', 'rotate', 'revoke'].map((name) => `grant ${name}`),
      ...['create', 'list', 'show', 'update', 'revoke', 'restore'].map((name) => `identity ${name}`),
      ...['create', 'list', 'show', 'rotate', 'revoke'].map((name) => `token ${name}`),
      ...['search', 'changes', 'tail', 'show', 'key', 'verify', 'export', 'retention'].map((name) => `audit ${name}`),
      'why',
      'config check',
      'config show',
      'config schema',
      'key show',
      'key rotate',
      'key reset',
      'backup',
      'restore',
      'doctor',
    ]);
  });

  it.each(NAMES)('[CLI-HELP] %s has help with an example of itself', async (name) => {
    const { code, stdout } = await run([...name.split(' '), '--help']);
    expect(code).toBe(EXIT.ok);
    expect(stdout).toMatch(new RegExp(`\\nExamples?:\\n  \\$ gatehouse ${name}( |\\n)`));
    expect(stdout).toContain('--json');
  });

  it.each(NAMES)('[CLI-HELP] the options in the examples of %s are those that it takes', async (name) => {
    const { root } = program();
    const command = leaves(root).find(([leaf]) => leaf === name)![1];
    const known = new Set([...command.options, ...root.options].map((option) => option.long));
    const { stdout } = await run([...name.split(' '), '--help']);
    const examples = stdout.split('\n').filter((line) => line.startsWith('  $ gatehouse'));
    for (const option of examples
      .join('\n')
      .replaceAll(/ -- .*/g, '')
      .match(/--[a-z-]+/g) ?? []) {
      expect(known).toContain(option);
    }
  });
});

describe('the command line', () => {
  it('[CLI-EXIT] answers what is not a command or an option with exit code 2, on standard error', async () => {
    for (const argv of [
      [],
      ['sevre'],
      ['server'],
      ['server', 'lst'],
      ['server', 'list', '--nope'],
      ['grant', 'create'],
    ]) {
      const { code, stdout, stderr } = await run(argv);
      expect([argv, code, stdout]).toEqual([argv, EXIT.usage, '']);
      expect(stderr).not.toBe('');
    }
    expect((await run(['sevre'])).stderr).toContain('Did you mean serve?');
  });

  it('says its version', async () => {
    expect(await run(['--version'])).toEqual({ code: EXIT.ok, stdout: `${packageJson.version}\n`, stderr: '' });
  });

  it('names the exit codes in its help', async () => {
    const { stdout } = await run(['--help']);
    for (const code of Object.values(EXIT)) expect(stdout).toMatch(new RegExp(`\\n  ${code} +\\w`));
  });

  it('refuses words after -- where no command is expected', async () => {
    const { code, stderr } = await run(['server', 'list', '--', 'x']);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain('takes nothing after --');
  });

  it('[CLI-JSON] writes errors as JSON on standard error with --json', async () => {
    const { code, stdout, stderr } = await run(['--json', 'server', 'add', 'x']);
    expect([code, stdout]).toEqual([EXIT.usage, '']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'usage' } });
  });
});

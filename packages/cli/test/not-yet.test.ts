// Commands of the specification that this version has not: not even a name that does something else.
import { Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { EXIT, runCli } from '../src/index.ts';

async function run(...argv: string[]): Promise<{ code: number; error: string }> {
  let error = '';
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      error += chunk.toString('utf8');
      done();
    },
  });
  const code = await runCli(argv, {
    env: {},
    stdin: Readable.from([]),
    stdout: sink,
    stderr,
    signal: new AbortController().signal,
  });
  return { code, error };
}

describe('commands of later versions', () => {
  it.each([
    ['[not yet: GW-APPROVALS]', ['approvals']],
    ['[not yet: GW-FREEZE]', ['freeze', 'flux']],
    ['[not yet: GW-CONSOLE]', ['console']],
    ['[not yet: POL-IMPORT]', ['policy', 'import', 'old.yaml']],
  ])('%s gatehouse %j is no command', async (_, argv) => {
    const { code, error } = await run(...argv);
    expect(code).toBe(EXIT.usage);
    expect(error).toMatch(/unknown command|too many arguments/);
  });
});

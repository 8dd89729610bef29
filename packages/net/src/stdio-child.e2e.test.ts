import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { flattenNewlines, type OversizedLine } from './lines.ts';
import { StdioChild, type StdioChildOptions } from './stdio-child.ts';

const children: StdioChild[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop({ termAfterMs: 0, killAfterMs: 0 })));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'stdio-child-'));
  folders.push(path);
  return path;
}

const bytes = (value: string) => new TextEncoder().encode(value);
const text = new TextDecoder();

async function start(script: string, options: Partial<StdioChildOptions> = {}) {
  const lines: string[] = [];
  const oversized: OversizedLine[] = [];
  const result = await StdioChild.start({
    command: process.execPath,
    args: ['-e', script],
    onLine: (line) => lines.push(text.decode(line)),
    onOversize: (line) => oversized.push(line),
    ...options,
  });
  if (!result.ok) throw new Error(result.error.message);
  children.push(result.child);
  return { child: result.child, lines, oversized };
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error('the condition was not met within 10 s');
    await sleep(5);
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  // A zombie still answers a signal; it runs no more.
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

const ECHO = 'process.stdin.pipe(process.stdout)';

describe('StdioChild', () => {
  it('[NET-FRAMING] passes messages both ways byte for byte', async () => {
    const { child, lines } = await start(ECHO);
    const messages = ['{"id":1e400,"a":"é漢😀"}', `{"big":"${'x'.repeat(300_000)}"}`, '{"id":3}'];
    for (const message of messages) expect(child.write(bytes(message)).written).toBe(true);
    expect(child.write(flattenNewlines(bytes('{\n"a":1\r\n}'))).written).toBe(true);
    await until(() => lines.length === 4);
    expect(lines).toEqual([...messages, '{ "a":1  }']);
    expect(await child.stop()).toEqual({ code: 0, signal: null });
  });

  it('refuses a message with a raw newline', async () => {
    const { child, lines } = await start(ECHO);
    expect(child.write(bytes('{"a":1}\n{"b":2}'))).toMatchObject({
      written: false,
      reason: expect.stringMatching(/newline/),
    });
    expect(child.write(bytes('{"a":1}\r')).written).toBe(false);
    await child.stop();
    expect(lines).toEqual([]);
  });

  it('delivers all lines before it says that the process ended', async () => {
    const { child, lines } = await start(
      'process.stdout.write(Array.from({length: 20000}, (_, i) => "line " + i).join("\\n") + "\\nlast"); process.exitCode = 3',
    );
    expect(await child.exited).toEqual({ code: 3, signal: null });
    expect(lines).toHaveLength(20_001);
    expect(lines.at(-1)).toBe('last');
    expect(child.status).toEqual({ code: 3, signal: null });
  });

  it('[NET-LINECAP] lives on after a line above the cap', async () => {
    const { child, lines, oversized } = await start('console.log("x".repeat(5000)); console.log("ok")', {
      maxLineBytes: 100,
    });
    await child.exited;
    expect(lines).toEqual(['ok']);
    expect(oversized[0]?.message).toMatch(/longer than 100 bytes/);
  });

  it('[NET-ENV] gives the child a clean environment', async () => {
    process.env.STDIO_CHILD_CANARY = 'canary';
    try {
      const { child, lines } = await start('console.log(JSON.stringify(process.env))', { env: { WANTED: 'yes' } });
      await child.exited;
      const environment = JSON.parse(lines[0] ?? '') as Record<string, string>;
      expect(environment.WANTED).toBe('yes');
      expect(environment.PATH).toBe(process.env.PATH);
      expect(
        Object.keys(environment).filter((name) => !['PATH', 'HOME', 'LANG', 'TMPDIR', 'WANTED'].includes(name)),
      ).toEqual([]);
    } finally {
      delete process.env.STDIO_CHILD_CANARY;
    }
  });

  it('[NET-NOSHELL] gives arguments as they are, with no shell between', async () => {
    const { child, lines } = await start('console.log(JSON.stringify(process.argv.slice(1)))', {
      args: ['-e', 'console.log(JSON.stringify(process.argv.slice(1)))', '--', '$(id)', '; true', '*', "it's"],
    });
    await child.exited;
    expect(JSON.parse(lines[0] ?? '')).toEqual(['$(id)', '; true', '*', "it's"]);
  });

  it('keeps the end of stderr', async () => {
    const { child } = await start('for (let i = 0; i < 10000; i++) console.error("error " + i)', { stderrBytes: 1000 });
    await child.exited;
    const kept = child.stderrLines();
    expect(kept.at(-1)).toBe('error 9999');
    expect(kept.length).toBeGreaterThan(50);
    expect(kept.join('\n').length).toBeLessThan(1000);
  });

  it('reports failing starts as values that say what to do', async () => {
    const here = folder();
    const plain = join(here, 'plain.txt');
    writeFileSync(plain, 'no program', { mode: 0o644 });
    const tryStart = async (options: Partial<StdioChildOptions>) => {
      const result = await StdioChild.start({ command: process.execPath, onLine: () => {}, ...options });
      return result.ok ? undefined : result.error;
    };
    expect(await tryStart({ command: 'no-such-program-here' })).toEqual({
      code: 'ENOENT',
      message: expect.stringMatching(/"no-such-program-here".*no such program/),
    });
    expect(await tryStart({ command: plain })).toMatchObject({
      code: 'EACCES',
      message: expect.stringMatching(/may not be executed/),
    });
    expect(await tryStart({ cwd: join(here, 'absent') })).toMatchObject({
      message: expect.stringMatching(/working directory .*absent/),
    });
    expect(await tryStart({ args: ['a\0b'] })).toMatchObject({ code: 'EINVAL' });
    expect(await tryStart({ command: '' })).toMatchObject({ code: 'EINVAL' });
    expect(await tryStart({ env: { 'A=B': 'x' } })).toMatchObject({
      code: 'EINVAL',
      message: expect.stringMatching(/A=B/),
    });
  });

  it('[NET-WRITTEN] says that nothing was handed over once the child has ended', async () => {
    const { child } = await start('process.exit(1)');
    await child.exited;
    expect(child.writable).toBe(false);
    expect(child.write(bytes('{}'))).toMatchObject({ written: false, reason: expect.stringMatching(/ended/) });
  });

  it('[NET-BACKPRESSURE] tells a child that does not read, refuses above the bound, and tells when it reads again', async () => {
    let drained = 0;
    const { child, lines } = await start(
      'console.log("up"); setTimeout(() => { let n = 0; process.stdin.on("data", c => n += c.length).on("end", () => console.log(n)) }, 300)',
      { maxPendingBytes: 1_000_000, onDrain: () => (drained += 1) },
    );
    await until(() => lines.length === 1);
    const message = new Uint8Array(400_000).fill(0x61);
    const results = [1, 2, 3, 4, 5].map(() => child.write(message));
    expect(results.map(({ written }) => written)).toEqual([true, true, false, false, false]);
    expect(results[0]?.ready).toBe(false);
    expect(results[4]?.reason).toMatch(/does not read/);
    await until(() => drained > 0);
    expect(child.pendingBytes).toBe(0);
    await child.stop();
    expect(lines).toEqual(['up', '800002']);
  });

  it('[NET-BACKPRESSURE] makes the child wait while nobody takes its lines', async () => {
    const file = join(folder(), 'count');
    const { child, lines } = await start(
      `let n = 0; const fs = require("fs"); const line = "x".repeat(9999) + "\\n";
       const go = () => { while (n < 1000) { n++; fs.writeFileSync(${JSON.stringify(file)}, String(n)); if (!process.stdout.write(line)) return process.stdout.once("drain", go); } };
       process.stdin.once("data", go)`,
    );
    child.pause();
    child.write(bytes('go'));
    await sleep(400);
    const made = Number(readFileSync(file, 'utf8'));
    expect(made).toBeLessThan(100);
    expect(lines.length).toBe(0);
    child.resume();
    await until(() => lines.length === 1000);
  });

  it('[NET-GROUP] ends a child that heeds neither the end of its input nor SIGTERM, with its grandchild', async () => {
    const { child, lines } = await start(
      `const { spawn } = require("child_process");
       const ignoring = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("child " + process.pid)';
       process.on("SIGTERM", () => console.log("heard"));
       spawn(process.execPath, ["-e", ignoring], { stdio: "inherit" });
       setInterval(() => {}, 1000)`,
    );
    await until(() => lines.some((line) => line.startsWith('child ')));
    const grandchild = Number(lines[0]?.split(' ')[1]);
    expect(runs(grandchild)).toBe(true);
    const status = await child.stop({ termAfterMs: 50, killAfterMs: 200 });
    expect(status).toEqual({ code: null, signal: 'SIGKILL' });
    expect(lines).toContain('heard');
    await until(() => !runs(grandchild));
  });

  it('[NET-GROUP] leaves no grandchild behind when the child ends by itself', async () => {
    const { child, lines } = await start(
      `const { spawn } = require("child_process");
       const lasting = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" });
       console.log(lasting.pid); process.stdin.once("data", () => process.exit(0))`,
    );
    await until(() => lines.length === 1);
    const grandchild = Number(lines[0]);
    expect(runs(grandchild)).toBe(true);
    child.write(bytes('go'));
    expect(await child.exited).toEqual({ code: 0, signal: null });
    await until(() => !runs(grandchild));
  });

  it('does not wait for a process that left the group and holds the output open', async () => {
    const { child, lines } = await start(
      `const { spawn } = require("child_process");
       const away = spawn(process.execPath, ["-e", "setTimeout(() => {}, 20000)"], { stdio: "inherit", detached: true });
       console.log(away.pid); away.unref(); process.stdin.once("data", () => process.exit(0))`,
    );
    await until(() => lines.length === 1);
    const started = performance.now();
    child.write(bytes('go'));
    try {
      expect(await child.exited).toEqual({ code: 0, signal: null });
      expect(performance.now() - started).toBeLessThan(5_000);
    } finally {
      process.kill(Number(lines[0]), 'SIGKILL');
    }
  });

  it('ends with SIGTERM where the end of input is not enough', async () => {
    const { child, lines } = await start('setInterval(() => {}, 1000); console.log("up")');
    await until(() => lines.length === 1);
    const started = performance.now();
    expect(await child.stop({ termAfterMs: 100, killAfterMs: 5_000 })).toEqual({ code: null, signal: 'SIGTERM' });
    expect(performance.now() - started).toBeGreaterThan(90);
    expect(await child.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('[NET-GROUP] takes its group with it when this process ends in order', async () => {
    const module = new URL('./stdio-child.ts', import.meta.url).href;
    const { child, lines } = await start('', {
      args: [
        '--input-type=module',
        '-e',
        `import { StdioChild } from ${JSON.stringify(module)};
         const { child } = await StdioChild.start({ command: process.execPath,
           args: ["-e", "setInterval(() => {}, 1000); console.log('up')"],
           onLine: () => { console.log(child.pid); process.exit(0); } });`,
      ],
    });
    await child.exited;
    const pid = Number(lines[0]);
    expect(pid).toBeGreaterThan(1);
    await until(() => !runs(pid));
  });
});

// `gatehouse run`: the same door for one local client on stdin and stdout, and one server (spec: gateway §4). No port.
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LineSplitter } from '@gatehouse/net';
import { parsePolicyText } from '@gatehouse/policy';
import { parsePlainJson } from '@gatehouse/wire';
import type { Settings } from './config.ts';
import { GatehouseError } from './errors.ts';
import { AUDIT_FOLDER, RUN_FOLDER } from './folders.ts';
import { openGateway } from './gateway.ts';
import type { Actor, GrantEntry } from './model.ts';
import { CODE, errorAnswer } from './proxy/answers.ts';
import { handle } from './proxy/call.ts';
import { openStream } from './proxy/session-requests.ts';
import { type LineWriter, StdioExchange } from './proxy/stdio-exchange.ts';
import type { IntakeReport, ObservedTool } from './services.ts';

export interface RunOptions {
  settings: Settings;
  env: Readonly<Record<string, string | undefined>>;
  /** A policy document, JSON or YAML. Without one everything that reads is allowed, and nothing else. */
  policyFile?: string;
  /** Accepts the tools as they are now, after they changed; says what changed. Default false. */
  accept?: boolean;
  /** Reloads the policy when its file changes; one that is not valid is refused and the old one stays. */
  watch: boolean;
  command: string;
  args: readonly string[];
  cwd?: string;
  /** Passed on to the child beside the clean environment. */
  environment: Readonly<Record<string, string>>;
  stdin: NodeJS.ReadableStream;
  stdout: NodeJS.WritableStream;
  /** Sentences for the person who looks at standard error. */
  say: (line: string) => void;
  /** Resolves when the process is asked to end. */
  stop: Promise<void>;
}

/** Read-class tools, unlisted ones denied: what a run without a policy file may do. */
const READ_ONLY_POLICY = {
  version: '1',
  default: 'deny',
  list: 'allowed',
  classes: { read: {} },
  resources: { allow: ['*'] },
  prompts: { allow: ['*'] },
};

const ACTOR: Actor = { kind: 'gatehouse', id: 'run' };
const POLICY = 'run';

/** @returns the exit code */
export async function runStdio(options: RunOptions): Promise<number> {
  const home = join(options.settings.data, RUN_FOLDER);
  const command = digestOf(options);
  const pins = new Pins(join(home, 'pins'), command);
  const user = options.env.USER || 'local';
  // To the counters and in the log, each run of one command is the same server, identity and grant.
  const slug = `local-${command.slice(0, 8)}`;
  const ids = { grant: `grt_${command.slice(0, 20)}`, identity: `idn_${sha256(user).slice(0, 20)}` };
  // What `serve` keeps in a store is the policy file and the pins here; the store of one run is of that run alone.
  const scratch = mkdtempSync(join(tmpdir(), 'gatehouse-run-'));
  const gateway = await openGateway(
    { ...options.settings, data: scratch, log_level: 'silent' },
    {
      env: options.env,
      auditDir: join(home, AUDIT_FOLDER),
      sharedCounters: {
        path: join(home, 'counters.db'),
        onUnavailable: ({ message }) => options.say(`Calls with a limit are denied. ${message}`),
      },
      onIntake: (_slug, report) => sayDenied(options, report),
    },
  );
  try {
    gateway.upkeep.retention.start();
    const { services } = gateway;
    await services.servers.create(
      {
        slug,
        transport: {
          kind: 'stdio',
          command: options.command,
          args: options.args,
          environment: options.environment,
          ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        },
        settings: {
          children: { max: 4, idleSeconds: 86_400 },
          // A person sits at this client, and it is the one that the child was made for.
          serverRequests: { elicitation: true, sampling: false, roots: true },
        },
      },
      ACTOR,
    );
    await acceptDefinitions(gateway, slug, pins, options);
    await services.policies.put(slug, POLICY, readPolicy(options.policyFile), undefined, ACTOR);
    const { grant } = await services.grants.create(
      { server: slug, identity: user, policy: POLICY, label: 'run', token: false, ids },
      ACTOR,
    );
    const stopWatching =
      options.watch && options.policyFile !== undefined ? watchPolicy(options, slug, services) : undefined;
    await converse(gateway, grant.id, options);
    stopWatching?.();
    return 0;
  } finally {
    await gateway.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

type Gateway = Awaited<ReturnType<typeof openGateway>>;

/** The first start accepts what it finds and says what that was; later ones compare with that, or accept anew if told so. */
async function acceptDefinitions(gateway: Gateway, slug: string, pins: Pins, options: RunOptions): Promise<void> {
  const { definitions } = gateway.services;
  const known = pins.read();
  if (known !== undefined) {
    await definitions.intake(slug, known, { complete: true, accept: true, actor: ACTOR });
    if (options.accept !== true) return;
  }
  const observed = await gateway.readTools(slug);
  const report = await definitions.intake(slug, observed, {
    complete: true,
    accept: known === undefined,
    actor: ACTOR,
  });
  if (known !== undefined) await definitions.accept(slug, 'all', ACTOR);
  pins.write(observed);
  const accepted = definitions.list(slug).filter((definition) => definition.state === 'accepted');
  const names = accepted.map((tool) => `${tool.name} (${tool.class})`).join(', ') || 'none';
  options.say(
    known === undefined
      ? `First start of this server: ${accepted.length} tools accepted: ${names}.`
      : `Accepted anew: ${[...report.new, ...report.changed, ...report.textChanged].join(', ') || 'nothing, for nothing changed'}.`,
  );
  for (const name of report.poisoned) options.say(`Not accepted, its definition holds poison: ${name}.`);
}

/** Nobody looks at a page here: what is denied from now on is said where the person looks. */
function sayDenied(options: RunOptions, report: IntakeReport): void {
  for (const name of report.poisoned) options.say(`${name} is denied: its definition holds poison now.`);
  const waiting = [...report.new, ...report.changed];
  if (waiting.length > 0) {
    options.say(
      `New, or changed since they were accepted, and denied: ${waiting.join(', ')}. To accept them, start with --accept.`,
    );
  }
}

function readPolicy(file: string | undefined): unknown {
  if (file === undefined) return READ_ONLY_POLICY;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new GatehouseError('policy_invalid', `The policy file ${file} cannot be read: ${(error as Error).message}`);
  }
  const parsed = parsePolicyText(text);
  if (parsed.ok) return parsed.document;
  throw new GatehouseError(
    'policy_invalid',
    `The policy file ${file} cannot be read as JSON or YAML.`,
    parsed.problems,
  );
}

function watchPolicy(options: RunOptions, slug: string, services: Gateway['services']): () => void {
  const file = options.policyFile as string;
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(file, { persistent: false }, () => {
    clearTimeout(timer);
    // Editors write in several steps.
    timer = setTimeout(() => void reload(), 200);
  });
  async function reload(): Promise<void> {
    try {
      await services.policies.put(slug, POLICY, readPolicy(file), undefined, ACTOR);
      options.say(`The policy ${file} was read again and holds from the next call.`);
    } catch (error) {
      const items = error instanceof GatehouseError ? error.items : [];
      options.say(`The changed policy ${file} is refused, the one before it stays: ${(error as Error).message}`);
      for (const item of items) options.say(`  ${item.pointer}: ${item.message}`);
    }
  }
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}

/** Moves messages until the client closes its end or the process is asked to stop. */
async function converse(gateway: Gateway, grantId: string, options: RunOptions): Promise<void> {
  const { gate } = gateway;
  const out = lineWriter(options.stdout);
  const state: { session?: string } = {};
  const underWay = new Set<Promise<void>>();
  const onSession = (id: string): void => {
    state.session = id;
    const grant = gate.directory.grant(grantId);
    if (grant !== undefined) {
      const headers = { session: id, params: {} };
      void openStream(gate, { grant, headers, body: new Uint8Array(0), source: '' }, new StdioExchange(out, () => {}));
    }
  };
  const receive = (line: Uint8Array): void => {
    const grant: GrantEntry | undefined = gate.directory.grant(grantId);
    if (grant === undefined) {
      out.write(errorAnswer(undefined, CODE.internal, 'The grant of this run has ended.'));
      return;
    }
    const exchange = new StdioExchange(out, onSession);
    const stdio = state.session === undefined ? {} : { session: state.session };
    const done = handle(
      gate,
      { grant, body: new Uint8Array(line), headers: { params: {} }, source: '', stdio },
      exchange,
    );
    underWay.add(done);
    void done.finally(() => underWay.delete(done));
  };
  const splitter = new LineSplitter({
    maxLineBytes: options.settings.max_body,
    onLine: receive,
    onOversize: () =>
      out.write(
        errorAnswer(undefined, CODE.invalidRequest, `A message is larger than ${options.settings.max_body} bytes.`),
      ),
  });
  const ended = new Promise<void>((resolve) => {
    options.stdin.on('data', (chunk: Buffer) => splitter.push(chunk));
    options.stdin.once('end', () => {
      splitter.end();
      resolve();
    });
    options.stdin.once('error', () => resolve());
  });
  await Promise.race([ended, options.stop]);
  await Promise.allSettled(underWay);
}

function lineWriter(stdout: NodeJS.WritableStream): LineWriter {
  let closed = false;
  let waiting: (() => void)[] = [];
  stdout.on('drain', () => {
    const listeners = waiting;
    waiting = [];
    for (const listener of listeners) listener();
  });
  // A client that left closes the pipe; what is still to be said has nobody to hear it.
  stdout.on('error', () => {
    closed = true;
  });
  return {
    get closed() {
      return closed;
    },
    write(line) {
      if (closed) return true;
      stdout.write(line);
      return stdout.write('\n');
    },
    onDrain(listener) {
      waiting.push(listener);
    },
  };
}

/** What tells one command line from another: its pins and its counters are its own. */
function digestOf({ command, args, cwd }: Pick<RunOptions, 'command' | 'args' | 'cwd'>): string {
  return sha256(JSON.stringify([command, args, cwd ?? null]));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The accepted definitions of one command line, kept beside the log. */
class Pins {
  readonly #folder: string;
  readonly #file: string;

  /** @param command digest of the command line */
  constructor(folder: string, command: string) {
    this.#folder = folder;
    this.#file = join(folder, `${command.slice(0, 32)}.json`);
  }

  read(): ObservedTool[] | undefined {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new GatehouseError(
        'store_unavailable',
        `The accepted definitions in ${this.#file} cannot be read: ${(error as Error).message}`,
      );
    }
    try {
      const { tools } = parsePlainJson(text) as { tools: string[] };
      return tools.map((tool) => ({ bytes: Buffer.from(tool, 'utf8'), value: parsePlainJson(tool) as unknown }));
    } catch {
      throw new GatehouseError(
        'store_unavailable',
        `${this.#file} is damaged. Delete it to look at the tools anew and accept them.`,
      );
    }
  }

  /** Whole or not at all: another run may read it at the same moment. */
  write(tools: readonly ObservedTool[]): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const part = `${this.#file}.${randomUUID()}`;
    const texts = tools.map((tool) => Buffer.from(tool.bytes).toString('utf8'));
    writeFileSync(part, `${JSON.stringify({ tools: texts }, null, 1)}\n`, { mode: 0o600 });
    renameSync(part, this.#file);
  }
}

import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Judged } from '../api-types.ts';
import { type Context, defineCommand, type GlobalOptions, handle, withClient } from '../context.ts';
import { notFound } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { looksLikeFile, readPolicyFile } from '../policy-file.ts';
import { showDecision, showTrace } from '../trace-view.ts';
import { checkJsonObject, parseTime } from '../values.ts';

interface JudgeOptions extends GlobalOptions {
  server: string;
  policy?: string;
  tool: string;
  args: string;
  grant?: string;
  identity?: string;
  at?: string;
  trace?: boolean;
}

/** `--args`: JSON, `@file`, or `-` for standard input. */
async function argumentsText(context: Context, text: string): Promise<string> {
  if (text === '-') return checkJsonObject(await context.readStdin(), '--args');
  if (!text.startsWith('@')) return checkJsonObject(text, '--args');
  const path = text.slice(1);
  if (!existsSync(path)) throw notFound(`--args: there is no file ${path}.`);
  return checkJsonObject(readFileSync(path, 'utf8'), '--args');
}

async function judge(context: Context, options: JudgeOptions): Promise<ExitCode> {
  const { out } = context;
  const asked: Record<string, unknown> = { server: options.server, tool: options.tool };
  if (options.policy !== undefined) {
    if (looksLikeFile(options.policy)) asked.text = (await readPolicyFile(context, options.policy)).text;
    else asked.policy = options.policy;
  }
  if (options.grant !== undefined) asked.grant = options.grant;
  if (options.identity !== undefined) asked.identity = options.identity;
  if (options.at !== undefined) asked.at = parseTime(options.at, '--at', context.now(), 'ahead');
  const written = await argumentsText(context, options.args);
  const text = `${JSON.stringify(asked).slice(0, -1)},"arguments":${written}}`;
  const judged = await withClient(context, options, (client) =>
    client.request<Judged>('POST', '/policies/judge', { text, contentType: 'application/json' }),
  );
  if (out.isJson) out.json(judged);
  else {
    showDecision(out, judged.decision);
    if (options.trace || judged.decision.outcome === 'deny') showTrace(out, judged.trace);
  }
  return judged.decision.outcome === 'allow' ? EXIT.ok : EXIT.denied;
}

export function addJudgeCommand(group: Command, context: Context): void {
  const command = defineCommand(group, 'judge', {
    description: 'what a policy says to a call, step by step; nothing is called and nothing counted',
    examples: [
      `gatehouse policy judge --server flux --policy policy.yaml --tool flux_generate_image --args '{"prompt":"a boat"}'`,
    ],
    notes: 'Exit code 0: allowed, 4: denied. How full the limits are is not looked at.',
  })
    .requiredOption('--server <server>', 'whose tools')
    .option('--policy <file|name>', 'a file, or a policy of that server (default: that of --grant)')
    .requiredOption('--tool <tool>', 'which tool')
    .option('--args <json>', "the call's arguments: JSON, @FILE, or - for standard input", '{}')
    .option('--grant <id>', 'as the caller of this grant')
    .option('--identity <identity>', 'as this identity: name or id')
    .option('--at <time>', 'at this time: RFC 3339, a date, or a duration from now (default: now)')
    .option('--trace', 'show every step for allowed calls, too');
  handle<JudgeOptions>(context, command, (_, options) => judge(context, options));
}

import { checkPolicy, type PolicyProblem, parsePolicyText } from '@gatehouse/policy';
import type { Command } from 'commander';
import type { Grant, Policy, PolicyVersion, Server } from '../api-types.ts';
import { listAll } from '../client.ts';
import {
  type Context,
  confirmed,
  defineCommand,
  defineGroup,
  type GlobalOptions,
  handle,
  withClient,
} from '../context.ts';
import { CliError, notFound } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type PolicyFile, problemLines, readPolicyFile } from '../policy-file.ts';
import { apiPath, parseInteger } from '../values.ts';
import { addJudgeCommand } from './policy-judge.ts';

interface CheckOptions extends GlobalOptions {
  server?: string;
}

interface ApplyOptions extends GlobalOptions {
  server: string;
  name: string;
  grant?: string[];
  ifVersion?: string;
}

/** Without a server nothing but the text is needed, so that a check in CI needs no gateway and no data folder. */
async function problemsOf(
  context: Context,
  file: PolicyFile,
  options: CheckOptions,
): Promise<readonly PolicyProblem[]> {
  const parsed = parsePolicyText(file.text);
  if (!parsed.ok) return parsed.problems;
  const { server } = options;
  if (server === undefined) return checkPolicy(parsed.document);
  return withClient(context, options, async (client) => {
    const { problems } = await client.request<{ problems: PolicyProblem[] }>('POST', '/policies/check', {
      text: file.text,
      server,
    });
    return problems;
  });
}

async function check(context: Context, path: string, options: CheckOptions): Promise<ExitCode> {
  const { out } = context;
  const file = await readPolicyFile(context, path);
  const problems = await problemsOf(context, file, options);
  const valid = problems.every(({ severity }) => severity !== 'error');
  if (out.isJson) out.json({ valid, problems });
  else {
    for (const line of problemLines(file, problems)) out.text(line);
    out.text(valid ? `${file.path} is valid.` : `${file.path} is not valid.`);
  }
  return valid ? EXIT.ok : EXIT.denied;
}

async function apply(context: Context, path: string, options: ApplyOptions): Promise<ExitCode> {
  const { out } = context;
  const { server, name } = options;
  const file = await readPolicyFile(context, path);
  const parsed = parsePolicyText(file.text);
  if (!parsed.ok) throw invalid(file, parsed.problems);
  const headers: Record<string, string> = {};
  if (options.ifVersion !== undefined) {
    const version = parseInteger(options.ifVersion, '--if-version', 0, Number.MAX_SAFE_INTEGER);
    if (version === 0) headers['if-none-match'] = '*';
    else headers['if-match'] = `"${version}"`;
  }
  return withClient(context, options, async (client) => {
    // As text, so that what is read twice in it (duplicate keys, odd numbers) is judged by the gateway as it was written.
    const body = { text: file.text, contentType: file.contentType };
    const policy = await client.request<Policy>('PUT', apiPath`/servers/${server}/policies/${name}`, body, headers);
    const grants: Grant[] = [];
    for (const id of options.grant ?? [])
      grants.push(await client.request<Grant>('PATCH', apiPath`/grants/${id}`, { policy: name }));
    if (out.isJson) {
      out.json({ policy, grants });
      return EXIT.ok;
    }
    out.text(`${server}/${name} is now version ${policy.version}.`);
    for (const { id, identity } of grants) out.text(`Grant ${id} (${identity}) uses it from the next message.`);
    if (policy.grants === 0 && grants.length === 0) {
      out.note(`No grant carries it yet: gatehouse grant update GRANT --policy ${name}`);
    }
    for (const line of problemLines(file, policy.warnings)) out.warn(line);
    return EXIT.ok;
  });
}

function invalid(file: PolicyFile, problems: readonly PolicyProblem[]): CliError {
  return new CliError(EXIT.denied, 'policy_invalid', `${file.path} is not a policy.`, {
    details: problems.map(({ pointer, message, suggestion }) => ({ pointer, message, suggestion })),
  });
}

interface ShowOptions extends GlobalOptions {
  atVersion?: string;
}

async function show(
  context: Context,
  server: string,
  name: string | undefined,
  options: ShowOptions,
): Promise<undefined> {
  const { out } = context;
  return withClient(context, options, async (client) => {
    if (name === undefined) {
      const policies = await listAll<Policy>(client, apiPath`/servers/${server}/policies`);
      if (out.isJson) out.json(policies);
      else policyTable(context, policies);
      return undefined;
    }
    if (options.atVersion !== undefined) {
      const wanted = parseInteger(options.atVersion, '--at-version', 1, Number.MAX_SAFE_INTEGER);
      const versions = await listAll<PolicyVersion>(client, apiPath`/servers/${server}/policies/${name}/versions`);
      const found = versions.find(({ version }) => version === wanted);
      if (!found) throw notFound(`${server}/${name} has no version ${wanted}.`);
      out.json(out.isJson ? found : found.document);
      return undefined;
    }
    const policy = await client.request<Policy>('GET', apiPath`/servers/${server}/policies/${name}`);
    if (!out.isJson)
      out.note(
        `${server}/${name}, version ${policy.version}, grants: ${policy.grants}, by ${policy.updatedBy} at ${policy.updatedAt}`,
      );
    out.json(out.isJson ? policy : policy.document);
    return undefined;
  });
}

function policyTable(context: Context, policies: readonly Policy[]): void {
  const rows = policies.map((p) => [
    p.server,
    p.name,
    p.version,
    p.grants,
    p.warnings.length,
    p.updatedAt,
    p.updatedBy,
  ]);
  context.out.table(
    ['SERVER', 'POLICY', 'VERSION', 'GRANTS', 'WARNINGS', 'CHANGED', 'BY'],
    rows,
    'There are no policies.',
  );
}

export function addPolicyCommands(program: Command, context: Context): void {
  const { out } = context;
  const group = defineGroup(program, 'policy', 'the rules that calls are judged by');

  const checkCommand = defineCommand(group, 'check <file>', {
    description: 'name every error and warning in a policy (JSON or YAML; - reads standard input)',
    examples: ['gatehouse policy check policy.yaml', 'gatehouse policy check policy.yaml --server flux'],
    notes: 'Without --server no gateway is needed. Exit code 4: the policy has errors; warnings alone are 0.',
  }).option('--server <server>', 'check against the tools of this server too');
  handle<CheckOptions>(context, checkCommand, ([file], options) => check(context, file!, options));

  addJudgeCommand(group, context);

  const applyCommand = defineCommand(group, 'apply <file>', {
    description: 'save a policy; grants that carry it use it from the next message',
    examples: ['gatehouse policy apply policy.yaml --server flux --name pictures --grant grt_0123456789abcdefghij'],
  })
    .requiredOption('--server <server>', 'which server it is for')
    .requiredOption('--name <name>', 'its name on that server')
    .option('--grant <id>', 'give it to this grant, too (repeatable)', (id: string, before: string[] = []) => [
      ...before,
      id,
    ])
    .option('--if-version <number>', 'only if this is the version there is; 0: only if there is none');
  handle<ApplyOptions>(context, applyCommand, ([file], options) => apply(context, file!, options));

  const showCommand = defineCommand(group, 'show <server> [policy]', {
    description: 'the policies of a server, or the document of one',
    examples: ['gatehouse policy show flux pictures > policy.json'],
  }).option('--at-version <number>', 'an earlier version');
  handle<ShowOptions>(context, showCommand, ([server, name], options) => show(context, server!, name, options));

  const list = defineCommand(group, 'list', {
    description: 'the policies of all servers',
    examples: ['gatehouse policy list'],
  });
  handle(context, list, (_, options) =>
    withClient(context, options, async (client) => {
      const policies: Policy[] = [];
      for (const { slug } of await listAll<Server>(client, '/servers')) {
        policies.push(...(await listAll<Policy>(client, apiPath`/servers/${slug}/policies`)));
      }
      if (out.isJson) out.json(policies);
      else policyTable(context, policies);
      return undefined;
    }),
  );

  const versions = defineCommand(group, 'versions <server> <policy>', {
    description: 'every version of a policy: when, by whom',
    examples: ['gatehouse policy versions flux pictures'],
  });
  handle(context, versions, ([server, name], options) =>
    withClient(context, options, async (client) => {
      const all = await listAll<PolicyVersion>(client, apiPath`/servers/${server!}/policies/${name!}/versions`);
      if (out.isJson) out.json(all);
      else
        out.table(
          ['VERSION', 'SAVED', 'BY', 'DIGEST'],
          all.map((v) => [v.version, v.createdAt, v.createdBy, v.digest]),
          'None.',
        );
      return undefined;
    }),
  );

  const remove = defineCommand(group, 'remove <server> <policy>', {
    description: 'remove a policy that no grant carries',
    examples: ['gatehouse policy remove flux pictures --yes'],
  }).option('--yes', 'do not ask');
  handle<{ yes?: boolean }>(context, remove, async ([server, name], options) => {
    if (!(await confirmed(context, options.yes, `Remove the policy ${server}/${name}?`))) return undefined;
    return withClient(context, options, async (client) => {
      await client.request('DELETE', apiPath`/servers/${server!}/policies/${name!}`);
      if (out.isJson) out.json({ removed: `${server}/${name}` });
      else out.text(`Removed ${server}/${name}.`);
      return undefined;
    });
  });
}

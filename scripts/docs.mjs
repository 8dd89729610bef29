// Writes what the documentation takes from the code: docs/configuration.md, docs/cli.md, docs/errors.md, and the marked
// parts of README.md. `node scripts/docs.mjs` writes them (Node 24), `--check` only says which are not current.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { clientLines } from '../packages/cli/src/client-lines.ts';
import { EXIT_HELP, exitCodeOf } from '../packages/cli/src/exit-codes.ts';
import { createProgram } from '../packages/cli/src/program.ts';
import { ERRORS, loadSettings, settingsJsonSchema } from '../packages/gateway/src/index.ts';
import { CODE } from '../packages/gateway/src/proxy/answers.ts';
import { citedRequirements, readRequirements } from '../packages/testkit/src/requirements.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NOTE = '<!-- Made by scripts/docs.mjs. Change the code it is made from, not this page. -->';

/** A cell of a Markdown table. */
const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ');

function table(head, rows) {
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

// --- docs/configuration.md -----------------------------------------------------------------------------------------

/** Named in the specification; a version without them says so by name. */
const LATER = ['database_url', 'redis_url', 'audit.log_values', 'audit.sinks'];

function refusal(name) {
  try {
    loadSettings({ env: {}, flags: { [name]: 'x' } });
  } catch (error) {
    const item = error.items?.find(({ pointer }) => pointer === name);
    if (item?.message.includes('not available in this version')) return item.message.replace(/ \(set by .*\)$/, '');
  }
  throw new Error(`The setting ${name} is not refused by name any more: take it out of LATER in scripts/docs.mjs.`);
}

function read(name, written) {
  try {
    const { described } = loadSettings({ env: {}, flags: { [name]: written } });
    return described.find((row) => row.name === name).value;
  } catch {
    return undefined;
  }
}

/** A default as a person would write it: `4 MiB` and not 4194304, when the setting reads it so. */
function written(name, value) {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return 'none';
  if (typeof value !== 'number') return `\`${value}\``;
  const units = [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ];
  for (const [unit, factor] of units) {
    const text = `${value / factor}${unit.endsWith('B') ? ' ' : ''}${unit}`;
    // A day is 24 hours to whoever thinks of sessions; many days are days.
    if (unit === 'd' && value === factor) continue;
    if (value % factor === 0 && read(name, text) === value) return `\`${text}\``;
  }
  return `\`${value}\``;
}

function typeOf(schema) {
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return 'list';
  return schema.type ?? 'number';
}

function configuration() {
  const schema = settingsJsonSchema();
  // The default data folder is that of whoever runs this.
  const { described } = loadSettings({ env: {}, flags: { data: '~/.gatehouse' } });
  const rows = described.map(({ name, value, description }) => {
    const type = typeOf(name.split('.').reduce((at, part) => at.properties[part], schema));
    const variable = `\`GATEHOUSE_${name.replaceAll('.', '_').toUpperCase()}\``;
    const standard = name === 'data' ? '`~/.gatehouse`' : written(name, value);
    return [`\`${name}\``, standard, type, description, variable];
  });
  return `# Settings

${NOTE}

A setting is looked for in four places; the first that has it wins:

1. the command line (\`--data\`, \`--host\`, \`--port\`),
2. the environment (\`GATEHOUSE_MAX_BODY\` for \`max_body\`, \`GATEHOUSE_AUDIT_DURABILITY\` for \`audit.durability\`),
3. the settings file, YAML, named by \`--config\` or \`GATEHOUSE_CONFIG\`; [an example](../examples/gatehouse.yaml),
4. the default.

\`gatehouse config show\` prints what holds and where each value came from. \`gatehouse config check\` names every error at
once. A name that is not in this table is an error, in the file and in the environment. \`gatehouse config schema\` prints
the JSON Schema of the file, for editors; the published package has it as \`settings.schema.json\`.

${table(['Setting', 'Default', 'Type', 'What it is', 'Environment'], rows)}

Sizes are bytes, or text such as \`4 MiB\`. Durations are text such as \`30s\`, \`10m\`, \`1h\`, \`7d\`; a bare number in the file is
seconds. Lists in the environment are separated by commas.

## The secret key

\`GATEHOUSE_SECRET_KEY\` (32 bytes or more, in hexadecimal, base64 or base64url) or the file named by \`secret_key_file\`. Without
either, the first start makes \`secret.key\`, mode 600, in the user's configuration folder (\`~/.config/gatehouse\`, or the
platform's own place), never in the data folder: who copies the data must not have the key too. The keys of the log, of
sessions, of credentials and of signatures are derived from it.

Keep a copy of it elsewhere. Without the key, sealed upstream credentials, open sessions and the keyed digests in the log
are lost for good; everything else in the data folder stays readable, and the log stays verifiable with its public key. A
data folder that another key wrote is refused, with this explanation.

\`gatehouse key rotate\` changes the key without a stop, \`gatehouse key reset\` goes on without one that is lost:
[backup and the secret key](backup.md#changing-the-secret-key). Earlier keys are read from \`GATEHOUSE_SECRET_KEY_PREVIOUS\`
(separated by commas) and from the file beside the key file whose name ends in \`.previous\` (one a line).

## Listening beyond this machine

The default is 127.0.0.1. Another \`host\` needs \`public_url\` (what clients use; its host name is accepted) and a secret key that
you gave, and is refused without them. \`tls.cert\` and \`tls.key\` make it speak HTTPS; [Deployment](deployment.md) says how, and what a
proxy in front of it must do. Requests whose \`Host\` or
\`Origin\` is not loopback, \`public_url\`, or listed in \`allowed_hosts\` and \`allowed_origins\` are answered 403.
\`/healthz\`, \`/readyz\` and \`/metrics\` answer whatever the Host; \`ops_port\` moves them to a port of their own.

## Environment variables that are not settings

| Variable | What |
|---|---|
| \`GATEHOUSE_CONFIG\` | the settings file |
| \`GATEHOUSE_SECRET_KEY\` | the secret key |
| \`GATEHOUSE_SECRET_KEY_PREVIOUS\` | earlier secret keys, separated by commas |
| \`GATEHOUSE_URL\` | a running gateway for the command line, like \`--api\` |
| \`GATEHOUSE_ADMIN_TOKEN\` | the admin token for that gateway |

## Per server

These are set on the server, through the API (\`PATCH /api/v1/servers/<slug>\`), not in the file: \`serverRequests\` (\`elicitation\`
yes, \`sampling\` no, \`roots\` for commands only), \`vendorMethods\`, \`toleratedArguments\`, \`newTools\` (\`quarantine\`), \`children\`
(\`max\`, \`idleSeconds\`), \`headers\` (not for secrets), \`trusted\`. The API describes them at \`/api/v1/openapi.json\`.

## Not in this version

A file that sets one of these is refused by name, so that nothing is half obeyed.

${table(
  ['Setting', 'What is said'],
  LATER.map((name) => [`\`${name}\``, refusal(name)]),
)}
`;
}

// --- docs/cli.md ---------------------------------------------------------------------------------------------------

/** The program, for its help alone: no command is run. */
function helpOf() {
  let text = '';
  const write = (more) => {
    text += more;
  };
  const program = createProgram({ out: { raw: write, errorRaw: write } });
  const shown = (command) => {
    command.configureHelp({ showGlobalOptions: false, helpWidth: 100 });
    text = '';
    command.outputHelp();
    return text.trimEnd();
  };
  return { program, shown };
}

function cli() {
  const { program, shown } = helpOf();
  const block = (command) => `\`\`\`text\n${shown(command)}\n\`\`\`\n`;
  const parts = [
    `# The command line

${NOTE}

In a clone, \`gatehouse\` is \`node packages/cli/bin/gatehouse.mjs\`, started by any Node from 18 up: it finds the Node 24 that npm
brought. Every command takes the four options of the first block, \`--json\` with machine-readable output among them (\`run\`,
which speaks MCP on standard output, is the exception).
`,
    block(program),
  ];
  for (const command of program.commands) {
    parts.push(`## gatehouse ${command.name()}\n`, block(command));
    for (const inner of command.commands) parts.push(`### gatehouse ${command.name()} ${inner.name()}\n`, block(inner));
  }
  return parts.join('\n');
}

// --- docs/errors.md ------------------------------------------------------------------------------------------------

const ADVICE = {
  invalid_input: 'Mend what `errors` names; each has a JSON Pointer.',
  unauthorized:
    'Send the admin token as `Authorization: Bearer …`. The ready file has it; on the gateway’s own machine `gatehouse` derives it from the secret key.',
  forbidden: 'This caller may not do that.',
  host_not_allowed: 'Add the host to `allowed_hosts`, the origin to `allowed_origins`, or set `public_url`.',
  not_found: 'Look at the list it should be in.',
  method_not_allowed: 'See `/api/v1/openapi.json`.',
  conflict: 'Choose another name, or end what uses it.',
  precondition_failed: 'Read it again, look at what changed, and send the new version.',
  too_large: 'The API takes 4 MiB.',
  unsupported_media_type: 'Send `application/json`.',
  policy_invalid: 'Mend what `errors` names; nothing was saved.',
  precondition_required: 'Send `If-Match` with the version that you saw.',
  internal: 'Look at the program log for the request id, and report it.',
  upstream_unreachable: 'Check the URL or the command of the server; the detail says what it answered.',
  store_unavailable: 'Check the disk and the data folder.',
  audit_unavailable: 'Check the disk. No call passes until the log can be written.',
  audit_lost:
    'Put the audit folder back; or delete `limits-epoch.json` in the data folder, and every limit begins anew.',
  config_invalid: '`gatehouse config check` names every error.',
  key_missing:
    'Give the key that the data folder was written with; see [the secret key](configuration.md#the-secret-key) and [when it is lost](backup.md#when-the-key-is-lost).',
  store_locked: 'End the other process, which the message names, or use another data folder.',
  backup_failed: 'The detail says why: room, rights, or a stop. Nothing is left of it; mend that and try again.',
  backup_invalid: 'Take another backup: this one is not as it was when it was made.',
  store_newer: 'Run the newer version, or go back to [the copy](backup.md#migrations) of the store from before.',
};

const RPC = {
  parse: 'The body is not one JSON text. Nothing was sent on.',
  invalidRequest:
    'The body is JSON, but not one unambiguous message: duplicate keys, a batch, a bad id. Nothing was sent on.',
  methodNotFound: 'The method is not in the table, and the server’s settings do not list it.',
  invalidParams: 'There is no such tool for this caller: hidden and unknown look the same.',
  internal: 'A fault inside the gateway. Nothing more was done; the program log has it.',
  denied: 'The policy denied a resource, a prompt or a subscription. (A denied tool call is a result, see below.)',
  upstream:
    'The server could not be reached, broke off, or did not answer before the deadline. The gateway never retries.',
  unavailable: 'The audit log cannot be written, so the call was not made.',
  headerMismatch: 'A protocol header contradicts the body.',
  unsupportedVersion: 'The protocol version is not one that the gateway speaks.',
};

function complete(what, keys, texts) {
  for (const key of keys)
    if (texts[key] === undefined) throw new Error(`scripts/docs.mjs has no text for ${what} ${key}.`);
  for (const key of Object.keys(texts))
    if (!keys.includes(key)) throw new Error(`There is no ${what} ${key} any more.`);
}

function errors() {
  complete('error', Object.keys(ERRORS), ADVICE);
  complete('JSON-RPC code', Object.keys(CODE), RPC);
  return `# Errors

${NOTE}

## What an agent gets

A denied tool call is a result, so that the agent can read why and do something else:

\`\`\`json
{
  "content": [{ "type": "text", "text": "[POLICY DENIED] count is 8; at most 4 is allowed." }],
  "isError": true,
  "_meta": {
    "dev.gatehouse/decision": {
      "outcome": "deny",
      "rule": "/tools/flux_generate_image/args/count/lte",
      "policy": "pictures",
      "version": 3,
      "requestId": "0b8f7f0e-6a54-4a0e-9d3e-2f1f0f6f5c11"
    }
  }
}
\`\`\`

A denial by a limit has \`retryAfterMs\` as well. \`gatehouse why <requestId>\` tells the owner all of it. \`rule\` is a JSON Pointer
into the policy, or one of these:

| Rule | Why |
|---|---|
| \`(hidden)\`, \`(unknown tool)\` | the policy hides the tool, or there is none; to the caller both are −32602 with the same bytes |
| \`(frozen)\` | the server is frozen and the tool does more than read |
| \`(no policy)\` | the grant carries no policy |
| \`(new tool)\`, \`(definition changed)\` | a person has not accepted this definition; see [definitions](definitions.md) |
| \`(default deny)\` | the policy does not list the tool, the resource or the prompt |
| \`(arguments)\` | the arguments contradict the tool's accepted schema |
| \`(resource)\` | the URI is not in canonical form |
| \`(internal error)\` | an exception inside the decision; denied |

Messages that are refused before a policy is asked stand in the log with \`(message)\`, \`(unknown method)\`, \`(headers)\`,
\`(session)\` or \`(unasked answer)\`; failed authentications with \`(authentication)\`.

Everything else is a JSON-RPC error:

${table(
  ['Code', 'When'],
  Object.entries(CODE).map(([key, code]) => [String(code).replace('-', '−'), RPC[key]]),
)}

HTTP statuses of the proxy URL: 400 refused body or headers, 401 no valid token for a grant on this server (always the same
answer), 403 Host or Origin, 404 unknown session or address, 405 a method of HTTP that is not served, 413 too large, 429 too
many streams, 415 not
plain JSON, 502 the server cannot be used, 503 the log cannot be written, 504 the deadline of the call.

## What the API answers

Errors of \`/api/v1\` are \`application/problem+json\` with a stable \`code\`, a \`detail\` that says what, where and what to do,
\`errors\` with a JSON Pointer each, and a \`requestId\`. The command line turns the code into an exit code.

${table(
  ['Code', 'Status', 'What it is', 'What to do', 'Exit code'],
  Object.entries(ERRORS).map(([code, { status, title }]) => [
    `\`${code}\``,
    status,
    title,
    ADVICE[code],
    exitCodeOf(code),
  ]),
)}

## Exit codes of gatehouse

${table(['Code', 'Meaning'], EXIT_HELP)}
`;
}

// --- README.md -----------------------------------------------------------------------------------------------------

function promises() {
  const requirements = readRequirements(join(root, 'requirements.yaml'));
  const cited = citedRequirements(root);
  const rows = requirements
    .filter(({ id }) => /^P\d$/.test(id))
    .map(({ id, text }) => {
      const files = (cited.get(id) ?? []).map((file) => relative(root, file).replaceAll('\\', '/')).sort();
      const tests = files
        .map(
          (file) =>
            `[${file
              .split('/')
              .at(-1)
              .replace(/\.test\.ts$/, '')}](${file})`,
        )
        .join(', ');
      const rest = requirements.filter((one) => one.unmet !== undefined && one.source.endsWith(`§1 ${id}`));
      return [id, text, tests, rest.map((one) => `${one.text} (${one.id})`).join(' ') || '–'];
    });
  const met = requirements.filter(({ unmet }) => unmet === undefined).length;
  return `${table(['', 'Promise', 'Tests that cite it', 'Not yet'], rows)}

The promises and every “must” of the specification stand in [requirements.yaml](requirements.yaml): ${met} are met and cited by tests,
${requirements.length - met} are not met yet and say so.`;
}

function lines() {
  const text = clientLines('flux', 'http://127.0.0.1:8080/mcp/flux', 'gh_TOKEN')
    .filter((line) => line !== 'Point an MCP client at it:')
    .map((line) => line.replace(/^ {2}/, ''));
  return `\`\`\`text\n${text.join('\n').trim()}\n\`\`\``;
}

function between(text, mark, content) {
  const pattern = new RegExp(`(<!-- ${mark} -->\\n)[\\s\\S]*?(<!-- /${mark} -->)`);
  if (!pattern.test(text)) throw new Error(`README.md has no part marked ${mark}.`);
  return text.replace(pattern, (_, start, end) => `${start}${content}\n${end}`);
}

/** Every made file as it has to be: path from the root → text. */
export function generated() {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  return new Map([
    ['docs/configuration.md', configuration()],
    ['docs/cli.md', cli()],
    ['docs/errors.md', errors()],
    ['README.md', between(between(readme, 'promises', promises()), 'client-lines', lines())],
  ]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const check = process.argv.includes('--check');
  for (const [file, text] of generated()) {
    const path = join(root, file);
    let present;
    try {
      present = readFileSync(path, 'utf8');
    } catch {
      present = undefined;
    }
    if (present === text) continue;
    if (check) process.exitCode = 1;
    else writeFileSync(path, text);
    console.log(`${file} ${check ? 'is not current' : 'written'}`);
  }
}

// What a server's address, settings and credentials may be.
import type { CredentialsInput, ServerSettings, Transport } from '../model.ts';
import { type Faults, pointerSegment } from './checks.ts';

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
// Headers that belong to the connection, to MCP or to the gateway (spec: gateway §4, Headers).
const OWN_HEADERS = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'last-event-id',
  'mcp-session-id',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const SECRET_HEADERS = new Set(['authorization', 'proxy-authorization', 'cookie', 'x-api-key', 'api-key']);
const SETTINGS: readonly (keyof ServerSettings)[] = [
  'serverRequests',
  'vendorMethods',
  'toleratedArguments',
  'newTools',
  'children',
  'headers',
  'trusted',
];

/** Settings of a new server (spec: gateway §4, Streams; config, group "servers"). */
export function defaultSettings(kind: Transport['kind']): ServerSettings {
  return {
    serverRequests: { elicitation: true, sampling: false, roots: kind === 'stdio' },
    vendorMethods: [],
    toleratedArguments: [],
    newTools: 'quarantine',
    // A session of HTTP+SSE costs a connection, a child costs a process.
    children: { max: kind === 'sse' ? 100 : 8, idleSeconds: 600 },
    headers: {},
    trusted: false,
  };
}

export function checkTransport(faults: Faults, transport: Transport): void {
  if (transport.kind === 'http' || transport.kind === 'sse') checkUrl(faults, transport.url);
  else if (transport.kind === 'stdio') checkCommand(faults, transport);
  else faults.add('/transport/kind', 'A transport is "http", "sse" (the older HTTP+SSE) or "stdio".');
}

function checkUrl(faults: Faults, text: string): void {
  const pointer = '/transport/url';
  if (typeof text !== 'string' || !URL.canParse(text)) {
    faults.add(pointer, 'The URL must be absolute, such as https://mcp.example.com/mcp.');
    return;
  }
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    faults.add(pointer, `The URL must begin with https:// or http://, not ${url.protocol}//.`);
  }
  if (url.username !== '' || url.password !== '') {
    url.username = '';
    url.password = '';
    faults.add(pointer, 'The URL carries a user name or password; give them as credentials (a header).', url.href);
  }
  if (url.hash !== '') {
    url.hash = '';
    faults.add(pointer, 'The URL has a fragment (#…), which is never sent; remove it.', url.href);
  }
}

function checkCommand(faults: Faults, transport: Extract<Transport, { kind: 'stdio' }>): void {
  const nul = (text: unknown): boolean => typeof text !== 'string' || text.includes('\0');
  if (nul(transport.command) || transport.command.trim() === '') {
    faults.add('/transport/command', 'The command must be the name or path of a program, without its arguments.');
  }
  if (!Array.isArray(transport.args)) faults.add('/transport/args', 'The arguments must be an array of texts.');
  else if (transport.args.some(nul)) faults.add('/transport/args', 'Arguments must be texts without NUL characters.');
  if (transport.cwd !== undefined && (nul(transport.cwd) || transport.cwd === '')) {
    faults.add('/transport/cwd', 'The working folder must be a path.');
  }
  checkVariables(faults, '/transport/environment', transport.environment);
}

export function checkSettings(faults: Faults, settings: Partial<ServerSettings>): void {
  for (const key of Object.keys(settings)) {
    if (!SETTINGS.includes(key as keyof ServerSettings)) {
      faults.add(
        `/settings/${pointerSegment(key)}`,
        `There is no server setting ${JSON.stringify(key)}. There is: ${SETTINGS.join(', ')}.`,
      );
    }
  }
  const { serverRequests, vendorMethods, toleratedArguments, newTools, children, headers, trusted } = settings;
  if (serverRequests !== undefined) {
    for (const kind of ['elicitation', 'sampling', 'roots'] as const) {
      if (typeof serverRequests[kind] !== 'boolean')
        faults.add(`/settings/serverRequests/${kind}`, 'Must be true or false.');
    }
  }
  if (vendorMethods !== undefined) faults.texts('/settings/vendorMethods', vendorMethods, 'vendorMethods', 128);
  if (toleratedArguments !== undefined)
    faults.texts('/settings/toleratedArguments', toleratedArguments, 'toleratedArguments', 128);
  if (newTools !== undefined && newTools !== 'quarantine' && newTools !== 'accept') {
    faults.add('/settings/newTools', 'Must be "quarantine" or "accept".');
  }
  if (children !== undefined) {
    faults.integer('/settings/children/max', children.max, 'children.max', 1, 1000);
    faults.integer('/settings/children/idleSeconds', children.idleSeconds, 'children.idleSeconds', 1, 86_400);
  }
  if (trusted !== undefined && typeof trusted !== 'boolean') faults.add('/settings/trusted', 'Must be true or false.');
  for (const [name, value] of Object.entries(headers ?? {})) {
    const pointer = `/settings/headers/${pointerSegment(name)}`;
    checkHeader(faults, pointer, name, value);
    if (SECRET_HEADERS.has(name.toLowerCase())) {
      faults.add(
        pointer,
        `${name} is a secret: settings are shown and logged. Give it as credentials of kind "headers".`,
      );
    }
  }
}

export function checkCredentials(faults: Faults, credentials: CredentialsInput, transport: Transport): void {
  if (credentials.kind === 'none') return;
  if (credentials.kind !== 'headers' && credentials.kind !== 'environment') {
    faults.add('/credentials/kind', 'Credentials are "none", "headers" or "environment".');
    return;
  }
  const fitting = transport.kind === 'stdio' ? 'environment' : 'headers';
  if (credentials.kind !== fitting) {
    faults.add(
      '/credentials/kind',
      `A server of kind ${transport.kind} takes credentials of kind "${fitting}".`,
      fitting,
    );
    return;
  }
  if (Object.keys(credentials.values).length === 0) {
    faults.add('/credentials/values', 'There is no value; use the kind "none" to remove credentials.', 'none');
  }
  if (credentials.kind === 'environment') {
    checkVariables(faults, '/credentials/values', credentials.values);
    return;
  }
  for (const [name, value] of Object.entries(credentials.values)) {
    checkHeader(faults, `/credentials/values/${pointerSegment(name)}`, name, value);
  }
}

// The messages never repeat a value: it may be a secret.
function checkHeader(faults: Faults, pointer: string, name: string, value: unknown): void {
  if (!HEADER_NAME.test(name)) faults.add(pointer, `${JSON.stringify(name)} is no header name.`);
  else if (OWN_HEADERS.has(name.toLowerCase()))
    faults.add(pointer, `${name} is set by Gatehouse itself; leave it out.`);
  if (typeof value !== 'string' || !/^[\x20-\x7e\t]*$/.test(value) || value !== value.trim()) {
    faults.add(
      pointer,
      `The value of ${JSON.stringify(name)} must be printable ASCII without white space around it (a line break at its end, perhaps).`,
    );
  }
}

function checkVariables(faults: Faults, pointer: string, values: unknown): void {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    faults.add(pointer, 'Environment variables must be an object of names and texts.');
    return;
  }
  for (const [name, value] of Object.entries(values)) {
    const at = `${pointer}/${pointerSegment(name)}`;
    if (!VARIABLE_NAME.test(name)) faults.add(at, `${JSON.stringify(name)} is no name of an environment variable.`);
    if (typeof value !== 'string' || value.includes('\0'))
      faults.add(at, `The value of ${JSON.stringify(name)} must be text without NUL characters.`);
  }
}

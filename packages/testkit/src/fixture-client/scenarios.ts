// What a client does in each client scenario of the conformance suite that is not about authorization.

import { parsePlainJson } from '@gatehouse/wire';
import { Client, type ClientOptions, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/** Where the client connects to, and as whom. */
export interface Target {
  url: string;
  /** Sent with every request. */
  headers: Readonly<Record<string, string>>;
  /** The revision of the run, of which the stateless one is negotiated. */
  modern: boolean;
  /** What the suite gives a scenario to work with, if anything. */
  context: string | undefined;
}

type Call = { name: string; arguments: Record<string, unknown> };

const INFO = { name: 'gatehouse-fixture-client', version: '1.0.0' };

/**
 * Some of the suite's servers know only the calls that they are about: discovery is answered here.
 */
const answerDiscovery: typeof fetch = async (input, init) => {
  const message =
    typeof init?.body === 'string' ? (parsePlainJson(init.body) as { id?: unknown; method?: string }) : {};
  if (message.method !== 'server/discover') return fetch(input, init);
  const result = {
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: { listChanged: true }, resources: {}, prompts: {} },
    _meta: { 'io.modelcontextprotocol/serverInfo': INFO },
  };
  return Response.json({ jsonrpc: '2.0', id: message.id, result });
};

async function connect(target: Target, options: ClientOptions, fetcher: typeof fetch = fetch): Promise<Client> {
  const client = new Client(INFO, target.modern ? { ...options, versionNegotiation: { mode: 'auto' } } : options);
  const transport = new StreamableHTTPClientTransport(new URL(target.url), {
    requestInit: { headers: target.headers },
    fetch: fetcher,
  });
  await client.connect(transport);
  return client;
}

async function list(target: Target): Promise<void> {
  const client = await connect(target, { capabilities: {} });
  await client.listTools();
  await client.close();
}

/** The call of one named tool, if it is listed; else an error. */
function call(name: string, args: Record<string, unknown> = {}): Scenario {
  return async (target) => {
    const client = await connect(target, { capabilities: {} });
    await callListed(client, name, args);
    await client.close();
  };
}

async function callListed(client: Client, name: string, args: Record<string, unknown>): Promise<void> {
  const { tools } = await client.listTools();
  if (!tools.some((tool) => tool.name === name)) throw new Error(`The tool ${name} is not listed.`);
  await client.callTool({ name, arguments: args });
}

async function elicitationDefaults(target: Target): Promise<void> {
  const client = await connect(target, { capabilities: { elicitation: { form: { applyDefaults: true } } } });
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: {} }));
  await callListed(client, 'test_client_elicitation_defaults', {});
  await client.close();
}

async function requestMetadata(target: Target): Promise<void> {
  const capabilities = { roots: { listChanged: true }, sampling: {}, elicitation: {} };
  const client = await connect(target, { capabilities });
  await client.close();
}

async function requestState(target: Target): Promise<void> {
  const client = await connect(target, { capabilities: { elicitation: {} } }, answerDiscovery);
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { confirmed: true } }));
  for (const name of ['test_mrtr_echo_state', 'test_mrtr_no_state', 'test_mrtr_unrelated']) {
    await client.callTool({ name, arguments: {} });
  }
  // A result without its type may be refused; it may not be taken for a question.
  await client.callTool({ name: 'test_mrtr_no_result_type', arguments: {} }).catch(() => undefined);
  await client.close();
}

async function standardHeaders(target: Target): Promise<void> {
  const client = await connect(target, { capabilities: {} }, answerDiscovery);
  const [tool] = (await client.listTools()).tools;
  if (tool !== undefined) await client.callTool({ name: tool.name, arguments: {} });
  const [resource] = (await client.listResources()).resources;
  if (resource !== undefined) await client.readResource({ uri: resource.uri });
  const [prompt] = (await client.listPrompts()).prompts;
  if (prompt !== undefined) await client.getPrompt({ name: prompt.name, arguments: {} });
  await client.close();
}

async function customHeaders(target: Target): Promise<void> {
  const client = await connect(target, { capabilities: {} }, answerDiscovery);
  await client.listTools();
  const { toolCalls } = parsePlainJson(target.context ?? '{}') as { toolCalls?: Call[] };
  for (const wanted of toolCalls ?? []) await client.callTool(wanted);
  await client.close();
}

async function invalidHeaders(target: Target): Promise<void> {
  const client = await connect(target, { capabilities: {} }, answerDiscovery);
  for (const { name } of (await client.listTools()).tools) {
    await client.callTool({ name, arguments: { region: 'us-west1' } }).catch(() => undefined);
  }
  await client.close();
}

/** Gives the schema back as it was listed, for the suite to compare. */
async function echoSchema(target: Target): Promise<void> {
  const client = await connect(target, { capabilities: {} });
  const { tools } = await client.listTools();
  const schema = tools.find((tool) => tool.name === 'json_schema_2020_12_tool')?.inputSchema;
  await client.callTool({ name: 'json_schema_echo', arguments: { schema } });
  await client.close();
}

type Scenario = (target: Target) => Promise<void>;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  initialize: list,
  tools_call: call('add_numbers', { a: 5, b: 3 }),
  'elicitation-sep1034-client-defaults': elicitationDefaults,
  'sse-retry': call('test_reconnection'),
  'request-metadata': requestMetadata,
  'sep-2322-client-request-state': requestState,
  'http-standard-headers': standardHeaders,
  'http-custom-headers': customHeaders,
  'http-invalid-tool-headers': invalidHeaders,
  'json-schema-ref-no-deref': (target) => list({ ...target, modern: false }),
  'json-schema-2020-12-preservation': echoSchema,
};

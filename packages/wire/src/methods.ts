/** Revisions with `initialize` and sessions, oldest first. */
export const LEGACY_VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const;
/** The stateless revision: every request names it in `_meta`. */
export const MODERN_VERSION = '2026-07-28';

/** Members of `_meta` that the protocol gives a meaning. */
export const META = {
  progressToken: 'progressToken',
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  relatedTask: 'io.modelcontextprotocol/related-task',
  // W3C trace context, reserved in every revision.
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  baggage: 'baggage',
} as const;

/** HTTP header names in lower case, as Node gives them. */
export const HEADERS = {
  sessionId: 'mcp-session-id',
  protocolVersion: 'mcp-protocol-version',
  method: 'mcp-method',
  name: 'mcp-name',
  /** Followed by the header name that the tool's schema gives in `x-mcp-header`. */
  paramPrefix: 'mcp-param-',
  lastEventId: 'last-event-id',
} as const;

export type Eras = 'legacy' | 'modern' | 'both';
/** The four kinds of lists that are filtered: the member of `result` that holds the items. */
export type ListKind = 'tools' | 'resources' | 'resourceTemplates' | 'prompts';

/**
 * What happens to a method (spec: gateway §4 Methods).
 * `pass`: goes on as it is. `judge`: goes on when the policy allows. `filter`: goes on, its reply is cut.
 * `answer`: the gateway answers. `refuse`: never goes on.
 */
export type MethodAction = 'pass' | 'judge' | 'filter' | 'answer' | 'refuse';

export interface ClientMethod {
  readonly kind: 'request' | 'notification';
  readonly action: MethodAction;
  readonly eras: Eras;
  /** Which list the reply holds; given exactly where the action is `filter`. */
  readonly list?: ListKind;
  /** The member of `params` that names what is asked for, and must be a string. */
  readonly named?: 'name' | 'uri';
  /** Intent and outcome are recorded apart (spec: gateway §5). */
  readonly canAct: boolean;
}

/** A kind of server-initiated request that a server's settings allow or not. */
export type ServerRequestKind = 'sampling' | 'elicitation' | 'roots' | 'ping';

export type ServerMethod =
  | { readonly kind: 'request'; readonly eras: Eras; readonly request: ServerRequestKind }
  | { readonly kind: 'notification'; readonly eras: Eras };

const pass = (eras: Eras): ClientMethod => ({ kind: 'request', action: 'pass', eras, canAct: false });
const told = (eras: Eras): ClientMethod => ({ kind: 'notification', action: 'pass', eras, canAct: false });
const filter = (list: ListKind): ClientMethod => ({
  kind: 'request',
  action: 'filter',
  eras: 'both',
  list,
  canAct: false,
});
const act = (eras: Eras, named?: 'name' | 'uri'): ClientMethod =>
  named === undefined
    ? { kind: 'request', action: 'judge', eras, canAct: true }
    : { kind: 'request', action: 'judge', eras, named, canAct: true };

/** Every method that a client may send, by exact name. What is not here is unknown (−32601). */
export const CLIENT_METHODS: ReadonlyMap<string, ClientMethod> = new Map<string, ClientMethod>([
  ['initialize', pass('legacy')],
  ['server/discover', pass('modern')],
  ['ping', pass('legacy')],
  ['logging/setLevel', pass('legacy')],
  ['tools/list', filter('tools')],
  ['tools/call', act('both', 'name')],
  ['resources/list', filter('resources')],
  ['resources/templates/list', filter('resourceTemplates')],
  ['resources/read', act('both', 'uri')],
  ['resources/subscribe', { kind: 'request', action: 'judge', eras: 'legacy', named: 'uri', canAct: false }],
  ['resources/unsubscribe', { kind: 'request', action: 'judge', eras: 'legacy', named: 'uri', canAct: false }],
  ['prompts/list', filter('prompts')],
  ['prompts/get', act('both', 'name')],
  ['completion/complete', act('both')],
  // A filter of this request names resources to watch, so that it is judged like a subscription.
  ['subscriptions/listen', { kind: 'request', action: 'judge', eras: 'modern', canAct: false }],
  ['tasks/get', act('both')],
  ['tasks/cancel', act('both')],
  ['tasks/update', act('modern')],
  ['tasks/result', act('legacy')],
  // One upstream credential may serve many callers: of its reply, each sees its own.
  ['tasks/list', { kind: 'request', action: 'judge', eras: 'legacy', canAct: false }],
  ['notifications/initialized', told('legacy')],
  ['notifications/cancelled', told('both')],
  ['notifications/progress', told('legacy')],
  ['notifications/roots/list_changed', told('legacy')],
  ['notifications/tasks/status', told('legacy')],
]);

const asks = (request: ServerRequestKind): ServerMethod => ({ kind: 'request', eras: 'legacy', request });
const tells = (eras: Eras): ServerMethod => ({ kind: 'notification', eras });

/**
 * Every method that a server may send, by exact name. In the modern era a server sends no requests. Requests about tasks
 * that a client runs (2025-11-25, experimental) are no kind that settings can allow, so that they are not here.
 */
export const SERVER_METHODS: ReadonlyMap<string, ServerMethod> = new Map<string, ServerMethod>([
  ['sampling/createMessage', asks('sampling')],
  ['elicitation/create', asks('elicitation')],
  ['roots/list', asks('roots')],
  ['ping', asks('ping')],
  ['notifications/cancelled', tells('both')],
  ['notifications/progress', tells('both')],
  ['notifications/message', tells('both')],
  ['notifications/tools/list_changed', tells('both')],
  ['notifications/prompts/list_changed', tells('both')],
  ['notifications/resources/list_changed', tells('both')],
  ['notifications/resources/updated', tells('both')],
  ['notifications/elicitation/complete', tells('legacy')],
  ['notifications/tasks/status', tells('legacy')],
  ['notifications/tasks', tells('modern')],
  ['notifications/subscriptions/acknowledged', tells('modern')],
]);

// The addresses of the data plane (spec: gateway §2) and the HTTP methods that each takes. The matrix test of P1 is made
// from this table: a further line fails it until it says what becomes of it.

export const PROXY_ROUTES = {
  /** Streamable HTTP. */
  '': ['GET', 'POST', 'DELETE'],
  /** HTTP+SSE of 2024-11-05: the stream, and the messages to it. */
  '/sse': ['GET'],
  '/message': ['POST'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type ProxyPath = keyof typeof PROXY_ROUTES;

export interface ProxyRoute {
  slug: string;
  path: ProxyPath;
}

/** `/mcp/<server>` and what the table has after it; nothing else is an address of the data plane. */
const PROXY_PATH = new RegExp(`^/mcp/([a-z0-9][a-z0-9-]{0,62})(${Object.keys(PROXY_ROUTES).join('|')})$`);

export function proxyRoute(path: string): ProxyRoute | undefined {
  const match = PROXY_PATH.exec(path);
  return match === null ? undefined : { slug: match[1] as string, path: match[2] as ProxyPath };
}

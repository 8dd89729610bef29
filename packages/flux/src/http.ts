import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostHeaderValidation, originValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { type AuthInfo, createMcpHandler } from '@modelcontextprotocol/server';
import type { Logger } from 'pino';
import { MIME_TYPES } from './models.ts';
import { createFluxServer } from './server.ts';
import { isLoopback, type Settings } from './settings.ts';
import type { Toolbox } from './toolbox.ts';

/** A 20 MiB picture as base64, and the rest of the call. */
export const MAX_BODY_BYTES = 32 * 1024 * 1024;
const LOCAL_NAMES = ['localhost', '127.0.0.1', '[::1]'];

export interface HttpServer {
  /** Such as `http://127.0.0.1:8000`. */
  origin: string;
  close(): Promise<void>;
}

/**
 * Listens first and builds the toolbox after, since the addresses of pictures hold the port that was taken.
 *
 * @throws Error of `node:http` when the port cannot be listened on
 */
export async function serveHttp(
  settings: Settings,
  log: Logger,
  makeToolbox: (imagesUrl: string) => Toolbox,
): Promise<HttpServer> {
  const server = createServer();
  await listen(server, settings);
  const { port } = server.address() as AddressInfo;
  const origin = settings.publicUrl ?? `http://${nameOf(settings.host)}:${port}`;
  const names = [...LOCAL_NAMES, nameOf(settings.host), new URL(origin).hostname];
  const validHost = hostHeaderValidation(names);
  const validOrigin = originValidation(names);
  const toolbox = makeToolbox(`${origin}/images/`);

  const handler = createMcpHandler(({ authInfo }) => createFluxServer(toolbox, authInfo?.clientId ?? 'local'), {
    // Every request of the older revisions stands alone, so no session is lost with this process.
    legacy: 'stateless',
    maxRequestBodySize: MAX_BODY_BYTES,
    // The name alone: the message of a parse error quotes what was sent.
    onerror: (error) => log.debug({ error: error.name }, 'a request was refused'),
  });
  const mcp = toNodeHandler(handler, {
    maxRequestBodySize: MAX_BODY_BYTES,
    onerror: (error) => log.error({ error: error.name }, 'a request failed'),
  });

  server.on('request', (req: IncomingMessage & { auth?: AuthInfo }, res: ServerResponse) => {
    // Host and Origin: a page in a browser must not reach a local server under a name of its own (DNS rebinding).
    if (!validHost(req, res) || !validOrigin(req, res)) return;
    const path = (req.url ?? '/').split('?', 1)[0] ?? '/';
    if (path === '/health') return reply(res, 200, { status: 'ok', provider: toolbox.provider.name });
    if (path.startsWith('/images/')) return void sendImage(toolbox, req, res, path.slice('/images/'.length));
    if (path !== '/mcp') return reply(res, 404, { error: 'not found', hint: 'MCP is at /mcp' });
    const bearer = /^Bearer +(\S+) *$/i.exec(req.headers.authorization ?? '')?.[1];
    if (settings.token !== undefined && (bearer === undefined || !same(bearer, settings.token))) {
      res.setHeader('www-authenticate', 'Bearer realm="flux"');
      return reply(res, 401, { error: 'a bearer token is needed', hint: 'Send Authorization: Bearer <token>.' });
    }
    // The caller is a digest, so that the token itself is in no record.
    const caller = bearer === undefined ? 'local' : `bearer-${digest(bearer).toString('hex').slice(0, 32)}`;
    req.auth = { token: '', clientId: caller, scopes: [] };
    mcp(req, res).catch((error: unknown) => {
      log.error({ error: String(error) }, 'a request failed');
      res.destroy();
    });
  });

  return {
    origin,
    async close() {
      await handler.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, settings: Settings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(settings.port, settings.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** How clients name the host that was listened on; "all addresses" is no name. */
function nameOf(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  if (isLoopback(host) && !host.includes(':')) return host;
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** The 128 random bits of the id are what opens a picture: an <img> in a page can send no token. */
async function sendImage(toolbox: Toolbox, req: IncomingMessage, res: ServerResponse, name: string): Promise<void> {
  if (req.method !== 'GET' && req.method !== 'HEAD') return reply(res, 405, { error: 'only GET and HEAD' });
  const image = toolbox.tasks.imageByFileName(name, undefined);
  const bytes = image && (await toolbox.files.readImage(image).catch(() => undefined));
  if (!image || !bytes) return reply(res, 404, { error: 'no such picture' });
  res.writeHead(200, {
    'content-type': MIME_TYPES[image.format],
    'content-length': bytes.length,
    'cache-control': 'private, max-age=31536000, immutable',
    'content-security-policy': "default-src 'none'",
    'x-content-type-options': 'nosniff',
  });
  res.end(req.method === 'HEAD' ? undefined : bytes);
}

function reply(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}

function same(left: string, right: string): boolean {
  return timingSafeEqual(digest(left), digest(right));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

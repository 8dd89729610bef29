// To a child, whose pipe its session's calls share: the id alone is mapped, and line ends become spaces on the way to it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BYTE_CORPUS } from './byte-corpus.ts';
import { answerWithValue, callWith, exchange, MODERN_HEADERS, MODERN_META } from './byte-exchange.ts';
import { Harness } from './harness.ts';

/**
 * Writes the line of a call to one file, and answers with the text of another, its id in the place of `@ID@`. Without
 * readline, which takes U+2028, legal in a string, for the end of a line.
 */
const SERVER = `
const { readFileSync, writeFileSync } = require('node:fs');
const tools = [{ name: 'get_a', inputSchema: { type: 'object', properties: { z: {}, a: {} } } }];
let waiting = [];
process.stdin.on('data', (chunk) => {
  for (let end; (end = chunk.indexOf(10)) !== -1; chunk = chunk.subarray(end + 1)) {
    onLine(Buffer.concat([...waiting, chunk.subarray(0, end)]));
    waiting = [];
  }
  waiting.push(chunk);
});
function onLine(line) {
  const { id, method, params } = JSON.parse(line.toString());
  if (id === undefined) return;
  if (method === 'tools/call') {
    writeFileSync(process.env.HEARD, line);
    process.stdout.write(readFileSync(process.env.SAID, 'utf8').replace('@ID@', () => String(id)) + '\\n');
    return;
  }
  const result =
    method === 'initialize' ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'b', version: '1' } }
    : method === 'tools/list' ? { tools } : undefined;
  const answer = result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...answer }) + '\\n');
}`;

const ID = '"\\u0061/ä"';
/** A child's line has no line ends in it: each is a space, so that all offsets stay. */
const asLine = (text: string): string => text.replace(/[\r\n]/g, ' ');

describe('bytes through the gateway to a child and back', () => {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-bytes-'));
  const [heardFile, saidFile] = [join(dir, 'heard'), join(dir, 'said')];
  let harness: Harness;
  let token: string;
  let session: string;

  beforeAll(async () => {
    harness = await Harness.open();
    const environment = { HEARD: heardFile, SAID: saidFile };
    await harness.server('pipe', { kind: 'stdio', command: process.execPath, args: ['-e', SERVER], environment });
    ({ token } = await harness.grant('pipe', { version: '1', default: 'allow' }));
    const client = harness.client('pipe', token);
    await client.initialize();
    session = client.session ?? '';
  });
  afterAll(async () => {
    await harness.close();
    rmSync(dir, { recursive: true, force: true });
  });

  for (const era of ['legacy', 'modern'] as const) {
    it.each(BYTE_CORPUS)(`[P2, P8, GW-BYTES, GW-BYTES-BOTH] ${era}: %s`, async (_name, raw) => {
      const meta = era === 'modern' ? MODERN_META : '';
      const headers: Record<string, string> = era === 'modern' ? MODERN_HEADERS : { 'mcp-session-id': session };
      writeFileSync(saidFile, asLine(answerWithValue('@ID@', raw)));
      rmSync(heardFile, { force: true });
      const answer = await exchange(
        harness.proxyUrl('pipe'),
        { authorization: `Bearer ${token}`, ...headers },
        callWith(ID, raw, meta),
      );
      const line = readFileSync(heardFile, 'utf8');
      // The gateway's own id of the call; all else of the line must be as it was sent.
      const mapped = /"jsonrpc":"2\.0","id":(\d+),"x-last"/.exec(line)?.[1] ?? 'none';
      const expected = [asLine(callWith(mapped, raw, meta)), asLine(answerWithValue(ID, raw))];
      expect([answer.status, line === expected[0], answer.message === expected[1]]).toEqual([200, true, true]);
    });
  }
});

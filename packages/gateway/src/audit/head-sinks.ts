// Where heads are sent: a file elsewhere, and a webhook.
import { open } from 'node:fs/promises';
import { createEgressGuard, type EgressGuard } from '@gatehouse/net';
import type { SignedHead } from './chain.ts';

export interface HeadSink {
  kind: 'file' | 'webhook';
  /** For people; of a URL only its host, since the rest may be a secret. */
  target: string;
  /** Heads that one sending takes. */
  batch: number;
  /** Resolves when all are safe there. Sent again after a failure, so that some may arrive twice. */
  send(heads: readonly SignedHead[]): Promise<void>;
  close(): Promise<void>;
}

const lineOf = (head: SignedHead): string => `${JSON.stringify(head)}\n`;

/**
 * Appends to a file as JSON Lines and syncs it. Opened for each batch, so that it may be rotated or mounted anew; its
 * folder is never made, since without its mount that would be a place on this disk.
 */
export function fileSink(path: string): HeadSink {
  return {
    kind: 'file',
    target: path,
    batch: 1_000,
    async send(heads) {
      const file = await open(path, 'a+', 0o600);
      try {
        const { size } = await file.stat();
        const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
        // A line that was torn when an earlier write failed stays a line of its own.
        const torn = size > 0 && (bytesRead === 0 || buffer[0] !== 0x0a);
        await file.appendFile((torn ? '\n' : '') + heads.map(lineOf).join(''));
        await file.datasync();
      } finally {
        await file.close();
      }
    },
    close: async () => {},
  };
}

const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 64 * 1024;

export interface WebhookOptions {
  url: string;
  /** Hosts, addresses and ranges that may be reached although they are not public; plain http is then allowed too. */
  allow: readonly string[];
  userAgent: string;
  /** Milliseconds; default 10,000. */
  timeoutMs?: number;
}

/**
 * Posts each head as JSON, through the egress guard. It needs no other signature than its own.
 * @throws TypeError when the URL may not be reached, or an entry of the allow list is none
 */
export function webhookSink({ url, allow, userAgent, timeoutMs = TIMEOUT_MS }: WebhookOptions): HeadSink {
  const guard: EgressGuard = createEgressGuard({ allow, allowHttp: allow.length > 0 });
  const verdict = guard.check(url);
  if (!verdict.ok) throw new TypeError(verdict.reason);
  return {
    kind: 'webhook',
    target: new URL(url).host,
    batch: 1,
    async send([head]) {
      if (head === undefined) return;
      const { status } = await guard.request(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': userAgent },
        body: lineOf(head),
        timeoutMs,
        maxBytes: MAX_ANSWER,
      });
      if (status < 200 || status > 299) throw new Error(`it answered ${status}`);
    },
    close: () => guard.close(),
  };
}

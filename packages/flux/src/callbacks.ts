import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { FluxError } from './errors.ts';
import type { Outside } from './outside.ts';

/** Pauses before the second and third attempt, in milliseconds. A callback costs nothing, so it may be repeated. */
const PAUSES_MS: readonly number[] = [1_000, 4_000];
const TIMEOUT_MS = 10_000;

/**
 * The headers that prove a callback: `X-Flux-Signature` is `v1=` and the hexadecimal HMAC-SHA-256 of
 * `<timestamp>.<body>`, where the timestamp (seconds since 1970) stands in `X-Flux-Timestamp`. The receiver
 * refuses an old timestamp, so a recorded callback cannot be played again.
 */
export function signCallback(secret: string, body: string, timestampSeconds: number): Record<string, string> {
  const signature = createHmac('sha256', secret).update(`${timestampSeconds}.${body}`).digest('hex');
  return { 'x-flux-timestamp': String(timestampSeconds), 'x-flux-signature': `v1=${signature}` };
}

/** The secret of a data folder, 64 hexadecimal digits; made once and readable by its owner only. */
export function callbackSecretOf(folder: string): string {
  const file = join(folder, 'callback.key');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Exclusive: of two processes that start together one writes, and both read what was written.
    writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(file, 'utf8').trim();
}

/** Refuses a callback URL that could not be called, before any work is done for it. */
export async function checkCallbackUrl(url: string, outside: Outside): Promise<void> {
  const reason = await outside.refusal(url);
  if (reason !== undefined) {
    throw new FluxError(
      'invalid_callback_url',
      `callback_url: ${reason}.`,
      'Give a public https URL, or leave it out and ask with flux_get_task.',
    );
  }
}

/**
 * Posts the end of a task.
 *
 * @returns whether the receiver answered with a status from 200 to 299 within three attempts
 */
export async function deliverCallback(
  url: string,
  payload: object,
  parts: { outside: Outside; secret: string; now: () => number; log: Logger; deliveryId: string },
): Promise<boolean> {
  const body = JSON.stringify(payload);
  for (let attempt = 0; ; attempt += 1) {
    let outcome: string;
    try {
      const response = await parts.outside.request(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-flux-delivery': parts.deliveryId,
          ...signCallback(parts.secret, body, Math.floor(parts.now() / 1000)),
        },
        body,
        timeoutMs: TIMEOUT_MS,
        maxBytes: 64 * 1024,
      });
      if (response.status >= 200 && response.status < 300) return true;
      outcome = `status ${response.status}`;
    } catch (error) {
      // The message names the host, which belongs to the caller.
      outcome = String((error as { code?: unknown }).code ?? 'failed');
    }
    const pause = PAUSES_MS[attempt];
    parts.log.warn({ task: parts.deliveryId, attempt: attempt + 1, outcome }, 'callback not taken');
    if (pause === undefined) return false;
    await sleep(pause, undefined, { ref: false });
  }
}

// Which Host and Origin a request may name (spec: gateway §2). A browser page that rebinds a name to this machine
// names its own host, so it is refused whatever token it has.
import type { IncomingMessage } from 'node:http';
import { isLoopback, type Settings } from '../config.ts';
import { countHeader } from './headers.ts';

export class HostCheck {
  readonly #hosts = new Set<string>();
  readonly #origins = new Set<string>();
  readonly #anyLoopback: boolean;

  constructor(settings: Pick<Settings, 'host' | 'public_url' | 'allowed_hosts' | 'allowed_origins'>) {
    for (const host of settings.allowed_hosts) this.#hosts.add(host.toLowerCase());
    for (const origin of settings.allowed_origins) this.#origins.add(origin.toLowerCase());
    if (settings.public_url !== undefined) {
      const url = new URL(settings.public_url);
      this.#hosts.add(url.host);
      this.#origins.add(url.origin);
    }
    this.#anyLoopback = isLoopback(settings.host);
  }

  /** What is wrong, naming the setting; undefined when both may pass. */
  refuse(request: IncomingMessage): string | undefined {
    // Node keeps the first of several; whoever stands before or behind may take another one.
    const host = countHeader(request, 'host') === 1 ? request.headers.host : undefined;
    if (host === undefined || !this.#hostAllowed(host.toLowerCase())) {
      return 'The Host header of this request is not allowed; see the settings allowed_hosts and public_url.';
    }
    const origin = request.headers.origin;
    if (origin !== undefined && !this.#originAllowed(origin.toLowerCase())) {
      return 'The Origin of this request is not allowed; see the setting allowed_origins.';
    }
    return undefined;
  }

  #hostAllowed(host: string): boolean {
    if (this.#hosts.has(host)) return true;
    const name = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/.exec(host)?.[1];
    return this.#anyLoopback && name !== undefined && isLoopback(name);
  }

  #originAllowed(origin: string): boolean {
    if (this.#origins.has(origin)) return true;
    const match = /^https?:\/\/([^/]+)$/.exec(origin);
    return match?.[1] !== undefined && this.#hostAllowed(match[1]);
  }
}

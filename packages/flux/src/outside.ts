import type { EgressGuard, EgressRequest, EgressResponse } from '@gatehouse/net';

/** The way out of this process. */
export interface Outside {
  /** Judges a URL without connecting to it. @returns why it is refused, or `undefined` */
  refusal(url: string): Promise<string | undefined>;
  /** @throws EgressError */
  request(url: string, options: EgressRequest): Promise<EgressResponse>;
  close(): Promise<void>;
}

/**
 * An egress guard that is loaded when the first URL comes: most sessions never send one, and its HTTP client would
 * take a noticeable part of the time to the first answer.
 *
 * @param allow hosts, addresses and ranges that may be reached although they are not public
 * @param allowHttp whether plain http is allowed beside https
 */
export function createOutside(allow: readonly string[], allowHttp: boolean): Outside {
  let guard: Promise<EgressGuard> | undefined;
  const load = (): Promise<EgressGuard> => {
    guard ??= import('@gatehouse/net').then(({ createEgressGuard }) => createEgressGuard({ allow, allowHttp }));
    return guard;
  };
  return {
    async refusal(url) {
      const verdict = (await load()).check(url);
      return verdict.ok ? undefined : verdict.reason;
    },
    request: async (url, options) => (await load()).request(url, options),
    close: async () => (guard === undefined ? undefined : (await guard).close()),
  };
}

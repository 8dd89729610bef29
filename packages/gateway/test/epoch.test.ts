// A change of the configuration is before a call's intent or after it, never in the middle (spec: gateway §5): each kind
// of change is made while a call waits for a counter store that answers late.
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, type Answer, Harness } from './harness.ts';

const TOOL = { name: 'get_a', inputSchema: { type: 'object', properties: {} } };
const LIMITS = [{ counter: 'c', window: 'hour', max: 1_000 }];
const POLICY = { version: '1', default: 'deny', tools: { get_a: { limits: LIMITS } } };

let harness: Harness;
let ahead = 0;
const now = (): number => Date.now() + ahead;
beforeAll(async () => {
  harness = await Harness.open({ clock: now });
});
afterAll(() => harness.close());

interface Place {
  slug: string;
  identity: string;
  grant: string;
  token: string;
  upstream: RecordingUpstream;
}

type Services = Harness['gateway']['services'];
type Made = (services: Services, place: Place) => Promise<unknown>;

let places = 0;

/** A server, a policy, an identity and a grant of their own. */
async function place(policy: unknown = POLICY): Promise<Place> {
  places += 1;
  const slug = `s${places}`;
  const identity = `ana${places}`;
  const upstream = await harness.record(slug, { tools: [structuredClone(TOOL)], sessions: false });
  const { id, token } = await harness.grant(slug, policy, identity);
  return { slug, identity, grant: id, token, upstream };
}

/**
 * One call, with a change made while its first reservation is waited for, as by a counter store on another machine.
 * @returns the answer, and what the counters hold of the call afterwards
 */
async function callWhile(where: Place, change: () => Promise<unknown>): Promise<{ answer: Answer; held: number }> {
  const { counters } = harness.gateway.gate;
  const { reserve } = counters;
  const before = counters.stats();
  let changed: Promise<unknown> | undefined;
  counters.reserve = async (charges, now) => {
    const result = await reserve.call(counters, charges, now);
    changed ??= change();
    await changed;
    return result;
  };
  try {
    const answer = await harness.client(where.slug, where.token).call('get_a');
    const after = counters.stats();
    return { answer, held: after.reserved - before.reserved - (after.released - before.released) };
  } finally {
    counters.reserve = reserve;
  }
}

const lastRecord = async (slug: string) =>
  (await harness.gateway.audit.search({ server: slug, tool: 'get_a', limit: 1 })).rows[0];

const DENIED: Record<string, [string, Made]> = {
  'a policy that no longer allows it': [
    '(default deny)',
    (services, { slug, identity }) =>
      services.policies.put(slug, `p-${identity}`, { version: '1', default: 'deny' }, undefined, ADMIN),
  ],
  'a policy with a smaller limit': [
    '/tools/get_a/limits/0',
    (services, { slug, identity }) =>
      services.policies.put(
        slug,
        `p-${identity}`,
        { ...POLICY, tools: { get_a: { limits: [{ counter: 'c', window: 'hour', max: 0 }] } } },
        undefined,
        ADMIN,
      ),
  ],
  'another policy on the grant': [
    '(default deny)',
    async (services, { slug, grant }) => {
      await services.policies.put(slug, 'other', { version: '1', default: 'deny' }, undefined, ADMIN);
      await services.grants.update(grant, { policy: 'other' }, undefined, ADMIN);
    },
  ],
  'no policy on the grant any more': [
    '(no policy)',
    (services, { grant }) => services.grants.update(grant, { policy: null }, undefined, ADMIN),
  ],
  'a definition that has to be looked at': [
    '(definition changed)',
    (_, { slug, upstream }) => {
      const properties = { path: { type: 'string' } };
      upstream.options.tools = [{ ...TOOL, inputSchema: { type: 'object', properties, required: ['path'] } }];
      return harness.gateway.readDefinitions(slug, { actor: ADMIN });
    },
  ],
};

const ENDED: Record<string, Made> = {
  'a revoked grant': (services, { grant }) => services.grants.revoke(grant, ADMIN),
  'a grant that expired': async (services, { grant }) => {
    await services.grants.update(grant, { expiresAt: new Date(now() + 5_000).toISOString() }, undefined, ADMIN);
    ahead += 5_000;
  },
  'a grant for other source addresses': (services, { grant }) =>
    services.grants.update(grant, { sources: ['192.0.2.0/24'] }, undefined, ADMIN),
  'a disabled identity': (services, { identity }) => services.identities.update(identity, { disabled: true }, ADMIN),
  'a revoked token': async (services, { identity }) => {
    for (const token of services.tokens.list(identity)) await services.tokens.revoke(token.id, ADMIN);
  },
  'a token that was replaced at once': async (services, { identity }) => {
    for (const token of services.tokens.list(identity)) await services.tokens.rotate(token.id, 0, ADMIN);
  },
  'a removed server': (services, { slug }) => services.servers.remove(slug, ADMIN),
};

describe('[GW-CURRENT] a change while a call waits for its counters', () => {
  for (const [name, [rule, change]] of Object.entries(DENIED)) {
    it(`[GW-CURRENT, P3] denies it: ${name}`, async () => {
      const where = await place();
      const { answer, held } = await callWhile(where, () => change(harness.gateway.services, where));
      expect(answer.message?.result?._meta?.['dev.gatehouse/decision']?.rule).toBe(rule);
      expect(where.upstream.calls()).toHaveLength(0);
      expect(held).toBe(0);
      expect(await lastRecord(where.slug)).toMatchObject({ kind: 'decision', outcome: 'deny', rule });
    });
  }

  for (const [name, change] of Object.entries(ENDED)) {
    it(`[GW-CURRENT, GW-REVOKE] ends it: ${name}`, async () => {
      const where = await place();
      const { answer, held } = await callWhile(where, () => change(harness.gateway.services, where));
      expect([answer.status, answer.message?.error?.code]).toEqual([404, -32001]);
      expect(where.upstream.calls()).toHaveLength(0);
      expect(held).toBe(0);
      expect((await harness.gateway.audit.search({ server: where.slug, limit: 1 })).rows[0]).toMatchObject({
        outcome: 'refuse',
        rule: '(changed meanwhile)',
      });
    });
  }

  it('[GW-CURRENT] judges by the new class of a tool', async () => {
    const where = await place({ version: '1', default: 'deny', classes: { read: { limits: LIMITS } } });
    const { answer } = await callWhile(where, () =>
      harness.gateway.services.definitions.accept(where.slug, [{ name: 'get_a', class: 'destructive' }], ADMIN),
    );
    expect(answer.message?.result?._meta?.['dev.gatehouse/decision']?.rule).toBe('(default deny)');
    expect(where.upstream.calls()).toHaveLength(0);
  });

  it('[GW-CURRENT] names the version of the policy that it was judged by anew, and charges once', async () => {
    const where = await place();
    const { answer, held } = await callWhile(where, () =>
      harness.gateway.services.policies.put(
        where.slug,
        `p-${where.identity}`,
        { ...POLICY, description: 'second' },
        undefined,
        ADMIN,
      ),
    );
    expect(answer.message?.result?.isError).toBeUndefined();
    expect(where.upstream.calls()).toHaveLength(1);
    expect(held).toBe(1);
    expect(await lastRecord(where.slug)).toMatchObject({ outcome: 'allow', policy: { version: '2' } });
  });

  it('[GW-CURRENT] sends it under the new settings and credentials of the server', async () => {
    const where = await place();
    const { answer } = await callWhile(where, () =>
      harness.gateway.services.servers.update(
        where.slug,
        {
          settings: { headers: { 'x-team': 'new' } },
          credentials: { kind: 'headers', values: { 'x-api-key': 'second' } },
        },
        undefined,
        ADMIN,
      ),
    );
    expect(answer.status).toBe(200);
    expect(where.upstream.calls()[0]?.headers).toMatchObject({ 'x-team': 'new', 'x-api-key': 'second' });
  });

  it('[GW-CURRENT] sends it to where the server is now', async () => {
    const where = await place();
    const other = await place();
    const { answer } = await callWhile(where, () =>
      harness.gateway.services.servers.update(
        where.slug,
        { transport: { kind: 'http', url: other.upstream.url } },
        undefined,
        ADMIN,
      ),
    );
    expect(answer.status).toBe(200);
    expect([where.upstream.calls().length, other.upstream.calls().length]).toEqual([0, 1]);
  });

  it('[GW-CURRENT, GW-SESSION] ends it where its session was sealed to the server as it was', async () => {
    const where = await place();
    where.upstream.options.sessions = true;
    const client = harness.client(where.slug, where.token);
    await client.initialize();
    const { counters } = harness.gateway.gate;
    const { reserve } = counters;
    counters.reserve = async (charges, now) => {
      counters.reserve = reserve;
      const result = await reserve.call(counters, charges, now);
      await harness.gateway.services.servers.update(
        where.slug,
        { settings: { headers: { 'x-team': 'new' } } },
        undefined,
        ADMIN,
      );
      return result;
    };
    expect((await client.call('get_a')).status).toBe(404);
    expect(where.upstream.calls()).toHaveLength(0);
  });

  it('[GW-CURRENT] after its intent no longer touches the call', async () => {
    const where = await place();
    const { audit, services } = harness.gateway;
    const { append } = audit;
    audit.append = async (record, durability) => {
      if (record.kind !== 'intent') return append.call(audit, record, durability);
      const stored = append.call(audit, record, durability);
      await services.policies.put(
        where.slug,
        `p-${where.identity}`,
        { version: '1', default: 'deny' },
        undefined,
        ADMIN,
      );
      await stored;
    };
    try {
      const client = harness.client(where.slug, where.token);
      expect((await client.call('get_a')).message?.result?.isError).toBeUndefined();
      expect(where.upstream.calls()).toHaveLength(1);
      expect(await lastRecord(where.slug)).toMatchObject({ outcome: 'allow', policy: { version: '1' } });
      const next = await client.call('get_a');
      expect(next.message?.result?._meta?.['dev.gatehouse/decision']?.rule).toBe('(default deny)');
    } finally {
      audit.append = append;
    }
  });
});

describe('between the look at the configuration and the intent', () => {
  /** Counts turns of the microtask queue since the configuration was last looked at; what waits there, waits one. */
  async function turnsBeforeIntent(policy: unknown): Promise<number[]> {
    const where = await place(policy);
    const { gate, audit } = harness.gateway;
    const { append } = audit;
    let looks = 0;
    let settled = 0;
    const turns: number[] = [];
    const look = (): void => {
      looks += 1;
      const own = looks;
      queueMicrotask(() => {
        settled = own;
      });
    };
    const prototype = Object.getPrototypeOf(gate.directory) as object;
    const epoch = Object.getOwnPropertyDescriptor(prototype, 'epoch')?.get as () => number;
    Object.defineProperty(gate.directory, 'epoch', {
      configurable: true,
      get(this: object) {
        look();
        return epoch.call(gate.directory);
      },
    });
    audit.append = (record, durability) => {
      if (record.kind === 'intent') turns.push(looks - settled);
      return append.call(audit, record, durability);
    };
    try {
      await harness.client(where.slug, where.token).call('get_a');
      expect(where.upstream.calls()).toHaveLength(1);
      return turns;
    } finally {
      audit.append = append;
      Reflect.deleteProperty(gate.directory, 'epoch');
    }
  }

  it('[GW-CURRENT] nothing is waited for, with limits and without', async () => {
    // A look whose microtask has not run yet was made in the very turn of the intent.
    for (const policy of [POLICY, { version: '1', default: 'allow' }]) {
      const turns = await turnsBeforeIntent(policy);
      expect(turns).toHaveLength(1);
      expect(turns[0]).toBeGreaterThan(0);
    }
  });

  it('[GW-CURRENT] nothing is waited for when the counters are late', async () => {
    const { counters } = harness.gateway.gate;
    const { reserve } = counters;
    counters.reserve = async (charges, now) => {
      const result = await reserve.call(counters, charges, now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return result;
    };
    try {
      expect((await turnsBeforeIntent(POLICY))[0]).toBeGreaterThan(0);
    } finally {
      counters.reserve = reserve;
    }
  });
});

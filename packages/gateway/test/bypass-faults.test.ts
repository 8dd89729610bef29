// P5 by fault injection: whatever breaks on the way of a call, the answer is a refusal and nothing goes on.
import { connect } from 'node:net';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GrantEntry, ServerEntry } from '../src/model.ts';
import { ADMIN, type Answer, Harness, type RawClient } from './harness.ts';

const TOOLS = [{ name: 'get_a', inputSchema: { type: 'object', properties: {} } }];
const POLICY = {
  version: '1',
  default: 'deny',
  tools: { get_a: { limits: [{ counter: 'c', window: 'hour', max: 1_000_000 }] } },
};
const boom = (): never => {
  throw new Error('injected');
};
const rejects = (): Promise<never> => Promise.reject(new Error('injected'));

type Gate = Harness['gateway']['gate'];
/** Puts something else in the place of a member until it is undone. */
type Undo = () => void;

function replace<T extends object, K extends keyof T>(target: T, key: K, value: (original: T[K]) => T[K]): Undo {
  const own = Object.getOwnPropertyDescriptor(target, key);
  const original = target[key];
  const bound = typeof original === 'function' ? (original.bind(target) as T[K]) : original;
  Object.defineProperty(target, key, { value: value(bound), configurable: true, writable: true });
  return () => {
    if (own === undefined) delete target[key];
    else Object.defineProperty(target, key, own);
  };
}

/** Authenticates as before, with a grant that is broken somewhere. */
function brokenGrant(gate: Gate, spoil: (grant: GrantEntry) => Partial<GrantEntry>): Undo {
  return replace(gate.directory, 'authenticate', (original) => (...args) => {
    const who = original(...args);
    return who.ok ? { ...who, grant: { ...who.grant, ...spoil(who.grant) } } : who;
  });
}

const withTools = (grant: GrantEntry, get: ServerEntry['tools']['get']): Partial<GrantEntry> => {
  const tools = new Map(grant.entry.tools);
  tools.get = get;
  return { entry: { ...grant.entry, tools } };
};

const BEFORE_SENDING: Record<string, (gate: Gate) => Undo> = {
  'directory.authenticate throws': (gate) => replace(gate.directory, 'authenticate', () => boom),
  'sessions.open throws': (gate) => replace(gate.sessions, 'open', () => boom),
  'the tools throw': (gate) => brokenGrant(gate, (grant) => withTools(grant, boom)),
  'the validator throws': (gate) =>
    brokenGrant(gate, (grant) =>
      withTools(grant, (name) => {
        const tool = grant.entry.tools.get(name);
        return tool && { ...tool, validator: { validate: boom } };
      }),
    ),
  'there is no policy where one should be': (gate) => brokenGrant(gate, () => ({ policy: {} as GrantEntry['policy'] })),
  'the clock throws': (gate) => replace(gate, 'clock', () => boom),
  'counters.reserve throws': (gate) => replace(gate.counters, 'reserve', () => boom),
  'counters.reserve rejects': (gate) => replace(gate.counters, 'reserve', () => rejects),
  'counters.reserve answers nonsense': (gate) =>
    replace(gate.counters, 'reserve', () => () => Promise.resolve(undefined as never)),
  'audit.digestArguments throws': (gate) => replace(gate.audit, 'digestArguments', () => boom),
  'audit.append throws': (gate) => replace(gate.audit, 'append', () => boom),
  'audit.append rejects': (gate) => replace(gate.audit, 'append', () => rejects),
  'requestStates.open throws': (gate) => replace(gate.requestStates, 'open', () => boom),
  'metrics.decision throws': (gate) => replace(gate.metrics, 'decision', () => boom),
  'upstream() throws': (gate) => replace(gate, 'upstream', () => boom),
  'upstream.send throws': (gate) =>
    replace(
      gate,
      'upstream',
      (original) => (entry) => ({ ...original(entry), knows: () => true, send: boom }) as never,
    ),
};

const ON_THE_WAY_BACK: Record<string, (gate: Gate) => Undo> = {
  'metrics.upstream throws': (gate) => replace(gate.metrics, 'upstream', () => boom),
  'audit.enqueue throws': (gate) => replace(gate.audit, 'enqueue', () => boom),
  'intake throws': (gate) => replace(gate, 'intake', () => boom),
  'intake rejects': (gate) => replace(gate, 'intake', () => rejects),
  'seen.has throws': (gate) => replace(gate.seen, 'has', () => boom),
  'serverRequests.seal throws': (gate) => replace(gate.serverRequests, 'seal', () => boom),
  'requestStates.seal throws': (gate) => replace(gate.requestStates, 'seal', () => boom),
  'toolsChanged throws': (gate) => replace(gate, 'toolsChanged', () => boom),
  'answerUpstream throws': (gate) => replace(gate, 'answerUpstream', () => boom),
};

describe('P5: faults', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;
  let undo: Undo = () => {};

  beforeAll(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', { tools: TOOLS });
    client = harness.client('rec', (await harness.grant('rec', POLICY)).token);
    await client.initialize();
  });
  beforeEach(() => upstream.forget());
  afterEach(() => {
    undo();
    delete upstream.options.intercept;
  });
  afterAll(() => harness.close());

  /** Reserved and not given back. */
  const held = (): number => {
    const { reserved, released } = harness.gateway.gate.counters.stats();
    return reserved - released;
  };
  const refused = ({ status, message }: Answer): boolean =>
    status >= 400 || message?.error !== undefined || message?.result?.isError === true;
  const inTime = <T>(answer: Promise<T>): Promise<T> =>
    Promise.race([answer, new Promise<never>((_, reject) => setTimeout(() => reject(new Error('it hangs')), 3_000))]);

  it.each(Object.entries(BEFORE_SENDING))(
    '[P5, T117] %s: refused, nothing sent, nothing kept reserved',
    async (_name, inject) => {
      const before = held();
      undo = inject(harness.gateway.gate);
      const answer = await inTime(client.call('get_a'));
      expect(refused(answer)).toBe(true);
      undo();
      expect(upstream.requests).toHaveLength(0);
      expect(held()).toBe(before);
      expect((await client.call('get_a')).message?.result?.isError).toBeUndefined();
    },
  );

  it.each([
    'the tools throw',
    'counters.reserve throws',
    'counters.reserve rejects',
    'sessions.open throws',
    'upstream() throws',
  ])('[P5] %s: the refusal has its own record', async (name) => {
    const { total } = await audited();
    undo = (BEFORE_SENDING[name] as (gate: Gate) => Undo)(harness.gateway.gate);
    await inTime(client.call('get_a'));
    undo();
    const { rows, total: after } = await audited();
    expect(after).toBeGreaterThan(total);
    expect(['refuse', 'deny', 'not_sent']).toContain(rows[0]?.outcome);
  });

  async function audited() {
    const { rows } = await harness.gateway.audit.search({ limit: 500 });
    return { rows, total: rows.length };
  }

  it.each(Object.entries(ON_THE_WAY_BACK))(
    '[P5, T117] %s: the call and the list are answered, and the process lives',
    async (_name, inject) => {
      upstream.options.tools = [...TOOLS, { name: `new_${Math.random()}`, inputSchema: { type: 'object' } }];
      upstream.options.intercept = (request, response) => {
        if (request.message?.method !== 'tools/call') return false;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const event = (message: unknown): boolean => response.write(`data: ${JSON.stringify(message)}\n\n`);
        event({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
        event({ jsonrpc: '2.0', id: 1, method: 'elicitation/create', params: {} });
        event({ jsonrpc: '2.0', id: 2, method: 'sampling/createMessage', params: {} });
        event({ jsonrpc: '2.0', id: request.message.id, result: { content: [] } });
        response.end();
        return true;
      };
      undo = inject(harness.gateway.gate);
      const [call, list] = await inTime(Promise.all([client.call('get_a'), client.request('tools/list')]));
      expect([call?.status, list?.status].every((status) => status !== undefined && status >= 200)).toBe(true);
      expect(JSON.stringify(list?.message ?? {})).not.toContain('new_');
      undo();
      upstream.options.tools = TOOLS;
      delete upstream.options.intercept;
      expect((await client.call('get_a')).message?.result?.isError).toBeUndefined();
    },
  );

  it('[P5] a client that cannot be written to leaves nothing that hangs', async () => {
    upstream.options.intercept = () => true;
    const before = upstream.requests.length;
    const controller = new AbortController();
    const gone = fetch(client.url, {
      method: 'POST',
      signal: controller.signal,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${client.token}` },
      body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    }).catch(() => undefined);
    await until(() => upstream.requests.length > before);
    controller.abort();
    await gone;
    delete upstream.options.intercept;
    expect((await client.request('ping')).status).toBe(200);
  });

  it('[T99, LIM-RELEASE] a call that meets its deadline before it was sent is given back', async () => {
    const before = held();
    const { gate } = harness.gateway;
    const undos = [
      replace(gate, 'limits', (limits) => ({ ...limits, callDeadline: 20 })),
      replace(gate, 'upstream', (original) => (entry) => {
        const real = original(entry);
        return { ...real, knows: () => true, send: () => ({ resume() {}, abort() {} }) } as never;
      }),
    ];
    undo = () => {
      for (const each of undos) each();
    };
    expect((await inTime(client.call('get_a'))).status).toBe(504);
    expect(held()).toBe(before);
    expect((await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0]?.outcome).toBe('not_sent');
  });
});

describe('changes while a message is on its way', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;
  let grant: { id: string; token: string };

  beforeEach(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', { tools: TOOLS });
    grant = await harness.grant('rec', POLICY);
    client = harness.client('rec', grant.token);
    await client.initialize();
    upstream.forget();
  });
  afterEach(() => harness.close());

  /** Sends head and half of the body, waits for `meanwhile`, then sends the rest. */
  async function slowly(meanwhile: () => Promise<unknown>): Promise<string> {
    const url = new URL(client.url);
    const socket = connect(Number(url.port), url.hostname);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"}}';
    socket.write(
      `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${grant.token}\r\nmcp-session-id: ${client.session}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body.slice(0, 20)}`,
    );
    // The head has been judged by the time that another connection got its answer.
    await client.request('ping');
    upstream.forget();
    await meanwhile();
    socket.end(body.slice(20));
    await closed;
    return text;
  }

  it('[T65, GW-REVOKE] a token that was revoked while the body was arriving opens nothing', async () => {
    const text = await slowly(() => harness.gateway.services.grants.revoke(grant.id, ADMIN));
    expect(text).toMatch(/^HTTP\/1.1 401 /);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-POLICY-EDIT] a policy that changed while the body was arriving holds for it', async () => {
    const text = await slowly(() =>
      harness.gateway.services.policies.put('rec', 'p-ana', { version: '1', default: 'deny' }, undefined, ADMIN),
    );
    expect(text).toContain('(default deny)');
    expect(upstream.requests).toHaveLength(0);
  });

  const waiting = (meanwhile: () => Promise<unknown>): Undo =>
    replace(harness.gateway.gate.counters, 'reserve', (original) => async (charges, now) => {
      await meanwhile();
      return original(charges, now);
    });

  it('[GW-CURRENT, T117] a call is judged again when its policy changes while counters are waited for', async () => {
    waiting(() =>
      harness.gateway.services.policies.put('rec', 'p-ana', { version: '1', default: 'deny' }, undefined, ADMIN),
    );
    const { message } = await client.call('get_a');
    expect(message?.result?._meta?.['dev.gatehouse/decision']?.rule).toBe('(default deny)');
    expect(upstream.requests).toHaveLength(0);
    const { reserved, released } = harness.gateway.gate.counters.stats();
    expect(reserved - released).toBe(0);
  });

  it('[GW-CURRENT] a call whose grant ends while counters are waited for is not made', async () => {
    waiting(() => harness.gateway.services.grants.revoke(grant.id, ADMIN).catch(() => undefined));
    expect((await client.call('get_a')).message?.error).toBeDefined();
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-CURRENT] a configuration that never rests makes the call unavailable, not endless', async () => {
    let version = 0;
    waiting(() =>
      harness.gateway.services.policies.put(
        'rec',
        'p-ana',
        { ...POLICY, description: `v${version++}` },
        undefined,
        ADMIN,
      ),
    );
    expect((await client.call('get_a')).status).toBe(503);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-CURRENT] a call whose server changed after its intent does not go to where the server was', async () => {
    const elsewhere = await harness.record('other', { tools: TOOLS });
    const undo = replace(harness.gateway.audit, 'append', (original) => async (record, durability) => {
      await original(record, durability);
      if (record.kind === 'intent') {
        await harness.gateway.services.servers.update(
          'rec',
          { transport: { kind: 'http', url: elsewhere.url } },
          undefined,
          ADMIN,
        );
      }
    });
    elsewhere.forget();
    const { status } = await client.call('get_a');
    undo();
    expect(status).toBe(500);
    expect([...upstream.calls(), ...elsewhere.calls()]).toHaveLength(0);
    expect((await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0]?.outcome).toBe('not_sent');
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(holds()).toBe(true);
}

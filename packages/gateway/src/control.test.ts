import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { judge } from '@gatehouse/policy';
import type { Kysely } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, listed, openTestControl, refusal, type TestControl } from './control/testing.ts';
import { openControlPlane } from './control.ts';
import { MIGRATIONS } from './store/migrations/list.ts';

let control: TestControl;

beforeEach(async () => {
  control = await openTestControl();
});

afterEach(() => control.end());

const FLUX = { slug: 'flux', transport: { kind: 'http', url: 'http://127.0.0.1:9000/mcp' } } as const;
const DRAW = {
  name: 'draw',
  description: 'Draws a picture.',
  inputSchema: { type: 'object', properties: { count: { type: 'integer' } }, required: ['count'] },
};
const PAINTING = { version: '1', default: 'deny', tools: { draw: { args: { count: { lte: 4 } } } } };

async function ready(): Promise<{ secret: string; grantId: string }> {
  const { services } = control;
  await services.servers.create(FLUX, ADMIN);
  await services.definitions.intake('flux', [listed(DRAW)], { complete: true, accept: true, actor: ADMIN });
  await services.policies.put('flux', 'painting', PAINTING, 0, ADMIN);
  const made = await services.grants.create({ server: 'flux', identity: 'ana', policy: 'painting' }, ADMIN);
  if (made.secret === undefined) throw new Error('no token');
  return { secret: made.secret, grantId: made.grant.id };
}

function outcome(secret: string, args: Record<string, number>): string {
  const { directory } = control.services;
  const opened = directory.authenticate(`Bearer ${secret}`, 'flux', control.now, '127.0.0.1');
  if (!opened.ok) return opened.reason;
  const { grant } = opened;
  const decision = judge(
    grant.policy,
    grant.entry.tools,
    { tool: 'draw', arguments: args },
    { caller: grant.caller, now: control.now },
  );
  return decision.outcome === 'allow' ? 'allow' : decision.rule;
}

describe('the control plane', () => {
  it('[CFG-MIGRATE] [AUD-ADMIN] records that a start migrated the store, and where its copy is', async () => {
    const { dataDir, keys, audit } = control;
    await control.services.close();
    const migrations = {
      ...MIGRATIONS,
      '002-second': { up: (db: Kysely<unknown>) => db.schema.createTable('second').addColumn('id', 'text').execute() },
    };
    const clock = () => control.now;
    const opened = await openControlPlane({ dataDir, keys, clock, migrations, openAudit: async () => audit });
    await opened.services.close();
    expect(audit.records).toEqual([
      {
        actor: { kind: 'gatehouse', id: 'gatehouse' },
        action: 'store.migrate',
        target: opened.instanceId,
        before: { version: '001-first' },
        after: { version: '002-second', copy: 'gatehouse.001-first-to-002-second.db' },
      },
    ]);
    expect((await refusal(control.reopen())).code).toBe('store_newer');
  });

  it('makes what a call needs, and a new version of a policy holds from the next message', async () => {
    const { secret, grantId } = await ready();
    expect(outcome(secret, { count: 4 })).toBe('allow');
    expect(outcome(secret, { count: 5 })).toBe('/tools/draw/args/count/lte');
    const epoch = control.services.directory.epoch;
    const wider = { ...PAINTING, tools: { draw: { args: { count: { lte: 9 } } } } };
    const policy = await control.services.policies.put('flux', 'painting', wider, 1, ADMIN);
    expect(policy).toMatchObject({ version: 2, grants: 1 });
    expect(control.services.directory.epoch).toBe(epoch + 1);
    expect(outcome(secret, { count: 5 })).toBe('allow');
    expect(control.services.directory.grant(grantId)?.policyVersion).toBe(2);
  });

  it('finds everything as it was after a restart', async () => {
    const { secret } = await ready();
    const { services } = control;
    await services.servers.update('flux', { credentials: { kind: 'headers', values: { 'X-Key': 'k-1' } } }, 1, ADMIN);
    const before = JSON.stringify(everything());
    await control.reopen();
    expect(JSON.stringify(everything())).toBe(before);
    expect(outcome(secret, { count: 5 })).toBe('/tools/draw/args/count/lte');
    expect(control.services.directory.server('flux')?.credentialHeaders).toEqual({ 'X-Key': 'k-1' });
  });

  it('shares one compiled policy between the grants that carry it', async () => {
    const { grantId } = await ready();
    const other = await control.services.grants.create({ server: 'flux', identity: 'bo', policy: 'painting' }, ADMIN);
    const { directory } = control.services;
    expect(directory.grant(grantId)?.policy).toBeDefined();
    expect(directory.grant(grantId)?.policy).toBe(directory.grant(other.grant.id)?.policy);
  });

  it('[AUD-ADMIN] records each change of state with its actor, before it holds', async () => {
    const { grantId } = await ready();
    await control.services.grants.revoke(grantId, ADMIN);
    expect(control.audit.actions).toEqual([
      'server.create',
      'definitions.observe',
      'policy.create',
      'identity.create',
      'grant.create',
      'token.create',
      'grant.revoke',
    ]);
    expect(control.audit.records.at(-1)).toMatchObject({
      actor: ADMIN,
      target: grantId,
      before: { label: 'ana on flux' },
      after: { revokedAt: '2026-05-01T12:00:00.000Z' },
    });
  });

  it('[AUD-NOCHANGE] makes no change whose record cannot be written', async () => {
    const { secret, grantId } = await ready();
    const { epoch } = control.services.directory;
    control.audit.failure = new Error('no space left on device');
    expect((await refusal(control.services.grants.revoke(grantId, ADMIN))).code).toBe('audit_unavailable');
    expect((await refusal(control.services.servers.remove('flux', ADMIN))).code).toBe('audit_unavailable');
    expect(control.services.directory.epoch).toBe(epoch);
    expect(outcome(secret, { count: 1 })).toBe('allow');
    control.audit.failure = undefined;
    await control.reopen();
    expect(outcome(secret, { count: 1 })).toBe('allow');
    await control.services.grants.revoke(grantId, ADMIN);
    expect(outcome(secret, { count: 1 })).toBe('revoked_grant');
  });

  it('makes changes one after the other: of two creations of one slug one is refused', async () => {
    const both = await Promise.allSettled([
      control.services.servers.create(FLUX, ADMIN),
      control.services.servers.create(FLUX, ADMIN),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect((both[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'conflict' });
    expect(control.services.servers.list()).toHaveLength(1);
  });

  it('[P6] leaves no credential and no token in any file or admin record', async () => {
    const { services } = control;
    const canary = 'canary-7f3a9c-upstream-secret';
    await services.servers.create(
      { ...FLUX, credentials: { kind: 'headers', values: { Authorization: `Bearer ${canary}` } } },
      ADMIN,
    );
    const { secret = '', token } = await services.grants.create({ server: 'flux', identity: 'ana' }, ADMIN);
    const rotated = await services.tokens.rotate(token?.id ?? '', 60, ADMIN);
    await services.servers.update(
      'flux',
      { credentials: { kind: 'headers', values: { Authorization: `Bearer ${canary}-2` } } },
      undefined,
      ADMIN,
    );
    expect(services.directory.server('flux')?.credentialHeaders.Authorization).toBe(`Bearer ${canary}-2`);
    const whileOpen = fileBytes();
    await services.servers.remove('flux', ADMIN);
    await control.reopen();
    for (const text of [whileOpen, fileBytes(), JSON.stringify(control.audit.records), JSON.stringify(everything())]) {
      expect(text).not.toContain(canary);
      expect(text).not.toContain(Buffer.from(canary).toString('base64').slice(0, 24));
      for (const whole of [secret, rotated.secret]) expect(text).not.toContain(whole.slice(9));
    }
    expect(JSON.stringify(control.audit.records)).toContain('"names":["Authorization"]');
  });
});

/** Every file of the data folder as text, byte for byte. */
function fileBytes(): string {
  const files = readdirSync(control.dataDir).filter((name) => !name.startsWith('lock'));
  expect(files.length).toBeGreaterThan(0);
  return files.map((name) => readFileSync(join(control.dataDir, name), 'latin1')).join('\n');
}

function everything(): unknown {
  const { servers, definitions, policies, identities, tokens, grants } = control.services;
  const slugs = servers.list().map(({ slug }) => slug);
  return {
    servers: servers.list(),
    definitions: slugs.map((slug) => definitions.list(slug)),
    policies: slugs.map((slug) => policies.list(slug)),
    versions: slugs.flatMap((slug) => policies.list(slug).map(({ name }) => policies.versions(slug, name))),
    identities: identities.list(),
    tokens: tokens.list(),
    grants: grants.list(),
  };
}

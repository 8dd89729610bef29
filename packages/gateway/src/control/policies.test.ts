import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, listed, openTestControl, refusal, type TestControl } from './testing.ts';

let control: TestControl;

beforeEach(async () => {
  control = await openTestControl();
  const { servers, definitions } = control.services;
  await servers.create({ slug: 'flux', transport: { kind: 'http', url: 'http://127.0.0.1:9/mcp' } }, ADMIN);
  await definitions.intake('flux', [listed(drawing([]))], { complete: true, accept: true, actor: ADMIN });
});

afterEach(() => control.end());

function drawing(required: string[], extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'draw',
    inputSchema: { type: 'object', properties: { count: { type: 'integer' } }, required, ...extra },
  };
}

const LTE = { version: '1', default: 'deny', tools: { draw: { args: { count: { lte: 4 } } } } };
const REQUIRE = (missing?: string) => ({
  version: '1',
  default: 'deny',
  tools: {
    draw: { require: [{ path: 'args.count', op: 'lte', value: 4, ...(missing === undefined ? {} : { missing }) }] },
  },
});

describe('policies', () => {
  it('keep every version, and save the same document only once', async () => {
    const { policies } = control.services;
    const first = await policies.put('flux', 'p', LTE, 0, ADMIN);
    expect(first).toMatchObject({ version: 1, name: 'p', server: 'flux', grants: 0, updatedBy: 'local' });
    expect(await policies.put('flux', 'p', structuredClone(LTE), 1, ADMIN)).toEqual(first);
    control.now += 1000;
    const second = await policies.put('flux', 'p', { ...LTE, description: 'x' }, 1, ADMIN);
    expect(second.version).toBe(2);
    await control.reopen();
    expect(control.services.policies.versions('flux', 'p').map(({ version, document }) => [version, document])).toEqual(
      [
        [1, LTE],
        [2, { ...LTE, description: 'x' }],
      ],
    );
    expect(control.services.policies.get('flux', 'p')).toEqual(second);
  });

  it('keep the document as it was given, whatever becomes of the object', async () => {
    const document = structuredClone(LTE);
    await control.services.policies.put('flux', 'p', document, undefined, ADMIN);
    document.tools.draw.args.count.lte = 4000;
    expect(control.services.policies.get('flux', 'p').document).toEqual(LTE);
  });

  it('are changed only from the version that was seen', async () => {
    const { policies } = control.services;
    expect((await refusal(policies.put('flux', 'p', LTE, 3, ADMIN))).code).toBe('precondition_failed');
    await policies.put('flux', 'p', LTE, 0, ADMIN);
    expect((await refusal(policies.put('flux', 'p', LTE, 0, ADMIN))).message).toContain('already, at version 1');
    expect((await refusal(policies.put('flux', 'p', LTE, 2, ADMIN))).code).toBe('precondition_failed');
  });

  it('[POL-SAVE] are refused with all problems and pointers, and the old version stays', async () => {
    const { policies } = control.services;
    await policies.put('flux', 'p', LTE, 0, ADMIN);
    const broken = {
      version: '2',
      default: 'deny',
      tools: { draw: { argz: {}, limits: [{ window: 'minute', max: -1 }] } },
    };
    const error = await refusal(policies.put('flux', 'p', broken, 1, ADMIN));
    expect(error.code).toBe('policy_invalid');
    expect(error.items.map(({ pointer }) => pointer)).toEqual(
      expect.arrayContaining(['/version', '/tools/draw/argz', '/tools/draw/limits/0/max']),
    );
    expect(policies.get('flux', 'p').version).toBe(1);
    expect(policies.check(broken, 'flux').length).toBeGreaterThanOrEqual(3);
    expect((await refusal(policies.put('flux', 'p', { ...LTE, x: undefined }, 1, ADMIN))).code).toBe('policy_invalid');
    const huge = { ...LTE, description: 'x'.repeat(1024 * 1024) };
    expect((await refusal(policies.put('flux', 'p', huge, 1, ADMIN))).code).toBe('too_large');
    expect((await refusal(policies.put('flux', 'P', LTE, 0, ADMIN))).items[0]?.suggestion).toBe('p');
  });

  it('are checked against the definitions of their server', async () => {
    const { policies } = control.services;
    expect(policies.check(REQUIRE()).filter(({ severity }) => severity === 'error')).toEqual([]);
    expect((await refusal(policies.put('flux', 'p', REQUIRE(), 0, ADMIN))).code).toBe('policy_invalid');
    const saved = await policies.put('flux', 'p', REQUIRE('fail'), 0, ADMIN);
    expect(saved.warnings.every(({ severity }) => severity === 'warning')).toBe(true);
  });

  it('stay while a grant carries them', async () => {
    const { policies, grants } = control.services;
    await policies.put('flux', 'p', LTE, 0, ADMIN);
    const { grant } = await grants.create({ server: 'flux', identity: 'ana', policy: 'p' }, ADMIN);
    expect((await refusal(policies.remove('flux', 'p', ADMIN))).message).toContain(grant.id);
    await grants.update(grant.id, { policy: null }, undefined, ADMIN);
    expect(grants.get(grant.id)).not.toHaveProperty('policy');
    await policies.remove('flux', 'p', ADMIN);
    expect((await refusal((async () => policies.get('flux', 'p'))())).code).toBe('not_found');
  });

  it('may go once the grants that carried them are revoked', async () => {
    const { policies, grants } = control.services;
    await policies.put('flux', 'p', LTE, 0, ADMIN);
    const { grant } = await grants.create({ server: 'flux', identity: 'ana', policy: 'p' }, ADMIN);
    await grants.revoke(grant.id, ADMIN);
    await policies.remove('flux', 'p', ADMIN);
    await control.reopen();
    expect(control.services.grants.get(grant.id)).not.toHaveProperty('policy');
  });

  it('[DEF-POLICY] cannot be taken out of force by what their server offers: what it leaves open is a warning', async () => {
    const { policies, definitions, grants, directory } = control.services;
    const forOther = { ...LTE, tools: { ...LTE.tools, erase: REQUIRE().tools.draw } };
    await policies.put('flux', 'p', forOther, 0, ADMIN);
    const { grant } = await grants.create({ server: 'flux', identity: 'ana', policy: 'p' }, ADMIN);
    const erase = { ...drawing([]), name: 'erase' };
    await definitions.intake('flux', [listed(drawing([])), listed(erase)], {
      complete: true,
      accept: true,
      actor: ADMIN,
    });
    expect(directory.grant(grant.id)?.policy).toBeDefined();
    expect(policies.get('flux', 'p').warnings).toContainEqual(
      expect.objectContaining({ pointer: '/tools/erase/require/0', severity: 'warning', code: 'missing_undecided' }),
    );
    expect((await refusal(policies.put('flux', 'p', { ...forOther, description: 'x' }, 1, ADMIN))).code).toBe(
      'policy_invalid',
    );
  });
});

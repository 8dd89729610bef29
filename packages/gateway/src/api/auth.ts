import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { GatehouseError } from '../errors.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';

const BEARER = /^Bearer +([^\s,]+)$/i;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Lets pass who carries the admin token of this instance, as the actor `local-admin`.
 * Digests are compared, so that neither content nor length of the token shows in the time it takes.
 */
export function adminOnly(deps: Readonly<Pick<ApiDeps, 'adminToken'>>): MiddlewareHandler<ApiEnv> {
  if (deps.adminToken.length < 32) throw new RangeError('the admin token must have at least 32 characters');
  return async (c, next) => {
    const expected = digest(deps.adminToken);
    const given = BEARER.exec(c.req.header('authorization') ?? '')?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      throw new GatehouseError(
        'unauthorized',
        'This needs the admin token: send "Authorization: Bearer <admin token>". The gatehouse command on the machine of the gateway derives it by itself; elsewhere set GATEHOUSE_ADMIN_TOKEN.',
      );
    }
    c.set('actor', { kind: 'local-admin', id: 'local' });
    await next();
  };
}

import { ERRORS } from '@gatehouse/gateway';
import { describe, expect, it } from 'vitest';
import { CliError, errorFromAnswer, fromGatewayError } from './errors.ts';
import { EXIT, EXIT_HELP, exitCodeOf } from './exit-codes.ts';

describe('exit codes', () => {
  it('[CLI-EXIT] tells scripts what kind of answer it was', () => {
    expect(EXIT).toEqual({
      ok: 0,
      error: 1,
      usage: 2,
      notFound: 3,
      denied: 4,
      unreachable: 5,
      conflict: 6,
      unauthorized: 7,
      interrupted: 130,
    });
    expect(EXIT_HELP.map(([code]) => code)).toEqual(Object.values(EXIT));
  });

  it('[CLI-EXIT] gives every error of the API that a caller can do something about a code of its own kind', () => {
    const byStatus: Record<number, number> = {
      400: 2,
      401: 7,
      403: 7,
      404: 3,
      409: 6,
      412: 6,
      413: 2,
      415: 2,
      422: 4,
      428: 6,
      502: 5,
      503: 5,
    };
    for (const [code, { status }] of Object.entries(ERRORS)) {
      if (status !== 500 && status !== 405) expect([code, exitCodeOf(code)]).toEqual([code, byStatus[status]]);
    }
    expect(exitCodeOf('config_invalid')).toBe(EXIT.denied);
    expect(exitCodeOf('store_locked')).toBe(EXIT.unreachable);
    expect(exitCodeOf('internal')).toBe(EXIT.error);
    expect(exitCodeOf('toString')).toBe(EXIT.error);
  });
});

describe('errors of the API', () => {
  it('keep detail, places, suggestions and the request id', () => {
    const error = errorFromAnswer(
      422,
      {
        code: 'policy_invalid',
        detail: 'It has an error.',
        requestId: 'r-9',
        errors: [{ pointer: '/tools/a', message: 'no such tool', suggestion: 'did you mean b?' }, 7, null],
      },
      'http://x',
    );
    expect(error).toMatchObject({
      exitCode: EXIT.denied,
      code: 'policy_invalid',
      message: 'It has an error.',
      requestId: 'r-9',
    });
    expect(error.details).toEqual([{ pointer: '/tools/a', message: 'no such tool', suggestion: 'did you mean b?' }]);
  });

  it.each([undefined, '<html>', { error: 'x' }, null])('is not believed when something else answers: %j', (body) => {
    expect(errorFromAnswer(500, body, 'http://x')).toMatchObject({ exitCode: EXIT.unreachable });
    expect(errorFromAnswer(500, body, 'http://x').message).toMatch(/not from Gatehouse/);
  });

  it('are recognised when the gateway runs in this process', () => {
    const thrown = Object.assign(new Error('locked'), { name: 'GatehouseError', code: 'store_locked', items: [] });
    expect(fromGatewayError(thrown)).toBeInstanceOf(CliError);
    expect(fromGatewayError(thrown)?.exitCode).toBe(EXIT.unreachable);
    expect(fromGatewayError(new Error('x'))).toBeUndefined();
  });
});

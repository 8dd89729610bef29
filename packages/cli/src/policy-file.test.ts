import { describe, expect, it } from 'vitest';
import { looksLikeFile, placesIn, problemLines } from './policy-file.ts';

const YAML = `version: "1"
default: deny
tools:
  a/b:
    require:
      - { path: args.x, op: eq }
      - path: args.y
        op: nope
`;

describe('placesIn', () => {
  const placeOf = placesIn(YAML);

  it.each([
    ['', 1, 1],
    ['/default', 2, 1],
    ['/tools/a~1b', 4, 3],
    ['/tools/a~1b/require/0/op', 6, 25],
    ['/tools/a~1b/require/1', 7, 9],
    ['/tools/a~1b/require/1/op', 8, 9],
  ])('%s is at line %i, column %i', (pointer, line, column) => expect(placeOf(pointer)).toEqual({ line, column }));

  it('names the nearest part that is there', () => {
    expect(placeOf('/tools/a~1b/require/7/op')).toEqual({ line: 5, column: 5 });
    expect(placeOf('/missing')).toEqual({ line: 1, column: 1 });
    expect(placeOf('(default deny)')).toBeUndefined();
  });

  it('reads JSON as well', () => {
    expect(placesIn('{\n  "version": "1",\n  "tools": {}\n}')('/tools')).toEqual({ line: 3, column: 3 });
  });

  it('does not fail on a text that is neither', () => {
    expect(() => placesIn('{]: "')('/a/b')).not.toThrow();
  });
});

describe('problemLines', () => {
  it('writes what editors and CI services turn into links', () => {
    const file = { path: 'p.yaml', text: YAML, contentType: 'application/yaml' } as const;
    const lines = problemLines(file, [
      {
        pointer: '/tools/a~1b/require/1/op',
        message: 'no such operator',
        suggestion: 'did you mean in?',
        severity: 'error',
        code: 'x',
      },
    ]);
    expect(lines).toEqual(['p.yaml:8:9: error: /tools/a~1b/require/1/op: no such operator (did you mean in?)']);
  });
});

describe('looksLikeFile', () => {
  it('takes for a name only what can be one', () => {
    expect(looksLikeFile('pictures')).toBe(false);
    for (const file of ['./pictures', 'policy.yaml', '-', 'Big', '/etc/p']) expect(looksLikeFile(file)).toBe(true);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonText, Output, printable, wantsColour, widthOf } from './output.ts';

function collected(options: { json?: boolean; colour?: boolean } = {}) {
  const written: string[] = [];
  const errors: string[] = [];
  const out = new Output({
    json: options.json ?? false,
    colour: options.colour ?? false,
    write: (text) => written.push(text),
    writeError: (text) => errors.push(text),
  });
  return { out, stdout: () => written.join(''), stderr: () => errors.join('') };
}

// Written out apart from the implementation: what a terminal acts on, or does not show.
function isDangerous(code: number): boolean {
  return (
    code < 0x20 ||
    (code >= 0x7f && code <= 0x9f) ||
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    code === 0xfeff ||
    (code >= 0xe0000 && code <= 0xe007f)
  );
}

describe('printable', () => {
  it('[CLI-ESCAPE] shows escape sequences, hidden and bidirectional characters instead of sending them to the terminal', () => {
    expect(printable('a\u001b[2Jb')).toBe('a\\u{1b}[2Jb');
    expect(printable('x\r\ny\tz')).toBe('x\\r\\ny\\tz');
    expect(printable('user\u202etxt.exe')).toBe('user\\u{202e}txt.exe');
    expect(printable('a\u200bb\u{e0041}\ufeff\u009b31m')).toBe('a\\u{200b}b\\u{e0041}\\u{feff}\\u{9b}31m');
    expect(printable('\ud800')).toBe('\\u{d800}');
  });

  it('leaves what can be read as it is', () => {
    expect(printable('Grüße, 東京 🛂 – ok')).toBe('Grüße, 東京 🛂 – ok');
  });

  it('[CLI-ESCAPE] lets no dangerous character through, whatever the text', () => {
    const anything = fc.string({
      unit: fc.integer({ min: 0, max: 0xe00ff }).map((code) => String.fromCodePoint(code)),
    });
    fc.assert(
      fc.property(anything, (text) => Array.from(printable(text)).every((c) => !isDangerous(c.codePointAt(0)!))),
    );
  });
});

describe('jsonText', () => {
  it('is the same value for a program, and safe on a terminal', () => {
    const anything = fc.jsonValue();
    fc.assert(
      fc.property(anything, (value) => {
        expect(JSON.parse(jsonText(value, 2))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    expect(jsonText({ a: 'x\u009b\u202e\u{e0041}' })).toBe('{"a":"x\\u009b\\u202e\\udb40\\udc41"}');
  });
});

describe('wantsColour', () => {
  it('is only on a terminal, and off with NO_COLOR or TERM=dumb', () => {
    expect(wantsColour({}, true)).toBe(true);
    expect(wantsColour({}, false)).toBe(false);
    expect(wantsColour({ NO_COLOR: '1' }, true)).toBe(false);
    expect(wantsColour({ NO_COLOR: '' }, true)).toBe(true);
    expect(wantsColour({ TERM: 'dumb' }, true)).toBe(false);
  });
});

describe('Output', () => {
  it('aligns tables by the columns that characters take', () => {
    const { out, stdout } = collected();
    out.table(
      ['NAME', 'N'],
      [
        ['東京', 1],
        ['ab', undefined],
      ],
      'none',
    );
    expect(stdout()).toBe('NAME  N\n東京  1\nab    -\n');
    expect(widthOf('🛂é')).toBe(3);
  });

  it('says that a list is empty on standard error, so that a pipe gets nothing', () => {
    const { out, stdout, stderr } = collected();
    out.table(['NAME'], [], 'There are none.');
    expect([stdout(), stderr()]).toEqual(['', 'There are none.\n']);
  });

  it('escapes cells, fields, texts and notes', () => {
    const { out, stdout, stderr } = collected();
    out.table(['T'], [['\u001b[31m']], '');
    out.fields([
      ['name', '\u0007bell'],
      ['gone', undefined],
    ]);
    out.text('line\n\u001b]0;title');
    out.note('\u001bc');
    expect(stdout() + stderr()).not.toContain('\u001b');
    expect(stdout()).toContain('name  \\u{7}bell\n');
    expect(stdout()).not.toContain('gone');
  });

  it('colours only when told to', () => {
    expect(collected({ colour: true }).out.style('red', 'x')).toBe('\u001b[31mx\u001b[0m');
    expect(collected().out.style('red', 'x')).toBe('x');
  });
});

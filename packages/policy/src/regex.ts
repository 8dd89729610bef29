/** Every pattern that a user or an upstream wrote runs here: RE2, linear time, the same engine everywhere. */
import { RE2JS } from 're2js';

const MAX_PATTERN = 4096;

export interface Pattern {
  /** Found anywhere. */
  find(text: string): boolean;
  /** The whole string. */
  whole(text: string): boolean;
}

export type PatternResult = { ok: true; pattern: Pattern } | { ok: false; reason: string };

/** Compiles RE2 syntax. Without flags `^` and `$` are the ends of the text, never of a line. */
export function compilePattern(source: string): PatternResult {
  if (source.length > MAX_PATTERN) return { ok: false, reason: `it is longer than ${MAX_PATTERN} characters` };
  try {
    const re = RE2JS.compile(source);
    return { ok: true, pattern: { find: (text) => re.test(text), whole: (text) => re.testExact(text) } };
  } catch (error) {
    return {
      ok: false,
      reason: error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : 'unknown',
    };
  }
}

// What ECMAScript's \s holds (white space and line terminators); RE2's holds ASCII only.
const SPACE =
  '\\t\\n\\v\\f\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
const NOT_SPACE =
  '\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}';
// ECMAScript's dot stops at four line terminators, RE2's at \n.
const DOT = '[^\\n\\r\\x{2028}\\x{2029}]';

function hex(code: number): string {
  return `\\x{${code.toString(16)}}`;
}

/** One escape of ECMAScript (`source[at]` is the backslash) in RE2's words, and its length. */
function rewriteEscape(source: string, at: number, inClass: boolean): { text: string; length: number } {
  const next = source[at + 1] ?? '';
  if (next === 's') return { text: inClass ? SPACE : `[${SPACE}]`, length: 2 };
  if (next === 'S') return { text: inClass ? NOT_SPACE : `[${NOT_SPACE}]`, length: 2 };
  if (next === 'u' || next === 'x') {
    const found = /^\\(?:u\{([0-9a-f]{1,6})\}|u([0-9a-f]{4})|x([0-9a-f]{2}))/i.exec(source.slice(at));
    if (found) {
      let code = Number.parseInt(found[1] ?? found[2] ?? found[3] ?? '', 16);
      let length = found[0].length;
      if (code >= 0xd800 && code <= 0xdbff) {
        const low = /^\\u(d[c-f][0-9a-f]{2})/i.exec(source.slice(at + length));
        if (low) {
          code = 0x10000 + ((code - 0xd800) << 10) + (Number.parseInt(low[1]!, 16) - 0xdc00);
          length += low[0].length;
        }
      }
      return { text: hex(code), length };
    }
  }
  if (next === 'c' && /[a-z]/i.test(source[at + 2] ?? ''))
    return { text: hex(source.charCodeAt(at + 2) % 32), length: 3 };
  if (next === '0' && !/\d/.test(source[at + 2] ?? '')) return { text: hex(0), length: 2 };
  if (next === 'b' && inClass) return { text: hex(8), length: 2 };
  if (next === '/' || next === '-') return { text: next === '-' ? '\\-' : '/', length: 2 };
  return { text: source.slice(at, at + 2), length: 2 };
}

/** Rewrites ECMAScript's escapes, `.`, `\s` and empty classes for RE2. What RE2 has no words for stays, and is refused there. */
export function translateEcmaScript(source: string): string {
  let out = '';
  let inClass = false;
  for (let i = 0; i < source.length; ) {
    const char = source[i]!;
    if (char === '\\') {
      const { text, length } = rewriteEscape(source, i, inClass);
      out += text;
      i += length;
      continue;
    }
    if (!inClass && source.startsWith('[^]', i)) {
      out += '[\\x{0}-\\x{10ffff}]';
      i += 3;
      continue;
    }
    if (!inClass && source.startsWith('[]', i)) {
      out += '[^\\x{0}-\\x{10ffff}]';
      i += 2;
      continue;
    }
    if (char === '[') {
      // In a class RE2 would read "[:" as the start of a POSIX class.
      out += inClass ? '\\[' : '[';
      inClass = true;
    } else if (char === ']' && inClass) {
      out += ']';
      inClass = false;
    } else if (char === '.' && !inClass) {
      out += DOT;
    } else {
      out += char;
    }
    i++;
  }
  return out;
}

/** A decimal number taken apart: value = (negative ? -1 : 1) × 0.DIGITS × 10^point. Zero has no digits. */
export interface Decimal {
  readonly negative: boolean;
  /** Significant digits without leading or trailing zeros; empty for zero. */
  readonly digits: string;
  /** Position of the decimal point, counted from the start of `digits`; 0 for zero. */
  readonly point: number;
}

const ZERO = 0x30;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** Whether `text` is a number in the grammar of JSON (RFC 8259 §6). */
export function isNumberText(text: string): boolean {
  return NUMBER.test(text);
}

/**
 * Takes a number in JSON's grammar apart without rounding.
 * `text` is not checked: see `isNumberText`.
 */
export function readDecimal(text: string): Decimal {
  const negative = text.startsWith('-');
  const from = negative ? 1 : 0;
  let mantissaEnd = text.search(/[eE]/);
  if (mantissaEnd === -1) mantissaEnd = text.length;
  const exponent = mantissaEnd === text.length ? 0 : Number(text.slice(mantissaEnd + 1));
  const dot = text.indexOf('.', from);
  const whole = text.slice(from, dot === -1 ? mantissaEnd : dot);
  const all = dot === -1 ? whole : whole + text.slice(dot + 1, mantissaEnd);
  let first = 0;
  while (first < all.length && all.charCodeAt(first) === ZERO) first++;
  // Trimmed by hand: /0+$/ is quadratic on a long run of zeros that does not end the text.
  let last = all.length;
  while (last > first && all.charCodeAt(last - 1) === ZERO) last--;
  if (first === last) return { negative, digits: '', point: 0 };
  return { negative, digits: all.slice(first, last), point: whole.length - first + exponent };
}

/**
 * Whether the number written denotes the same decimal as the shortest text that names its nearest double.
 * True for `0.1`, `1.0`, `-0`, `1e2`; false for `9007199254740993`, `1e400`, `1e-400`.
 */
export function isExactNumber(text: string): boolean {
  const value = Number(text);
  if (!Number.isFinite(value)) return false;
  const written = readDecimal(text);
  const printed = readDecimal(String(value));
  return written.digits === printed.digits && written.point === printed.point;
}

/**
 * Writes a decimal with the layout that RFC 8785 §3.2.2.3 takes from ECMAScript, whatever its number of digits.
 * For a decimal that a double prints, this is the double's own text. Negative zero is `0`.
 */
export function writeDecimal(decimal: Decimal): string {
  const { digits, point } = decimal;
  if (digits === '') return '0';
  const sign = decimal.negative ? '-' : '';
  if (digits.length <= point && point <= 21) return sign + digits + '0'.repeat(point - digits.length);
  if (0 < point && point <= 21) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
  if (-6 < point && point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  const exponent = point - 1;
  const fraction = digits.length === 1 ? '' : `.${digits.slice(1)}`;
  return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
}

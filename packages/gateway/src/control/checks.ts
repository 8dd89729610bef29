// Checks of what people and programs hand in: every fault at once, each with where it is and what to do.
import type { ErrorItem } from '../errors.ts';
import { GatehouseError } from '../errors.ts';

const NAME_FORM = /^[a-z0-9][a-z0-9-]{0,62}$/;
// RFC 3339 with a zone: a time without one means something else on each machine.
const TIME_FORM = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/i;
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/u;

/** Collects the faults of one input. */
export class Faults {
  readonly items: ErrorItem[] = [];

  add(pointer: string, message: string, suggestion?: string): void {
    this.items.push(suggestion === undefined ? { pointer, message } : { pointer, message, suggestion });
  }

  /** @throws GatehouseError invalid_input with all faults, if there is one */
  end(what: string): void {
    const [first, ...rest] = this.items;
    if (first === undefined) return;
    const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`;
    throw new GatehouseError('invalid_input', `The ${what} is not valid: ${first.message}${more}`, this.items);
  }

  /** A slug or a policy's name. */
  name(pointer: string, value: unknown, what: string): void {
    if (typeof value === 'string' && NAME_FORM.test(value)) return;
    const proposal = typeof value === 'string' ? asName(value) : '';
    this.add(
      pointer,
      `A ${what} has 1 to 63 characters: lower-case letters, digits and hyphens, not starting with a hyphen.`,
      proposal === '' ? undefined : proposal,
    );
  }

  /** Text that people read: without control, format or direction characters, which could make it look like another. */
  text(pointer: string, value: unknown, what: string, limits: { min?: number; max: number }): void {
    const { min = 0, max } = limits;
    if (typeof value !== 'string') {
      this.add(pointer, `${what} must be text.`);
      return;
    }
    const length = [...value].length;
    if (length < min || length > max)
      this.add(pointer, `${what} must have ${min} to ${max} characters; it has ${length}.`);
    if (HIDDEN.test(value)) this.add(pointer, `${what} holds control or invisible characters; remove them.`);
    else if (value !== value.trim())
      this.add(pointer, `${what} begins or ends with white space; remove it.`, value.trim());
  }

  texts(pointer: string, value: unknown, what: string, max: number): void {
    if (!Array.isArray(value)) {
      this.add(pointer, `${what} must be an array of texts.`);
      return;
    }
    value.forEach((item, index) => {
      this.text(`${pointer}/${index}`, item, `An element of ${what}`, { min: 1, max });
    });
    if (new Set(value).size !== value.length) this.add(pointer, `${what} names something twice.`);
  }

  email(pointer: string, value: unknown): void {
    if (
      typeof value !== 'string' ||
      value.length > 254 ||
      !/^[^\s@\p{Cc}\p{Cf}]+@[^\s@\p{Cc}\p{Cf}]+\.[^\s@.]+$/u.test(value)
    ) {
      this.add(pointer, 'An e-mail address looks like name@example.com.');
    }
  }

  /** @param now milliseconds since the epoch; the time must lie after it */
  future(pointer: string, value: unknown, now: number): void {
    const time = typeof value === 'string' && TIME_FORM.test(value) ? Date.parse(value) : Number.NaN;
    if (Number.isNaN(time)) {
      this.add(pointer, 'A time looks like 2027-01-31T12:00:00Z (RFC 3339, with its zone).');
    } else if (time <= now) {
      this.add(pointer, `${String(value)} is not in the future.`);
    }
  }

  integer(pointer: string, value: unknown, what: string, min: number, max: number): void {
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
      this.add(pointer, `${what} must be an integer from ${min} to ${max}.`);
    }
  }
}

/** @returns the time as the store writes it */
export function canonicalTime(value: string): string {
  return new Date(value).toISOString();
}

/** A JSON Pointer's segment. */
export function pointerSegment(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** @throws GatehouseError precondition_failed when somebody changed it in the meantime */
export function needRevision(what: string, seen: number | undefined, present: number): void {
  if (seen === undefined || seen === present) return;
  throw new GatehouseError(
    'precondition_failed',
    `The ${what} is at ${present} now; you looked at ${seen}. Read it again, then repeat the change.`,
  );
}

function asName(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);
}

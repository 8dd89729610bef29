/** Paths of the language (spec: policy §2): `args.a.b`, `args["key.with.dots"]`, `args.to[0]`, `args.to[*]`. */

export type Step =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'each' };

export const ROOTS = ['args', 'identity', 'grant', 'server', 'tool', 'time', 'client'] as const;
export type Root = (typeof ROOTS)[number];

export interface Path {
  readonly root: Root;
  readonly steps: readonly Step[];
  /** As written, with its root. */
  readonly source: string;
  /** For sentences: `count`, `to[*]`; with its root when that is not `args`. */
  readonly label: string;
}

export type ParsedPaths = { ok: true; paths: Path[] } | { ok: false; message: string; unavailable?: string };

const BARE = /[^.[\]"|*\s]/;
const MAX_STEPS = 32;

class Reader {
  readonly text: string;
  at = 0;
  constructor(text: string) {
    this.text = text;
  }
  get char(): string {
    return this.text[this.at] ?? '';
  }
  take(char: string): boolean {
    if (this.char !== char) return false;
    this.at++;
    return true;
  }
  bare(): string {
    const start = this.at;
    while (this.at < this.text.length && BARE.test(this.char)) this.at++;
    return this.text.slice(start, this.at);
  }
}

class PathError extends Error {
  readonly unavailable: string | undefined;
  constructor(message: string, unavailable?: string) {
    super(message);
    this.unavailable = unavailable;
  }
}

function readQuoted(reader: Reader): string {
  const start = reader.at;
  reader.at++;
  while (reader.at < reader.text.length && reader.char !== '"') reader.at += reader.char === '\\' ? 2 : 1;
  if (!reader.take('"')) throw new PathError('a quoted key has no closing quotation mark');
  try {
    return JSON.parse(reader.text.slice(start, reader.at)) as string;
  } catch {
    throw new PathError(`the quoted key at character ${start + 1} is not a JSON string`);
  }
}

function readBracket(reader: Reader): Step {
  reader.at++;
  let step: Step;
  if (reader.char === '"') {
    step = { kind: 'key', key: readQuoted(reader) };
  } else if (reader.take('*')) {
    step = { kind: 'each' };
  } else {
    const digits = /^(0|[1-9]\d{0,8})/.exec(reader.text.slice(reader.at))?.[0];
    if (digits === undefined)
      throw new PathError('brackets hold an index such as [0], [*] or a quoted key such as ["a.b"]');
    reader.at += digits.length;
    step = { kind: 'index', index: Number(digits) };
  }
  if (!reader.take(']')) throw new PathError(`a "]" is missing at character ${reader.at + 1}`);
  return step;
}

function readKey(reader: Reader): Step {
  if (reader.char === '*') throw new PathError('"**" is not available in this version', '**');
  const key = reader.bare();
  if (key === '') {
    throw new PathError(
      reader.at >= reader.text.length
        ? 'it ends after a dot'
        : `a key is missing at character ${reader.at + 1}; keys with other characters are written ["like this"]`,
    );
  }
  return { kind: 'key', key };
}

function readSteps(reader: Reader, steps: Step[]): void {
  while (reader.at < reader.text.length && reader.char !== '|') {
    if (reader.char === '[') steps.push(readBracket(reader));
    else if (reader.take('.')) steps.push(readKey(reader));
    else throw new PathError(`character ${reader.at + 1} (${JSON.stringify(reader.char)}) does not belong into a path`);
    if (steps.length > MAX_STEPS) throw new PathError(`it has more than ${MAX_STEPS} steps`);
  }
}

const CONTEXT_KEYS: Readonly<Record<Exclude<Root, 'args'>, readonly string[]>> = {
  identity: ['id', 'name', 'email', 'groups'],
  grant: ['id', 'label', 'attributes'],
  server: ['slug'],
  tool: ['name', 'class', 'annotations'],
  time: ['hour', 'weekday', 'date'],
  client: ['name', 'version'],
};

function checkContext(root: Exclude<Root, 'args'>, steps: readonly Step[]): void {
  const keys = CONTEXT_KEYS[root];
  const first = steps[0];
  if (first?.kind !== 'key' || !keys.includes(first.key)) {
    throw new PathError(`${root} has ${keys.map((k) => `${root}.${k}`).join(', ')}`);
  }
  if (first.key === 'attributes' && (steps.length !== 2 || steps[1]?.kind !== 'key')) {
    throw new PathError('an attribute is read as grant.attributes.<name>');
  }
  if (first.key === 'annotations' && steps.length < 2) {
    throw new PathError('an annotation is read as tool.annotations.<name>');
  }
  const flat = first.key !== 'annotations' && first.key !== 'attributes' && first.key !== 'groups';
  if (flat && steps.length > 1) throw new PathError(`${root}.${first.key} has nothing below it`);
}

function readFull(reader: Reader): Path {
  const start = reader.at;
  const word = reader.bare();
  if (word === 'input') throw new PathError('"input.*" paths are not available in this version', 'input.*');
  if (!(ROOTS as readonly string[]).includes(word)) {
    throw new PathError(`it must begin with ${ROOTS.map((r) => `"${r}"`).join(', ')}`);
  }
  const root = word as Root;
  const steps: Step[] = [];
  readSteps(reader, steps);
  if (root !== 'args') checkContext(root, steps);
  const source = reader.text.slice(start, reader.at);
  return { root, steps, source, label: labelOf(root, steps) };
}

function readBelowArgs(reader: Reader): Path {
  const start = reader.at;
  const steps: Step[] = [];
  if (reader.char === '[') steps.push(readBracket(reader));
  else steps.push(readKey(reader));
  readSteps(reader, steps);
  const below = reader.text.slice(start, reader.at);
  const source = below.startsWith('[') ? `args${below}` : `args.${below}`;
  return { root: 'args', steps, source, label: labelOf('args', steps) };
}

function parse(text: string, read: (reader: Reader) => Path): ParsedPaths {
  if (text === '') return { ok: false, message: 'a path is empty' };
  const reader = new Reader(text);
  const paths: Path[] = [];
  try {
    do paths.push(read(reader));
    while (reader.take('|'));
    if (reader.at < text.length) throw new PathError(`character ${reader.at + 1} does not belong into a path`);
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    const message = `the path ${JSON.stringify(text)} does not parse: ${error.message}`;
    return error.unavailable === undefined
      ? { ok: false, message }
      : { ok: false, message, unavailable: error.unavailable };
  }
  return { ok: true, paths };
}

/** A path with its root; several when `|` joins them. */
export function parsePath(text: string): ParsedPaths {
  return parse(text, readFull);
}

/** A key of an `args` block: one or several paths below `args`. */
export function parseArgsKey(text: string): ParsedPaths {
  return parse(text, readBelowArgs);
}

/** The steps in the language's own syntax, below a prefix. */
export function formatSteps(prefix: string, steps: readonly Step[]): string {
  let text = prefix;
  for (const step of steps) {
    if (step.kind === 'each') text += '[*]';
    else if (step.kind === 'index') text += `[${step.index}]`;
    else if (isBareKey(step.key)) text += text === '' ? step.key : `.${step.key}`;
    else text += `[${JSON.stringify(step.key)}]`;
  }
  return text;
}

export function isBareKey(key: string): boolean {
  return key !== '' && [...key].every((c) => BARE.test(c));
}

function labelOf(root: Root, steps: readonly Step[]): string {
  if (root !== 'args') return formatSteps(root, steps);
  return steps.length === 0 ? 'the arguments' : formatSteps('', steps);
}

export function hasEach(path: Path): boolean {
  return path.steps.some((step) => step.kind === 'each');
}

import type { NameReading } from './name.ts';
import type { Parameter } from './parameters.ts';
import { isRecord } from './parameters.ts';
import { AXES, type Axis, type Evidence, type Signal, type ToolClass, type ToolDefinition } from './types.ts';
import {
  ADMIN_WORDS,
  BULK_WORDS,
  EGRESS_VERBS,
  MEDIA_NOUNS,
  PRIVATE_NOUNS,
  SECRET_NOUNS,
  STRANGER_NOUNS,
} from './words.ts';

/** More parameters than a person reads before saying yes. */
export const MANY_PARAMETERS = 10;
const LONG_DESCRIPTION = 2000;
const FETCHING = new Set([
  'fetch',
  'get',
  'open',
  'navigate',
  'scrape',
  'crawl',
  'browse',
  'read',
  'download',
  'load',
  'extract',
  'screenshot',
]);
const MEDIA_VERBS = new Set([
  'generate',
  'create',
  'edit',
  'upscale',
  'synthesize',
  'compose',
  'transcribe',
  'design',
  'text',
  'extend',
]);
const SECRET_PAIR =
  /(^|_)(api|access|private|signing|ssh|account)_keys?(_|$)|(^|_)connection_strings?(_|$)|(^|_)(access|auth|api|bearer|refresh)_tokens?(_|$)/;

/** Axes that follow from the name, the class and the definition as a whole; parameters give theirs apart. */
export function wholeToolAxes(
  tool: ToolDefinition,
  name: NameReading,
  toolClass: ToolClass,
  parameters: readonly Parameter[],
  parameterAxes: ReadonlySet<Axis>,
): Evidence[] {
  const found: Evidence[] = [];
  const { tokens, verb } = name;
  const add = (axis: Axis, field: string, token: string, rule: string) => found.push({ field, token, rule, axis });
  const word = (words: ReadonlySet<string>) => tokens.find((token) => words.has(token));
  const reads = verb === undefined ? toolClass === 'read' : name.verbClass === 'read';

  const sends = verb !== undefined && EGRESS_VERBS.has(verb) && toolClass !== 'read' ? verb : undefined;
  if (sends !== undefined) add('egress', 'name', sends, 'name.sends');
  // Whoever reads a URL sees its path and query: fetching is sending.
  if (parameterAxes.has('url_input')) add('egress', 'inputSchema', 'url', 'parameter.url');
  if (tool.annotations?.openWorldHint === true) {
    add('egress', 'annotations.openWorldHint', 'true', 'annotation.open-world');
  }

  const strangers = word(STRANGER_NOUNS);
  if (reads && strangers !== undefined) add('untrusted_input', 'name', strangers, 'name.strangers-text');
  else if (parameterAxes.has('url_input') && verb !== undefined && FETCHING.has(verb)) {
    add('untrusted_input', 'name', verb, 'name.fetches-url');
  }

  const secret = word(SECRET_NOUNS) ?? SECRET_PAIR.exec(tokens.join('_'))?.[0].replace(/^_|_$/g, '');
  if (reads && secret !== undefined) add('secret_out', 'name', secret, 'name.secret');
  for (const property of outputProperties(tool.outputSchema)) {
    const lower = property.toLowerCase();
    if (SECRET_NOUNS.has(lower) || SECRET_PAIR.test(lower)) {
      add('secret_out', `outputSchema.properties.${property}`, lower, 'output.secret');
    }
  }
  const personal = word(PRIVATE_NOUNS);
  if (reads && personal !== undefined) add('private_data', 'name', personal, 'name.private');

  const bulk = word(BULK_WORDS);
  if (bulk !== undefined) add('bulk', 'name', bulk, 'name.bulk');
  const admin = word(ADMIN_WORDS);
  if (admin !== undefined) add('admin', 'name', admin, 'name.admin');
  if (toolClass === 'destructive') add('irreversible', 'name', verb ?? '', 'class.destructive');
  const media = word(MEDIA_NOUNS);
  if (media !== undefined && verb !== undefined && MEDIA_VERBS.has(verb))
    add('paid_per_call', 'name', `${verb} ${media}`, 'name.media');

  const top = parameters.filter(({ path }) => !/[.[]/.test(path)).length;
  if (top >= MANY_PARAMETERS) add('many_parameters', 'inputSchema', String(top), 'schema.many-parameters');
  if ((tool.description?.length ?? 0) > LONG_DESCRIPTION) {
    add('schema_smell', 'description', String(tool.description?.length), 'description.long');
  }
  return found;
}

function outputProperties(outputSchema: unknown): string[] {
  return isRecord(outputSchema) && isRecord(outputSchema.properties) ? Object.keys(outputSchema.properties) : [];
}

const SENTENCES: Readonly<Record<Axis, string>> = {
  egress: 'Can send data out',
  untrusted_input: 'Returns text that strangers can write',
  private_data: 'Reads personal or private data',
  secret_in: 'Handles credentials or secrets',
  secret_out: 'Returns credentials or secrets',
  bulk: 'Bulk operation, affects many targets at once',
  irreversible: 'May not be undone',
  multiplexed: 'Does different things, chosen by a parameter',
  code_input: 'Accepts freeform code or query input',
  path_input: 'Accepts file system path',
  url_input: 'Accepts URL or endpoint input',
  html_input: 'Accepts raw HTML or template content',
  recipient_input: 'Accepts recipients',
  money_input: 'Accepts amounts of money',
  admin: 'Administrative operation',
  open_schema: 'Accepts arguments that its schema does not describe',
  many_parameters: 'High parameter count',
  paid_per_call: 'May cost money on each call',
  schema_smell: 'Definition has unusual parts',
};

/** One sentence per axis, with the parameters that set it. */
export function signalsOf(
  axes: readonly Axis[],
  parametersByAxis: ReadonlyMap<Axis, readonly string[]>,
  count: number,
): Signal[] {
  return axes.map((axis) => {
    const parameters = [...new Set(parametersByAxis.get(axis) ?? [])];
    const detail = axis === 'many_parameters' ? `${count} parameters` : parameters.join(', ');
    return { axis, text: detail === '' ? SENTENCES[axis] : `${SENTENCES[axis]} (${detail})`, parameters };
  });
}

/** Axes in their canonical order, each once. */
export function orderAxes(axes: Iterable<Axis>): Axis[] {
  const present = new Set(axes);
  return AXES.filter((axis) => present.has(axis));
}

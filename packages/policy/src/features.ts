/** Everything the language has words for. What is not available in this version is refused by name, never half understood. */

export interface Feature {
  readonly kind: 'operator' | 'field' | 'action' | 'path' | 'quantifier';
  readonly name: string;
  readonly available: boolean;
}

function features(kind: Feature['kind'], available: boolean, names: readonly string[]): Feature[] {
  return names.map((name) => ({ kind, name, available }));
}

export const FEATURES: readonly Feature[] = [
  ...features('operator', true, [
    'eq',
    'neq',
    'lt',
    'lte',
    'gt',
    'gte',
    'in',
    'not_in',
    'exists',
    'contains',
    'starts_with',
    'ends_with',
    'regex',
    'matches',
    'length_lte',
    'length_gte',
    'keys_within',
    'url_in',
    'path_within',
  ]),
  ...features('operator', false, ['email_domain_in', 'sql', 'no_hidden_characters', 'no_secret', 'schema']),
  ...features('action', true, ['allow', 'deny']),
  ...features('action', false, ['require_approval', 'delay']),
  ...features('field', false, ['approval', 'delay', 'exceeded', 'cases', 'by', 'value_from', 'lists', 'list', 'fold']),
  ...features('quantifier', false, ['each', 'some', 'satisfies']),
  ...features('path', false, ['**', 'input.*']),
];

const table = new Map(FEATURES.map((feature) => [`${feature.kind}:${feature.name}`, feature]));

export function feature(kind: Feature['kind'], name: string): Feature | undefined {
  return table.get(`${kind}:${name}`);
}

export function availableNames(kind: Feature['kind']): string[] {
  return FEATURES.filter((f) => f.kind === kind && f.available).map((f) => f.name);
}

/** True for a word that a later version reads and this one refuses. */
export function isUnavailable(kind: Feature['kind'], name: string): boolean {
  return table.get(`${kind}:${name}`)?.available === false;
}

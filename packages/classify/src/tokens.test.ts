import { describe, expect, it } from 'vitest';
import { lemma, singular, tokenize } from './tokens.ts';

describe('tokenize', () => {
  it.each([
    ['flux_generate_image', 'flux generate image'],
    ['API-post-page', 'api post page'],
    ['getURLPreview', 'get url preview'],
    ['sql.server_firewall-rule_create', 'sql server firewall rule create'],
    ['listV2Items', 'list v 2 items'],
    ['policy_createorupdate', 'policy create or update'],
    ['sort_order', 'sort order'],
    ['', ''],
  ])('%s', (name, expected) => {
    expect(tokenize(name).join(' ')).toBe(expected);
  });
});

describe('lemma', () => {
  it.each([
    ['deletes', 'delete'],
    ['deleting', 'delete'],
    ['copied', 'copy'],
    ['running', 'run'],
    ['dropped', 'drop'],
    ['fetches', 'fetch'],
    ['created', 'create'],
    ['thing', 'thing'],
  ])('%s → %s', (word, expected) => {
    expect(lemma(word)).toBe(expected);
  });
});

describe('singular', () => {
  it.each([
    ['urls', 'url'],
    ['addresses', 'address'],
    ['directories', 'directory'],
    ['address', 'address'],
    ['status', 'status'],
    ['ids', 'id'],
  ])('%s → %s', (word, expected) => {
    expect(singular(word)).toBe(expected);
  });
});

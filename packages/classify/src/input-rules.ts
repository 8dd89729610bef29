import { isRecord, type Parameter, takesText } from './parameters.ts';
import type { Axis } from './types.ts';
import { CODE_WORDS, type ServerKind } from './words.ts';

/** A finding in one parameter: the axis that it sets and the word that said so. */
export interface InputFinding {
  axis: Axis;
  token: string;
  rule: string;
}

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));

const URL_WORDS = set('url uri endpoint webhook callback hostname href link');
// "server" is often a database, "address" often a street: they need a second sign.
const MAYBE_URL_WORDS = set('host domain server address redirect proxy origin base site link');
const URL_SIGN = /\burls?\b|https?:|\bhostname\b|\bendpoint\b|\bip address/;
const URL_FORMATS = set('uri uri-reference iri iri-reference url hostname idn-hostname ipv4 ipv6');
const NOT_THE_THING = set('id type size count name format kind status mode width height limit length title');

const STRONG_CODE = set('sql soql cypher graphql script command cmd javascript js python jq xpath dml ddl');
const CODE_NAMES = set('code expression statement eval kql jql aggregation pipeline function query');
const CODE_SIGN = /\b(sql|cypher|javascript|python|shell|bash|kql|graphql|source code|code to (run|execute))\b/;

const PATH_WORDS = set('path filepath filename dir directory cwd glob file folder');
const HTML_WORDS = set('html template');
const BODY_WORDS = set('body content markup text');
const HTML_SIGN = /\bhtml\b|\bmarkup\b/;

const SECRET_WORDS = set('password passwd secret apikey credential passphrase mnemonic otp');
const SECRET_PAIRS = set(
  'api_key private_key access_key secret_key auth_token access_token bearer_token refresh_token connection_string signing_key',
);
const NOT_A_SECRET = set('next page max count id name limit type ref version arn uri path manager');

const RECIPIENT_WORDS = set('to cc bcc recipient email phone attendee invitee payee iban receiver mailto');
const MONEY_WORDS = set('amount price budget spend fee slippage cost cent payment tip');
const BULK_NAMES = set('id item record row message email key path file document page user');
const BULK_FLAGS = set('all recursive cascade bulk batch');
const BYPASS =
  /^(force|forced|overwrite|permanent|permanently|hard|purge|confirm|confirmed|yes|auto_?approve|no_?backup|skip_.+|force_.+|hard_delete|dry_?run)$/;
const SMELLS =
  /^(ssh|ssh_key|id_rsa|system_prompt|conversation|conversation_history|chat_history|sidenote|notes_to_self|chain_of_thought|reasoning)$/;

/** What one parameter says about its tool. */
export function readParameter(parameter: Parameter, kind: ServerKind): InputFinding[] {
  const findings: InputFinding[] = [];
  const { words, description, format, types, schema } = parameter;
  const name = words.join('_');
  const last = words.at(-1) ?? '';
  const text = takesText(parameter);
  const add = (axis: Axis, token: string, rule: string) => findings.push({ axis, token, rule });
  const isThing = !NOT_THE_THING.has(last);

  if (text) {
    const url = words.find((word) => URL_WORDS.has(word));
    const maybe = words.find((word) => MAYBE_URL_WORDS.has(word));
    if (url !== undefined && isThing) add('url_input', url, 'parameter.url');
    else if (URL_FORMATS.has(format)) add('url_input', format, 'parameter.url-format');
    else if (maybe !== undefined && isThing && (words[0] === 'smtp' || URL_SIGN.test(description)))
      add('url_input', maybe, 'parameter.url-described');
    else if (parameter.path.startsWith('smtp.') && maybe !== undefined) add('url_input', maybe, 'parameter.url');

    const strong = STRONG_CODE.has(last) || (CODE_WORDS.has(last) && last !== 'code') ? last : undefined;
    const named =
      CODE_NAMES.has(last) && (words.length === 1 || /^(js|source|python|sql)_/.test(name)) ? last : undefined;
    if (strong !== undefined) add('code_input', strong, 'parameter.code');
    else if (named === 'query') {
      if (CODE_SIGN.test(description)) add('code_input', named, 'parameter.code');
      else if (kind.database) add('code_input', named, 'parameter.query');
    } else if (named === 'code' || named === 'eval' || named === 'statement') {
      add('code_input', named, CODE_SIGN.test(description) || named !== 'code' ? 'parameter.code' : 'parameter.query');
    } else if (named !== undefined) add('code_input', named, 'parameter.query');

    const path = PATH_WORDS.has(last) ? last : words.at(-2) === 'file' && last === 'name' ? 'file' : undefined;
    if (path !== undefined && url === undefined && !/\b(json ?path|xpath|url path|object path)\b/.test(description)) {
      add('path_input', path, 'parameter.path');
    }

    if (words.some((word) => HTML_WORDS.has(word)) && isThing) add('html_input', last, 'parameter.html');
    else if (schema.contentMediaType === 'text/html' || (BODY_WORDS.has(last) && HTML_SIGN.test(description))) {
      add('html_input', last, 'parameter.html-described');
    }

    const pair = `${words.at(-2) ?? ''}_${last}`;
    if (format === 'password' || schema.writeOnly === true)
      add('secret_in', format || 'writeOnly', 'parameter.secret-format');
    else if (SECRET_WORDS.has(last) || SECRET_PAIRS.has(pair)) add('secret_in', last, 'parameter.secret');
    else if (
      last === 'token' &&
      !words.some((word) => NOT_A_SECRET.has(word)) &&
      !/\b(pagination|page|cursor|crypto|erc)\b/.test(description)
    ) {
      add('secret_in', last, 'parameter.secret');
    }

    const recipient = RECIPIENT_WORDS.has(last) || (last === 'number' && words.includes('phone')) || format === 'email';
    if (recipient) add('recipient_input', last, 'parameter.recipient');
  }

  const money = words.find((word) => MONEY_WORDS.has(word));
  if (
    money !== undefined &&
    isThing &&
    (types.length === 0 || types.some((type) => /^(number|integer|string|object)$/.test(type)))
  ) {
    add('money_input', money, 'parameter.money');
  }

  if (types.includes('array') && schema.maxItems === undefined && BULK_NAMES.has(last))
    add('bulk', last, 'parameter.unbounded-list');
  if (BULK_FLAGS.has(name) && (types.length === 0 || types.includes('boolean')))
    add('bulk', name, 'parameter.bulk-flag');

  if ((types.length === 0 || types.includes('boolean')) && BYPASS.test(name))
    add('irreversible', name, 'parameter.bypass-flag');

  const smell = SMELLS.test(name) ? name : defaultSmell(schema.default);
  if (smell !== undefined) add('schema_smell', smell, 'parameter.smell');
  return findings;
}

/** A default that leads elsewhere: an address that the author chose for data of the caller. */
function defaultSmell(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  return /^[^\s@]+@[^\s@]+\.[a-z]{2,}$/i.test(value) ? value : undefined;
}

const MULTIPLEX_NAMES = set('action method operation op subcommand verb');

/** Whether a parameter chooses what the tool does ("action"); a `command` only does with a closed list of values. */
export function isMultiplexer(parameter: Parameter): boolean {
  const name = parameter.words.join('_');
  if (parameter.path.includes('.') || parameter.path.includes('[')) return false;
  if (parameter.types.length > 0 && !parameter.types.includes('string')) return false;
  return MULTIPLEX_NAMES.has(name) || (name === 'command' && parameter.values !== undefined);
}

/** Whether a schema says nothing that a rule on arguments could hold on to. */
export function isOpenSchema(inputSchema: unknown): boolean {
  if (!isRecord(inputSchema)) return true;
  const { additionalProperties, properties } = inputSchema;
  if (additionalProperties === true || isRecord(additionalProperties)) return true;
  const composed = ['anyOf', 'oneOf', 'allOf', '$ref'].some((keyword) => keyword in inputSchema);
  return !isRecord(properties) && additionalProperties !== false && !composed;
}

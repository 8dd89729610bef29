/** Resources and prompts (spec: policy §8): by URI prefix or name, deny wins. They are reads: a freeze lets them pass. */
import type { CompiledPolicy, NamedPlan } from './compile.ts';
import { chargesOf, deny, internalError } from './judge.ts';
import { isCanonicalUri, templatePrefix, uriUnder } from './resource-uri.ts';
import type { Decision, JudgeContext } from './types.ts';
import { literal, pointer } from './values.ts';

type Kind = 'resources' | 'prompts';
const NOUN: Readonly<Record<Kind, string>> = { resources: 'resource', prompts: 'prompt' };

function judgeNamed(
  policy: CompiledPolicy | undefined,
  kind: Kind,
  name: string,
  context: JudgeContext,
  matches: (item: string) => boolean,
): Decision {
  if (!policy) return deny('(no policy)', 'No policy is attached to this grant, so that nothing is allowed.');
  const plan: NamedPlan | undefined = policy[kind];
  const denial = (rule: string, sentence: string): Decision =>
    deny(rule, plan?.reason ?? sentence, plan?.name === undefined ? {} : { name: plan.name });
  const refused = plan?.deny.findIndex(matches) ?? -1;
  if (refused >= 0)
    return denial(pointer('', kind, 'deny', refused), `The policy denies the ${NOUN[kind]} ${literal(name)}.`);
  const unlisted = `The policy does not allow the ${NOUN[kind]} ${literal(name)}.`;
  if (plan?.allow) {
    if (!plan.allow.some(matches)) return denial(pointer('', kind, 'allow'), unlisted);
  } else if (policy.defaultAction !== 'allow') {
    return deny('(default deny)', unlisted);
  }
  const charges = chargesOf(plan?.limits ?? [], { args: {}, context, tool: undefined, zone: policy.zone });
  return Array.isArray(charges) ? { outcome: 'allow', charges, warnings: [], rule: '' } : charges;
}

function uncanonical(uri: string): Decision {
  return deny(
    '(resource)',
    `The URI ${literal(uri)} has a second spelling or is none; write it without dot segments, backslashes and needless percent-encoding, scheme and host in lower case.`,
  );
}

/** Judges `resources/read` and its siblings by URI. Never throws. */
export function judgeResource(policy: CompiledPolicy | undefined, uri: string, context: JudgeContext): Decision {
  try {
    if (policy && !isCanonicalUri(uri)) return uncanonical(uri);
    return judgeNamed(policy, 'resources', uri, context, (item) => uriUnder(uri, item));
  } catch {
    return internalError();
  }
}

/** Judges whether a resource template may be listed: by its literal prefix. Never throws. */
export function judgeResourceTemplate(
  policy: CompiledPolicy | undefined,
  template: string,
  context: JudgeContext,
): Decision {
  return judgeResource(policy, templatePrefix(template), context);
}

/** Judges `prompts/get` by name. Never throws. */
export function judgePrompt(policy: CompiledPolicy | undefined, name: string, context: JudgeContext): Decision {
  try {
    return judgeNamed(policy, 'prompts', name, context, (item) => item === '*' || item === name);
  } catch {
    return internalError();
  }
}

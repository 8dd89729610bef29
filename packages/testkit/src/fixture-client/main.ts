// The client that the conformance suite starts: `node main.ts [--through <address>] <url>`. The address is of who puts a
// gateway in front of the URL: it gets the URL by POST and answers with `{url, token}` of the proxy.
import { parsePlainJson } from '@gatehouse/wire';
import { SCENARIOS } from './scenarios.ts';

const args = process.argv.slice(2);
const through = args[0] === '--through' ? args[1] : undefined;
const server = args.at(-1) ?? '';
const { MCP_CONFORMANCE_SCENARIO: name = '', MCP_CONFORMANCE_PROTOCOL_VERSION: version } = process.env;
const scenario = SCENARIOS[name];

if (scenario === undefined) {
  process.stderr.write(`The scenario "${name}" is not known; MCP_CONFORMANCE_SCENARIO names it.\n`);
  process.exitCode = 2;
} else {
  const common = { modern: version === '2026-07-28', context: process.env.MCP_CONFORMANCE_CONTEXT };
  if (through === undefined) await scenario({ url: server, headers: {}, ...common });
  else {
    const answer = await fetch(through, { method: 'POST', body: server });
    if (!answer.ok) throw new Error(`No gateway for ${server}: ${await answer.text()}`);
    const { url, token } = parsePlainJson(await answer.text()) as { url: string; token: string };
    await scenario({ url, headers: { authorization: `Bearer ${token}` }, ...common });
  }
}

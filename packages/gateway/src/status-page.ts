// What a person sees at `/` until the console is there: that it runs, and what to type next. No script, no data of others.
export interface StatusView {
  version: string;
  ready: boolean;
  problems: readonly string[];
  /** Shown on a loopback bind only. */
  servers: readonly { slug: string; name: string; url: string; state: string }[] | undefined;
}

export function statusPage(view: StatusView): string {
  const servers =
    view.servers === undefined
      ? ''
      : view.servers.length === 0
        ? '<h2>Servers</h2><p class="quiet">None yet. Put one behind the gate:</p><pre>gatehouse server add files -- npx -y @modelcontextprotocol/server-filesystem .</pre>'
        : `<h2>Servers</h2><div class="table"><table><thead><tr><th>Name</th><th>URL for MCP clients</th><th>State</th></tr></thead><tbody>${view.servers
            .map(
              (server) =>
                `<tr><td>${escapeHtml(server.name)}</td><td><code>${escapeHtml(server.url)}</code></td><td>${escapeHtml(server.state)}</td></tr>`,
            )
            .join('')}</tbody></table></div>`;
  const problems = view.problems.map((problem) => `<li>${escapeHtml(problem)}</li>`).join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Gatehouse</title>
<style>
:root{--ink:#16202b;--quiet:#566473;--paper:#fbfaf7;--card:#fff;--line:#dedbd2;--good:#1c6b45;--bad:#a4262c;--accent:#8a4b12}
@media (prefers-color-scheme:dark){:root{--ink:#e8e6e0;--quiet:#a3adb8;--paper:#12171d;--card:#1a2129;--line:#2e3843;--good:#6fcf9b;--bad:#ff8f8f;--accent:#e5a769}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 ui-sans-serif,system-ui,"Segoe UI",sans-serif}
main{max-width:52rem;margin:0 auto;padding:clamp(1.5rem,6vw,4.5rem) 1.25rem}
header{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:baseline;border-bottom:2px solid var(--ink);padding-bottom:.75rem}
h1{font:600 1.9rem/1.1 ui-serif,Georgia,serif;letter-spacing:-.01em;margin:0}
h2{font:600 1.05rem/1.3 ui-serif,Georgia,serif;margin:2.2rem 0 .5rem}
.state{margin-left:auto;font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}
.quiet{color:var(--quiet)}
pre,code{font:14px/1.5 ui-monospace,"Cascadia Code",Menlo,monospace}
pre{background:var(--card);border:1px solid var(--line);border-left:3px solid var(--accent);padding:.75rem 1rem;margin:.4rem 0 1rem;white-space:pre-wrap;overflow-wrap:anywhere}
.table{background:var(--card);border:1px solid var(--line)}
table{border-collapse:collapse;width:100%}@media (max-width:30rem){th,td{padding:.5rem .55rem}}th,td{text-align:left;padding:.55rem .9rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere;vertical-align:baseline}
tbody tr:last-child td{border-bottom:0}th{font-size:.85rem;color:var(--quiet);font-weight:600}
a{color:var(--accent)}
</style>
</head>
<body>
<main>
<header><h1>Gatehouse</h1><span class="quiet">${escapeHtml(view.version)}</span><span class="state ${view.ready ? 'good' : 'bad'}">${view.ready ? 'ready' : 'not ready'}</span></header>
${problems === '' ? '' : `<h2>What is wrong</h2><ul>${problems}</ul>`}
<p>Every tool call that comes through this address is judged against a policy, made under a grant, and recorded before it reaches its server.</p>
${servers}
<h2>What to type next</h2>
<pre>gatehouse server list
gatehouse grant create --server SERVER --to NAME --policy POLICY
gatehouse audit tail</pre>
<p class="quiet">Programs find the control API at <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>, probes at <a href="/healthz">/healthz</a> and <a href="/readyz">/readyz</a>.</p>
</main>
</body>
</html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

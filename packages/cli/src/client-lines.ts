// What a person pastes into an MCP client to reach a server through the gateway.

/** Lines for Claude Code, Cursor, VS Code, Codex and Gemini CLI. The token is in them: they are for the person's terminal. */
export function clientLines(slug: string, url: string, token: string): string[] {
  const authorization = `Bearer ${token}`;
  const headers = { Authorization: authorization };
  return [
    '',
    'Point an MCP client at it:',
    '',
    '  Claude Code',
    `    claude mcp add --transport http ${slug} ${url} --header "Authorization: ${authorization}"`,
    '',
    '  Gemini CLI',
    `    gemini mcp add --transport http --header "Authorization: ${authorization}" ${slug} ${url}`,
    '',
    '  Cursor, in .cursor/mcp.json',
    `    ${JSON.stringify({ mcpServers: { [slug]: { url, headers } } })}`,
    '',
    '  VS Code, in .vscode/mcp.json',
    `    ${JSON.stringify({ servers: { [slug]: { type: 'http', url, headers } } })}`,
    '',
    '  Codex, in ~/.codex/config.toml',
    `    [mcp_servers.${slug}]`,
    `    url = ${JSON.stringify(url)}`,
    `    http_headers = { "Authorization" = ${JSON.stringify(authorization)} }`,
    '',
  ];
}

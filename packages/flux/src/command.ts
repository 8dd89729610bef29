import { Command } from 'commander';
import { createApp, createLog } from './app.ts';
import { FluxError } from './errors.ts';
import { type Flags, readSettings } from './settings.ts';
import { VERSION } from './version.ts';

const program = new Command('gatehouse-flux')
  .description('The Flux Pro MCP server: makes and changes pictures.')
  .version(VERSION)
  .option('--transport <kind>', 'stdio or http', 'stdio')
  .option('--port <number>', 'port for http (default: 8000)')
  .option('--host <address>', 'address to listen on for http (default: 127.0.0.1)')
  .option('--public-url <url>', 'where others reach this server, for the addresses of pictures (FLUX_PUBLIC_URL)')
  .option('--token <text>', 'bearer token that http callers must show (FLUX_TOKEN)')
  .option('--data <folder>', 'folder for tasks and pictures (FLUX_DATA_DIR, default: ~/.gatehouse-flux)')
  .option('--files <folder...>', 'folders that file: URLs may point into (FLUX_FILES)')
  .addHelpText('after', '\nExample:\n  gatehouse-flux --transport http --port 8000 --data ./flux-data\n')
  .action(start);

async function start(flags: Flags): Promise<void> {
  const settings = readSettings(flags, process.env);
  const log = createLog(settings.logLevel);
  let stop: () => Promise<void>;
  if (settings.transport === 'stdio') {
    const [{ serveStdio }, { createFluxServer }] = await Promise.all([import('./stdio.ts'), import('./server.ts')]);
    const app = createApp(settings, log, undefined);
    const handle = serveStdio(
      () => createFluxServer(app, settings.caller),
      log,
      () => void end(0),
    );
    stop = async () => {
      await handle.close();
      await app.close();
    };
  } else {
    const { serveHttp } = await import('./http.ts');
    let app: ReturnType<typeof createApp> | undefined;
    const server = await serveHttp(settings, log, (imagesUrl) => {
      app = createApp(settings, log, imagesUrl);
      return app;
    });
    process.stderr.write(`gatehouse-flux listens on ${server.origin}/mcp\n`);
    stop = async () => {
      await server.close();
      await app?.close();
    };
  }

  let ending = false;
  async function end(code: number): Promise<void> {
    if (ending) return;
    ending = true;
    await stop().catch((error: unknown) => log.error({ error: String(error) }, 'stopping failed'));
    process.exit(code);
  }
  process.once('SIGINT', () => void end(130));
  process.once('SIGTERM', () => void end(143));
}

program.parseAsync().catch((error: unknown) => {
  const lines =
    error instanceof FluxError
      ? [error.message, error.whatToDo]
      : [error instanceof Error ? error.message : String(error)];
  process.stderr.write(`gatehouse-flux: ${lines.join('\n  ')}\n`);
  process.exit(2);
});

import { Command } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { addAuditCommands } from './commands/audit.ts';
import { addBackupCommands } from './commands/backup.ts';
import { addConfigCommands } from './commands/config.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addGrantCommands } from './commands/grant.ts';
import { addIdentityCommands } from './commands/identity.ts';
import { addKeyCommands } from './commands/key.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { addRunCommand } from './commands/run.ts';
import { addServeCommand } from './commands/serve.ts';
import { addServerCommands } from './commands/server.ts';
import { addStartCommand } from './commands/start.ts';
import { addTokenCommands } from './commands/token.ts';
import { addWhyCommand } from './commands/why.ts';
import type { Context } from './context.ts';
import { EXIT_HELP } from './exit-codes.ts';

function epilogue(): string {
  return [
    '',
    'Example:',
    '  $ gatehouse serve',
    '',
    'Where the gateway is looked for: --api URL or GATEHOUSE_URL (with GATEHOUSE_ADMIN_TOKEN); else the one that runs on the',
    'data folder; else the data folder is opened here.',
    '',
    'Exit codes:',
    ...EXIT_HELP.map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}`),
  ].join('\n');
}

/** The whole command line; actions write to the context and set its exit code. */
export function createProgram(context: Context): Command {
  const program = new Command('gatehouse')
    .description('A self-hosted policy gateway for MCP: knows who calls, judges every tool call, records it.')
    .version(packageJson.version)
    .option('--data <dir>', 'data folder (default: ~/.gatehouse)')
    .option('--config <file>', 'settings file')
    .option('--api <url>', 'a running gateway; the admin token comes from GATEHOUSE_ADMIN_TOKEN')
    .option('--json', 'JSON on standard output, errors as JSON on standard error')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', epilogue())
    .showHelpAfterError('(add --help for what this command takes)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out.raw(text),
      writeErr: (text) => context.out.errorRaw(text),
    });
  addServeCommand(program, context);
  addStartCommand(program, context);
  addRunCommand(program, context);
  addServerCommands(program, context);
  addPolicyCommands(program, context);
  addGrantCommands(program, context);
  addIdentityCommands(program, context);
  addTokenCommands(program, context);
  addAuditCommands(program, context);
  addWhyCommand(program, context);
  addConfigCommands(program, context);
  addKeyCommands(program, context);
  addBackupCommands(program, context);
  addDoctorCommand(program, context);
  return program;
}

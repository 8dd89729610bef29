export { type Context, defineCommand, type GlobalOptions, handle, withClient } from './context.ts';
export { EXIT, EXIT_HELP, type ExitCode } from './exit-codes.ts';
export { type CliEnvironment, runCli } from './run-cli.ts';
export { type Prepare, type Prepared, type ReadyFile, type ServeOptions, serveGateway } from './serve-gateway.ts';

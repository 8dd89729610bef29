// What a program needs to start and to find its files; everything else of the parent (tokens, keys, agent sockets,
// NODE_OPTIONS) stays out of a child that an outsider wrote. Spec: gateway §4, stdio upstreams.
const POSIX_NAMES = ['PATH', 'HOME', 'LANG', 'TMPDIR'];
const WINDOWS_NAMES = [
  'PATH',
  'PATHEXT',
  'SystemRoot',
  'SystemDrive',
  'windir',
  'ComSpec',
  'TEMP',
  'TMP',
  'USERPROFILE',
  'HOMEDRIVE',
  'HOMEPATH',
  'APPDATA',
  'LOCALAPPDATA',
  'ProgramData',
  'ProgramFiles',
  'ProgramFiles(x86)',
  'PROCESSOR_ARCHITECTURE',
  'NUMBER_OF_PROCESSORS',
];

export interface CleanEnvironmentOptions {
  /** Where the kept names are taken from. Default: the environment of this process. */
  parent?: Readonly<Record<string, string | undefined>>;
  /** Default: the platform of this process. */
  platform?: NodeJS.Platform;
}

/**
 * The environment of a child: the few names of the parent that any program needs (PATH, HOME, LANG, TMPDIR; on
 * Windows its own set), and then `extra`, which wins.
 * @throws TypeError naming the entry, when a name is empty or has `=` or NUL in it, or a value has NUL in it.
 */
export function cleanEnvironment(
  extra: Readonly<Record<string, string>> = {},
  options: CleanEnvironmentOptions = {},
): Record<string, string> {
  const parent = options.parent ?? process.env;
  const windows = (options.platform ?? process.platform) === 'win32';
  // Windows compares names without case, so `Path` of the parent and `PATH` of the settings are one entry there.
  const fold = (name: string) => (windows ? name.toUpperCase() : name);
  const kept = new Set((windows ? WINDOWS_NAMES : POSIX_NAMES).map(fold));
  const result = new Map<string, [string, string]>();
  for (const [name, value] of Object.entries(parent)) {
    if (value !== undefined && kept.has(fold(name))) result.set(fold(name), [name, value]);
  }
  for (const [name, value] of Object.entries(extra)) {
    if (name === '' || /[=\0]/.test(name)) {
      throw new TypeError(
        `environment: ${JSON.stringify(name)} is not a name; use letters, digits and underscores, without "="`,
      );
    }
    if (value.includes('\0')) throw new TypeError(`environment: the value of ${name} has a NUL character in it`);
    result.set(fold(name), [name, value]);
  }
  return Object.fromEntries(result.values());
}

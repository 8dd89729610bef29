// Builds the package that is published: `node scripts/pack.mjs [--out FOLDER]` prints the path of one tarball.
// It holds JavaScript of every workspace that the command needs; what comes from a registry is named at exact versions.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findNode, root } from './node24.mjs';

/** The plain name belongs to somebody else's package. */
const NAME = '@gatehouse-mcp/gatehouse';
const SCOPE = '@gatehouse/';
const MAIN = 'cli';
const SCHEMA = 'settings.schema.json';

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));
const writeJson = (file, value) => writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`);
const manifestOf = (name) => readJson(join(root, 'packages', name, 'package.json'));
const internalNames = (manifest) =>
  Object.keys(manifest.dependencies ?? {})
    .filter((name) => name.startsWith(SCOPE))
    .map((name) => name.slice(SCOPE.length));

/** The workspaces that the command needs, itself first. */
function neededWorkspaces() {
  const needed = [MAIN];
  for (const name of needed) {
    for (const other of internalNames(manifestOf(name))) if (!needed.includes(other)) needed.push(other);
  }
  return needed;
}

/** What the workspaces need from a registry. @throws Error where two disagree or one leaves the version open */
function mergedDependencies(workspaces) {
  const merged = {};
  for (const workspace of workspaces) {
    for (const [name, version] of Object.entries(manifestOf(workspace).dependencies ?? {})) {
      if (name.startsWith(SCOPE)) continue;
      if (!/^\d+\.\d+\.\d+$/.test(version)) {
        throw new Error(`packages/${workspace}: the version of ${name} is "${version}". Write an exact one.`);
      }
      if (merged[name] !== undefined && merged[name] !== version) {
        throw new Error(`packages/${workspace}: ${name} ${version}, elsewhere ${merged[name]}. Use one version.`);
      }
      merged[name] = version;
    }
  }
  return Object.fromEntries(Object.entries(merged).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function run(command, args, cwd) {
  const shell = process.platform === 'win32';
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', shell });
  if (error) throw error;
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** Every workspace as JavaScript at `<out>/<workspace>/src`; type errors stop it. */
function compile(workspaces, work, out) {
  const config = join(work, 'tsconfig.json');
  const folders = workspaces.map((name) => join(root, 'packages', name, 'src'));
  writeJson(config, {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      noEmitOnError: true,
      rewriteRelativeImportExtensions: true,
      rootDir: join(root, 'packages'),
      outDir: out,
      typeRoots: [join(root, 'node_modules', '@types')],
    },
    include: folders,
    exclude: folders.flatMap((folder) => [`${folder}/**/*.test.ts`, `${folder}/**/testing.ts`]),
  });
  run(findNode(), [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '--project', config], root);
}

/** `./src/x.ts` → `./dist/x.js`, so that a file keeps its distance from its package.json. */
function builtExports(exports) {
  const built = (path) => path.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '.js');
  return Object.fromEntries(Object.entries(exports).map(([name, path]) => [name, built(path)]));
}

/** The folder that npm packs. */
function stage(workspaces, built, folder) {
  const main = manifestOf(MAIN);
  const bundled = workspaces.filter((name) => name !== MAIN);
  cpSync(join(built, MAIN, 'src'), join(folder, 'dist'), { recursive: true });
  cpSync(join(root, 'packages', MAIN, 'bin'), join(folder, 'bin'), { recursive: true });
  for (const file of ['README.md', 'LICENSE']) {
    if (!existsSync(join(root, file))) throw new Error(`${file} is missing at the top of the repository.`);
    cpSync(join(root, file), join(folder, file));
  }
  // For editors: `$schema` of a settings file.
  const schema = run(findNode(), [join(root, 'packages', MAIN, 'bin', 'gatehouse.mjs'), 'config', 'schema'], root);
  writeFileSync(join(folder, SCHEMA), schema);
  const internal = {};
  for (const workspace of bundled) {
    const { name, version, description, license, type, exports } = manifestOf(workspace);
    const target = join(folder, 'node_modules', name);
    cpSync(join(built, workspace, 'src'), join(target, 'dist'), { recursive: true });
    // Its dependencies stand in the package around it: npm looks nothing up for what is bundled.
    writeJson(join(target, 'package.json'), {
      name,
      version,
      description,
      license,
      type,
      exports: builtExports(exports),
    });
    internal[name] = version;
  }
  const { optionalDependencies, engines } = readJson(join(root, 'package.json'));
  writeJson(join(folder, 'package.json'), {
    name: NAME,
    version: main.version,
    description: readJson(join(root, 'package.json')).description,
    keywords: ['mcp', 'model-context-protocol', 'gateway', 'policy', 'audit'],
    license: main.license,
    type: 'module',
    engines,
    bin: { gatehouse: 'bin/gatehouse.mjs', 'gatehouse-flux': 'bin/gatehouse-flux.mjs' },
    exports: { ...builtExports(main.exports), [`./${SCHEMA}`]: `./${SCHEMA}` },
    files: ['bin', 'dist', SCHEMA],
    dependencies: { ...internal, ...mergedDependencies(workspaces) },
    bundleDependencies: Object.keys(internal),
    optionalDependencies,
    publishConfig: { access: 'public' },
  });
}

/** @returns the path of the tarball */
function pack(out) {
  const work = mkdtempSync(join(tmpdir(), 'gatehouse-pack-'));
  try {
    const workspaces = neededWorkspaces();
    const built = join(work, 'built');
    const folder = join(work, 'package');
    mkdirSync(folder);
    compile(workspaces, work, built);
    stage(workspaces, built, folder);
    mkdirSync(out, { recursive: true });
    const npm = process.env.npm_execpath;
    const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', out];
    if (npm) run(process.execPath, [npm, ...args], folder);
    else run('npm', args, folder);
    return join(out, `${NAME.slice(1).replace('/', '-')}-${manifestOf(MAIN).version}.tgz`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist') } } });
try {
  console.log(pack(resolve(values.out)));
} catch (error) {
  console.error(`pack: ${error.message}`);
  process.exit(1);
}

/** Which room may know which. See `ARCHITECTURE.md`; the order of the features is the array `features` in `src/app.ts`. */
import { featureOrder } from './feature-order.ts';
import { importsOf, resolver } from './imports.ts';
import type { Import } from './imports.ts';
import { printReport } from './report.ts';
import type { Report } from './report.ts';
import { isTestFile, listSources, readSource } from './source.ts';

const folders = ['src', 'scripts', 'test', 'bench', 'console'];

/** What the runner, which is not trusted with the rest of the server, may know of the features. */
const runnerMayKnow = (path: string): boolean => path === 'src/features/runners/schema.ts' || path.startsWith('src/features/masking/');

/** Node's modules that reach outside the process; the kernel has no input, output, clock or environment. */
const reachesOutside = new Set(
  ['child_process', 'cluster', 'dgram', 'dns', 'fs', 'http', 'http2', 'https', 'inspector', 'net', 'os', 'process', 'readline']
    .concat(['repl', 'sqlite', 'timers', 'tls', 'tty', 'worker_threads']),
);

interface Room {
  readonly name: string;
  /** Name of the feature, in the room of features. */
  readonly feature?: string;
}

/** Reads every import of every file and says which of them the layering forbids. */
export function checkLayering(root: string): Report {
  const paths = listSources(root, folders);
  const resolve = resolver(root);
  const order = featureOrder(root);
  const problems = [...filesInNoRoom(paths), ...featuresWithoutRank(paths, order)];
  let seen = 0;
  for (const path of paths) {
    for (const one of importsOf(readSource(root, path), resolve)) {
      seen += 1;
      const reason = forbidden(path, one, order);
      if (reason !== undefined) problems.push(`${path}:${one.line}: \`${one.specifier ?? 'import(…)'}\`: ${reason}`);
    }
  }
  return { seen: paths.length === 0 ? 0 : seen, what: 'imports', problems };
}

function filesInNoRoom(paths: readonly string[]): string[] {
  const rooms = ['entry', 'kernel', 'platform', 'feature', 'surfaces', 'runner', 'test'];
  return paths
    .filter((path) => path.startsWith('src/') && !rooms.includes(roomOf(path).name))
    .map((path) => `${path}: lies in no room of src; put it where its rule belongs`);
}

function featuresWithoutRank(paths: readonly string[], order: readonly string[]): string[] {
  const present = new Set(paths.map((path) => roomOf(path).feature).filter((name) => name !== undefined));
  return [...present]
    .filter((name) => !order.includes(name))
    .map((name) => `src/features/${name}: not in the array \`features\` of src/app.ts, so it has no rank`);
}

/** Why this import is not allowed, or undefined. */
export function forbidden(from: string, { specifier, target }: Import, order: readonly string[]): string | undefined {
  const room = roomOf(from);
  if (specifier === undefined) {
    return room.name === 'test' || room.name === 'scripts' ? undefined : 'name the module in a literal, so that it can be checked';
  }
  if (target === undefined) return room.name === 'kernel' ? forbiddenInKernel(specifier) : undefined;
  if (target.startsWith('../')) return 'nothing outside the repository is imported by path';
  if (target.startsWith('node_modules/')) return 'packages are imported by name';
  return forbiddenRoom({ room, target, order });
}

function forbiddenInKernel(specifier: string): string | undefined {
  const name = specifier.replace(/^node:/, '').split('/')[0] ?? '';
  return reachesOutside.has(name) ? 'the kernel has no input, output, clock or environment' : undefined;
}

interface Step {
  readonly room: Room;
  readonly target: string;
  readonly order: readonly string[];
}

function forbiddenRoom({ room, target, order }: Step): string | undefined {
  const goal = roomOf(target);
  if (room.name === 'console' || goal.name === 'console') {
    return room.name === goal.name ? undefined : 'the console and the rest share no code';
  }
  if (target === 'src/main.ts') return ['scripts', 'test'].includes(room.name) ? undefined : 'nobody but scripts and tests imports main.ts';
  if (['test', 'scripts', 'bench'].includes(room.name)) return undefined;
  if (['test', 'scripts', 'bench'].includes(goal.name)) return `what runs in production does not import ${goal.name} code`;
  if (goal.name === 'entry') return room.name === 'entry' ? undefined : 'what puts the rooms together is imported by none of them';
  switch (room.name) {
    case 'kernel':
      return goal.name === 'kernel' ? undefined : 'the kernel imports nothing of ours but itself';
    case 'platform':
      return ['kernel', 'platform'].includes(goal.name) ? undefined : 'the platform imports only the kernel and itself';
    case 'surfaces':
      return ['kernel', 'surfaces'].includes(goal.name) || target.startsWith('src/platform/http/') || ['src/platform/config.ts', 'src/platform/remote.ts'].includes(target)
        ? undefined
        : 'a surface imports only the kernel and platform/http; manifests reach it as arguments';
    case 'runner':
      return ['kernel', 'platform', 'runner'].includes(goal.name) || runnerMayKnow(target)
        ? undefined
        : 'the runner imports only kernel, platform, features/runners/schema.ts and features/masking';
    case 'feature':
      return forbiddenToFeature(room.feature ?? '', goal, target, order);
    default:
      return undefined; // the files directly in src put the rooms together
  }
}

function forbiddenToFeature(name: string, goal: Room, target: string, order: readonly string[]): string | undefined {
  if (goal.name === 'kernel' || goal.name === 'platform' || goal.feature === name) return undefined;
  if (goal.feature === undefined) return `a feature does not import ${goal.name}`;
  if (!/^src\/features\/[^/]+\/(schema|feature)\.ts$/.test(target)) return 'of another feature only schema.ts and feature.ts are imported';
  return order.indexOf(goal.feature) < order.indexOf(name) ? undefined : `${goal.feature} does not come before ${name} in src/app.ts`;
}

function roomOf(path: string): Room {
  const [top = '', second = '', third] = path.split('/');
  if (top !== 'src') return { name: top };
  if (isTestFile(path)) return { name: 'test' };
  if (third === undefined) return { name: 'entry' };
  if (second === 'features') return { name: 'feature', feature: third };
  return { name: second };
}

if (import.meta.main) printReport('layering', checkLayering(process.cwd()));

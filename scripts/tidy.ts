/** House rules a machine can check. An exemption is a line below with its reason; one that is not needed any more fails too. */
import { usesIn } from './banned.ts';
import type { Ban } from './banned.ts';
import { longFunctions } from './long-functions.ts';
import { printReport } from './report.ts';
import type { Report } from './report.ts';
import { isTestFile, listSources, readSource } from './source.ts';
import type { Source } from './source.ts';

const folders = ['src', 'scripts', 'test', 'bench', 'console'];
const maxLines = 400;
/** A table of scenarios with its world is one job, and long. */
const maxTestLines = 600;
const maxFunctionLines = 70;

export interface Exemption {
  readonly path: string;
  readonly rule: Ban | 'long file' | 'long function';
  readonly because: string;
}

export const exemptions: readonly Exemption[] = [
  { path: 'src/platform/clock.ts', rule: 'new Date()', because: 'it is the clock' },
  { path: 'src/platform/config.ts', rule: 'process.env', because: 'it is where the environment is read' },
  { path: 'src/platform/log.ts', rule: 'new Date()', because: 'the log stamps its own lines' },
  { path: 'src/runner/processes.ts', rule: 'computed RegExp', because: 'the names of fields of /proc are written in the same file' },
];

const remedies: Readonly<Record<Ban, string>> = {
  'process.env': 'the environment is read in one place; take the value as a setting',
  'Date.now': 'time comes in as a parameter',
  'new Date()': 'time comes in as a parameter',
  'Math.random': 'randomness comes in as a parameter',
  fetch: 'the outbound port of the platform is the only way out',
  'computed RegExp': 'write the pattern as a literal, or use RE2 where a user may write it',
  setTimeout: 'a test waits for what it wants to see, not for time to pass',
  only: 'the other tests would not run',
  'skip reason': 'the reason of a skip begins with `needs: `',
  'inline type': 'write `import type { … }` or `export type { … }`; the inline form loads the module',
};

/** Bans that hold in what runs in production; the others hold everywhere or in tests. */
const productionOnly: readonly Ban[] = ['process.env', 'Date.now', 'new Date()', 'Math.random', 'fetch', 'computed RegExp'];
const testsOnly: readonly Ban[] = ['setTimeout', 'only', 'skip reason'];

/** Checks every source file. `exempt` is a parameter so that the check itself can be tested. */
export function checkTidy(root: string, exempt: readonly Exemption[] = exemptions): Report {
  const paths = listSources(root, folders);
  const needed = new Set<Exemption>();
  const problems: string[] = [];
  for (const path of paths) {
    for (const { rule, line, text } of offences(readSource(root, path))) {
      const exemption = exempt.find((one) => one.path === path && one.rule === rule);
      if (exemption) needed.add(exemption);
      else problems.push(`${path}:${line}: ${text}`);
    }
  }
  for (const one of exempt) {
    if (!needed.has(one)) problems.push(`scripts/tidy.ts: the exemption of ${one.path} from \`${one.rule}\` is not needed any more; remove it`);
  }
  return { seen: paths.length, what: 'files', problems };
}

interface Offence {
  readonly rule: Exemption['rule'] | 'name';
  readonly line: number;
  readonly text: string;
}

function offences(source: Source): Offence[] {
  const found: Offence[] = [];
  if (/(^|\/)(utils?|helpers?|common|index)\.[^/]+$/.test(source.path)) {
    found.push({ rule: 'name', line: 1, text: 'the name says nothing about the content; name the file for its rule' });
  }
  const lines = source.text.split('\n').length - 1;
  const limit = isTestFile(source.path) ? maxTestLines : maxLines;
  if (lines > limit) {
    found.push({ rule: 'long file', line: limit, text: `${lines} lines, more than ${limit}: more than one job? Split it` });
  }
  for (const { line, lines: own } of isTestFile(source.path) ? [] : longFunctions(source, maxFunctionLines)) {
    found.push({ rule: 'long function', line, text: `a function with ${own} lines of its own, more than ${maxFunctionLines}: split it` });
  }
  for (const use of usesIn(source)) {
    if (holds(use.ban, source.path)) found.push({ rule: use.ban, line: use.line, text: `\`${use.ban}\`: ${remedies[use.ban]}` });
  }
  return found;
}

function holds(ban: Ban, path: string): boolean {
  if (testsOnly.includes(ban)) return isTestFile(path);
  if (productionOnly.includes(ban)) return path.startsWith('src/') && !isTestFile(path);
  return true;
}

if (import.meta.main) printReport('tidy', checkTidy(process.cwd()));

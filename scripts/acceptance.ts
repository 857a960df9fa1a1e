/** What has been asked for, and where it is shown: checks that the places named in `test/acceptance/*.yaml` exist. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { commandProblem } from './acceptance-command.ts';
import { printReport } from './report.ts';
import type { Report } from './report.ts';
import { isTestFile, readSource } from './source.ts';
import { testsIn } from './test-names.ts';
import type { TestsOfFile } from './test-names.ts';

const text = z.string().trim().min(1).max(2_000);

const Entry = z.strictObject({
  /** The clause, in the words of its user. */
  says: text,
  /** `path/x.test.ts`, `path/x.test.ts#name of a test or its beginning`, or `$ command`. */
  shown: z.array(text).max(50),
  state: z.enum(['open', 'shown', 'not']),
  /** Required when the state is `not`. */
  why: text.optional(),
});

type Entry = z.infer<typeof Entry>;

/** Reads all acceptance files. What is open is counted and printed; it is no failure. */
export function checkAcceptance(root: string): Report {
  const problems: string[] = [];
  const notes: string[] = [];
  const said = new Map<string, string>();
  const tests = new Map<string, TestsOfFile>();
  let seen = 0;
  for (const file of globSync('test/acceptance/*.yaml', { cwd: root }).toSorted()) {
    for (const { entry, place, fault } of entriesOf(root, file)) {
      seen += 1;
      if (!entry) {
        problems.push(`${place}: ${fault}`);
        continue;
      }
      if (said.has(entry.says)) problems.push(`${place}: says the same as ${said.get(entry.says)}`);
      said.set(entry.says, place);
      if (entry.state === 'open') notes.push(`open: ${place}: ${entry.says}`);
      problems.push(...faultsOf(root, entry, tests).map((one) => `${place}: ${one}`));
    }
  }
  return { seen, what: 'clauses', problems, notes };
}

interface Read {
  readonly place: string;
  readonly entry?: Entry;
  readonly fault?: string;
}

function entriesOf(root: string, file: string): Read[] {
  const document = parseDocument(readFileSync(join(root, file), 'utf8'), { uniqueKeys: true });
  const [error] = document.errors;
  if (error) return [{ place: file, fault: error.message }];
  const list: unknown = document.toJS({ maxAliasCount: 0 });
  if (!Array.isArray(list) || list.length === 0) return [{ place: file, fault: 'must be a list of clauses with `says`, `shown` and `state`' }];
  return list.map((item, index) => {
    const parsed = Entry.safeParse(item);
    const place = `${file} [${index + 1}]`;
    return parsed.success ? { place, entry: parsed.data } : { place, fault: z.prettifyError(parsed.error).replaceAll('\n', ' ') };
  });
}

function faultsOf(root: string, entry: Entry, tests: Map<string, TestsOfFile>): string[] {
  const faults: string[] = [];
  if (entry.state === 'shown' && entry.shown.length === 0) faults.push('the state is `shown`, but nothing is named that shows it');
  if (entry.state === 'not' && entry.why === undefined) faults.push('the state is `not`; say `why`');
  for (const place of entry.shown) {
    const fault = place.startsWith('$ ') ? commandProblem(root, place.slice(2)) : testProblem(root, place, tests);
    if (fault !== undefined) faults.push(`\`${place}\`: ${fault}`);
  }
  return faults;
}

function testProblem(root: string, place: string, known: Map<string, TestsOfFile>): string | undefined {
  const [path = '', ...rest] = place.split('#');
  const name = rest.join('#').trim();
  if (!isTestFile(path)) return 'must be a test file, `file.test.ts#name` or `$ command`';
  if (!existsSync(join(root, path)) || !statSync(join(root, path)).isFile()) return 'there is no such file';
  const tests = known.get(path) ?? testsIn(readSource(root, path));
  known.set(path, tests);
  if (name === '' && place.includes('#')) return 'the name of the test is missing';
  if (name === '') return tests.named.length === 0 || tests.named.some((test) => test.runs) ? undefined : 'no test in this file runs';
  const matching = tests.named.filter((test) => test.name.startsWith(name));
  if (matching.length === 0) return tests.literals.has(name) ? undefined : 'there is no test with this name in the file';
  return matching.some((test) => test.runs) ? undefined : 'this test is always skipped or to do';
}

if (import.meta.main) printReport('acceptance', checkAcceptance(process.cwd()));

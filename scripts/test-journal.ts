/** The reporter of every test process: one JSON line for each test that ended, and a last one when all have. */
import { relative } from 'node:path';
import { inspect } from 'node:util';
import type { TestEvent } from 'node:test/reporters';

/** One test or suite that ended. */
export interface Ended {
  readonly outcome: 'passed' | 'failed';
  /** The file that declares it, relative to the root of the repository. */
  readonly file: string;
  /** Names of the suites around it and its own. */
  readonly names: readonly string[];
  readonly kind: 'test' | 'suite';
  readonly durationMs: number;
  /** The reason, or true if none was given. */
  readonly skip?: string | true;
  readonly todo?: string | true;
  /** What was thrown. Absent if it failed only because something inside it did. */
  readonly error?: string;
}

export interface Journal {
  readonly ended: readonly Ended[];
  /** False if the process ended before its tests did. */
  readonly complete: boolean;
}

const lastLine = JSON.stringify({ complete: true });
const maxErrorLength = 8_000;

export default async function* journal(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  for await (const event of events) {
    if (event.type === 'test:start') names[event.data.nesting] = event.data.name;
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { nesting, name, file = '', skip, todo, details } = event.data;
    const ended: Ended = {
      outcome: event.type === 'test:pass' ? 'passed' : 'failed',
      file: relative(process.cwd(), file),
      names: [...names.slice(0, nesting), name],
      kind: details.type === 'suite' ? 'suite' : 'test',
      durationMs: details.duration_ms,
      ...(skip === undefined || skip === false ? {} : { skip }),
      ...(todo === undefined || todo === false ? {} : { todo }),
      ...('error' in details ? describe(details.error) : {}),
    };
    yield `${JSON.stringify(ended)}\n`;
  }
  yield `${lastLine}\n`;
}

function describe(error: Error): { error?: string } {
  if ('failureType' in error && error.failureType === 'subtestsFailed') return {};
  const text = inspect(error.cause ?? error, { depth: 6 });
  return { error: text.length > maxErrorLength ? `${text.slice(0, maxErrorLength)}…` : text };
}

/** Reads what the reporter wrote; a line cut off by the end of the process counts as not written. */
export function readJournal(text: string): Journal {
  const lines = text.split('\n').slice(0, -1);
  const complete = lines.at(-1) === lastLine;
  const ended = (complete ? lines.slice(0, -1) : lines).map((line) => JSON.parse(line) as Ended);
  return { ended, complete };
}

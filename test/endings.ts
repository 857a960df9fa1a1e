/**
 * What a test process started is ended in reverse order, whatever file started it: the server before its database. Hooks
 * of `node:test` run in the order they were made, so there is one for all.
 */
import { after } from 'node:test';

const endings: (() => Promise<void>)[] = [];

after(async () => {
  const failures: unknown[] = [];
  for (let end = endings.pop(); end !== undefined; end = endings.pop()) await end().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new AggregateError(failures, 'not everything the tests started could be ended');
});

/** Calls `end` after the last test of this process, before what was registered earlier is ended. */
export function atEnd(end: () => Promise<void>): void {
  endings.push(end);
}

import { setTimeout as sleep } from 'node:timers/promises';

const lookEveryMs = 5;

/**
 * Waits until `look` returns something other than undefined, null or false, and returns it. For what another process or
 * the database does; what happens in this process has a promise. `what` names it when patience ends.
 */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
  { patienceMs = 20_000 }: { readonly patienceMs?: number } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== null && seen !== false) return seen as Exclude<T, undefined | null | false>;
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain: ${what}`);
    await sleep(lookEveryMs);
  }
}

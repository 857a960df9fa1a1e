/** Work that is done for one account after the other, where what is wrong with one is no reason to leave the others. */

const namedAtMost = 5;

/** Does all of it, then throws when some of it failed: `what` is wrong with which accounts, and the first cause. */
export async function eachAccount(what: string, accountIds: readonly string[], work: (accountId: string) => Promise<unknown>): Promise<void> {
  const failed: string[] = [];
  let cause: unknown;
  for (const accountId of accountIds) {
    try {
      await work(accountId);
    } catch (error) {
      if (failed.length === 0) cause = error;
      failed.push(accountId);
    }
  }
  if (failed.length === 0) return;
  const more = failed.length > namedAtMost ? ` and ${failed.length - namedAtMost} more` : '';
  throw new Error(`${what} for the account ${failed.slice(0, namedAtMost).join(', ')}${more}`, { cause });
}

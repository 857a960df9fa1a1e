import type { Manifest } from '#kernel/manifest.ts';
import { account, organization, project } from './schema.ts';

export const tenancy = { name: 'tenancy', kinds: [organization, project], nouns: [account] } satisfies Manifest;

export type { AccountRow, AccountServices } from './accounts.ts';
export { accountDirectory, createAccount, findAccount, listAccounts, setAccountDisabled } from './accounts.ts';

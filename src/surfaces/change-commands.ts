/** Commands about documents: applying them, and telling beforehand who would gain and who would lose what. */
import type { FieldError } from '#kernel/errors.ts';
import { readVariable } from '#platform/config.ts';
import type { CommandInput, CommandOption, CommandRecord, Terminal } from './command-line.ts';
import { table } from './command-line.ts';
import type { ManifestFile, Wrapper } from './manifest-files.ts';
import { describeErrors, readManifestFiles } from './manifest-files.ts';
import { RemoteRefusal, remote } from './remote-command.ts';

export interface ChangeParts {
  /** Turns a bare document of another tool into a manifest. */
  readonly wrap: Wrapper;
}

export function changeCommands(parts: ChangeParts): CommandRecord[] {
  return [apply(parts), whatWouldChange(parts)];
}

export const fileOption: CommandOption = { flags: '-f, --file <path>', help: 'file or directory; `-` is standard input (repeatable)', repeatable: true, required: true };
const set: CommandOption = { flags: '--set <name>', help: 'remember these manifests under a name' };
const prune: CommandOption = { flags: '--prune', help: 'delete what was last applied under the set and is not here any more' };

interface Change {
  readonly action: string;
  readonly kind: string;
  readonly path: string;
  readonly fields: readonly string[];
}

type Warning = FieldError & { readonly code: string };

function apply(parts: ChangeParts): CommandRecord {
  return remote({
    name: 'apply',
    summary: 'create and update resources from manifests, all or nothing',
    options: [fileOption, { flags: '--dry-run', help: 'print the plan and do nothing' }, set, prune],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const { files, body } = await documentsOf(parts, options);
      const dryRun = options['dryRun'] === true;
      terminal.progress(`${dryRun ? 'planning' : 'applying'} ${files.length} ${files.length === 1 ? 'document' : 'documents'}`);
      try {
        const answer = (await server.call({ method: 'POST', path: `${server.api}/manifests:${dryRun ? 'plan' : 'apply'}`, body })) as { changes: Change[]; warnings: Warning[]; revision: number };
        printPlan(terminal, answer, { json, dryRun });
        showWarnings(answer.warnings, files, terminal);
        return 0;
      } catch (error) {
        return showFaults(error, files, terminal);
      }
    },
  });
}

/** What a command with the options of documents sends, and the files to show faults in. */
export async function documentsOf(parts: ChangeParts, options: CommandInput['options']): Promise<{ readonly files: readonly ManifestFile[]; readonly body: object }> {
  const files = await readManifestFiles(options['file'] as string[], { variable: readVariable, stdin: readStdin }, parts.wrap);
  const body = {
    documents: files.map((file) => file.manifest),
    ...(options['set'] === undefined ? {} : { set: options['set'] }),
    ...(options['prune'] === true ? { prune: true } : {}),
  };
  return { files, body };
}

/** On standard error, so that what is read by programs stays what it was. */
function showWarnings(warnings: readonly Warning[], files: readonly ManifestFile[], terminal: Terminal): void {
  const lines = describeErrors(warnings, files);
  for (const [i, { code }] of warnings.entries()) terminal.warn(`warning: ${code}: ${lines[i]!}`);
}

export function showFaults(error: unknown, files: readonly ManifestFile[], terminal: Terminal): number {
  if (!(error instanceof RemoteRefusal)) throw error;
  terminal.warn(`sallyport: ${error.message}`);
  for (const line of describeErrors(error.errors, files)) terminal.warn(`  ${line}`);
  return 1;
}

function printPlan(terminal: Terminal, answer: { changes: Change[]; revision: number }, { json, dryRun }: { json: boolean; dryRun: boolean }): void {
  if (json) return terminal.print(JSON.stringify(answer));
  const sign: Record<string, string> = { create: '+', update: '~', delete: '-', unchanged: '=' };
  const shown = answer.changes.filter((change) => change.action !== 'unchanged');
  for (const line of table(shown.map((change) => [sign[change.action]!, change.kind, change.path, change.action === 'update' ? change.fields.join(' ') : '']))) terminal.print(line.trimEnd());
  const count = (action: string): number => answer.changes.filter((change) => change.action === action).length;
  terminal.print(`${dryRun ? 'would be ' : ''}${count('create')} created, ${count('update')} updated, ${count('delete')} deleted, ${count('unchanged')} unchanged`);
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

interface Resource {
  readonly kind: string;
  readonly id: string;
  readonly scope: string;
  readonly permissions: readonly string[];
}

interface Terms {
  readonly issuer: string;
  readonly when: readonly Readonly<Record<string, unknown>>[];
  readonly condition: string | null;
  readonly grants: readonly object[];
  readonly singleUse: boolean;
  readonly maxTokenAgeSeconds: number | null;
  readonly proofOfPossession: boolean;
  readonly mayAdminister: boolean;
}

interface Concerned {
  readonly type: 'user' | 'service_account' | 'workload';
  readonly path: string;
  readonly issuer?: string;
  readonly conditionChanged?: { readonly before: Terms; readonly after: Terms };
  readonly issuerChanged?: true;
  readonly gains: readonly Resource[];
  readonly loses: readonly Resource[];
}

function whatWouldChange(parts: ChangeParts): CommandRecord {
  return remote({
    name: 'what-would-change',
    summary: 'who would gain and who would lose what if these manifests were applied; applies nothing',
    options: [fileOption, { ...set, help: 'as if they were applied under this name' }, { ...prune, help: 'as if what was last applied under the set and is not here were deleted' }],
    data: true,
    run: async (server, { options, terminal, json }) => {
      const { files, body } = await documentsOf(parts, options);
      let told = 0;
      try {
        for (let cursor: string | null | undefined; cursor !== null; ) {
          terminal.progress(told === 0 ? `asking about ${files.length} ${files.length === 1 ? 'document' : 'documents'}` : `${told} changes so far`);
          const request = { ...body, limit: 1_000, ...(cursor === undefined ? {} : { cursor }) };
          const page = (await server.call({ method: 'POST', path: `${server.api}/access:whatWouldChange`, body: request })) as { items: Concerned[]; next: string | null };
          for (const item of page.items) for (const line of json ? [JSON.stringify(item)] : linesOf(item)) terminal.print(line);
          told += page.items.reduce((sum, { gains, loses }) => sum + gains.length + loses.length, 0) + page.items.filter(hasOtherTerms).length;
          cursor = page.next;
        }
      } catch (error) {
        return showFaults(error, files, terminal);
      }
      if (told === 0 && !json) terminal.print('nobody gains or loses anything');
      return 0;
    },
  });
}

function hasOtherTerms({ conditionChanged, issuerChanged }: Concerned): boolean {
  return conditionChanged !== undefined || issuerChanged === true;
}

/** Each line says whom it is about, so that it can be searched for. */
function linesOf(item: Concerned): string[] {
  const { type, path, issuer, conditionChanged, issuerChanged, gains, loses } = item;
  const who = type === 'workload' ? `workload of ${issuer} through mapping ${path}` : `${type}:${path}`;
  const terms = conditionChanged === undefined ? [] : [['-', conditionChanged.before] as const, ['+', conditionChanged.after] as const];
  return [
    ...(issuerChanged === true ? [`${who}  ~ other tokens of the issuer`] : []),
    ...terms.map(([sign, when]) => `${who}  ${sign} who comes with ${termsLine(when)}`),
    ...gains.map((resource) => `${who}  + ${resourceLine(resource)}`),
    ...loses.map((resource) => `${who}  - ${resourceLine(resource)}`),
  ];
}

/** Names of other systems do not say where a resource lies. */
function resourceLine({ id, scope, permissions }: Resource): string {
  const isPath = scope === '/' || id === scope || id.startsWith(`${scope}/`);
  return `${permissions.join(', ')}  ${id}${isPath ? '' : ` in ${scope}`}`;
}

function termsLine({ issuer, when, condition, grants, ...uses }: Terms): string {
  const claims = when.map(({ claim, ...must }) => `${String(claim)} ${Object.entries(must).map(([how, value]) => `${how} ${JSON.stringify(value)}`).join(', ')}`);
  const given = grants.map((grant) => `grant ${JSON.stringify(grant)}`);
  const { singleUse, maxTokenAgeSeconds, proofOfPossession, mayAdminister } = uses;
  const ways = [
    ...(singleUse ? ['used once'] : []), ...(maxTokenAgeSeconds === null ? [] : [`at most ${maxTokenAgeSeconds} s old`]),
    ...(proofOfPossession ? ['with a key proven'] : []), ...(mayAdminister ? ['may administer'] : []),
  ];
  return [`a token of ${issuer}`, ...claims, ...(condition === null ? [] : [condition]), ...ways, ...given].join('; ');
}

/** From documents that came in to a request for changes: what is saved, and what a pruned set leaves behind. */
import { refusal } from '#kernel/errors.ts';
import type { Call } from '#platform/call.ts';
import type { ChangeServices } from './change.ts';
import type { ChangeRequest } from './plan.ts';
import { readDocuments } from './read-documents.ts';
import type { ChangeBody } from './schema.ts';
import { uidsOfSet } from './store.ts';

/** What documents ask for, read and checked by themselves. Refuses with every fault of every document. */
export async function requestOf(services: Pick<ChangeServices, 'kinds' | 'database'>, call: Call, body: ChangeBody): Promise<ChangeRequest> {
  const { documents, errors } = readDocuments(services.kinds, body.documents);
  if (errors.length > 0) throw refusal('request.invalid', { errors });
  if (body.prune && body.set === undefined) throw refusal('request.invalid', { errors: [{ pointer: '/set', message: 'pruning needs the name of a set' }] });
  const set = body.set ?? null;
  if (!body.prune || set === null) return { saves: documents, deletions: [], set };
  const kept = new Set(documents.map((document) => `${document.kind} ${document.scope} ${document.identifier}`));
  const entries = (await uidsOfSet(services.database.read, call.account.id, set)).flatMap((uid) => call.world.get(uid) ?? []);
  const gone = entries.filter((entry) => !kept.has(`${entry.kind} ${entry.scope} ${entry.identifier}`));
  return { saves: documents, deletions: gone.map((entry) => ({ index: 0, entry, cascade: false })), set };
}

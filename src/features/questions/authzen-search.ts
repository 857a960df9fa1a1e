/** OpenID AuthZEN Authorization API 1.0, §8: who may, what may be, and which actions; complete, page by page. */
import type { AnyOperation } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { Cursors } from '#platform/http/cursor.ts';
import { answerTo } from './ask.ts';
import { refuseUnlessAsking, scopeAsked } from './authzen.ts';
import { permissionMeant, resourceMeant, saidOf, scopeSaid, subjectMeant } from './authzen-question.ts';
import { actionSearchBody, actionsAnswer, entitiesAnswer, resourceSearchBody, subjectSearchBody } from './authzen-schema.ts';
import type { CheckServices } from './check.ts';
import { whatCan } from './what-can.ts';
import { whoCan } from './who-can.ts';

export interface SearchServices extends CheckServices {
  readonly cursors: Cursors;
}

const maxPage = 200;
const defaultPage = 100;
const shared = { method: 'POST' as const, access: { shape: 'self' as const }, audit: null, dialect: 'authzen' as const };

interface Page {
  readonly token?: string | undefined;
  readonly limit?: number | undefined;
}

export function searchOperations(services: SearchServices): AnyOperation[] {
  const subjects = operation({
    ...shared,
    name: 'authzen.search_subject',
    summary: 'AuthZEN subject search: users or service accounts that may',
    path: '{issuer}/access/v1/search/subject',
    input: { body: subjectSearchBody },
    output: entitiesAnswer,
    prepare: async (call, { body }) => {
      const { subject, action, resource } = body;
      refuseUnlessAsking(call, services, scopeAsked(call, services, resource));
      const words = services.kinds.of(call.world);
      const target = resourceMeant(call.world, words, resource, saidOf(subject.properties, action.properties));
      const { type } = subject;
      if (target === null || (type !== 'user' && type !== 'service_account')) return { results: [], page: { next_token: '' } };
      const page = pageOf(services, call, [type, action, resource, subject.properties ?? null], body.page);
      const question = { permission: permissionMeant(resource.type, action.name), target };
      const { items, next } = whoCan({ world: call.world, kinds: services.kinds, question, now: call.now }, { types: [type], ...page });
      return { results: items.map(({ path }) => ({ type, id: path })), page: { next_token: page.token(next) } };
    },
  });

  const resources = operation({
    ...shared,
    name: 'authzen.search_resource',
    summary: 'AuthZEN resource search: documents, and registered instances of external kinds, that a subject may act on',
    path: '{issuer}/access/v1/search/resource',
    input: { body: resourceSearchBody },
    output: entitiesAnswer,
    prepare: async (call, { body }) => {
      const { subject, action, resource } = body;
      const asker = await subjectMeant(services, call, subject);
      const isSelf = asker !== null && asker.principal.uid === call.caller.principal.uid;
      const within = scopeSaid(resource.properties);
      if (!isSelf) refuseUnlessAsking(call, services, within ?? '/');
      if (asker === null || within === null) return { results: [], page: { next_token: '' } };
      const page = pageOf(services, call, [subject, action, resource], body.page);
      const search = { kind: resource.type, permission: permissionMeant(resource.type, action.name), said: saidOf(subject.properties, action.properties), within };
      const { items, next } = whatCan({ world: call.world, kinds: services.kinds, asker: isSelf ? call.caller : asker, now: call.now }, { ...search, ...page });
      return { results: items.map(({ id }) => ({ type: resource.type, id })), page: { next_token: page.token(next) } };
    },
  });

  const actions = operation({
    ...shared,
    name: 'authzen.search_action',
    summary: 'AuthZEN action search: the verbs of its kind that a subject may do to a resource',
    path: '{issuer}/access/v1/search/action',
    input: { body: actionSearchBody },
    output: actionsAnswer,
    prepare: async (call, { body }) => {
      const { subject, resource } = body;
      const asker = await subjectMeant(services, call, subject);
      const isSelf = asker !== null && asker.principal.uid === call.caller.principal.uid;
      if (!isSelf) refuseUnlessAsking(call, services, scopeAsked(call, services, resource));
      const words = services.kinds.of(call.world);
      const target = resourceMeant(call.world, words, resource, saidOf(subject.properties, undefined));
      const verbs = target === null ? [] : (words.nouns.get(resource.type)?.verbs ?? []);
      const who = isSelf ? call.caller : asker;
      const results = verbs.filter((verb) => answerTo(call, services.kinds, who, { permission: `${resource.type}.${verb}`, target: target! }).allowed);
      return { results: results.map((name) => ({ name })), page: { next_token: '' } };
    },
  });

  return [subjects, resources, actions];
}

/** A token belongs to the caller and to the query, which must stay the same from page to page. */
function pageOf({ cursors }: SearchServices, call: Call, query: readonly unknown[], page: Page | undefined) {
  const { principal } = call.caller;
  const binding = ['authzen', call.account.id, principal.type, principal.uid, JSON.stringify(query)];
  return {
    after: page?.token === undefined || page.token === '' ? null : cursors.decode(binding, page.token),
    limit: Math.min(page?.limit ?? defaultPage, maxPage),
    token: (next: string | null): string => (next === null ? '' : cursors.encode(binding, next)),
  };
}

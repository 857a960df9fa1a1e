/** What people do with todos. Each act asks first, about the very todo; the rules are in `access.yaml`, none is here. */
import type { DecisionPoint, Entity } from './decision-point.ts';
import type { Answer, Person, Request, Route } from './gateway.ts';
import { Refused } from './gateway.ts';
import type { Registry } from './registry.ts';
import type { Todo, Todos } from './todos.ts';
import { maxTodos } from './todos.ts';

export interface Services {
  readonly todos: Todos;
  readonly decisionPoint: DecisionPoint;
  readonly registry: Registry;
  /** Where the todos lie. */
  readonly scope: string;
}

/** Three questions for each, and a decision point takes a thousand at a time. */
const maxPage = 100;
const searchable = new Set(['view', 'delete']);

export function routesOf(services: Services): readonly Route[] {
  return [
    { method: 'GET', path: '/todos', handle: (request) => list(services, request) },
    { method: 'POST', path: '/todos', handle: (request) => create(services, request) },
    { method: 'GET', path: '/todos/{id}', handle: (request) => show(services, request) },
    { method: 'PUT', path: '/todos/{id}', handle: (request) => edit(services, request) },
    { method: 'DELETE', path: '/todos/{id}', handle: (request) => remove(services, request) },
    { method: 'GET', path: '/searches/{verb}', handle: (request) => search(services, request) },
  ];
}

/** What the caller may see, and what it may do with each, asked in one call: an interface greys out the other buttons. */
async function list({ todos, decisionPoint, scope }: Services, { person, requestId, query }: Request): Promise<Answer> {
  const limit = limitOf(query);
  const page = todos.list({ after: query.get('after') ?? '', limit });
  const acts = [{ name: 'view' }, { name: 'edit' }, softDelete] as const;
  const questions = page.flatMap((todo) => acts.map((action) => ({ action, resource: resourceOf(todo, scope) })));
  const may = await decisionPoint.allowsEach({ subject: subjectOf(person) }, questions, requestId);
  const shown = page.flatMap((todo, at) => {
    const [view, edit, bin] = may.slice(at * acts.length);
    return view === true ? [{ ...told(todo), may: { edit, delete: bin } }] : [];
  });
  return { status: 200, body: { todos: shown, next: page.length === limit ? page.at(-1)!.id : null } };
}

/** Decided on the draft: it belongs to whoever makes it. */
async function create(services: Services, request: Request): Promise<Answer> {
  const { todos, registry } = services;
  const { id } = request.body;
  if (typeof id !== 'string' || !/^[a-z][a-z0-9_]{0,63}$/.test(id)) throw new Refused(400, '`id` must be small letters, digits and `_`');
  const todo: Todo = { id, title: titleOf(request), owner: request.person.email, done: false, inBin: false };
  await mustAllow(services, request, { name: 'create' }, todo);
  if (todos.size >= maxTodos) throw new Refused(409, `there are ${maxTodos} todos already`);
  // The registry knows every id, so of two that come at once one is refused.
  if (todos.find(id) !== undefined || !(await registry.add(todo, request.requestId))) throw new Refused(409, `\`${id}\` is taken`);
  todos.put(todo);
  return { status: 201, body: told(todo) };
}

async function show(services: Services, request: Request): Promise<Answer> {
  const todo = present(services, request);
  await mustAllow(services, request, { name: 'view' }, todo);
  return { status: 200, body: told(todo) };
}

async function edit(services: Services, request: Request): Promise<Answer> {
  const todo = present(services, request);
  const { done } = request.body;
  if (done !== undefined && typeof done !== 'boolean') throw new Refused(400, '`done` must be true or false');
  const changed: Todo = { ...todo, title: request.body['title'] === undefined ? todo.title : titleOf(request), done: done ?? todo.done };
  await mustAllow(services, request, { name: 'edit' }, todo);
  mustBe(services, todo);
  services.todos.put(changed);
  return { status: 200, body: told(changed) };
}

const softDelete = { name: 'delete', properties: { soft: true } } as const;
const hardDelete = { name: 'delete', properties: { soft: false } } as const;

/** Into the bin, or with `?for_good=true` out of the world. */
async function remove(services: Services, request: Request): Promise<Answer> {
  const { todos, registry } = services;
  const forGood = request.query.get('for_good') === 'true';
  const todo = forGood ? known(services, request) : present(services, request);
  await mustAllow(services, request, forGood ? hardDelete : softDelete, todo);
  if (forGood) await registry.remove(todo.id, request.requestId);
  mustBe(services, todo);
  if (forGood) todos.remove(todo.id);
  else todos.put({ ...todo, inBin: true });
  return { status: 200, body: { deleted: todo.id } };
}

/** «What may I see?», «what may I throw away?»: the decision point knows, page by page. */
async function search({ todos, decisionPoint, scope }: Services, { person, requestId, name, query }: Request): Promise<Answer> {
  if (!searchable.has(name)) throw new Refused(404, 'there are searches for `view` and `delete`');
  const token = query.get('token');
  const { ids, next } = await decisionPoint.find({
    subject: subjectOf(person),
    action: name === 'delete' ? softDelete : { name },
    resource: { type: 'todo', properties: { scope } },
    page: { limit: limitOf(query), ...(token === null ? {} : { token }) },
  }, requestId);
  return { status: 200, body: { ids: ids.filter((id) => todos.find(id)?.inBin === false), next } };
}

async function mustAllow({ decisionPoint, scope }: Services, { person, requestId }: Request, action: { readonly name: string }, todo: Todo): Promise<void> {
  if (await decisionPoint.allows({ subject: subjectOf(person), action, resource: resourceOf(todo, scope) }, requestId)) return;
  throw new Refused(403, `you may not ${action.name} this`);
}

/** A decision is about what it was asked about, so what has changed meanwhile is left alone. */
function mustBe({ todos }: Services, todo: Todo): void {
  if (todos.find(todo.id) !== todo) throw new Refused(409, 'it has changed meanwhile; look again');
}

function known({ todos }: Services, { name }: Request): Todo {
  const todo = todos.find(name);
  if (todo === undefined) throw new Refused(404, 'there is no such todo');
  return todo;
}

function present(services: Services, request: Request): Todo {
  const todo = known(services, request);
  if (todo.inBin) throw new Refused(404, 'there is no such todo');
  return todo;
}

function subjectOf({ id }: Person): Entity {
  return { type: 'user', id };
}

/** All that the rules look at. */
function resourceOf({ id, owner, done }: Todo, scope: string): Entity {
  return { type: 'todo', id, properties: { scope, owner, done } };
}

function told({ id, title, owner, done }: Todo): object {
  return { id, title, owner, done };
}

function titleOf({ body }: Request): string {
  const { title } = body;
  if (typeof title !== 'string' || title === '' || title.length > 200) throw new Refused(400, '`title` must be a text of 1 to 200 characters');
  return title;
}

function limitOf(query: URLSearchParams): number {
  const limit = Number(query.get('limit') ?? maxPage);
  if (!Number.isInteger(limit) || limit < 1 || limit > maxPage) throw new Refused(400, `\`limit\` must be 1 to ${maxPage}`);
  return limit;
}

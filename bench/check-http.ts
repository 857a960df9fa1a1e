/**
 * Access checks over HTTP: a caller with a personal access token asks what it may do, in a world of a few hundred
 * bindings. Answers per second with 32 connections, against the same framework's route that does nothing and against the
 * Cerbos PDP. A single caller is the worse case: its rate is counted in one place, and every node has to ask the database
 * there. Cases: `checks`, `cold`.
 */
import { installPeers } from './access/installed-peers.ts';
import type { Question } from './check/project-world.ts';
import { each, manyQuestions, partsOf, users, world } from './check/project-world.ts';
import { startCerbos } from './check/cerbos.ts';
import type { Cerbos } from './check/cerbos.ts';
import { startTrivialRoute } from './floor/trivial-route.ts';
import type { TrivialServer } from './floor/trivial-route.ts';
import { json, postOnce, postRates, rowsOf, startBenchServer } from './load.ts';
import type { BenchServer, LoadRequest, Rates } from './load.ts';
import { benchResult, interleave, runAndPrint } from './result.ts';
import type { BenchOptions, BenchResult, BenchRow } from './result.ts';

const rounds = 5;
const coldRounds = 3;
const callers = 100;
const strangers = 1_000;
const batch = 100;
/** Of tokens made at once before they are measured. */
const madeAtOnce = 16;

interface Sides {
  readonly floor: TrivialServer;
  readonly server: BenchServer;
}

export async function run(options: BenchOptions = {}): Promise<BenchResult> {
  const [floor, server] = await Promise.all([startTrivialRoute(), startBenchServer()]);
  try {
    await server.call('/manifests:apply', { documents: world() });
    const asked = manyQuestions();
    const rows: BenchRow[] = [];
    if (options.case !== 'cold') rows.push(...(await checkRows({ floor, server }, asked)));
    if (options.case !== 'checks') rows.push(...(await coldRows({ floor, server }, asked)));
    return benchResult({ name: 'check over HTTP', unit: 'checks per second', rows });
  } finally {
    await Promise.all([floor.stop(), server.stop()]);
  }
}

/** All in turn in each round, so that each can be compared with each. */
async function checkRows({ floor, server }: Sides, asked: readonly Question[]): Promise<BenchRow[]> {
  const tokens = await Promise.all(each(callers, (n) => tokenOf(server, `bench ${n}`)));
  await checkAnswers(server, tokens[0]!, asked);
  await installPeers();
  const cerbos = await startCerbos(asked);
  const requests = {
    floor: trivial(asked), one: checks(server, asked, tokens.slice(0, 1)), many: checks(server, asked, tokens),
    evaluation: evaluations(asked, tokens[0]!), batch: batches(server, asked, tokens[0]!),
  };
  try {
    const figures = await interleave<keyof typeof requests | 'cerbos', Rates>({
      rounds,
      candidates: {
        floor: () => postRates(floor, requests.floor),
        one: () => postRates(server, requests.one),
        many: () => postRates(server, requests.many),
        evaluation: () => postRates(server, requests.evaluation),
        batch: async () => times(batch, await postRates(server, requests.batch)),
        cerbos: () => ratesOf(cerbos),
      },
    });
    return [
      ...rowsOf('one caller', { aim: '≥ 0.65×', ours: figures.one, floor: figures.floor }),
      ...rowsOf(`${callers} callers`, { aim: '≥ 0.65×', ours: figures.many, floor: figures.floor }),
      ...rowsOf('AuthZEN evaluation', { ours: figures.evaluation, floor: figures.floor }),
      ...rowsOf(`${batch} checks a request, against one`, { aim: '≥ 5×', ours: figures.batch, floor: figures.one }),
      ...(cerbos === null ? [] : rowsOf('one caller, against the Cerbos PDP', { aim: '≥ 5×', ours: figures.one, floor: figures.cerbos })),
      ...(cerbos === null ? [] : rowsOf(`${callers} callers, against the Cerbos PDP`, { aim: '≥ 5×', ours: figures.many, floor: figures.cerbos })),
    ];
  } finally {
    await cerbos?.stop();
  }
}

/** Every request has a token that was never seen; whoever it belongs to may have been. */
async function coldRows({ floor, server }: Sides, asked: readonly Question[]): Promise<BenchRow[]> {
  const heaps = await Promise.all(each(coldRounds + 1, (round) => strangersOf(server, round)));
  const questions = each(strangers, (n) => asked[n % asked.length]!);
  const figures = await interleave<'floor' | 'ours', Rates>({
    rounds: coldRounds,
    candidates: { floor: () => postOnce(floor, trivial(questions)), ours: () => postOnce(server, checks(server, questions, heaps.pop()!)) },
  });
  return rowsOf(`${strangers} requests of as many new tokens`, figures);
}

async function strangersOf(server: BenchServer, round: number): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < strangers) {
    const from = tokens.length;
    tokens.push(...(await Promise.all(each(Math.min(madeAtOnce, strangers - from), (n) => tokenOf(server, `stranger ${round} ${from + n}`, `u${(from + n) % users}`)))));
  }
  return tokens;
}

async function ratesOf(cerbos: Cerbos | null): Promise<Rates> {
  return cerbos === null ? { perSecond: 1, perProcessorSecond: 1 } : postRates(cerbos, cerbos.requests);
}

function times(factor: number, { perSecond, perProcessorSecond }: Rates): Rates {
  return { perSecond: factor * perSecond, perProcessorSecond: factor * perProcessorSecond };
}

async function tokenOf(server: BenchServer, name: string, user = 'u0'): Promise<string> {
  return ((await server.call('/api-tokens', { name, principal: { type: 'user', path: user } })) as { token: string }).token;
}

function trivial(asked: readonly Question[]): LoadRequest[] {
  return asked.map(({ permission, resource }) => ({ path: '/', headers: json, body: JSON.stringify({ permission, resource }) }));
}

/** Each question with a token of its own, as far as there are tokens. */
function checks(server: BenchServer, asked: readonly Question[], tokens: readonly string[]): LoadRequest[] {
  return asked.map(({ permission, resource }, n) => ({
    path: `${server.api}/access:check`, headers: as(tokens[n % tokens.length]!), body: JSON.stringify({ permission, resource }),
  }));
}

function evaluations(asked: readonly Question[], token: string): LoadRequest[] {
  return asked.map((question) => {
    const { kind, verb } = partsOf(question);
    const body = { subject: { type: 'user', id: 'u0' }, action: { name: verb }, resource: { type: kind, id: question.resource } };
    return { path: '/accounts/default/access/v1/evaluation', headers: as(token), body: JSON.stringify(body) };
  });
}

/** Each begins at another question, so that none is like the one before. */
function batches(server: BenchServer, asked: readonly Question[], token: string): LoadRequest[] {
  return asked.map((_, from) => {
    const some = each(batch, (n) => asked[(from + n) % asked.length]!).map(({ permission, resource }) => ({ permission, resource }));
    return { path: `${server.api}/access:checkMany`, headers: as(token), body: JSON.stringify({ checks: some }) };
  });
}

function as(token: string): LoadRequest['headers'] {
  return { ...json, authorization: `Bearer ${token}` };
}

/** A fast wrong engine does not pass, however it is asked. */
async function checkAnswers(server: BenchServer, token: string, asked: readonly Question[]): Promise<void> {
  const many = (await server.call('/access:checkMany', { checks: asked.map(({ permission, resource }) => ({ permission, resource })) }, token)) as { results: readonly { allowed: boolean }[] };
  for (const [n, { permission, resource, allowed }] of asked.entries()) {
    const alone = (await server.call('/access:check', { permission, resource }, token)) as { allowed: boolean };
    for (const answer of [alone, many.results[n]!]) {
      if (answer.allowed !== allowed) throw new Error(`${permission} on ${resource}: ${answer.allowed ? 'allowed' : 'not allowed'}, but it should be the other way round`);
    }
  }
}

if (import.meta.main) await runAndPrint(run);

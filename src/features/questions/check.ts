/** May this principal do this here: one question, or up to a thousand. */
import type { z } from 'zod';
import type { Asker } from '#features/access/feature.ts';
import type { Target } from '#kernel/decision.ts';
import type { Kinds } from '#kernel/kind.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import type { NoteUse } from './ask.ts';
import { answerTo, askingPlan, mayExplain, noteAsked, readable } from './ask.ts';
import type { AskerServices } from './asker.ts';
import { askerNamed } from './asker.ts';
import type { QuestionWords } from './schema.ts';
import { checkAnswer, manyAnswer, manyWords, questionWords } from './schema.ts';
import { targetMeant } from './target.ts';

export interface CheckServices extends AskerServices {
  readonly kinds: Kinds;
  readonly used: NoteUse;
}

export interface Asked {
  readonly asker: Asker | null;
  readonly permission: string;
  readonly target: Target;
}

interface ManyAsked {
  readonly asker: Asker | null;
  readonly questions: readonly { readonly permission: string; readonly target: Target }[];
}

export function checkOperations(services: CheckServices): AnyOperation[] {
  const check = operation({
    name: 'access.check',
    summary: 'Whether a principal may do something to a resource; about others with `access.check`, and why not with `access.explain`',
    method: 'POST',
    path: '{account}/access:check',
    input: { body: questionWords },
    output: checkAnswer,
    access: { shape: 'plan', plan: async (call, { body }) => askOne(services, call, body) },
    audit: null,
    dialect: 'api',
    prepare: async (call, _input, asked: Asked) => answerOne(services, call, asked),
  });

  const many = operation({
    name: 'access.check_many',
    summary: 'Up to 1,000 checks of one principal, all of them or until the first denial or permission',
    method: 'POST',
    path: '{account}/access:checkMany',
    input: { body: manyWords },
    output: manyAnswer,
    access: { shape: 'plan', plan: async (call, { body }) => askMany(services, call, body) },
    audit: null,
    dialect: 'api',
    prepare: async (call, { body }, asked: ManyAsked) => answerMany(services, call, asked, body.semantic),
  });

  return [check, many];
}

/** Reads a question and asks for the right to ask it. */
export async function askOne(services: CheckServices, call: Call, body: QuestionWords) {
  const target = targetMeant(call.world, services.kinds.of(call.world), body);
  const asker = body.principal === undefined ? call.caller : await askerNamed(services, call, body.principal);
  return askingPlan(call, { asker, permission: body.permission, target }, { others: body.principal !== undefined, scopes: [target.scope] });
}

function answerOne(services: CheckServices, call: Call, { asker, permission, target }: Asked): z.infer<typeof checkAnswer> {
  const decision = answerTo(call, services.kinds, asker, { permission, target });
  noteAsked(services, call, asker, { permission, target }, decision);
  // Reasons of a denial are looked for when somebody looks at them.
  const shown = decision.allowed || mayExplain(call, target.scope) ? decision.reasons : [];
  return { allowed: decision.allowed, reasons: shown.map((reason) => readable(call.world, reason)), revision: decision.revision };
}

async function askMany(services: CheckServices, call: Call, body: z.infer<typeof manyWords>) {
  const words = services.kinds.of(call.world);
  const questions = body.checks.map((check, i) => ({ permission: check.permission, target: targetMeant(call.world, words, check, `/checks/${i}/resource`) }));
  const asker = body.principal === undefined ? call.caller : await askerNamed(services, call, body.principal);
  return askingPlan(call, { asker, questions }, { others: body.principal !== undefined, scopes: questions.map(({ target }) => target.scope) });
}

function answerMany(services: CheckServices, call: Call, { asker, questions }: ManyAsked, semantic: z.infer<typeof manyWords>['semantic']): z.infer<typeof manyAnswer> {
  const results: { allowed: boolean }[] = [];
  for (const question of questions) {
    const decision = answerTo(call, services.kinds, asker, question);
    const { allowed } = decision;
    noteAsked(services, call, asker, question, decision);
    results.push({ allowed });
    if (semantic === (allowed ? 'permit_on_first' : 'deny_on_first')) break;
  }
  return { results, revision: call.world.revision };
}

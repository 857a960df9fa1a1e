/** Why: the path that allowed, or the near misses and the smallest grant that would change the answer. */
import type { z } from 'zod';
import { grantsOf } from '#features/access/feature.ts';
import type { Asker } from '#features/access/feature.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { Call } from '#platform/call.ts';
import { operation } from '#platform/call.ts';
import { answerTo, mayExplain, nameOf, readable } from './ask.ts';
import type { Asked, CheckServices } from './check.ts';
import { askOne } from './check.ts';
import type { ExplainAnswer } from './schema.ts';
import { explainAnswer, questionWords } from './schema.ts';
import { smallestGrant } from './smallest-grant.ts';

const maxBindings = 200;

export function explainOperation(services: CheckServices): AnyOperation {
  return operation({
    name: 'access.explain',
    summary: 'Why a principal may or may not: its bindings, and for those with `access.explain` the near misses and the smallest grant that would help',
    method: 'POST',
    path: '{account}/access:explain',
    input: { body: questionWords },
    output: explainAnswer,
    access: { shape: 'plan', plan: async (call, { body }) => askOne(services, call, body) },
    audit: 'access.explain',
    dialect: 'api',
    prepare: async (call, _input, asked: Asked) => ({ asked, answer: explained(services, call, asked) }),
    // The row is what the correlation id leads to.
    write: async (_tx, call, _input, { asked, answer }) => {
      noteQuestion(call, asked, answer);
      return answer;
    },
  });
}

function explained({ kinds }: CheckServices, call: Call, { asker, permission, target }: Asked): z.infer<typeof explainAnswer> {
  const decision = answerTo(call, kinds, asker, { permission, target });
  const explains = mayExplain(call, target.scope);
  const shown = decision.allowed || explains ? decision.reasons : [];
  const helps = explains && !decision.allowed && asker !== null;
  const grant = helps ? smallestGrant({ world: call.world, kinds, asker, permission, target, decision, now: call.now }) : null;
  return {
    allowed: decision.allowed,
    reasons: shown.map((reason) => readable(call.world, reason)),
    revision: decision.revision,
    bindings: asker === null || (!explains && asker !== call.caller) ? [] : bindingsOf(call, asker),
    grant: grant === null ? null : { summary: grant.summary, documents: [...grant.documents] },
    correlationId: call.requestId,
  };
}

function bindingsOf(call: Call, asker: Asker): ExplainAnswer['bindings'] {
  return grantsOf(call.world, asker, call.now).slice(0, maxBindings).map(({ via, groupPath, roleUid, resourceGroupUid, scope }) => ({
    binding: nameOf(call.world, via),
    groupPath: groupPath.map((uid) => nameOf(call.world, uid)),
    role: nameOf(call.world, roleUid),
    resourceGroup: resourceGroupUid === null ? null : nameOf(call.world, resourceGroupUid),
    scope,
  }));
}

function noteQuestion(call: Call, { asker, permission, target }: Asked, answer: ExplainAnswer): void {
  const resource = target.identifier === null ? {} : { resource: target.identifier };
  const about = asker === null ? null : { type: asker.principal.type, path: asker.principal.path };
  call.note({ scope: target.scope, detail: { permission, kind: target.kind, ...resource, about, allowed: answer.allowed } });
}

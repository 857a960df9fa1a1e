/** How an execution looks from outside. */
import { z } from 'zod';

const time = z.iso.datetime({ precision: 3 });
const reason = z.strictObject({ code: z.string(), message: z.string() }).nullable();

const attemptView = z.strictObject({ id: z.uuid(), number: z.number().int(), status: z.string(), runner: z.string().nullable() });

const stepItem = z.strictObject({
  identifier: z.string(),
  name: z.string(),
  type: z.string(),
  status: z.string(),
  reason,
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  attempts: z.array(attemptView),
});
const stepView = stepItem.extend({
  outputs: z.record(z.string(), z.string()).describe('values of outputs; those that hold a secret are shown as `***`'),
});

const stageItem = z.strictObject({ identifier: z.string(), name: z.string(), type: z.string(), status: z.string(), reason, steps: z.array(stepItem) });
const stageView = stageItem.extend({ steps: z.array(stepView) });

/** In a list: everything but what steps put out, which may be large. */
export const executionItem = z.strictObject({
  id: z.uuid(),
  pipeline: z.string().describe('path'),
  sequence: z.number().int(),
  revision: z.strictObject({ version: z.number().int(), sha256: z.string() }),
  status: z.string(),
  reason,
  stages: z.array(stageItem),
  startedBy: z.strictObject({ type: z.string(), id: z.string(), name: z.string().nullable(), origin: z.unknown().optional() }),
  createdAt: time,
  endedAt: time.nullable(),
});
export const executionView = executionItem.extend({
  stages: z.array(stageView),
  outputs: z.record(z.string(), z.string()).describe('`stage.step.name` → value'),
});

export type ExecutionItem = z.infer<typeof executionItem>;
export type ExecutionView = z.infer<typeof executionView>;

export const logChunk = z.strictObject({
  stage: z.string(),
  step: z.string(),
  attempt: z.number().int(),
  stream: z.enum(['stdout', 'stderr']),
  offset: z.number().int(),
  text: z.string().describe('UTF-8; a byte that is none becomes U+FFFD'),
});

export const logPage = z.strictObject({
  chunks: z.array(logChunk),
  next: z.string().describe('give it back as `after` for what comes later'),
  ended: z.boolean().describe('the execution has ended and nothing will follow'),
});

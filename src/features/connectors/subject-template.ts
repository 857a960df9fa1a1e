/**
 * What `sub` of a connector's tokens is made of, in the place of the usual one. Only uids stand in it: a name can be given
 * to something else, a uid never. What is written around them holds no digit and no lone `-`, so that it can be mistaken
 * neither for a uid, which always has digits, nor for one that is not there, which is written `-`: two runs that differ
 * in a part that is named never have the same text, and no template can imitate the uid of something else.
 */
import { z } from 'zod';

const parts = ['organization_uid', 'project_uid', 'pipeline_uid', 'environment_uid', 'service_uid'] as const;
export type SubjectPart = (typeof parts)[number];

/** Google takes at most 127 bytes of subject. */
export const maxSubjectBytes = 127;
const uidBytes = 36;
const written = /^[A-Za-z_:./@]*$/;

export const subjectTemplate = z
  .string()
  .min(1)
  .max(maxSubjectBytes)
  .check((context) => {
    const fault = subjectFault(context.value);
    if (fault !== null) context.issues.push({ code: 'custom', input: context.value, message: fault });
  })
  .optional()
  .describe('`sub` of its tokens, such as `env:{environment_uid}`, made of `{organization_uid}`, `{project_uid}`, `{pipeline_uid}`, `{environment_uid}`, `{service_uid}`; without it `prj:…:ppl:…[:env:…]`');

/** Null = it can be used. */
export function subjectFault(template: string): string | null {
  const pieces = piecesOf(template);
  const named = pieces.filter((piece) => piece.part !== null);
  const unknown = named.find(({ part }) => !(parts as readonly string[]).includes(part!));
  if (unknown !== undefined) return `\`{${unknown.part!.slice(0, 64)}}\` is no part of a subject: there are ${parts.map((part) => `\`{${part}}\``).join(', ')}`;
  if (named.length === 0) return 'must name at least one part such as `{project_uid}`: a subject that is always the same tells nobody apart';
  if (!pieces.every(({ text }) => written.test(text))) return 'may have letters and `_:./@` around its parts: a digit or `-` could be mistaken for a uid';
  const bytes = pieces.reduce((sum, { text, part }) => sum + text.length + (part === null ? 0 : uidBytes), 0);
  return bytes > maxSubjectBytes ? `makes subjects of ${bytes} bytes; at most ${maxSubjectBytes} are taken everywhere` : null;
}

/** The subject; a part that the run does not have is `-`. The template was checked. */
export function filledSubject(template: string, uidOf: (part: SubjectPart) => string | null): string {
  return piecesOf(template).map(({ text, part }) => `${text}${part === null ? '' : (uidOf(part as SubjectPart) ?? '-')}`).join('');
}

/** Texts, each with the part that follows it. A brace that is none of a part's stays in the text, where it is refused. */
function piecesOf(template: string): { readonly text: string; readonly part: string | null }[] {
  const found: { text: string; part: string | null }[] = [];
  let from = 0;
  for (const match of template.matchAll(/\{([^{}]*)\}/g)) {
    found.push({ text: template.slice(from, match.index), part: match[1]! });
    from = match.index + match[0].length;
  }
  return [...found, { text: template.slice(from), part: null }];
}

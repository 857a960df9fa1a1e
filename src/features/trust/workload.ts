/** Who a workload is: issuer and subject, the subject made of claims the issuer never gives to somebody else. */
import { readPointer } from '#kernel/matcher.ts';
import type { IssuerFacts } from './schema.ts';

const maxSubjectBytes = 1_000;

/**
 * Null when a claim the subject is made of is missing or no text. Values are escaped, so that no two workloads share a
 * subject: `terraform_organization_id=org-abc&terraform_project_id=prj-1&terraform_workspace_id=ws-123`.
 */
export function subjectOf({ subjectClaims }: Pick<IssuerFacts, 'subjectClaims'>, claims: Readonly<Record<string, unknown>>): string | null {
  if (subjectClaims === null) return text(claims, '/sub');
  const parts: string[] = [];
  for (const claim of subjectClaims) {
    const value = text(claims, claim);
    if (value === null) return null;
    parts.push(`${claim.slice(1)}=${encodeURIComponent(value)}`);
  }
  const subject = parts.join('&');
  return subject.length <= maxSubjectBytes ? subject : null;
}

/** An issuer has neither spaces nor a fragment, so the first `#` ends it. */
export function workloadId(issuer: string, subject: string): string {
  return `${issuer}#${subject}`;
}

function text(claims: Readonly<Record<string, unknown>>, pointer: string): string | null {
  const value = readPointer(claims, pointer);
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= maxSubjectBytes ? value : null;
}

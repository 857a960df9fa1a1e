import { catalogue } from '#kernel/errors.ts';

interface Listed {
  readonly status: number;
  readonly title: string;
  readonly help: string;
  readonly retryable?: boolean;
  readonly oauth?: string;
}

/** The page of all refusals, grouped by area, from the catalogue. `docs/errors.md#<code>` leads to one of them. */
export function errorsPage(records: Readonly<Record<string, Listed>> = catalogue): string {
  const areas = Map.groupBy(Object.entries(records), ([code]) => code.split('.')[0] ?? '');
  const sections = [...areas].map(([area, rows]) => `## ${area}\n\n${rows.map(([code, record]) => entry(code, record)).join('\n')}`);
  return `${head([...areas.keys()])}\n${sections.join('\n')}`;
}

function head(areas: readonly string[]): string {
  return `<!-- Derived from src/kernel/errors.ts by \`npm run derive\`. Do not edit. -->

# Errors

A refusal has a code that never changes, a title, and often a text that says what was wrong with this request.
The API answers with problem details (RFC 9457) that carry the code; OAuth endpoints answer with the OAuth word where
one is named here. "Again" says that the same request may succeed later without a change.

Areas: ${areas.map((area) => `[${area}](#${area})`).join(', ')}.
`;
}

function entry(code: string, { status, title, help, retryable, oauth }: Listed): string {
  const facts = [`status ${status}`, `again: ${retryable ? 'yes' : 'no'}`, ...(oauth === undefined ? [] : [`OAuth: \`${oauth}\``])];
  return `### <a id="${code}"></a>\`${code}\`\n\n${title}: ${help}\n\n${facts.join(' · ')}\n`;
}

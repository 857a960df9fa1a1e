/** The function behind `sallyport mask`. */
import { refusal } from '#kernel/errors.ts';
import { compileMaskSet } from './mask-set.ts';
import { Masker } from './masker.ts';
import type { SecretValue } from './maskability.ts';
import type { Unmaskable } from './needles.ts';
import { secretsFile } from './schema.ts';

export interface MaskSummary {
  readonly hits: ReadonlyMap<string, number>;
  readonly unmaskable: readonly Unmaskable[];
}

/** Copies `source` to `sink`, masked, waiting for the sink. The summary names what was found and what was too short. */
export async function maskStream(
  source: AsyncIterable<Uint8Array>,
  secrets: readonly SecretValue[],
  sink: (masked: Uint8Array) => void | Promise<void>,
): Promise<MaskSummary> {
  const set = compileMaskSet(secrets);
  const masker = new Masker(set);
  for await (const chunk of source) {
    const masked = masker.write(chunk);
    if (masked.length > 0) await sink(masked);
  }
  const rest = masker.end();
  if (rest.length > 0) await sink(rest);
  return { hits: masker.hits, unmaskable: set.unmaskable };
}

/** Reads the text of a secrets file. Refusals never quote it, as parsers like to do. */
export function readSecretsFile(text: string): SecretValue[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw refusal('request.malformed', { say: 'the secrets file is not JSON: write an array of `{ "name", "value" }`' });
  }
  const result = secretsFile.safeParse(document);
  if (result.success) return result.data;
  throw refusal('request.invalid', {
    say: 'the secrets file is not an array of `{ "name", "value" }`, with `"file": true` for file secrets',
    errors: result.error.issues.map((issue) => ({
      pointer: issue.path.map((part) => `/${String(part)}`).join(''),
      message: issue.code === 'unrecognized_keys' ? 'has a field that is not known' : issue.message.toLowerCase(),
    })),
  });
}

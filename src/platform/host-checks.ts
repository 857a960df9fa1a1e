/** What `doctor` can say about this machine without the database. Reads only; makes and changes nothing. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config } from './config.ts';
import { isPublic, liesWithin } from './config.ts';

export interface Finding {
  readonly check: string;
  /** `fail`: it does not work, or is not safe; `warn`: it works, and somebody should look at it. */
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was seen and, unless all is well, what to do. */
  readonly says: string;
}

export function finding(check: string, level: Finding['level'], says: string): Finding {
  return { check, level, says };
}

const mebibyte = 1024 * 1024;
const leastFreeBytes = 256 * mebibyte;
const littleFreeBytes = 2_048 * mebibyte;

export async function dataDirectoryFinding(path: string): Promise<Finding> {
  const check = 'data directory';
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return finding(check, 'warn', `\`${path}\` does not exist; the first start makes it`);
  if (!found.isDirectory()) return finding(check, 'fail', `\`${path}\` is no directory; name another by \`--data\``);
  // The group may pass through where PostgreSQL runs as a user of its own.
  if ((found.mode & 0o067) !== 0) return finding(check, 'fail', `\`${path}\` has mode ${octal(found.mode)} and is open to others; set it to 0700`);
  const own = process.getuid?.() ?? found.uid;
  if (found.uid !== own) return finding(check, 'fail', `\`${path}\` belongs to the user with uid ${found.uid}; run as that user`);
  return finding(check, 'ok', `\`${path}\`, mode ${octal(found.mode)}`);
}

export async function diskFinding(path: string): Promise<Finding> {
  const there = await nearestThere(path);
  const { bavail, blocks, bsize } = await statfs(there);
  const freeBytes = bavail * bsize;
  const says = `${Math.round(freeBytes / mebibyte)} MiB free (${Math.round((100 * bavail) / Math.max(1, blocks))} %) at \`${there}\``;
  if (freeBytes < leastFreeBytes) return finding('disk', 'fail', `${says}; make room, or the database stops`);
  return freeBytes < littleFreeBytes ? finding('disk', 'warn', `${says}; make room`) : finding('disk', 'ok', says);
}

/** Where the root key lies; whether it fits is for the database to say. */
export function keyPlaceFinding(config: Pick<Config, 'data' | 'rootKeyFile'>): Finding {
  const check = 'root key place';
  if (!liesWithin(config.data, config.rootKeyFile)) return finding(check, 'ok', `\`${config.rootKeyFile}\`, outside the data directory`);
  return finding(check, 'warn', `\`${config.rootKeyFile}\` lies in the data directory: whoever copies that has the key too; move it and name it by \`--root-key-file\``);
}

export function publicUrlFinding(config: Pick<Config, 'publicUrl' | 'host'>): Finding {
  const check = 'public URL';
  if (config.publicUrl === undefined) {
    if (!isPublic(`http://${config.host.includes(':') ? `[${config.host}]` : config.host}`)) return finding(check, 'ok', 'none: only this machine calls');
    return finding(check, 'warn', `\`--host ${config.host}\` lets others call and no \`--public-url\` says how; name an https URL`);
  }
  if (!isPublic(config.publicUrl)) return finding(check, 'warn', `\`${config.publicUrl}\` is known on this machine only`);
  return finding(check, 'ok', `\`${config.publicUrl}\``);
}

async function nearestThere(path: string): Promise<string> {
  const there = await stat(path).then(() => true, () => false);
  return there || dirname(path) === path ? path : nearestThere(dirname(path));
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

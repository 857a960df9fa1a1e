/** `sallyport doctor`: what is right here, what somebody should look at, and what does not work. Makes and migrates nothing. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { Refusal } from '#kernel/errors.ts';
import { systemClock, systemRandomness } from '#platform/clock.ts';
import type { Config } from '#platform/config.ts';
import { findBinaries } from '#platform/database/binaries.ts';
import { databaseFindings } from '#platform/database/checks.ts';
import { findWay } from '#platform/database/unprivileged.ts';
import type { Finding } from '#platform/host-checks.ts';
import { dataDirectoryFinding, diskFinding, finding, keyPlaceFinding, publicUrlFinding } from '#platform/host-checks.ts';
import { loadRootKey } from '#platform/keyring.ts';
import type { DataKey } from '#platform/sealing.ts';
import { detectIsolation } from '#runner/detect-isolation.ts';
import { commandLog, configOf, settingOptions } from './host-settings.ts';
import { isThere, openLogins } from './host.ts';
import type { CommandInput, CommandRecord } from './surfaces/command-line.ts';
import { table } from './surfaces/command-line.ts';

export const doctorCommand: CommandRecord = {
  name: 'doctor',
  summary: 'check settings, data directory, root key, database and isolation; takes the settings of `serve`',
  options: settingOptions(),
  data: true,
  run: async (input) => {
    const findings = await examine(input);
    const failed = findings.some(({ level }) => level === 'fail');
    if (input.json) input.terminal.print(JSON.stringify({ ok: !failed, findings }));
    else for (const line of table(findings.map(({ level, check, says }) => [level, check, says]))) input.terminal.print(line.trimEnd());
    return failed ? 1 : 0;
  },
};

async function examine(input: CommandInput): Promise<Finding[]> {
  let config: Config;
  try {
    config = configOf(input);
  } catch (error) {
    return [failure('settings', error)];
  }
  const { progress } = input.terminal;
  const key = await readKey(config);
  return [
    finding('settings', 'ok', `Node ${process.version} on ${process.platform}-${process.arch}`),
    await dataDirectoryFinding(config.data),
    await diskFinding(config.data),
    keyPlaceFinding(config),
    ...(key instanceof Error ? [failure('root key', key)] : []),
    publicUrlFinding(config),
    ...(config.databaseUrl === undefined ? [await wayFinding()] : []),
    ...(await examineDatabase(config, key instanceof Error ? null : key, progress)),
    await isolationFinding(config, progress),
  ];
}

/** The key, null where there is none and nothing was started, or why it cannot be read. */
async function readKey(config: Config): Promise<DataKey | Error | null> {
  const started = config.databaseUrl !== undefined || (await isThere(join(config.data, 'postgres')));
  if (!started && !(await isThere(config.rootKeyFile))) return null;
  try {
    return await loadRootKey(config.rootKeyFile, { create: false, randomness: systemRandomness });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** How PostgreSQL, which refuses to be root, is started here. */
async function wayFinding(): Promise<Finding> {
  try {
    const { prefix, foreign } = await findWay(findBinaries(), true);
    const how = prefix.includes('unshare') ? 'in a user namespace' : foreign ? 'as another user of this host; user namespaces are forbidden' : 'as this user';
    return finding('embedded database', 'ok', `can be started ${how}`);
  } catch (error) {
    return failure('embedded database', error);
  }
}

async function examineDatabase(config: Config, rootKey: DataKey | null, progress: (line: string) => void): Promise<Finding[]> {
  const external = config.databaseUrl !== undefined;
  if (!external && !(await isThere(join(config.data, 'postgres')))) return [finding('database', 'warn', 'nothing was started here yet')];
  try {
    const logins = await openLogins(config, commandLog(config), { besideServer: true, progress });
    const client = new Client({ ...logins.owner, connectionTimeoutMillis: 10_000 });
    client.on('error', () => {}); // the query under way fails with it
    try {
      await client.connect();
      return await databaseFindings({ client, clock: systemClock, external, rootKey });
    } finally {
      await client.end();
      await logins.stop();
    }
  } catch (error) {
    return [failure('database', error)];
  }
}

async function isolationFinding(config: Config, progress: (line: string) => void): Promise<Finding> {
  const check = 'isolation';
  if (!config.runner) return finding(check, 'ok', 'no local runner is wanted');
  progress('trying the isolations of a local runner');
  const workRoot = await mkdtemp(join(tmpdir(), 'sallyport-doctor-'));
  try {
    const hide = (await isThere(config.data)) ? [config.data] : [];
    const { isolation, explained } = await detectIsolation({ workRoot, hide, acceptNone: config.unsafeLocalRunner });
    const tried = explained.replaceAll('\n', '; ');
    return isolation.kind === 'none'
      ? finding(check, 'warn', `${tried}: run steps on a runner elsewhere, or install what is missing`)
      : finding(check, 'ok', tried);
  } catch (error) {
    return failure(check, error);
  } finally {
    await rm(workRoot, { recursive: true, force: true });
  }
}

function failure(check: string, error: unknown): Finding {
  if (error instanceof Refusal) return finding(check, 'fail', error.say ?? error.because ?? error.record.title);
  return finding(check, 'fail', error instanceof Error ? error.message : String(error));
}

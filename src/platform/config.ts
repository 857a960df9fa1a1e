/**
 * The one schema of the settings: flags > `SALLYPORT_*` > file > default. Unknown keys are errors; unsafe combinations
 * refuse the start. `process.env` is read here and nowhere else. What an administrator changes at run time is a resource.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { nearest } from '#kernel/identifier.ts';
import { refusal } from '#kernel/errors.ts';
import { readNetwork } from './networks.ts';

const origin = z.string().refine((text) => isWebUrl(text) && new URL(text).origin === text, {
  error: 'must be an origin such as `http://127.0.0.1:8080`',
});
const network = z.string().refine((text) => readNetwork(text) !== null, { error: 'must be an address or a network such as `10.0.0.0/8`' });

const settings = z.strictObject({
  data: z.string().min(1).default('./data').describe('data directory'),
  port: z.coerce.number().int().min(0).max(65_535).default(8420).describe('port to listen on; 0 takes a free one'),
  host: z.string().min(1).default('127.0.0.1').describe('address to listen on'),
  databaseUrl: z.string().regex(/^postgres(ql)?:\/\//).optional().describe('external PostgreSQL instead of the embedded one'),
  publicUrl: z.string().refine(isWebUrl, { error: 'must be a URL such as `https://sallyport.example`' }).optional().describe('URL under which callers reach this server'),
  rootKeyFile: z.string().min(1).optional().describe('file that holds the root key, by default `root.key` in the data directory; made at the first start'),
  runner: z.boolean().default(true).describe('start a local runner'),
  unsafeLocalRunner: z.boolean().default(false).describe('start it even where steps cannot be isolated'),
  allowPrivateOrigin: z.array(origin).max(100).default([]).describe('private origins the server may reach (repeatable)'),
  cloudEndpoint: z.array(z.string().refine((text) => /^[a-z_]+=/.test(text) && isWebUrl(text.slice(text.indexOf('=') + 1)), { error: 'must be a name and a URL such as `gcp_sts=https://sts.example`' })).max(20).default([]).describe('endpoints asked instead of the official ones of a cloud: `gcp_sts`, `gcp_iam_credentials`, `aws_sts`, `azure_authority` (repeatable)'),
  trustedProxies: z.array(network).max(20).default([]).describe('addresses or networks whose `X-Forwarded-For` is believed'),
  clientCertificates: z.boolean().default(false).describe('believe the `Client-Cert` header (RFC 9440) of `--trusted-proxies`, which must verify certificates and let through no such header of others'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('least severe level that is logged'),
  maxConnections: z.coerce.number().int().min(2).max(500).default(20).describe('connections to the database per node'),
  requestsPerSecond: z.coerce.number().int().min(1).max(1_000_000).default(200).describe('per caller'),
  requestBurst: z.coerce.number().int().min(1).max(1_000_000).default(1_000).describe('per caller'),
  exchangesPerSecond: z.coerce.number().int().min(1).max(100_000).default(500).describe('exchanges of one issuer; five times as many at once, and of an account four times as many'),
  refusedExchangesPerMinute: z.coerce.number().int().min(1).max(1_000_000).default(300).describe('per address'),
  refusedCredentialsPerMinute: z.coerce.number().int().min(1).max(1_000_000).default(300).describe('missing or not accepted, per address; beyond it only callers this node knows are let in from there'),
  maxInFlight: z.coerce.number().int().min(1).max(100_000).default(1_000).describe('requests worked on at the same time'),
  requestTimeoutMs: z.coerce.number().int().min(100).max(600_000).default(30_000).describe('longest time one request may take'),
  staleAfterMs: z.coerce.number().int().min(100).max(10_000).default(2_000).describe('a node that could not confirm its access facts for so long refuses'),
  snapshotEntries: z.coerce.number().int().min(1).max(100_000_000).default(2_000_000).describe('KiB of memory for the resources of all accounts: about 1 for each, an eighth for a role binding, and what is compiled of them; accounts used longest ago make room'),
  accessPollMs: z.coerce.number().int().min(10).max(1_000).default(250).describe('how often a node looks for changes of access'),
  sequencerMs: z.coerce.number().int().min(10).max(1_000).default(250).describe('how often committed audit rows are numbered'),
  leaseMs: z.coerce.number().int().min(100).max(600_000).default(30_000).describe('how long a runner holds an attempt without a heartbeat'),
  signingKeyDays: z.coerce.number().int().min(1).max(3_650).default(90).describe('how long a key of minted tokens signs'),
  signingKeyAheadMs: z.coerce.number().int().min(60_000).max(30 * 86_400_000).default(3_600_000).describe('how long a key of minted tokens is published before it signs, at least; others may keep `/jwks` for half of it, five minutes at most'),
  signingKeyOverlapMs: z.coerce.number().int().min(3_900_000).max(30 * 86_400_000).default(7_200_000).describe('how long a key of minted tokens is published after it has signed; longer than any token lives'),
});

export type Settings = z.infer<typeof settings>;

export interface Config extends Settings {
  readonly rootKeyFile: string;
  /** Out of the environment at once; its file is read when this is called, which is at the first start only. */
  readonly bootstrapToken: () => string | undefined;
}

export type SettingName = keyof Settings;
export const settingNames = Object.keys(settings.shape) as SettingName[];

export interface SettingDescription {
  readonly help: string;
  readonly fallback: unknown;
  readonly flag: string;
  readonly variable: string;
  /** What may be given, in words: `2 to 500`, `debug, info, warn, error`, `true, false`, `text`, `list`. */
  readonly values: string;
}

export function describeSetting(name: SettingName): SettingDescription {
  const field = settings.shape[name];
  const { description, default: fallback } = z.toJSONSchema(field, { io: 'input', unrepresentable: 'any' });
  const json = z.toJSONSchema(field, { io: 'output', unrepresentable: 'any' });
  const values = json.enum?.join(', ') ?? (
    json.type === 'integer' ? `${json.minimum} to ${json.maximum}`
    : json.type === 'boolean' ? 'true, false'
    : json.type === 'array' ? `list, at most ${json.maxItems}`
    : 'text');
  return { help: description ?? '', fallback, flag: `--${kebab(name)}`, variable: variableOf(name), values };
}

/** Given several times, or with commas between. */
export const listSettings: ReadonlySet<SettingName> = new Set(settingNames.filter((name) => describeSetting(name).values.startsWith('list')));

/** Secrets come by file or environment reference, never as a flag or in the configuration file. */
const environmentOnly = ['SALLYPORT_BOOTSTRAP_TOKEN', 'SALLYPORT_BOOTSTRAP_TOKEN_FILE', 'SALLYPORT_DATABASE_URL_FILE', 'SALLYPORT_CONFIG'];
/** Read by the commands that talk to a server; see `readRemoteEnvironment`. */
const remoteOnly = ['SALLYPORT_URL', 'SALLYPORT_ACCOUNT', 'SALLYPORT_TOKEN', 'SALLYPORT_TOKEN_FILE'];

export interface ConfigInput {
  readonly flags: Readonly<Partial<Record<SettingName, unknown>>>;
  readonly configFile?: string | undefined;
}

/** Reads all sources once, at start. Throws `config.invalid` or `config.unsafe` with the name of the setting. */
export function readConfig(input: ConfigInput, environment: NodeJS.ProcessEnv = process.env): Config {
  const file = input.configFile ?? environment['SALLYPORT_CONFIG'];
  const merged = { ...(file === undefined ? {} : fromFile(file)), ...fromEnvironment(environment), ...definedOnly(input.flags) };
  const parsed = settings.safeParse(merged);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const name = String(issue!.path[0] ?? (issue as { keys?: string[] }).keys?.[0] ?? '');
    const near = nearest(name, settingNames);
    const hint = issue!.code === 'unrecognized_keys' && near !== undefined ? `; did you mean \`${near}\`?` : '';
    throw refusal('config.invalid', { say: `the setting \`${name}\`: ${issue!.message.charAt(0).toLowerCase()}${issue!.message.slice(1)}${hint}` });
  }
  const config = parsed.data;
  const data = resolve(config.data);
  const rootKeyFile = resolve(config.rootKeyFile ?? join(data, 'root.key'));
  const complete: Config = { ...config, data, rootKeyFile, bootstrapToken: takeBootstrapToken(environment) };
  refuseUnsafe(complete);
  return Object.freeze(complete);
}

/** What every remote command needs: where the server is and as whom. The token never comes by argument. */
export function readRemoteEnvironment(flags: { url?: string | undefined; account?: string | undefined; tokenFile?: string | undefined }, environment: NodeJS.ProcessEnv = process.env): {
  readonly url: string;
  readonly account: string;
  readonly token: string | undefined;
} {
  const { SALLYPORT_TOKEN: given, SALLYPORT_TOKEN_FILE: file } = environment;
  if (flags.tokenFile === undefined && given !== undefined && file !== undefined) {
    throw refusal('config.invalid', { say: 'SALLYPORT_TOKEN and SALLYPORT_TOKEN_FILE are both set, and nobody can tell which is meant; unset one' });
  }
  const tokenFile = flags.tokenFile ?? file;
  const token = tokenFile === undefined ? given : readSecretFile(tokenFile);
  return {
    url: (flags.url ?? environment['SALLYPORT_URL'] ?? 'http://127.0.0.1:8420').replace(/\/+$/, ''),
    account: flags.account ?? environment['SALLYPORT_ACCOUNT'] ?? 'default',
    token: token?.trim() || undefined,
  };
}

/** A variable of the CLI's own environment, for `valueFrom: { env }`. */
export function readVariable(name: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  return environment[name];
}

export function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw refusal('config.invalid', { say: `the file \`${path}\` cannot be read`, cause });
  }
}

/** True when the whole world could know the URL: not loopback. */
export function isPublic(url: string): boolean {
  const { hostname } = new URL(url);
  return !(hostname === 'localhost' || (isIPv4(hostname) && hostname.startsWith('127.')) || hostname === '[::1]');
}

function isWebUrl(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}

function fromFile(path: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(path, 'utf8'), { maxAliasCount: 0 });
  } catch (cause) {
    throw refusal('config.invalid', { say: `the configuration file \`${path}\` cannot be read`, cause });
  }
  if (typeof document !== 'object' || document === null) return {};
  if ('databaseUrl' in document) {
    throw refusal('config.unsafe', { say: 'a database URL holds a password; give it by `SALLYPORT_DATABASE_URL_FILE`, not in the configuration file' });
  }
  return document as Record<string, unknown>;
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const byVariable = new Map(settingNames.map((name) => [variableOf(name), name]));
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('SALLYPORT_') || variable.startsWith('SALLYPORT_TEST_') || text === undefined) continue;
    if (environmentOnly.includes(variable) || remoteOnly.includes(variable)) continue;
    const name = byVariable.get(variable);
    if (name === undefined) {
      const near = nearest(variable, byVariable.keys());
      throw refusal('config.invalid', { say: `the environment variable \`${variable}\` is not a setting${near ? `; did you mean \`${near}\`?` : ''}` });
    }
    values[name] = fromText(name, text);
  }
  const urlFile = environment['SALLYPORT_DATABASE_URL_FILE'];
  if (urlFile !== undefined) values['databaseUrl'] = readSecretFile(urlFile);
  return values;
}

function fromText(name: SettingName, text: string): unknown {
  if (listSettings.has(name)) return text.split(',').map((part) => part.trim()).filter(Boolean);
  if (name === 'runner' || name === 'unsafeLocalRunner' || name === 'clientCertificates') return text === 'true' ? true : text === 'false' ? false : text;
  return text;
}

function takeBootstrapToken(environment: NodeJS.ProcessEnv): () => string | undefined {
  const { SALLYPORT_BOOTSTRAP_TOKEN: given, SALLYPORT_BOOTSTRAP_TOKEN_FILE: file } = environment;
  delete environment['SALLYPORT_BOOTSTRAP_TOKEN'];
  delete environment['SALLYPORT_BOOTSTRAP_TOKEN_FILE'];
  return () => {
    const token = file === undefined ? given : readSecretFile(file);
    if (token === undefined) return undefined;
    if (token.length < 32 || token.length > 512) throw refusal('config.unsafe', { say: 'the bootstrap token must have 32 to 512 characters' });
    return token;
  };
}

function refuseUnsafe(config: Config): void {
  if (config.clientCertificates && config.trustedProxies.length === 0) {
    throw refusal('config.unsafe', { say: '`--client-certificates` believes proxies; name them with `--trusted-proxies`' });
  }
  if (config.publicUrl !== undefined) {
    const url = new URL(config.publicUrl);
    if (url.search !== '' || url.hash !== '' || url.username !== '' || config.publicUrl.endsWith('/')) {
      throw refusal('config.invalid', { say: 'the setting `publicUrl` must have no query, fragment, user or trailing slash' });
    }
    if (url.protocol !== 'https:' && isPublic(config.publicUrl)) throw refusal('config.unsafe', { say: 'the setting `publicUrl` must be https outside loopback' });
  }
  refuseExposedKey(config);
}

/** A copy of the data directory must not hold the key to the data as soon as others than this machine's user are involved. */
export function refuseExposedKey(config: Pick<Config, 'data' | 'rootKeyFile' | 'databaseUrl' | 'publicUrl'>): void {
  const exposed = config.databaseUrl !== undefined || (config.publicUrl !== undefined && isPublic(config.publicUrl));
  if (!exposed || !liesWithin(config.data, config.rootKeyFile)) return;
  throw refusal('config.unsafe', {
    say: `with \`--database-url\` or a public URL the root key must not lie in the data directory, as \`${config.rootKeyFile}\` does; give \`--root-key-file\` elsewhere`,
  });
}

/** Whether a path leads into a directory, links followed as far as it exists. */
export function liesWithin(directory: string, path: string): boolean {
  const [first] = relative(realAsFarAsThere(directory), realAsFarAsThere(path)).split(sep);
  return first !== '..' && !isAbsolute(first!);
}

function realAsFarAsThere(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realAsFarAsThere(parent), basename(path));
  }
}

function definedOnly(flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function variableOf(name: string): string {
  return `SALLYPORT_${kebab(name).replaceAll('-', '_').toUpperCase()}`;
}

/** Load over HTTP from this process, and the server it goes to in another. */
import { appendFileSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { callRemote } from '#platform/remote.ts';
import { setUpAdmin, startServe } from '#test/serve-process.ts';
import { median } from './result.ts';
import type { BenchRow } from './result.ts';

export interface LoadRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const connections = 32;
const seconds = 3;

export interface Rates {
  /** By the clock. */
  readonly perSecond: number;
  /** By the processor time of the server's own process, its database not counted; a busy machine distorts it less. */
  readonly perProcessorSecond: number;
}

/** POSTs these in turn over 32 connections for three seconds and counts the answers. One refusal spoils the run. */
export function postRates(server: Loaded, requests: readonly LoadRequest[]): Promise<Rates> {
  return rates(server, { connections, duration: seconds, requests: requests.map((one) => ({ method: 'POST', ...one })) });
}

/** POSTs each of these once, over as many connections as share them evenly, at most 32. */
export function postOnce(server: Loaded, requests: readonly LoadRequest[]): Promise<Rates> {
  const shares = Array.from({ length: connections }, (_, n) => connections - n).find((count) => requests.length % count === 0)!;
  const share = requests.length / shares;
  let from = 0;
  return rates(server, {
    connections: shares, amount: requests.length,
    setupClient: (client) => {
      client.setRequests(requests.slice(from, from + share).map((one) => ({ method: 'POST', ...one })));
      from += share;
    },
  });
}

interface Loaded {
  readonly url: string;
  readonly pid: number;
}

async function rates({ url, pid }: Loaded, load: Omit<Parameters<typeof autocannon>[0], 'url'>): Promise<Rates> {
  const before = processorSeconds(pid);
  const result = await autocannon({ url, ...load });
  const spent = processorSeconds(pid) - before;
  const { non2xx, errors, timeouts, statusCodeStats } = result;
  const { total } = result.requests;
  if (non2xx + errors + timeouts > 0) {
    const statuses = Object.entries(statusCodeStats).map(([status, { count }]) => `${count} × ${status}`).join(', ');
    throw new Error(`${url} answered ${statuses}; ${errors} errors, ${timeouts} timeouts`);
  }
  return { perSecond: total / result.duration, perProcessorSecond: total / spent };
}

/** Both rates of both, round by round, as rows of a result. */
export function rowsOf(name: string, { ours, floor, aim }: { readonly ours: readonly Rates[]; readonly floor: readonly Rates[]; readonly aim?: string }): BenchRow[] {
  return ([['perSecond', name], ['perProcessorSecond', `${name}: per processor second`]] as const).map(([rate, title]) => {
    const figures = { ours: ours.map((one) => one[rate]), floor: floor.map((one) => one[rate]) };
    return { case: title, ...figures, ratioMedian: median(figures.ours.map((figure, round) => figure / figures.floor[round]!)), ...(aim === undefined ? {} : { aim }) };
  });
}

/** User and system time, in ticks of a hundredth of a second (proc_pid_stat(5), fields 14 and 15). */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export const json = { 'content-type': 'application/json' } as const;

export interface BenchServer {
  readonly url: string;
  readonly pid: number;
  readonly api: string;
  readonly adminToken: string;
  /** Calls and asserts success. */
  call(path: string, body: unknown, token?: string): Promise<unknown>;
  stop(): Promise<void>;
}

export interface BenchServerOptions {
  /** False: its database answers before what was written is on disk. */
  readonly durable?: boolean;
  readonly flags?: readonly string[];
}

/** The server as it is shipped, on an embedded database that syncs to disk; only its limits of rates are out of the way. */
export async function startBenchServer({ durable = true, flags: more = [] }: BenchServerOptions = {}): Promise<BenchServer> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
  const data = join(directory, 'data');
  const unlimited = ['--requests-per-second', '1000000', '--request-burst', '1000000', '--refused-exchanges-per-minute', '1000000', '--exchanges-per-second', '100000'];
  const away = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const start = () => startServe({ data, flags: ['--port', '0', '--no-runner', '--log-level', 'error', ...unlimited, ...more] }).catch(async (error: unknown) => {
    await away();
    throw error;
  });
  let server = await start();
  const adminToken = await setUpAdmin(server, data);
  if (!durable) {
    await server.stop();
    appendFileSync(join(data, 'postgres', 'postgresql.conf'), '\nsynchronous_commit = off\n');
    server = await start();
  }
  const api = '/api/v1/accounts/default';
  return {
    url: server.url,
    pid: server.pid,
    api,
    adminToken,
    async call(path, body, token = adminToken) {
      const answer = await callRemote({ url: server.url, token }, { method: 'POST', path: `${api}${path}`, body });
      if (answer.status >= 300) throw new Error(`${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    async stop() {
      await server.stop();
      await away();
    },
  };
}

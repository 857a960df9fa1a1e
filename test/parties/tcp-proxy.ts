/** A wire that can be cut: real TCP on loopback in front of PostgreSQL's unix socket. */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { atEnd } from '../endings.ts';

export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /**
   * `reset` ends every connection and refuses new ones; `hang` lets them stand and carries nothing in either direction;
   * after `vanish` those that are there say nothing ever again, as of a host that is gone, and new ones are carried.
   */
  cut(how: 'reset' | 'hang' | 'vanish'): void;
  /** Carries again. Connections that hung go on where they were. */
  heal(): void;
}

export interface TcpProxyOptions {
  /** Directory of the unix socket and the port in its name, as `pg` takes them. */
  readonly target: { readonly host: string; readonly port: number };
  /** Sees what clients send, as Latin-1 text. */
  readonly onRequest?: (text: string) => void;
}

/** Ends after the last test, after whatever was started later and goes through it. */
export async function startTcpProxy({ target, onRequest }: TcpProxyOptions): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const gone = new WeakSet<readonly [Socket, Socket]>();
  let state: 'carries' | 'reset' | 'hang' = 'carries';
  const server = createServer((client) => {
    if (state === 'reset') return void client.resetAndDestroy();
    const database = connect(join(target.host, `.s.PGSQL.${target.port}`));
    const pair = [client, database] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      database.destroy();
    };
    for (const socket of pair) socket.on('close', end).on('error', end);
    if (onRequest !== undefined) client.on('data', (bytes) => onRequest(bytes.toString('latin1')));
    client.pipe(database);
    database.pipe(client);
    if (state === 'hang') pause(pair);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  atEnd(async () => {
    for (const [client] of pairs) client.destroy();
    server.close();
    await once(server, 'close');
  });
  return {
    host: address,
    port,
    cut(how) {
      if (how !== 'vanish') state = how;
      for (const pair of pairs) {
        if (how === 'reset') pair[0].resetAndDestroy();
        else pause(pair);
        if (how === 'vanish') gone.add(pair);
      }
    },
    heal() {
      state = 'carries';
      for (const pair of pairs) {
        if (gone.has(pair)) continue;
        const [client, database] = pair;
        client.pipe(database);
        database.pipe(client);
      }
    },
  };
}

function pause([client, database]: readonly [Socket, Socket]): void {
  client.unpipe(database);
  database.unpipe(client);
  client.pause();
  database.pause();
}

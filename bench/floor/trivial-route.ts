/**
 * The floor of everything over HTTP: one route of the same framework that takes JSON and answers JSON, and does nothing.
 * Run as a program it prints its URL and ends with its parent's pipe.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fastify } from 'fastify';

export interface TrivialServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts it in a process of its own, as the server it is compared with is one. */
export async function startTrivialRoute(): Promise<TrivialServer> {
  const child = spawn(process.execPath, [import.meta.filename], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [url] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return {
    url: url.trim(),
    pid: child.pid!,
    async stop() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

if (import.meta.main) {
  const server = fastify();
  server.post('/', () => ({ allowed: true }));
  process.stdout.write(`${await server.listen({ port: 0, host: '127.0.0.1' })}\n`);
  process.stdin.on('end', () => process.exit(0)).resume();
}

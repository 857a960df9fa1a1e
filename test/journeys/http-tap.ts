/** A tap on the way to a server: real HTTP on loopback that is passed on as it is, and remembered. */
import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { atEnd } from '#test/endings.ts';

export interface Seen {
  readonly path: string;
  /** As the `X-Request-ID` of the request said. */
  readonly requestId: string | null;
}

export class HttpTap {
  /** What came by, oldest first. */
  readonly seen: Seen[] = [];
  readonly #server: Server;
  #goal: string | null = null;

  private constructor() {
    this.#server = createServer((request, response) => this.#pass(request, response));
  }

  static async start(): Promise<HttpTap> {
    const tap = new HttpTap();
    tap.#server.listen(0, '127.0.0.1');
    await once(tap.#server, 'listening');
    atEnd(() => tap.stop());
    return tap;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  leadTo(url: string): void {
    this.#goal = url;
  }

  /** Nobody listens on the port any more. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const { method, headers, url = '/' } = request;
    const id = headers['x-request-id'];
    this.seen.push({ path: url, requestId: typeof id === 'string' ? id : null });
    const onward = ask(`${this.#goal}${url}`, { method, headers });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }
}

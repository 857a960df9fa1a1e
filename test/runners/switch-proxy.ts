/** A TCP proxy on one port: its goal can be changed, its connections cut, and the line left dead for a while. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { atEnd } from '#test/endings.ts';

export class SwitchProxy {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #goal: URL;
  #dead = false;

  private constructor(server: Server, goal: string) {
    this.#server = server;
    this.#goal = new URL(goal);
    server.on('connection', (socket) => this.#pass(socket));
  }

  static async to(goal: string): Promise<SwitchProxy> {
    const server = createServer({ allowHalfOpen: false });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new SwitchProxy(server, goal);
    atEnd(async () => {
      proxy.cut();
      server.close();
    });
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** New connections go elsewhere, the present ones break. */
  switchTo(goal: string): void {
    this.#goal = new URL(goal);
    this.#drop();
  }

  /** Breaks every connection and takes no new one until `mend`. */
  cut(): void {
    this.#dead = true;
    this.#drop();
  }

  mend(): void {
    this.#dead = false;
  }

  #drop(): void {
    for (const socket of this.#open) socket.resetAndDestroy();
    this.#open.clear();
  }

  #pass(here: Socket): void {
    if (this.#dead) {
      here.resetAndDestroy();
      return;
    }
    const there = connect(Number(this.#goal.port), this.#goal.hostname);
    for (const [socket, other] of [[here, there], [there, here]] as const) {
      this.#open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}

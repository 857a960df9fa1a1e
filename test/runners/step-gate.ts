/** Where steps report that they run and wait for a word: so a test knows what a step has done, and decides when it goes on. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { atEnd } from '#test/endings.ts';

/** A shell function for scripts of bash: `gate NAME` says NAME and waits. */
export class StepGate {
  readonly #server: Server;
  readonly #visits: Visit[] = [];
  #look = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#admit(socket));
  }

  static async open(): Promise<StepGate> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    atEnd(async () => void server.close());
    server.unref();
    return new StepGate(server);
  }

  /** What a script begins with. */
  get script(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `gate() { exec 9<>/dev/tcp/127.0.0.1/${port}; echo "$1" >&9; read -r word <&9; exec 9<&-; }\n`;
  }

  /** How often a step said this name. */
  count(name: string): number {
    return this.#visits.filter((visit) => visit.name === name).length;
  }

  /** The next visit under this name that nobody has taken yet. */
  async visit(name: string): Promise<Visit> {
    for (;;) {
      const visit = this.#visits.find((one) => one.name === name && !one.taken);
      if (visit !== undefined) {
        visit.taken = true;
        return visit;
      }
      await new Promise<void>((resolve) => this.#look.add(resolve));
    }
  }

  #admit(socket: Socket): void {
    socket.on('error', () => {});
    socket.unref();
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('utf8');
      if (!text.endsWith('\n')) return;
      this.#visits.push(new Visit(text.trim(), socket));
      text = '';
      for (const look of this.#look) look();
      this.#look = new Set();
    });
  }
}

export class Visit {
  readonly name: string;
  readonly #socket: Socket;
  /** Settles when the step has closed the line: it went on, or is dead. */
  readonly gone: Promise<unknown>;
  taken = false;

  constructor(name: string, socket: Socket) {
    this.name = name;
    this.#socket = socket;
    this.gone = once(socket, 'close');
  }

  go(): void {
    this.#socket.write('go\n');
  }
}

/** HTTP written by hand, for what no client would send. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Wire {
  readonly socket: Socket;
  write(text: string | Uint8Array): void;
  /** The next whole answer. */
  answer(): Promise<RawAnswer>;
  close(): void;
}

export async function openWire(url: string): Promise<Wire> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let text = '';
  let ended = false;
  let wake = Promise.withResolvers<void>();
  const woken = (): void => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  socket.on('data', (bytes) => ((text += bytes.toString('latin1')), woken()));
  socket.on('close', () => ((ended = true), woken())).on('error', () => undefined);
  return {
    socket,
    write: (part) => void socket.write(part),
    close: () => void socket.destroy(),
    async answer() {
      for (;;) {
        const read = readAnswer(text, ended);
        if (read !== null) {
          text = text.slice(read.length);
          return read.answer;
        }
        if (ended) throw new Error(`the connection ended after: ${JSON.stringify(text)}`);
        await wake.promise;
      }
    },
  };
}

/** One request on a connection of its own. */
export async function sendRaw(url: string, text: string): Promise<RawAnswer> {
  const wire = await openWire(url);
  try {
    wire.write(text);
    return await wire.answer();
  } finally {
    wire.close();
  }
}

function readAnswer(text: string, ended: boolean): { answer: RawAnswer; length: number } | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [first = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  const bodyLength = headers['content-length'] === undefined ? null : Number(headers['content-length']);
  const start = headEnd + 4;
  if (bodyLength === null ? !ended && headers['transfer-encoding'] !== undefined : text.length < start + bodyLength) return null;
  const length = start + (bodyLength ?? 0);
  return { answer: { status: Number(first.split(' ')[1]), headers, body: text.slice(start, length) }, length };
}

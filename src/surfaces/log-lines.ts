/** Chunks of several steps' output → whole lines, each with the step it is of. */
export interface LogChunk {
  readonly stage: string;
  readonly step: string;
  readonly attempt: number;
  readonly stream: string;
  readonly text: string;
}

export interface LogLines {
  add(chunk: LogChunk): void;
  /** Prints what has no line feed yet. */
  end(): void;
}

/** A line without end is printed in parts of this many characters rather than kept. */
const maxLineLength = 64 * 1024;

export function createLogLines(print: (line: string) => void): LogLines {
  const open = new Map<string, { prefix: string; text: string }>();

  return {
    add(chunk) {
      const key = `${chunk.stage} ${chunk.step} ${chunk.attempt} ${chunk.stream}`;
      const held = open.get(key) ?? { prefix: prefixOf(chunk), text: '' };
      const parts = (held.text + chunk.text).split('\n');
      const rest = parts.pop()!;
      for (const line of parts) print(`${held.prefix}${line.replace(/\r$/, '')}`);
      open.set(key, { ...held, text: rest.length > maxLineLength ? '' : rest });
      if (rest.length > maxLineLength) print(`${held.prefix}${rest}`);
    },
    end() {
      for (const { prefix, text } of open.values()) if (text !== '') print(`${prefix}${text}`);
      open.clear();
    },
  };
}

function prefixOf({ stage, step, attempt }: LogChunk): string {
  return `${stage}.${step}${attempt > 1 ? ` (attempt ${attempt})` : ''} | `;
}

/** The todos, in one file. What is in memory is what is on disk: a change is written before it is answered. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Never changed, only replaced: whoever holds one can tell whether it is still the present one. */
export interface Todo {
  readonly id: string;
  readonly title: string;
  /** E-mail address. */
  readonly owner: string;
  readonly done: boolean;
  readonly inBin: boolean;
}

export const maxTodos = 1_000;

export class Todos {
  readonly #path: string;
  #byId: ReadonlyMap<string, Todo>;

  constructor(path: string) {
    this.#path = path;
    const stored = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as readonly Todo[]) : [];
    this.#byId = new Map(stored.map((todo) => [todo.id, todo]));
  }

  get size(): number {
    return this.#byId.size;
  }

  find(id: string): Todo | undefined {
    return this.#byId.get(id);
  }

  /** Those outside the bin in the order of their ids, from behind `after` on. */
  list({ after, limit }: { readonly after: string; readonly limit: number }): readonly Todo[] {
    const all = [...this.#byId.values()].filter((todo) => !todo.inBin && todo.id > after);
    return all.toSorted((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
  }

  put(todo: Todo): void {
    this.#write(new Map(this.#byId).set(todo.id, todo));
  }

  remove(id: string): void {
    this.#write(new Map([...this.#byId].filter(([key]) => key !== id)));
  }

  #write(byId: ReadonlyMap<string, Todo>): void {
    writeFileSync(`${this.#path}.new`, JSON.stringify([...byId.values()]));
    renameSync(`${this.#path}.new`, this.#path);
    this.#byId = byId;
  }
}

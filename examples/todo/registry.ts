/**
 * Registers todos with Sallyport, so that its searches know of them. Only what hardly ever changes is told: the owner, which
 * from then on wins over what a question says. `done` changes all day and goes along with every question instead.
 */
import { NoAnswer } from './decision-point.ts';
import type { Todo } from './todos.ts';

export interface RegistryOptions {
  /** Where the resources of the todos' scope are, e.g. `https://access.example.com/api/v1/accounts/default/orgs/studio`. */
  readonly url: string;
  readonly token: string;
  readonly patienceMs: number;
}

export class Registry {
  readonly #options: RegistryOptions;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** False when the id is taken. */
  async add({ id, owner }: Pick<Todo, 'id' | 'owner'>, requestId: string): Promise<boolean> {
    const spec = { type: 'todo', id, attributes: { owner } };
    const status = await this.#call('POST', '', requestId, { identifier: `todo_${id}`, tags: { application: 'todo' }, spec });
    if (status !== 201 && status !== 409) throw new NoAnswer(`${status} for the registration of ${id}`);
    return status === 201;
  }

  /** One that is gone already is gone. */
  async remove(id: string, requestId: string): Promise<void> {
    const status = await this.#call('DELETE', `/todo_${id}`, requestId);
    if (status !== 204 && status !== 404) throw new NoAnswer(`${status} for the end of the registration of ${id}`);
  }

  async #call(method: string, path: string, requestId: string, body?: object): Promise<number> {
    const { url, token, patienceMs } = this.#options;
    const headers = { authorization: `Bearer ${token}`, 'x-request-id': requestId, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    try {
      const answer = await fetch(`${url}/external-resources${path}`, {
        method, headers, redirect: 'error', signal: AbortSignal.timeout(patienceMs), ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      await answer.body?.cancel();
      return answer.status;
    } catch (cause) {
      throw new NoAnswer('no answer from the registry', { cause });
    }
  }
}

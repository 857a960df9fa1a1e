/**
 * The side of an application that asks: a client of OpenID AuthZEN Authorization API 1.0, for any decision point that
 * speaks it. Only a plain `true` allows. Whoever cannot be asked has not allowed: every fault is `NoAnswer`.
 */
export interface Entity {
  readonly type: string;
  readonly id: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

export interface Question {
  readonly subject: Entity;
  readonly action: { readonly name: string; readonly properties?: Readonly<Record<string, unknown>> };
  readonly resource: Entity;
}

/** A search has no id for what it looks for. */
export interface ResourceSearch extends Omit<Question, 'resource'> {
  readonly resource: Omit<Entity, 'id'>;
  readonly page: { readonly limit: number; readonly token?: string };
}

/** The answer could not be had. The application must not go on; the same request may succeed later. */
export class NoAnswer extends Error {}

export interface DecisionPointOptions {
  /** Its identifier, such as `https://access.example.com/accounts/default`; where it is asked is in its metadata. */
  readonly url: string;
  readonly token: string;
  /** How long one answer may take. */
  readonly patienceMs: number;
}

interface Endpoints {
  readonly access_evaluation_endpoint: string;
  readonly access_evaluations_endpoint: string;
  readonly search_resource_endpoint: string;
}

export class DecisionPoint {
  readonly #options: DecisionPointOptions;
  #endpoints: Endpoints | null = null;

  constructor(options: DecisionPointOptions) {
    this.#options = options;
  }

  /** §6. `requestId` goes along, so that one request can be followed through both logs. */
  async allows(question: Question, requestId: string): Promise<boolean> {
    const answer = await this.#ask('access_evaluation_endpoint', question, requestId);
    return isTrue(answer);
  }

  /** §7: one call for all, answered in their order. `shared` holds for every item. */
  async allowsEach(shared: Partial<Question>, evaluations: readonly Partial<Question>[], requestId: string): Promise<boolean[]> {
    if (evaluations.length === 0) return [];
    const answer = await this.#ask('access_evaluations_endpoint', { ...shared, evaluations }, requestId);
    const items = (answer as { evaluations?: unknown }).evaluations;
    if (!Array.isArray(items) || items.length !== evaluations.length) throw new NoAnswer('another number of answers than of questions');
    return items.map(isTrue);
  }

  /** §8.2: ids of the resources, and what to send for the next page; null at the end. */
  async find(search: ResourceSearch, requestId: string): Promise<{ readonly ids: readonly string[]; readonly next: string | null }> {
    const answer = (await this.#ask('search_resource_endpoint', search, requestId)) as { results?: unknown; page?: { next_token?: unknown } };
    if (!Array.isArray(answer.results)) throw new NoAnswer('no results');
    const next = answer.page?.next_token;
    return { ids: answer.results.map((one: { id?: unknown } | null) => String(one?.id)), next: typeof next === 'string' && next !== '' ? next : null };
  }

  async #ask(endpoint: keyof Endpoints, body: object, requestId: string): Promise<object> {
    this.#endpoints ??= await this.#discover(requestId);
    return this.#fetch(this.#endpoints[endpoint], requestId, body);
  }

  /** §9. It says who it is, and nobody else's word is taken; the token leaves for no other origin. */
  async #discover(requestId: string): Promise<Endpoints> {
    const { origin, pathname } = new URL(this.#options.url);
    const path = pathname === '/' ? '' : pathname;
    const metadata = (await this.#fetch(`${origin}/.well-known/authzen-configuration${path}`, requestId)) as Endpoints & { policy_decision_point?: string };
    if (metadata.policy_decision_point !== this.#options.url) throw new NoAnswer(`calls itself ${metadata.policy_decision_point}`);
    for (const name of ['access_evaluation_endpoint', 'access_evaluations_endpoint', 'search_resource_endpoint'] as const) {
      if (URL.parse(metadata[name])?.origin !== origin) throw new NoAnswer(`names no ${name} of its own`);
    }
    return metadata;
  }

  /** Posts a body, or gets without one. A JSON object comes back, or nothing does. */
  async #fetch(url: string, requestId: string, body?: object): Promise<object> {
    const { token, patienceMs } = this.#options;
    const headers: Record<string, string> = { 'x-request-id': requestId, accept: 'application/json' };
    if (body !== undefined) Object.assign(headers, { authorization: `Bearer ${token}`, 'content-type': 'application/json' });
    const sent = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    let status: number;
    let answer: unknown;
    try {
      const response = await fetch(url, { ...sent, headers, redirect: 'error', signal: AbortSignal.timeout(patienceMs) });
      ({ status } = response);
      answer = await response.json();
    } catch (cause) {
      throw new NoAnswer(`no answer from ${url}`, { cause });
    }
    // What it says with other statuses is a text, for those who run the application.
    if (status !== 200 || typeof answer !== 'object' || answer === null) throw new NoAnswer(`${status} from ${url}: ${JSON.stringify(answer)}`);
    return answer;
  }
}

function isTrue(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && (answer as { decision?: unknown }).decision === true;
}

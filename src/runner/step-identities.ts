/**
 * What a step has by its identities while it runs: files that are written anew before their tokens end, and an endpoint
 * that gives more. Every new token is known to the masker before it is in a file or an answer.
 */
import { Refusal, refusal } from '#kernel/errors.ts';
import type { MadeToken, StepIdentities as GivenIdentities, TokenWish } from '#features/runners/schema.ts';
import type { Clock, Randomness } from '#platform/clock.ts';
import { runnerWords } from '#platform/delivery.ts';
import { LeaseOver } from './lease.ts';
import type { PrivateFiles } from './private-files.ts';
import type { TokenEndpoint, TokenQuestion } from './token-endpoint.ts';
import { openTokenEndpoint } from './token-endpoint.ts';

export interface IdentityOptions {
  readonly given: GivenIdentities;
  /** When the payload was asked for, on the monotonic clock: lives of its tokens count from there. */
  readonly givenAtMs: number;
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** Where the step sees its files. */
  readonly directory: string;
  /** Asks the server until it answers. */
  readonly ask: (wish: TokenWish) => Promise<MadeToken>;
  /** Resolves when no log shows these any more. */
  readonly learn: (secrets: MadeToken['secrets']) => Promise<void>;
}

interface Known {
  readonly token: string | null;
  readonly fromMs: number;
  readonly lifeMs: number;
}

/** Of its life, when a file is written anew; then a third is left for whoever read the old one. */
const renewAt = 2 / 3;
/** Of its life: as long a token is answered again. A step that asks in a loop costs a token a while. */
const reuseUntil = 1 / 4;
const minRenewMs = 500;
const secretBytes = 32;

export class StepIdentities {
  readonly #options: IdentityOptions;
  readonly #secret: string;
  readonly #broken = new AbortController();
  readonly #known = new Map<string, Known>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** By name, as they are now. */
  readonly #contents = new Map<string, string>();
  #endpoint: TokenEndpoint | null = null;
  #written: PrivateFiles | null = null;
  #closed = false;
  /** Tokens are made one after the other: each joins the masks. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: IdentityOptions) {
    this.#options = options;
    this.#secret = Buffer.from(options.randomness.bytes(secretBytes)).toString('base64url');
  }

  static async open(options: IdentityOptions): Promise<StepIdentities> {
    const identities = new StepIdentities(options);
    await identities.#prepare();
    return identities;
  }

  /** Aborted, with a text to show as reason, when a token of the step cannot be had any more: it must not go on without. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Also the secret of the endpoint, which the masker knows. */
  get environment(): Record<string, string> {
    const { given } = this.#options;
    const asks = this.#endpoint === null ? {} : { ACTIONS_ID_TOKEN_REQUEST_URL: runnerWords.tokenUrl, ACTIONS_ID_TOKEN_REQUEST_TOKEN: runnerWords.tokenSecret };
    return Object.fromEntries(Object.entries({ ...asks, ...given.environment }).map(([name, value]) => [name, this.#filled(value)]));
  }

  /** To be in the directory before the step begins. */
  get files(): ReadonlyMap<string, string> {
    return this.#contents;
  }

  /** The step has begun: from now on its files are written anew in time. */
  keep(written: PrivateFiles): void {
    this.#written = written;
    for (const { of } of this.#options.given.files) if (of !== null) this.#plan(of);
  }

  /** Nothing is answered and written any more; the files are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#endpoint?.close();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#turn.catch(() => {});
    await this.#written?.remove();
  }

  async #prepare(): Promise<void> {
    const { given, givenAtMs, learn } = this.#options;
    if (given.asked.length > 0) {
      await learn([{ name: 'token endpoint of the step', value: this.#secret }]);
      this.#endpoint = await openTokenEndpoint({ secret: this.#secret, token: (question) => this.#answer(question) });
    }
    for (const { name, content, of } of given.files) {
      this.#contents.set(name, this.#filled(content));
      if (of !== null) this.#known.set(keyOf(of), { token: null, fromMs: givenAtMs, lifeMs: of.lifeMs });
    }
    // The payload may have waited for its start longer than a token lives.
    try {
      for (const { of } of given.files) if (of !== null && this.#dueInMs(of) <= 0) await this.#renew(of);
    } catch (error) {
      this.#endpoint?.close();
      throw error;
    }
  }

  async #answer({ identity, audience }: TokenQuestion): Promise<string> {
    if (this.#closed) throw refusal('mint.refused', { say: 'the step is over' });
    const fitting = this.#options.given.asked.filter((one) => (identity === null || one.identity === identity) && (audience === null || one.audience === audience));
    const [wish] = fitting;
    if (wish === undefined) throw refusal('mint.refused', { say: `the step has no identity ${identity === null ? '' : `\`${identity.slice(0, 128)}\` `}with ${audience === null ? 'an audience' : `the audience \`${audience.slice(0, 128)}\``}` });
    // Several audiences of one identity: its first. Several identities: nobody can tell which is meant.
    if (audience === null && fitting.some((one) => one.identity !== wish.identity)) throw refusal('mint.refused', { say: 'the step has several identities; say which, or the audience' });
    try {
      return await this.#next(async () => this.#young(wish) ?? (await this.#renew(wish)).token);
    } catch (error) {
      this.#fail(wish, error);
      throw error;
    }
  }

  #young(wish: TokenWish): string | null {
    const known = this.#known.get(keyOf(wish));
    return known !== undefined && this.#elapsedMs(known) < known.lifeMs * reuseUntil ? known.token : null;
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #renew(wish: TokenWish): Promise<MadeToken> {
    if (this.#closed) throw refusal('mint.refused', { say: 'the step is over' });
    const { ask, learn, clock } = this.#options;
    const fromMs = clock.monotonicMs();
    const made = await ask(wish);
    await learn(made.secrets);
    for (const { name, content } of made.files) {
      this.#contents.set(name, content);
      await this.#written?.write(name, content);
    }
    this.#known.set(keyOf(wish), { token: made.token, fromMs, lifeMs: made.lifeMs });
    if (this.#written !== null && made.files.length > 0) this.#plan(wish);
    return made;
  }

  #plan(wish: TokenWish): void {
    const key = keyOf(wish);
    clearTimeout(this.#timers.get(key));
    if (this.#closed) return;
    this.#timers.set(key, setTimeout(() => void this.#next(() => this.#renew(wish)).catch((error: unknown) => this.#fail(wish, error)), Math.max(minRenewMs, this.#dueInMs(wish))));
  }

  /** What the server said no to ends the step. What it did not say in time ends with the lease. */
  #fail({ identity }: TokenWish, error: unknown): void {
    if (this.#closed || error instanceof LeaseOver) return;
    const why = error instanceof Refusal ? (error.say ?? error.record.title) : 'the runner cannot keep it';
    this.#broken.abort(`the token of the identity \`${identity}\` cannot be had: ${why}`);
  }

  #dueInMs(wish: TokenWish): number {
    const known = this.#known.get(keyOf(wish));
    return known === undefined ? 0 : known.lifeMs * renewAt - this.#elapsedMs(known);
  }

  #elapsedMs({ fromMs }: Known): number {
    return this.#options.clock.monotonicMs() - fromMs;
  }

  #filled(text: string): string {
    return text.replaceAll(runnerWords.files, this.#options.directory).replaceAll(runnerWords.tokenUrl, this.#endpoint?.url ?? '').replaceAll(runnerWords.tokenSecret, this.#secret);
  }
}

function keyOf({ identity, audience }: TokenWish): string {
  return `${identity} ${audience}`;
}

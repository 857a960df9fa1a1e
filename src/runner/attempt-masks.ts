/** The secrets of one attempt: those of its payload, and those that join while it runs. */
import { compileMaskSet } from '#features/masking/mask-set.ts';
import type { MaskSet } from '#features/masking/mask-set.ts';
import type { MaskAddition } from '#features/runners/schema.ts';

export class AttemptMasks {
  #version: number;
  #set: MaskSet;
  #renewing: Promise<void> | undefined;

  constructor({ maskSet, secrets }: MaskAddition) {
    this.#version = maskSet;
    this.#set = compileMaskSet(secrets);
  }

  /** The server's number for `set`. */
  get version(): number {
    return this.#version;
  }

  get set(): MaskSet {
    return this.#set;
  }

  /** Adds what joined after `version`; several who ask at once share one answer. */
  renew(fetch: (after: number) => Promise<MaskAddition>): Promise<void> {
    this.#renewing ??= this.#add(fetch).finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  /** Secrets this runner has asked for: known before anybody could have printed them, so that no version counts them. */
  join(secrets: MaskAddition['secrets']): void {
    this.#set = compileMaskSet(secrets, { after: this.#set });
  }

  async #add(fetch: (after: number) => Promise<MaskAddition>): Promise<void> {
    const { maskSet, secrets } = await fetch(this.#version);
    if (maskSet <= this.#version) return;
    this.#set = compileMaskSet(secrets, { after: this.#set });
    this.#version = maskSet;
  }
}

/** The masking of one stream whose set of secrets may grow while some of it has been masked but has not left yet. */
import { Masker } from '#features/masking/masker.ts';
import type { MaskSet } from '#features/masking/mask-set.ts';

export class MaskedStream {
  /** Bytes go through all of them, first to last. */
  #maskers: Masker[];
  #set: MaskSet;

  constructor(set: MaskSet) {
    this.#set = set;
    this.#maskers = [new Masker(set)];
  }

  write(bytes: Uint8Array): Uint8Array {
    return this.#maskers.reduce((rest, masker) => masker.write(rest), bytes);
  }

  end(): Uint8Array {
    let rest: Uint8Array = new Uint8Array(0);
    for (const masker of this.#maskers) rest = Buffer.concat([masker.write(rest), masker.end()]);
    return rest;
  }

  /**
   * From here on `set` decides, which holds more than the one before. `unsent` is the masked end of the stream that can
   * still be changed; what it becomes is returned. A masker of its own goes on behind it, so that a secret that begins
   * in `unsent` and ends in what is yet to come is found too.
   */
  renew(set: MaskSet, unsent: Uint8Array): Uint8Array {
    if (set === this.#set) return unsent;
    this.#set = set;
    // One that holds nothing back has nothing to remember; the first one always stays.
    this.#maskers = this.#maskers.filter((masker, index) => index === 0 || masker.heldBytes > 0);
    for (const masker of this.#maskers) masker.replaceSet(set);
    if (unsent.length === 0) return unsent;
    const again = new Masker(set);
    this.#maskers.push(again);
    return again.write(unsent);
  }
}

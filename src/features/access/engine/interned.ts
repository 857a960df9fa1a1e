/** Words as whole numbers from 0 on, so that columns can hold them. A number is never given to another word. */
export class Interned {
  readonly #numbers = new Map<string, number>();
  readonly #words: string[] = [];

  get size(): number {
    return this.#words.length;
  }

  /** Held in memory, about. */
  get bytes(): number {
    return this.#words.length * 140;
  }

  /** The number of a word, a new one if it has none. */
  number(word: string): number {
    let number = this.#numbers.get(word);
    if (number === undefined) {
      number = this.#words.length;
      this.#words.push(word);
      this.#numbers.set(word, number);
    }
    return number;
  }

  /** -1 = the word has no number. */
  find(word: string): number {
    return this.#numbers.get(word) ?? -1;
  }

  word(number: number): string {
    return this.#words[number]!;
  }

  words(): readonly string[] {
    return this.#words;
  }
}

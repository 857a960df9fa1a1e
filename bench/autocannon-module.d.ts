/** The package brings no types; these are the parts of it that are used here. */
declare module 'autocannon' {
  interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    readonly requests: readonly { readonly method: string; readonly path: string; readonly headers: Readonly<Record<string, string>>; readonly body: string }[];
  }

  interface Result {
    readonly requests: { readonly total: number };
    /** Seconds it really took. */
    readonly duration: number;
    readonly non2xx: number;
    readonly statusCodeStats: Readonly<Record<string, { readonly count: number }>>;
    readonly errors: number;
    readonly timeouts: number;
  }

  export default function autocannon(options: Options): Promise<Result>;
}

/** The package brings no types; these are the parts of it that are used here. */
declare module 'autocannon' {
  interface Request {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  }

  interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds; or `amount`, of all requests. */
    readonly duration?: number;
    readonly amount?: number;
    /** Requests a second, of all connections together. */
    readonly overallRate?: number;
    readonly requests?: readonly Request[];
    /** Called for each connection. */
    readonly setupClient?: (client: { setRequests(requests: readonly Request[]): void }) => void;
  }

  interface Result {
    readonly requests: { readonly total: number };
    /** Milliseconds. */
    readonly latency: { readonly p99: number };
    /** Seconds it really took. */
    readonly duration: number;
    readonly non2xx: number;
    readonly statusCodeStats: Readonly<Record<string, { readonly count: number }>>;
    readonly errors: number;
    readonly timeouts: number;
  }

  export default function autocannon(options: Options): Promise<Result>;
}

/** A request as the pipeline gets it: what its head says, and the ways to its body, to the log and to the limits of rates. */
import type { FastifyRequest } from 'fastify';
import type { Caller } from '#kernel/caller.ts';
import type { AnyOperation } from '#kernel/operation.ts';
import type { ScopePath } from '#kernel/scope.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Network } from '../networks.ts';
import { hasBody, maxBodyBytes, receiveBody } from './body.ts';
import type { Awaiting } from './in-flight.ts';
import type { Rates } from './limits.ts';
import type { RawRequest } from './pipeline.ts';
import { readPossession } from './possession.ts';
import type { RefusalRate } from './refusal-rate.ts';
import type { RequestContent } from './request.ts';
import { clientAddress, credentialOf, readContent, scopeOf } from './request.ts';

export interface IncomingServices {
  readonly config: Config;
  readonly log: Log;
  readonly rates: Rates;
  readonly strangers: RefusalRate;
  readonly trustedProxies: readonly Network[];
}

interface Arrived {
  readonly levelsOfPath: readonly string[];
  readonly request: FastifyRequest;
  readonly awaiting: Awaiting;
}

/** A class, not an object of closures and getters: one is made for every request. */
export class IncomingRequest implements RawRequest {
  readonly requestId: string;
  readonly accountIdentifier: string | null;
  readonly scope: ScopePath | null;
  readonly token: string | null;
  readonly possession: RawRequest['possession'];
  readonly address: string;
  readonly awaiting: Awaiting;
  /** Handed on without the request. */
  readonly admitStranger = (): Promise<void> => this.services.strangers.admit(this.address);
  private readonly services: IncomingServices;
  private readonly operation: AnyOperation;
  private readonly request: FastifyRequest;
  private logIfMade: Log | undefined;

  constructor(services: IncomingServices, operation: AnyOperation, { levelsOfPath, request, awaiting }: Arrived) {
    const { account } = request.params as Record<string, string | undefined>;
    const { trustedProxies, config: { clientCertificates } } = services;
    const { token, scheme } = credentialOf(request);
    this.requestId = request.id;
    this.accountIdentifier = levelsOfPath.length === 0 && account === undefined ? null : (account ?? '');
    this.scope = scopeOf(request);
    this.token = token;
    this.possession = readPossession(request, scheme, { trustedProxies, clientCertificates });
    this.address = clientAddress(request, trustedProxies);
    this.awaiting = awaiting;
    this.services = services;
    this.operation = operation;
    this.request = request;
  }

  get log(): Log {
    return (this.logIfMade ??= this.services.log.child({ requestId: this.requestId, operation: this.operation.name }));
  }

  countStranger(): Promise<void> {
    return this.services.strangers.count(this.address);
  }

  /** Who acts as another uses nothing up that is the other's. */
  admit({ accountId, principal, actor: who = principal }: Caller): Promise<void> {
    const { requestsPerSecond: perSecond, requestBurst: burst } = this.services.config;
    return this.services.rates.take(`caller:${accountId}:${who.type}:${who.uid}`, { perSecond, burst });
  }

  async read(): Promise<RequestContent> {
    const { raw } = this.request;
    return readContent(this.operation, this.request, hasBody(raw) ? await receiveBody(raw, maxBodyBytes(this.operation)) : null);
  }
}

/** The little we use of the clients, so that types can be checked where they are not installed. */

declare module '@actions/core' {
  export function getIDToken(audience?: string): Promise<string>;
}

declare module 'google-auth-library' {
  export class GoogleAuth {
    constructor(options: { readonly scopes: string; readonly projectId: string });
    getAccessToken(): Promise<string | null>;
  }
}

declare module '@aws-sdk/credential-providers' {
  export function fromTokenFile(options: object): () => Promise<{ readonly accessKeyId: string; readonly sessionToken?: string }>;
}

/** The little we use of the clients, so that types can be checked where they are not installed. */

declare module '@actions/core' {
  export function getIDToken(audience?: string): Promise<string>;
}

/** How thorough this run is: `npm test`, `npm run test:long`, `npm run test:crash`. */
export type Mode = 'short' | 'long' | 'crash';

const given = process.env['SALLYPORT_TEST_MODE'];

export const mode: Mode = given === 'long' || given === 'crash' ? given : 'short';

/** How often a property is tried: `short` times by default, `long` times in `npm run test:long`. */
export function runs(short: number, long: number): number {
  return mode === 'long' ? long : short;
}

/** The `skip` option of a test that only `npm run test:<wanted>` runs. */
export function onlyIn(wanted: 'long' | 'crash'): string | false {
  return mode === wanted ? false : `needs: npm run test:${wanted}`;
}

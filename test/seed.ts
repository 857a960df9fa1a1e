/**
 * The seed and the mode of a test run. The test runner loads this before files with properties, so that all of
 * fast-check's randomness follows from the one seed it prints.
 */
import { configureGlobal } from 'fast-check';

const given = process.env['SALLYPORT_TEST_SEED'];

/** For randomness of a test's own. A whole number below 2^31. */
export const seed: number = given === undefined ? Date.now() % 2 ** 31 : Number(given);

if (given !== undefined) configureGlobal({ seed });

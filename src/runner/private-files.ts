/**
 * Files of a step that hold tokens: in a directory only the step can pass through, which it cannot write to where it has a
 * user of its own or a read-only view. A file is put in the place of the one before at once, so that whoever reads sees
 * the old or the new.
 */
import { chmod, chown, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '#kernel/errors.ts';

/** Dots before and after other letters only: no name leads out of the directory. */
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[a-z]+){1,2}$/;

export class PrivateFiles {
  readonly #directory: string;
  readonly #uid: number | null;
  #writes = 0;

  private constructor(directory: string, uid: number | null) {
    this.#directory = directory;
    this.#uid = uid;
  }

  /** Makes the directory. `uid`: the step's own user and group; null when it runs as the runner's. */
  static async create(directory: string, uid: number | null): Promise<PrivateFiles> {
    await mkdir(directory, { mode: 0o700 });
    if (uid !== null) {
      await chown(directory, 0, uid);
      await chmod(directory, 0o750);
    }
    return new PrivateFiles(directory, uid);
  }

  /** Readable by the step alone (0600) from its first moment. */
  async write(name: string, content: string): Promise<void> {
    assert(namePattern.test(name), 'a file of an identity has a name that is none');
    const fresh = join(this.#directory, `.new-${(this.#writes += 1)}`);
    const file = await open(fresh, 'wx', 0o600);
    try {
      await file.chmod(0o600); // whatever the umask
      await file.writeFile(content);
      if (this.#uid !== null) await file.chown(this.#uid, this.#uid);
    } finally {
      await file.close();
    }
    await rename(fresh, join(this.#directory, name));
  }

  /** All of them; nothing when they are gone. */
  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
